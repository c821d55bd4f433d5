"""Found events: types, times and scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

SAMPLE_RATE = 2000  # Hz, of the course's events


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
        types = np.asarray(self.types, np.int64)
        times, scores = np.asarray(self.times, np.float64), np.asarray(self.scores, np.float64)
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
    less: a few units in the last place of the times, which are taken off the limit here.
    """
    return np.abs(np.subtract(first, second)) < limit - _rounding(first, second, limit)


def within(first: np.ndarray | float, second: np.ndarray | float, limit: float) -> np.ndarray | bool:
    """Whether two times are at most `limit` apart. Exactly `limit` is, as in `closer`."""
    return np.abs(np.subtract(first, second)) <= limit + _rounding(first, second, limit)


def _rounding(first: np.ndarray | float, second: np.ndarray | float, limit: float) -> np.ndarray:
    return 8 * np.finfo(np.float64).eps * np.maximum(np.maximum(np.abs(first), np.abs(second)), limit)


def window_events(labels: np.ndarray, timings: np.ndarray) -> list[list[tuple[int, float]]]:
    """Labels (N, E) and timings (N, E) of windows as one list of (type, sample) a window, in time order.

    Raises ValueError where a type is there and its timing is NaN or infinite.
    """
    labels, timings = np.asarray(labels), np.asarray(timings, np.float64)
    events = []
    for row, times in zip(labels, timings, strict=True):
        kinds = np.flatnonzero(row)
        if not np.isfinite(times[kinds]).all():
            raise ValueError(f"timings: expected finite samples where labels are 1, got {times[kinds].tolist()}")
        kinds = kinds[np.argsort(times[kinds], kind="stable")]
        events.append([(int(kind), float(times[kind])) for kind in kinds])
    return events
