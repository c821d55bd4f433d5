"""A live stream of samples in, events out: their types by name, their times in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from course_lib.data.dataset import as_float32
from course_lib.events import Detections, LiveDetector


class Event(NamedTuple):
    """One event that was found.  type: as in training.  time: seconds.  score: 0 to 1."""

    type: str | int
    time: float
    score: float


class EventStream:
    """A live stream: `push` blocks of any sizes, then `flush`.  latency: seconds after which an event is out.

    live: finds events by number and sample.  types: their names.  sample_rate: Hz.
    """

    def __init__(self, live: LiveDetector, types: Sequence[str | int], sample_rate: float):
        self._live, self._types, self._rate = live, types, sample_rate
        self.latency = live.latency_samples / sample_rate

    def push(self, block: np.ndarray) -> list[Event]:
        """Take the next samples (n, C), or (n,) of one channel; returns the events that are now decided."""
        block = as_float32("data", block, "the block")
        one = block.ndim == 1 and self._live.model.input_size == 1
        return self._events(self._live.push(block[:, None] if one else block))

    def flush(self) -> list[Event]:
        """End the stream: the events that were still undecided."""
        return self._events(self._live.flush())

    def _events(self, found: Detections) -> list[Event]:
        return [Event(self._types[kind], time / self._rate, score) for kind, time, score in found]
