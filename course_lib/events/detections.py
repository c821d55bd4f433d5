"""Found events: types, times and scores; and the peaks of a score for every frame and type, which become them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SAMPLE_RATE = 2000  # Hz, of the course's events
PEAK_RADIUS = 3  # frames on either side that a peak tops: 15 ms


@dataclass(frozen=True, eq=False)
class Detections:
    """Events in time order (equal times: by type).

    types: (M,) int64.  times: (M,) float64, samples on the recording's clock, with fractions.
    scores: (M,) float64, 0 to 1.  Iteration gives (type, time, score).
    """

    types: np.ndarray
    times: np.ndarray
    scores: np.ndarray

    def __post_init__(self):
        types = _whole(as_array(self.types))
        times, scores = (as_array(part).astype(np.float64) for part in (self.times, self.scores))
        if not types.ndim == 1 or not types.shape == times.shape == scores.shape:
            raise ValueError(
                f"types, times, scores: expected (M,) each, got {types.shape}, {times.shape}, {scores.shape}"
            )
        if not np.isfinite(times).all() or np.isnan(scores).any():
            raise ValueError("times, scores: expected finite samples and scores, got NaN or infinity")
        order = np.lexsort((types, times))
        for name, values in (("types", types), ("times", times), ("scores", scores)):
            object.__setattr__(self, name, values[order])

    @classmethod
    def none(cls) -> Detections:
        return cls(np.zeros(0), np.zeros(0), np.zeros(0))

    @classmethod
    def concatenate(cls, parts: Sequence[Detections]) -> Detections:
        """All events of `parts`, which share one clock."""
        if not parts:
            return cls.none()
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("types", "times", "scores")))

    def __len__(self) -> int:
        return len(self.types)

    def __iter__(self) -> Iterator[tuple[int, float, float]]:
        return zip(self.types.tolist(), self.times.tolist(), self.scores.tolist(), strict=True)

    def __getitem__(self, chosen: np.ndarray | slice) -> Detections:
        """A part: a mask (M,), indices or a slice."""
        return Detections(self.types[chosen], self.times[chosen], self.scores[chosen])

    def above(self, threshold: float) -> Detections:
        """Those that score at least `threshold`."""
        return self[self.scores >= threshold]

    def shifted(self, samples: float) -> Detections:
        """The same events on a clock that reads `samples` more."""
        return Detections(self.types, self.times + samples, self.scores)


def closer(first: np.ndarray | float, second: np.ndarray | float, limit: float) -> np.ndarray | bool:
    """Whether two times are less than `limit` apart. Exactly `limit` is not, whatever rounding made of the three.

    A time in samples is often seconds times a rate, and a distance of exactly 5 ms then comes out a little more or
    less: a few units in the last place of the times, which are taken off the limit here. Of times in float32 or float16
    these are larger units.
    """
    return _distance(first, second) < limit - _rounding(first, second, limit)


def within(first: np.ndarray | float, second: np.ndarray | float, limit: float) -> np.ndarray | bool:
    """Whether two times are at most `limit` apart. Exactly `limit` is, as in `closer`."""
    return _distance(first, second) <= limit + _rounding(first, second, limit)


def _distance(first: np.ndarray | float, second: np.ndarray | float) -> np.ndarray:
    return np.abs(np.subtract(first, second, dtype=np.float64))


def _rounding(first: np.ndarray | float, second: np.ndarray | float, limit: float) -> np.ndarray:
    units = [8 * np.finfo(np.float64).eps]
    units += [np.finfo(t.dtype).eps for t in (first, second) if isinstance(t, np.ndarray | np.float32 | np.float16)]
    return max(units) * np.maximum(np.maximum(np.abs(first), np.abs(second)), limit, dtype=np.float64)


def as_array(values: Any) -> np.ndarray:
    """An array of what may be a tensor on any device; bfloat16, which NumPy does not know, as float32."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = values.float() if str(values.dtype) == "torch.bfloat16" else values
    return np.asarray(values)


def _whole(types: np.ndarray) -> np.ndarray:
    """Types as int64.  ValueError where they are no whole numbers."""
    if types.dtype.kind not in "iu" and types.size:
        finite = types.dtype.kind in "fb" and np.isfinite(types).all()
        if not finite or (types != np.floor(types)).any():
            raise ValueError(f"types: expected whole numbers, got {types.tolist()[:5]}")
    return types.astype(np.int64)


def checked_periods(name: str, periods: Any) -> np.ndarray:
    """`periods` in samples, one or (E,), as an array.  ValueError naming them where they are below 0 or no numbers."""
    array = as_array(periods)
    if array.ndim > 1 or array.dtype.kind not in "iufb" or not (array >= 0).all():
        raise ValueError(f"{name}: expected samples from 0 on, one number or one for each type, got {periods!r}")
    return array


def checked_rate(sample_rate: Any) -> float:
    """Hz.  ValueError for what is no number above 0."""
    number = isinstance(sample_rate, int | float | np.integer | np.floating) and not isinstance(sample_rate, bool)
    if not (number and 0 < sample_rate < np.inf):
        raise ValueError(f"sample_rate: expected Hz above 0, got {sample_rate!r}")
    return float(sample_rate)


def by_type(events: Iterable, argument: str) -> dict[int, list[tuple[float, int]]]:
    """Type → [(time, index), ...] in time order; times in float32 or float16 stay so, for `within` to know.

    Raises ValueError naming the argument for types that are no whole numbers, and NaN and infinite times.
    """
    groups: dict[int, list[tuple[float, int]]] = {}
    for index, (kind, time, *_) in enumerate(events):
        moment = as_array(time)
        if moment.ndim or moment.dtype.kind not in "iuf" or not np.isfinite(moment):
            raise ValueError(f"{argument}: expected finite times, got {time} for event {index}, of type {kind}")
        number = as_array(kind)
        if number.ndim or number.dtype.kind not in "iufb" or number != np.floor(number):
            raise ValueError(f"{argument}: expected types that are whole numbers, got {kind!r} for event {index}")
        groups.setdefault(int(number), []).append((moment[()], index))  # type: ignore[arg-type]  # a NumPy number
    return {kind: sorted(group) for kind, group in groups.items()}


def window_events(labels: np.ndarray, timings: np.ndarray) -> list[list[tuple[int, float]]]:
    """Labels (N, E) and timings (N, E) of windows as one list of (type, sample) a window, in time order.

    Raises ValueError where the shapes differ, a label is NaN, or a type is there and its timing is NaN or infinite.
    """
    labels, timings = as_array(labels), as_array(timings).astype(np.float64)
    if labels.ndim != 2 or labels.shape != timings.shape or (labels != labels).any():
        raise ValueError(f"labels, timings: expected (N, E) without NaN in labels, got {labels.shape}, {timings.shape}")
    events = []
    for row, times in zip(labels, timings, strict=True):
        kinds = np.flatnonzero(row)
        if not np.isfinite(times[kinds]).all():
            raise ValueError(f"timings: expected finite samples where labels are 1, got {times[kinds].tolist()}")
        kinds = kinds[np.argsort(times[kinds], kind="stable")]
        events.append([(int(kind), float(times[kind])) for kind in kinds])
    return events


def peak_mask(scores: np.ndarray, radius: int = PEAK_RADIUS) -> np.ndarray:
    """Where scores (F, E) are the largest within `radius` frames on either side; of equal ones, the earliest.

    Frames outside the array count as lower than all.
    """
    frames = len(scores)
    peaks = np.ones(scores.shape, bool)
    for step in range(1, min(radius, frames - 1) + 1):
        peaks[step:] &= scores[step:] > scores[:-step]
        peaks[:-step] &= scores[:-step] >= scores[step:]
    return peaks


def decode_peaks(
    scores: np.ndarray,
    offsets: np.ndarray | None = None,
    *,
    resolution: int = 10,
    threshold: float = 0.1,
    length: int | None = None,
    radius: int = PEAK_RADIUS,
) -> Detections:
    """The peaks of `scores` that reach `threshold`, as events.

    scores: (F, E), 0 to 1, one for each frame of `resolution` samples and type.
    offsets: (F, E) samples from the frame's start to the onset; None: half a frame.
    length: valid samples; frames that start behind them are left out, and no time is beyond them. None: all F frames.
    Raises ValueError where scores are not (F, E) or not finite, offsets of another shape, a threshold NaN, or a frame
    has no sample.
    """
    scores = as_array(scores).astype(np.float64)
    if scores.ndim != 2 or not np.isfinite(scores).all():
        raise ValueError(f"scores: expected finite (F, E), got shape {scores.shape}")
    if offsets is not None:
        offsets = as_array(offsets).astype(np.float64)
        if offsets.shape != scores.shape:
            raise ValueError(f"offsets: expected {scores.shape}, as the scores, got {offsets.shape}")
    if resolution < 1 or np.isnan(threshold).any():
        raise ValueError(f"resolution, threshold: expected samples and a score, got {resolution} and {threshold}")
    length = len(scores) * resolution if length is None else length
    scores = scores[: -(-length // resolution)]
    frames, types = np.nonzero(peak_mask(scores, radius) & (scores >= threshold))
    offset = resolution / 2 if offsets is None else offsets[frames, types]
    times = np.clip(frames * resolution + offset, 0, max(length - 1, 0))
    return Detections(types, times, scores[frames, types])
