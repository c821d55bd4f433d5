"""A live stream of samples in, events out: their types by name, their times in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from course_lib.data.datasets import as_float32
from course_lib.estimator.event_crops import filled
from course_lib.events import Detections, LiveDetector


class Event(NamedTuple):
    """One event that was found.  type: as in training.  time: seconds.  score: 0 to 1."""

    type: str | int
    time: float
    score: float


class EventStream:
    """A live stream: `push` blocks of any sizes, then `flush`.  latency: seconds after which an event is out.

    live: finds events by number and sample in standardised data, `filled` by `masked`.  types: their names.
    sample_rate: Hz.  statistics: mean and std (C,).
    """

    def __init__(
        self,
        live: LiveDetector,
        types: Sequence[str | int],
        sample_rate: float,
        statistics: tuple[np.ndarray, np.ndarray],
        masked: bool,
    ):
        self._live, self._types, self._rate = live, types, sample_rate
        self._statistics, self._masked = statistics, masked
        self.latency = live.latency_samples / sample_rate

    def push(self, block: np.ndarray) -> list[Event]:
        """Take the next samples (n, C), or (n,) of one channel; returns the events that are now decided.

        NaN is a gap where the classifier knows gaps, else a ValueError.
        """
        mean, std = self._statistics
        block = as_float32("data", block, "the block", gaps=True)
        block = block[:, None] if block.ndim == 1 and len(mean) == 1 else block
        if block.ndim != 2 or block.shape[1] != len(mean):
            hint = ": is the time axis last?" if block.ndim == 2 and len(block) == len(mean) else ""
            raise ValueError(f"data: expected (n, {len(mean)}), got {block.shape}{hint}")
        if not self._masked and np.isnan(block).any():
            raise ValueError("data: expected finite values, got NaN, and training had no gaps: fit with absent=0.2")
        return self._events(self._live.push(filled((block - mean) / std, self._masked)))

    def flush(self) -> list[Event]:
        """End the stream: the events that were still undecided."""
        return self._events(self._live.flush())

    def _events(self, found: Detections) -> list[Event]:
        return [Event(self._types[kind], time / self._rate, score) for kind, time, score in found]
