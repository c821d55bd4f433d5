"""How much events of one type differ from each other, estimated from labelled windows: ranges for an augmentation."""

from __future__ import annotations

from typing import Any

import numpy as np

from course_lib.models.template_learning import MARGIN, labelled_onsets, snippets

WARPS = np.linspace(0.8, 1.2, 21)
FEWEST = 3  # labelled events of a type; the average of fewer is mostly the event that is compared with it
QUANTILES = (0.05, 0.95)


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
    undone = np.stack([snippets(data, rows, at, length, None, warp) for warp in WARPS])
    found = [
        _of_one_type(undone[:, kinds == kind]) for kind in range(labels.shape[1]) if (kinds == kind).sum() >= FEWEST
    ]
    if not found:
        raise ValueError(f"labels: expected a type with at least {FEWEST} labelled events, got none")
    sizes, warps = zip(*found, strict=True)
    return np.concatenate(sizes), np.concatenate(warps)


def _of_one_type(undone: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Size and warp of each event.  undone: (W, M, C, L), its snippets with each of the warps undone."""
    template = undone[len(WARPS) // 2].mean(axis=0)  # (C, L), of warp 1 to begin with
    if not undone.any():
        raise ValueError("data: expected signals where events are labelled, got zeros")
    for _ in range(3):
        norms = np.sqrt((undone**2).sum((2, 3))) + 1e-12
        best = ((undone * template).sum((2, 3)) / norms).argmax(axis=0)  # (M,)
        chosen = undone[best, np.arange(undone.shape[1])]  # (M, C, L)
        sizes = (chosen * template).sum((1, 2)) / (template**2).sum()
        template = (sizes[:, None, None] * chosen).sum(0) / (sizes**2).sum()
    return sizes / np.median(sizes), WARPS[best]


def duration(found: np.ndarray) -> int:
    """Samples from the onset on that hold 95 % of the mean power above the last ones'.  found: (M, C, L) snippets."""
    power = (found**2).mean(axis=(0, 1))[MARGIN:]  # from the onset on
    held = (power - power[-8:].mean()).clip(min=0).cumsum()
    return int(np.searchsorted(held, 0.95 * held[-1]))


def _range(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, QUANTILES).round(2).tolist()
    return low, high
