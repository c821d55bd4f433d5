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


def window_events(labels: np.ndarray, timings: np.ndarray) -> list[list[tuple[int, float]]]:
    """Labels (N, E) and timings (N, E) of windows as one list of (type, sample) a window, in time order."""
    labels, timings = np.asarray(labels), np.asarray(timings, np.float64)
    events = []
    for row, times in zip(labels, timings, strict=True):
        kinds = np.flatnonzero(row)
        kinds = kinds[np.argsort(times[kinds], kind="stable")]
        events.append([(int(kind), float(times[kind])) for kind in kinds])
    return events
