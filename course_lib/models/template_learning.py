"""What windows tell of events: templates, from labelled snippets or without labels, and how much events vary."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

from course_lib.events import MatchingPursuit, whitening_filter
from course_lib.models.template_bank import MARGIN, EventTemplateBank, shift

WARPS = (0.92, 0.96, 1.0, 1.04, 1.08)
COARSE_WARPS = (0.94, 1.0, 1.06)  # enough to learn templates with
FINE_WARPS = np.linspace(0.8, 1.2, 21)  # to tell how much events vary
FEWEST = 3  # labelled events of a type; the average of fewer is mostly the event that is compared with it
QUANTILES = (0.05, 0.95)
_TAPS = 4  # samples on either side that interpolation reads


def snippets(
    data: np.ndarray, windows: np.ndarray, onsets: np.ndarray, length: int, delays: np.ndarray | None = None, warps=1.0
) -> np.ndarray:
    """What data (N, T, C) show from 12 samples before each onset on: (M, C, length + 24).

    windows, onsets: (M,) where, in samples with fractions; values between samples are interpolated (Lanczos). Beyond
    the ends the data count as 0.
    delays: (M, C), warps: (M,): undo a warp about each channel's own start, as if the event had lasted as its template.
    """
    steps = np.arange(-MARGIN, length + MARGIN, dtype=float)  # (L,)
    delays = np.zeros((1, data.shape[2])) if delays is None else delays
    warps = np.broadcast_to(warps, onsets.shape)[:, None, None]
    times = onsets[:, None, None] + delays[..., None] + warps * (steps - delays[..., None])  # (M, C, L)
    first = np.floor(times).astype(int)
    values, weights = np.zeros(times.shape), np.zeros(times.shape)
    channels = np.arange(data.shape[2])[:, None]
    for step in range(1 - _TAPS, 1 + _TAPS):
        places = first + step
        away = times - places
        weight = np.sinc(away) * np.sinc(away / _TAPS)
        inside = (places >= 0) & (places < data.shape[1])
        read = data[windows[:, None, None], places.clip(0, data.shape[1] - 1), channels]
        values += weight * inside * read
        weights += weight
    return values / weights


def labelled_onsets(data: np.ndarray, labels: np.ndarray, timings: np.ndarray) -> tuple[np.ndarray, ...]:
    """Window, type and onset of each labelled event, (M,) each.

    data: (N, T, C).  labels, timings: (N, E), timings in samples.  Raises ValueError where these do not fit together.
    """
    if np.ndim(data) != 3 or not np.isfinite(data).all():
        raise ValueError(f"data: expected finite (N, T, C), got shape {np.shape(data)}")
    if np.ndim(labels) != 2 or len(labels) != len(data) or np.shape(timings) != np.shape(labels):
        raise ValueError(
            f"labels, timings: expected ({len(data)}, E) each, got {np.shape(labels)} and {np.shape(timings)}"
        )
    windows, types = np.nonzero(labels)
    onsets = np.asarray(timings, float)[windows, types]
    outside = ~((onsets >= 0) & (onsets < data.shape[1]))  # NaN, too
    if outside.any():
        first = int(outside.argmax())
        raise ValueError(
            f"timings: expected samples from 0 to below {data.shape[1]} where labels are 1, got {onsets[first]} in "
            f"window {windows[first]}, type {types[first]}"
        )
    return windows, types, onsets


def fill_from_snippets(
    bank: EventTemplateBank, data: np.ndarray, labels: np.ndarray, timings: np.ndarray
) -> np.ndarray:
    """Set the bank to the average of the labelled snippets of each type; returns how many there were of each, (E,).

    data: (N, T, C).  labels, timings: (N, E), timings in samples.  A type without a label keeps what it had.
    Raises ValueError for another shape, data that are not finite, and a label without a time inside its window.
    """
    windows, types, onsets = labelled_onsets(data, labels, timings)
    if data.shape[2] != bank.num_features:
        raise ValueError(f"data: expected (N, T, {bank.num_features}), got {data.shape}")
    found = snippets(data, windows, onsets, bank.template_length)
    counts = np.bincount(types, minlength=bank.num_events)
    kernels = _numbers(bank.kernels())
    for kind in np.flatnonzero(counts):
        kernels[kind] = found[types == kind].mean(axis=0)
    bank.load_kernels(torch.tensor(kernels), types=torch.tensor(counts > 0))
    return counts


def make_pursuit(bank: EventTemplateBank, taps: np.ndarray | None, warps=WARPS, **options) -> MatchingPursuit:
    """Matching pursuit with the bank's templates at each of `warps`."""
    kernels = np.stack([_numbers(bank.kernels(warp)) for warp in warps], axis=1)  # (E, W, C, L)
    return MatchingPursuit(kernels, warps, MARGIN, taps, **options)


def noise_filter(bank: EventTemplateBank, data: np.ndarray, threshold: float = 15.0) -> np.ndarray:
    """`whitening_filter` of data (N, T, C) less the events that the bank explains: it whitens the noise alone.

    Where events are dense, a filter of the data itself takes them for noise and hides them from the bank. So the search
    for events begins twice: with that filter, and with one that only scales, which is improved three times. The second
    end is taken where it is likelier by more than `threshold`: the logarithm of what remains as noise, summed over all
    samples, where each event has to pay `threshold`.
    Warns, and only scales, where the bank explains nothing once both are whitened, but a lot before.
    """
    scale = np.append(1 / max(float(data.std()), 1e-30), np.zeros(len(first := whitening_filter(data)) - 1))

    def improved(taps: np.ndarray) -> tuple[np.ndarray, int, float]:
        """The next filter, the events explained on the way, and how likely both are."""
        explained = make_pursuit(bank, taps, COARSE_WARPS, refits=0)(data, threshold)
        taps, events = whitening_filter(remainder(bank, data, explained)), sum(map(len, explained))
        return taps, events, data.size * float(np.log(taps[0])) - threshold * events

    taps, events, likely = improved(first)
    other, at_first, _ = improved(scale)
    for _ in range(2):
        other, others, likelier = improved(other)
    if max(events, others) < 0.01 * at_first:
        warnings.warn(
            f"whitened, the templates explain {max(events, others)} events, and {at_first} before: the filter only "
            "scales. Do they hold an event from its beginning, or are they cut at the mark?",
            stacklevel=2,
        )
        return scale
    return other if likelier > likely + threshold else taps


@torch.no_grad()
def remainder(bank: EventTemplateBank, data: np.ndarray, explanations: list) -> np.ndarray:
    """Data (N, T, C) less the explained events, not whitened: (N, T, C) float32."""
    warps = {warp for found in explanations for warp in found.warps.tolist()}
    kernels = {warp: bank.kernels(warp).cpu() for warp in warps}  # (E, C, L) each
    length = bank.template_length + 2 * MARGIN
    rest = np.pad(data.astype(np.float32), ((0, 0), (MARGIN, length), (0, 0)))
    for row, found in zip(rest, explanations, strict=True):
        starts = np.floor(found.times).astype(int)
        for i, start in enumerate(starts):
            kernel = kernels[found.warps[i]][found.types[i]] * found.amplitudes[i]  # (C, L)
            late = torch.full(kernel.shape[:1], found.times[i] - start, dtype=kernel.dtype)
            row[start : start + length] -= shift(kernel, late).T.numpy()
    return rest[:, MARGIN : MARGIN + data.shape[1]]


def _numbers(values: torch.Tensor) -> np.ndarray:
    """What the bank holds, on whatever device, as float64 for NumPy."""
    return values.detach().cpu().double().numpy()


def expectation_maximisation(
    bank: EventTemplateBank,
    data: np.ndarray,
    *,
    rounds: int = 3,
    threshold: float = 20.0,
    anchors: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> list[dict[str, float]]:
    """Improve the bank on windows data (N, T, C) without labels. Returns a dict a round: events used, relative change.

    Expectation: matching pursuit names events, onsets, amplitudes and warps; gains above `threshold` count.
    Maximisation: each template becomes the average of what its events leave when all others are taken out of the data,
    unwarped, weighted by amplitude. Amplitudes are scaled to a mean of 1. Types with fewer than three events stay.
    anchors: labelled data, labels, timings. A type's onsets may creep from round to round, since without labels nothing
    says where in a template the onset is; matched events of the anchors pull it back.
    The hard choice of one explanation makes this the "classification" variety; Celeux and Govaert 1992.
    """
    history, rest = [], data
    for _ in range(rounds):
        taps = whitening_filter(rest)
        found = make_pursuit(bank, taps, COARSE_WARPS, refits=0)(data, threshold)
        rest = remainder(bank, data, found)
        windows = np.repeat(np.arange(len(data)), [len(f) for f in found])
        types, times, amplitudes, warps = (
            np.concatenate([getattr(f, name) for f in found]) for name in ("types", "times", "amplitudes", "warps")
        )
        delays = _numbers(bank.delays())
        left = snippets(rest, windows, times, bank.template_length, delays[types], warps)  # (M, C, L)
        before = _numbers(bank.kernels())
        after, enough = before.copy(), np.bincount(types, minlength=bank.num_events) >= 3
        for kind in np.flatnonzero(enough):
            mine, a = types == kind, amplitudes[types == kind]
            correction = np.tensordot(a, left[mine], 1) / (a @ a)
            after[kind] = (before[kind] + correction) * a.mean()
        bank.load_kernels(torch.tensor(after), types=torch.tensor(enough))
        if anchors is not None:
            _anchor(bank, taps, *anchors)
        history.append(
            {"events": len(types), "change": float(np.linalg.norm(after - before) / (np.linalg.norm(before) or 1))}
        )
    return history


def _anchor(bank: EventTemplateBank, taps, data, labels, timings, reach: float = 10.0) -> None:
    """Move each type's kernel by the median distance of its found onsets from the labelled ones."""
    distances: list[list[float]] = [[] for _ in range(bank.num_events)]
    for row, times, found in zip(
        labels, timings, make_pursuit(bank, taps, COARSE_WARPS, refits=0)(data, 10.0), strict=True
    ):
        for kind, time, _ in found.detections():
            if row[kind] and abs(time - times[kind]) <= reach:
                distances[kind].append(time - times[kind])
    move = torch.tensor([np.median(d) if d else 0.0 for d in distances]).to(bank.templates)
    kernels = bank.kernels().detach()
    bank.load_kernels(shift(kernels, move[:, None].expand(kernels.shape[:2])), types=move != 0)


def augmentation_ranges(
    data: np.ndarray, labels: np.ndarray, timings: np.ndarray, length: int, channel_drop: float = 0.1
) -> dict[str, Any]:
    """Arguments for `data.TemporalAugmentation`, so that a view differs from its window as windows differ.

    data: (N, T, C), normalised per channel.  labels, timings: (N, E), timings in samples, NaN where a type is absent.
    length: samples that an event lasts at most.  channel_drop: at least so much; the share of dead channels if larger.
    scale, warp: the middle 90 % of `sizes_and_warps`.  shift: so far that one event in twenty leaves the window.
    time_mask: half of what an event lasts.  noise: what makes the quietest windows as noisy as the noisiest.
    Raises ValueError where no type has three labelled events. Source: notebook 21, section 3.
    """
    data = np.asarray(data, dtype=np.float64)
    sizes, warps = sizes_and_warps(data, labels, timings, length)
    rows, kinds, at = labelled_onsets(data, labels, timings)
    room = np.minimum(at, data.shape[1] - length - at).clip(min=0)  # (M,) samples to the nearer edge
    quiet = np.median(np.abs(data), axis=1).mean(axis=1) / 0.6745  # (N,): a median hardly notices events
    low, high = np.quantile(quiet, QUANTILES)
    dead = float((data.std(axis=1) < 0.01).mean())
    return {
        "noise": round(float(np.sqrt(high**2 - low**2)), 2),
        "scale": _range(sizes),
        "shift": round(float(np.quantile(room, QUANTILES[0]))),
        "warp": _range(warps),
        "channel_drop": max(dead, channel_drop),
        "time_mask": duration(snippets(data, rows, at, length)) // 2,
    }


def sizes_and_warps(
    data: np.ndarray, labels: np.ndarray, timings: np.ndarray, length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Of each labelled event, how large it is beside others of its type, and how long: (M,), (M,).

    A size is divided by the median of its type: how large a type is as such cannot be told from its events.
    Raises ValueError where no type has three labelled events.
    """
    rows, kinds, at = labelled_onsets(data, labels, timings)
    undone = np.stack([snippets(data, rows, at, length, None, warp) for warp in FINE_WARPS])
    found = [
        _of_one_type(undone[:, kinds == kind]) for kind in range(labels.shape[1]) if (kinds == kind).sum() >= FEWEST
    ]
    if not found:
        raise ValueError(f"labels: expected a type with at least {FEWEST} labelled events, got none")
    sizes, warps = zip(*found, strict=True)
    return np.concatenate(sizes), np.concatenate(warps)


def _of_one_type(undone: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Size and warp of each event.  undone: (W, M, C, L), its snippets with each of the warps undone."""
    template = undone[len(FINE_WARPS) // 2].mean(axis=0)  # (C, L), of warp 1 to begin with
    if not undone.any():
        raise ValueError("data: expected signals where events are labelled, got zeros")
    for _ in range(3):
        norms = np.sqrt((undone**2).sum((2, 3))) + 1e-12
        best = ((undone * template).sum((2, 3)) / norms).argmax(axis=0)  # (M,)
        chosen = undone[best, np.arange(undone.shape[1])]  # (M, C, L)
        sizes = (chosen * template).sum((1, 2)) / (template**2).sum()
        template = (sizes[:, None, None] * chosen).sum(0) / (sizes**2).sum()
    return sizes / np.median(sizes), FINE_WARPS[best]


def duration(found: np.ndarray) -> int:
    """Samples from the onset on that hold 95 % of the mean power above the last ones'.  found: (M, C, L) snippets."""
    power = (found**2).mean(axis=(0, 1))[MARGIN:]  # from the onset on
    held = (power - power[-8:].mean()).clip(min=0).cumsum()
    return int(np.searchsorted(held, 0.95 * held[-1]))


def _range(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, QUANTILES).round(2).tolist()
    return low, high
