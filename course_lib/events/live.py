"""Events in a stream: a model that looks both ways, run on overlapping windows that lie fixed on the stream's clock."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import groupby, islice
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike

from course_lib.events.detections import (
    PEAK_RADIUS,
    SAMPLE_RATE,
    Detections,
    as_array,
    checked_periods,
    checked_rate,
    peak_mask,
)
from course_lib.events.refractory import refractory_filter

_WINDOW, _MARGIN = 2.0, 0.15  # seconds


class FrameModel(Protocol):
    """A model of events on a grid of frames: what `LiveDetector` and `detect_events_from_sequence` ask of it.

    input_size, num_events: channels and types, C and E.  timing_resolution_samples: samples a frame.
    refractory_period_samples: within which a type happens once.
    """

    input_size: int
    num_events: int
    timing_resolution_samples: int
    refractory_period_samples: int

    def frame_scores(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores and onsets, in samples from each frame's start, (1, F, E) both, of x (1, T, C).

        A model with `takes_arrays = True` gets, and gives, NumPy arrays instead; one with `expects_normalised = True`
        was trained on channels of mean 0 and standard deviation 1.
        """
        ...


class LiveDetector:
    """Feed it chunks of one stream, of any sizes; it returns the events that are decided.

    model: one of `course_lib.models`, or any other `FrameModel`.
    threshold: the least score of an event, one for all types or (E,) one for each.
    sample_rate: Hz of the stream, where the model does not say its own; kept, for `latency` in seconds.
    window: samples that the model sees at a time; None: 2 s.  margin: samples at either side of a window, None: 150 ms,
    both at the rate, at the course's 2000 Hz where neither says one. The scores of the margin are not
    used, where another window sees farther. history: the same for the side before, where it is another; it costs no
    latency. All are multiples of the model's `timing_resolution_samples`.
    statistics: (mean, std) per channel by which samples are normalised; None: they already are. Warns where the first
    window of an `EventDetector` does not look like it: without them it finds nothing, or anything.
    refractory: keep an event only if no stronger one of its type lies within the refractory period: the model's where
    True, or (E,) samples, one for each type.  separation: nor one of another type within so many samples.
    amp: run the model in bfloat16 (autocast), faster on CPUs and GPUs that compute in it, slower on others.
    at_once: so many windows at most that a chunk completes are given to the model together, (B, T, C): where windows
    are short, a long chunk takes a fraction of the time.

    Windows end every hop (window - history - margin) samples of the clock, and the first ones begin with it, wherever
    chunks end; each is run alone, so that the events do not depend on chunks, or with `at_once` but for rounding. An
    event is returned at most `latency_samples` after its onset.
    Raises ValueError naming the argument.
    """

    def __init__(
        self,
        model: FrameModel,
        threshold: float | np.ndarray = 0.5,
        *,
        window: int | None = None,
        margin: int | None = None,
        history: int | None = None,
        statistics: tuple[np.ndarray, np.ndarray] | None = None,
        refractory: bool | np.ndarray = True,
        separation: float = 0.0,
        sample_rate: float | None = None,
        amp: bool = False,
        at_once: int = 1,
    ):
        if isinstance(at_once, bool) or not isinstance(at_once, int | np.integer) or at_once < 1:
            raise ValueError(f"at_once: expected a number of windows, 1 or more, got {at_once!r}")
        self.model, self.threshold, self.amp, self.at_once = model, threshold, amp, int(at_once)
        self.resolution = model.timing_resolution_samples
        self.sample_rate = _rate_of(model, sample_rate)
        window = self._samples_of(_WINDOW) if window is None else window
        margin = self._samples_of(_MARGIN) if margin is None else margin
        own = model.refractory_period_samples if refractory is True else refractory
        own, separation = checked_periods("refractory", own), float(checked_periods("separation", separation))
        if own.shape not in ((), (model.num_events,)) or not max(own.max(), separation) < np.inf:
            raise ValueError(
                f"refractory, separation: expected finite samples, one or ({model.num_events},) of them, "
                f"got {own} and {separation}"
            )
        if np.shape(threshold) not in ((), (model.num_events,)) or np.isnan(threshold).any():
            raise ValueError(f"threshold: expected a score, or ({model.num_events},) of them, got {threshold}")
        self.periods, self.separation = np.broadcast_to(own, model.num_events), separation
        self.period = int(np.ceil(max(own.max(), separation)))  # within which events matter to one another
        history = margin if history is None else history
        if not all(isinstance(size, int | np.integer) for size in (window, margin, history)):
            raise ValueError(f"window, margin, history: expected samples, got {window!r}, {margin!r} and {history!r}")
        if window % self.resolution or margin % self.resolution or history % self.resolution:
            raise ValueError(
                f"window, margin, history: expected multiples of the model's timing_resolution_samples="
                f"{self.resolution}, got {window}, {margin} and {history}"
            )
        if margin < 0 or history < 0 or margin + history >= window:
            raise ValueError(
                f"margin, history: expected at least 0 and together below the window, {window}, got {margin}, {history}"
            )
        self.window, self.margin, self.history = window, margin, history
        self.hop = window - margin - history
        self.statistics = None if statistics is None else _checked_statistics(statistics, model.input_size)
        self.reset()

    @property
    def latency_samples(self) -> int:
        """How many samples after its onset an event is returned at the latest."""
        return self.hop + self.margin + (PEAK_RADIUS + 1) * self.resolution + self.period

    @property
    def latency(self) -> float:
        """Seconds after its onset at which an event is returned at the latest.  ValueError where no rate was given."""
        if self.sample_rate is None:
            raise ValueError("sample_rate: expected Hz, of the model or of the LiveDetector, to say seconds; got None")
        return self.latency_samples / self.sample_rate

    def _samples_of(self, seconds: float) -> int:
        """Samples, a multiple of the resolution."""
        rate = SAMPLE_RATE if self.sample_rate is None else self.sample_rate
        return max(1, round(seconds * rate / self.resolution)) * self.resolution

    def reset(self) -> None:
        """Begin a new recording: the clock stands at 0 and nothing is remembered."""
        self.clock = 0  # samples received
        self.highest = np.zeros(self.model.num_events)  # the largest score of each type so far
        self._samples = np.zeros((0, self.model.input_size), np.float32)  # from the next window's start on
        self._window_start = 0
        first = self.window - (self.history if self.history > self.margin else 0)  # nothing waits for a long history
        self._window_end = first
        self._scores = np.zeros((0, self.model.num_events))  # of frames that are not decoded, and a few before them
        self._offsets = np.zeros((0, self.model.num_events))
        self._first_frame = 0  # frame that self._scores begins with
        self._decoded = 0  # frames whose peaks have been taken
        self._candidates = Detections.none()  # those which still matter to the refractory period
        self._returned = -np.inf  # time up to which events are decided
        self._ended = False

    def push(self, chunk: np.ndarray | torch.Tensor, at: int | None = None) -> Detections:
        """Take the next samples, (n, C); returns the events that are now decided, times on the stream's clock.

        at: where the sender's clock says that the chunk begins; checked against `clock`, so that chunks which come in
        a wrong order or are lost are noticed.  Raises ValueError for those, other shapes, and NaN or infinity.
        """
        if self._ended:
            raise ValueError("the stream has ended with flush; call reset for a new recording")
        if at is not None and at != self.clock:
            raise ValueError(f"at: expected the chunk that begins at sample {self.clock}, got one that begins at {at}")
        chunk = self._checked(chunk)
        self.clock += len(chunk)
        self._samples = np.concatenate([self._samples, chunk])
        due = []
        while self.clock >= self._window_end:
            length = self._window_end - self._window_start
            due.append((self._window_start, self._samples[:length], length - self.margin))
            self._window_end += self.hop
            passed = max(0, self._window_end - self.window) - self._window_start
            self._samples = self._samples[passed:]
            self._window_start += passed
        self._run(due)
        return self._decide(final=False)

    def flush(self) -> Detections:
        """End the stream: the events that were still undecided."""
        if self.clock > self._known * self.resolution:
            self._run([(self._window_start, self._samples, len(self._samples))])
        self._ended = True
        return self._decide(final=True)

    @property
    def _known(self) -> int:
        """Frames from the start of the stream whose scores are known."""
        return self._first_frame + len(self._scores)

    def _checked(self, chunk: np.ndarray | torch.Tensor) -> np.ndarray:
        chunk = as_array(chunk)
        if chunk.dtype.kind not in "fiub":
            raise ValueError(f"chunk: expected real numbers, got {chunk.dtype}")
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and refused below
            chunk = chunk.astype(np.float32)
        channels = self.model.input_size
        if chunk.ndim != 2 or chunk.shape[1] != channels:
            hint = ": is the time axis last?" if chunk.ndim == 2 and chunk.shape[0] == channels else ""
            raise ValueError(f"chunk: expected (n, {channels}), got {chunk.shape}{hint}")
        if not np.isfinite(chunk).all():
            bad = int(np.count_nonzero(~np.isfinite(chunk)))
            raise ValueError(
                f"chunk: expected finite samples, got {bad} NaN or infinite in float32 after sample {self.clock}"
            )
        if self.statistics is None:
            return chunk
        mean, std = self.statistics
        return (chunk - mean) / std

    def _run(self, windows: list[tuple[int, np.ndarray, int]]) -> None:
        """Run the model on windows and keep the frames that are new.

        windows: for each the sample that it begins with, its samples (T, C), and how many of them are used.
        """
        if not windows:
            return
        if self._known == 0 and self.statistics is None and getattr(self.model, "expects_normalised", False):
            _warn_of_raw(windows[0][1])
        known, new = self._known, [(self._scores, self._offsets)]
        for (start, _, used), maps in zip(windows, self._maps([samples for _, samples, _ in windows]), strict=True):
            begin = start // self.resolution
            end = begin - (-used // self.resolution)
            scores, offsets = (values[known - begin : end - begin] for values in maps)
            if not np.isfinite(scores).all():
                raise ValueError("model: expected finite scores, got NaN or infinity; are its weights finite?")
            self.highest = np.maximum(self.highest, scores.max(axis=0, initial=0.0))
            new.append((scores, offsets))
            known += len(scores)
        self._scores, self._offsets = map(np.concatenate, zip(*new, strict=True))

    def _maps(self, windows: list[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Scores and onsets (F, E) of each window (T, C); those of one length that follow one another together."""
        for _, group in groupby(windows, len):
            while some := list(islice(group, self.at_once)):
                yield from zip(*_frame_scores(self.model, np.stack(some), self.amp), strict=True)

    def _decide(self, final: bool) -> Detections:
        """Take the peaks that no later frame can change, and of them the events that no later peak can change."""
        end = self._known if final else self._known - PEAK_RADIUS
        if end <= self._decoded and not final:
            return Detections.none()
        if end > self._decoded:
            peaks = peak_mask(self._scores) & (self._scores >= self.threshold)
            frames, types = np.nonzero(peaks[self._decoded - self._first_frame : end - self._first_frame])
            frames += self._decoded
            rows = frames - self._first_frame
            offsets = np.clip(self._offsets[rows, types], -self.resolution, 2 * self.resolution)
            times = np.clip(frames * self.resolution + offsets, 0, self.clock - 1)
            found = Detections(types, times, self._scores[rows, types])
            self._candidates = Detections.concatenate([self._candidates, found])
            self._decoded = end
            keep = max(0, end - PEAK_RADIUS - self._first_frame)
            self._scores, self._offsets = self._scores[keep:], self._offsets[keep:]
            self._first_frame += keep
        settled = np.inf if final else (self._decoded - 1) * self.resolution - self.period
        kept = refractory_filter(self._candidates, self.periods, self.separation)
        decided = kept[(kept.times >= self._returned) & (kept.times < settled)]
        self._returned = max(self._returned, settled)
        self._candidates = self._candidates[self._candidates.times >= self._returned - self.period]
        return decided


def _rate_of(model: FrameModel, sample_rate: float | None) -> float | None:
    """The model's rate or the one that is given.  ValueError where they differ or where it is none."""
    own = getattr(model, "sample_rate", None)
    if sample_rate is None:
        return own
    rate = checked_rate(sample_rate)
    if own is not None and abs(own - rate) > 1e-6 * own:
        raise ValueError(f"sample_rate: expected {own:g} Hz, the model's, got {rate:g}: resample the stream")
    return rate


def _checked_statistics(statistics: tuple, channels: int) -> tuple[np.ndarray, ...]:
    """Mean and standard deviation, (C,) or one for all channels, float32.  ValueError where they are none."""
    mean, std = (as_array(part).astype(np.float32) for part in statistics)
    fits = mean.shape == std.shape and mean.shape in ((), (1,), (channels,))
    if not fits or not np.isfinite([mean, std]).all() or not (std > 0).all():
        raise ValueError(f"statistics: expected finite mean and positive std, ({channels},) each, got {mean} and {std}")
    return mean, std


def _warn_of_raw(samples: np.ndarray) -> None:
    """Say so where a channel of samples (T, C) is far from mean 0 and standard deviation 1; a constant one is not."""
    mean, std = samples.mean(axis=0, dtype=np.float64), samples.std(axis=0, dtype=np.float64)
    raw = (std > 0) & ((np.abs(mean) > 1) | (std < 1 / 4) | (std > 4))
    if raw.any():
        channel = int(raw.argmax())
        warnings.warn(
            f"statistics: None, but channel {channel} of the first window has mean {mean[channel]:.3g} and standard "
            f"deviation {std[channel]:.3g}: give the statistics of the training windows, as the model was trained on "
            "normalised ones",
            stacklevel=4,
        )


def _frame_scores(model: Any, samples: np.ndarray, amp: bool) -> list[np.ndarray]:
    """Scores and onsets (B, F, E) in float64 of samples (B, T, C)."""
    if getattr(model, "takes_arrays", False):
        return [np.asarray(values, np.float64) for values in model.frame_scores(samples)]
    parameter = next(iter(model.parameters()), None) if isinstance(model, torch.nn.Module) else None
    x = torch.from_numpy(samples)
    x = x if parameter is None else x.to(parameter.device, parameter.dtype)
    with torch.autocast(x.device.type, torch.bfloat16, enabled=amp):
        found = model.frame_scores(x)
    return [values.float().cpu().numpy().astype(np.float64) for values in found]


def detect_events_from_sequence(
    model: FrameModel,
    sequence: np.ndarray | torch.Tensor | list,
    threshold: float = 0.5,
    apply_refractory: bool = True,
    *,
    window: int | None = None,
    margin: int | None = None,
    statistics: tuple[np.ndarray, np.ndarray] | None = None,
    lengths: ArrayLike | None = None,
    amp: bool = False,
) -> dict[str, np.ndarray] | list[dict[str, np.ndarray]]:
    """The events of one recording (T, C), or of several: a batch (B, T, C), or a list of (T, C) of mixed lengths.

    For each a dict, in time order: "detected_events" (M,) types, "event_timings" (M,) onsets in samples,
    "event_scores" (M,); and "event_probs" (E,), the highest score of each type anywhere in the recording.
    lengths: (B,) samples of each recording that count, where a batch is padded on the right; None: all. What lies
    behind them is not looked at, so it may be anything.
    Every recording is run by itself, as `LiveDetector` would run it; arguments as there. The model is in evaluation
    mode meanwhile.  Raises ValueError naming the argument.
    """
    several = isinstance(sequence, list | tuple) or np.ndim(sequence) == 3
    recordings: list[Any] = list(sequence) if several else [sequence]
    if lengths is not None:
        recordings = _cut(recordings, np.atleast_1d(np.asarray(lengths)))
    modules = list(model.modules()) if isinstance(model, torch.nn.Module) else []
    training = [module for module in modules if module.training]
    for module in training:
        module.training = False
    options: dict[str, Any] = {"window": window, "margin": margin, "statistics": statistics, "amp": amp}
    try:
        found = [
            _detect(LiveDetector(model, threshold, refractory=apply_refractory, **options), recording)
            for recording in recordings
        ]
    finally:
        for module in training:
            module.training = True
    return found if several else found[0]


def _cut(recordings: list, lengths: np.ndarray) -> list:
    """The recordings without their padding.  Raises ValueError where the lengths do not fit."""
    sizes = [len(recording) for recording in recordings]
    fits = lengths.shape == (len(sizes),) and np.issubdtype(lengths.dtype, np.integer)
    if not fits or (lengths < 0).any() or (lengths > sizes).any():
        raise ValueError(f"lengths: expected integers from 0 to {sizes}, one a recording, got {lengths.tolist()}")
    return [recording[:length] for recording, length in zip(recordings, lengths, strict=True)]


def _detect(live: LiveDetector, recording: np.ndarray | torch.Tensor) -> dict[str, np.ndarray]:
    found = Detections.concatenate([live.push(recording), live.flush()])
    return {
        "detected_events": found.types,
        "event_timings": found.times,
        "event_scores": found.scores,
        "event_probs": live.highest,
    }
