"""Lists of recordings with events: checked, their labelled parts, how close events follow one another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from course_lib.data import EventRecording

_LONGEST_DEFAULT = 0.25  # seconds of a refractory period that nobody asked for: it is a part of the latency


def as_list(recordings: Sequence[EventRecording] | EventRecording) -> list[EventRecording]:
    if not isinstance(recordings, EventRecording | Iterable):
        raise ValueError(f"recordings: expected EventRecording, a list of them, got {type(recordings).__name__}")
    listed = [recordings] if isinstance(recordings, EventRecording) else list(recordings)
    for i, recording in enumerate(listed):
        if not isinstance(recording, EventRecording):
            raise ValueError(f"recordings: expected EventRecording, got {type(recording).__name__} at {i}")
    return listed


def inside(recording: EventRecording, second: float) -> bool:
    first, last = recording.labelled or (0.0, recording.seconds)
    return first <= second <= last


def half_of_the_shortest(distances: list[np.ndarray]) -> float:
    """Half of the distance (seconds) that all but one in a hundred exceed, 0.25 s at most."""
    every = np.concatenate([np.zeros(0), *distances])
    return min(_LONGEST_DEFAULT, float(np.quantile(every, 0.01)) / 2) if len(every) else _LONGEST_DEFAULT
