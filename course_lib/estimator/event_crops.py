"""What an `EventClassifier` learns from: recordings, checked; how loud they are; random pieces of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch

from course_lib.data import EventBatch, EventRecording

_FAR = 5.0  # times: of levels that differ by more, one statistic of all suits none
_LONGEST_DEFAULT = 0.25  # seconds of a refractory period that nobody asked for: it is a part of the latency


def filled(x: np.ndarray, masked: bool) -> np.ndarray:
    """Standardised data (T, C) as the model sees them: NaN is 0, the mean; with `masked` (T, 2 C), then where it was.

    The C masks are 1 where there is a reading and 0 where there is none.
    """
    if not masked:
        return x
    gap = np.isnan(x)
    return np.concatenate([np.where(gap, 0, x), ~gap], axis=1).astype(np.float32)


def level_of(x: np.ndarray) -> float:
    """The median distance of data (T, C) from each channel's mean, over steps and channels; 0 where nothing is read."""
    x = x[:, ~np.isnan(x).all(axis=0)]
    return float(np.nanmedian(np.abs(x - np.nanmean(x, axis=0)))) if x.size else 0.0


def levels_differ(recordings: Sequence[EventRecording]) -> bool:
    """Whether the median distance from the mean, over all channels, differs by more than five times between them."""
    levels = [level for recording in recordings if (level := level_of(recording.data)) > 0]  # one that is still is none
    return bool(levels) and max(levels) > _FAR * min(levels)


class EventCrops:
    """Batches of crops: half from anywhere in the labelled parts, half around events, rare types oversampled.

    Three of four events that a crop lies around are where a window's scores are used; the others are anywhere in it.

    recordings: of one rate.  types: E of them; events of other types are left out.  statistics: mean and std (C,).
    window: samples of a crop.  used: the first and the last of them whose scores count in use.
    batch_size: crops a batch.  steps: batches in one pass.  rng: draws all.
    own_level: the noise that is added is a share of each crop's level, not of the training data's deviation.
    masked: the model sees masks (`filled`).  absent: share of the crops that lose a channel of several.
    """

    def __init__(
        self,
        recordings: Sequence[EventRecording],
        types: Sequence[str | int],
        statistics: tuple[np.ndarray, np.ndarray],
        *,
        window: int,
        used: tuple[int, int],
        batch_size: int,
        steps: int,
        rng: np.random.Generator,
        masked: bool = False,
        absent: float = 0.0,
        own_level: bool = False,
    ):
        self.window, self.used, self.size, self.length, self.rng = window, used, batch_size, steps, rng
        self.masked, self.absent, self.own_level = masked, absent, own_level
        mean, std = statistics
        number = {kind: i for i, kind in enumerate(types)}
        rate = recordings[0].sample_rate
        self.types = len(number)
        self.data = [(recording.data - mean) / std for recording in recordings]
        self.events = [  # (M, 2) of each recording: type, sample
            np.array([(number[kind], time * rate) for kind, time in recording.events if kind in number], float).reshape(
                -1, 2
            )
            for recording in recordings
        ]
        spans = [recording.labelled or (0.0, recording.seconds) for recording in recordings]
        self.spans = [(round(first * rate), round(last * rate)) for first, last in spans]
        self.places = [  # of each type: (recording, sample)
            [(i, at) for i, events in enumerate(self.events) for kind, at in events if kind == one]
            for one in range(self.types)
        ]
        roots = np.sqrt([len(places) for places in self.places])
        self.chances = roots / roots.sum()
        lengths = np.array([last - first for first, last in self.spans], float)
        self.shares = lengths / lengths.sum()

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[EventBatch]:
        return (self._batch() for _ in range(self.length))

    def _batch(self) -> EventBatch:
        """x (B, window, C), turned up or down by up to 20 %, with a little noise; timings (B, E, K)."""
        channels = self.data[0].shape[1]
        x = np.zeros((self.size, self.window, channels * (1 + self.masked)), np.float32)
        lengths, inside = np.zeros(self.size, np.int64), []
        for row in range(self.size):
            recording, start = self._place(around_an_event=row % 2 == 1)
            crop = self.data[recording][start : start + self.window]
            faint = 0.05 * (level_of(crop) if self.own_level else 1.0)
            crop = crop * self.rng.uniform(0.8, 1.2) + faint * self.rng.standard_normal(crop.shape)
            if channels > 1 and self.absent and self.rng.random() < self.absent:
                crop[:, self.rng.integers(channels)] = np.nan
            x[row, : len(crop)] = filled(crop, self.masked)
            lengths[row] = len(crop)
            events = self.events[recording] - [0, start]
            inside.append(events[(events[:, 1] >= 0) & (events[:, 1] < len(crop))])
        most = max([1, *(np.bincount(events[:, 0].astype(int)).max(initial=0) for events in inside)])
        timings = np.full((self.size, self.types, most), np.nan)
        for row, events in enumerate(inside):
            for kind in range(self.types):
                own = events[events[:, 0] == kind, 1]
                timings[row, kind, : len(own)] = own
        times = torch.from_numpy(timings).float()
        labels = (~times.isnan()).any(2).float()
        return EventBatch(
            torch.from_numpy(x), torch.from_numpy(lengths), labels, times, torch.zeros_like(labels).long()
        )

    def _place(self, around_an_event: bool) -> tuple[int, int]:
        """A recording and the sample at which a crop begins, inside the labelled part where that is long enough."""
        if around_an_event:
            places = self.places[self.rng.choice(self.types, p=self.chances)]
            recording, at = places[self.rng.integers(len(places))]
            between = self.used if self.rng.random() < 0.75 else (0, self.window)
            start = int(at) - int(self.rng.integers(*between))
        else:
            recording = int(self.rng.choice(len(self.data), p=self.shares))
            start = self.spans[recording][0] + int(self.rng.random() * np.diff(self.spans[recording])[0])
        first, last = self.spans[recording]
        return recording, max(first, min(start, last - self.window))


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
