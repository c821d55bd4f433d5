"""What the run on label efficiency measures on: windows with events, generated ones and steps of a walk."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader

from course_lib.course.experiments._event_runs import load_feet, with_every_type
from course_lib.data import (
    EventDataset,
    channel_statistics,
    collate_fn_contrastive,
    collate_fn_supervised,
    make_events,
)

COUNTS = (32, 64)  # labelled windows: of every method, and of one to compare with
UNLABELLED = 640  # windows, the labelled ones among them
EVENTS = {"num_events": 8, "seq_len": 400, "event_rate": 8.0}  # a generated window lasts 0.2 s and holds 1.6 events
GAIT_SAMPLES = 128  # 0.6 s: less than a stride, so that a contact of one foot happens at most once


class Windows(NamedTuple):
    """data (N, T, C) float32, labels (N, E), timings (N, E) in samples, NaN where a type is absent."""

    data: np.ndarray
    labels: np.ndarray
    timings: np.ndarray

    def first(self, count: int) -> Windows:
        return Windows(*(values[:count] for values in self))


class Task(NamedTuple):
    """Windows to learn from, of which the first ones may be used with labels; for the threshold; and to score on.

    All data are normalised by the mean and standard deviation of the training windows.
    step: samples that make one step of the LSTM.  template_length: samples that an event lasts.
    """

    train: Windows
    validation: Windows
    test: Windows
    step: int
    sample_rate: float
    tolerance_ms: float
    template_length: int

    @property
    def channels(self) -> int:
        return self.train.data.shape[2]

    @property
    def num_events(self) -> int:
        return self.train.labels.shape[1]


def generated(seed: int, unlabelled: int = UNLABELLED, scored: int = 200, **events) -> Task:
    """A fifth of a second at 0 dB, 8 types, each of which occurs in the first windows, or could not be learned.

    seed: other seeds share no window.  events: of `make_events`, in place of these settings.
    """
    events = EVENTS | events
    few = with_every_type(COUNTS[0], ([seed, 0, attempt] for attempt in range(1000)), **events)
    rest, validation, test = (
        make_events(count, seed=[seed, part], **events)
        for part, count in enumerate((unlabelled - COUNTS[0], scored // 2, scored), start=1)
    )
    train = tuple(np.concatenate(pair) for pair in zip(few, rest, strict=True))
    options = {"step": 10, "sample_rate": 2000.0, "tolerance_ms": 5.0, "template_length": 80}
    return _normalised(train, validation, test, **options)


def gait(seed: int, count: int = 320) -> Task:
    """Steps of both feet: `count` windows that overlap from the first three eighths of the walk, the next eighth for
    the threshold, and the second half, cut into windows that do not overlap, to score on.
    """
    rng = np.random.default_rng(seed)
    parts = {"train": [], "validation": [], "test": []}
    for foot in load_feet().values():
        times = [time for _, time in foot.events]
        first, last = int(min(times)) - 30, int(max(times)) + 30
        borders = [first + (last - first) * eighths // 8 for eighths in (0, 3, 4, 8)]
        starts = {
            "train": rng.integers(borders[0], borders[1] - GAIT_SAMPLES, count // 2),
            "validation": range(borders[1], borders[2] - GAIT_SAMPLES, GAIT_SAMPLES // 4),
            "test": range(borders[2], borders[3] - GAIT_SAMPLES, GAIT_SAMPLES),
        }
        for part, begin in starts.items():
            parts[part] += [foot.part(int(start), int(start) + GAIT_SAMPLES) for start in begin]
    parts["train"] = [parts["train"][i] for i in rng.permutation(len(parts["train"]))]
    windows = [_as_windows(recordings) for recordings in parts.values()]
    options = {"step": 4, "sample_rate": 204.8, "tolerance_ms": 20.0, "template_length": 24}
    return _normalised(*windows, **options)


def _as_windows(recordings: list) -> Windows:
    timings = np.full((len(recordings), 2), np.nan)
    for row, recording in enumerate(recordings):
        for kind, time in recording.events:
            timings[row, kind] = time
    data = np.stack([recording.data for recording in recordings])
    return Windows(data, (~np.isnan(timings)).astype(np.float32), timings)


def _normalised(train, validation, test, **options) -> Task:
    mean, std = channel_statistics(train[0])
    parts = (Windows((data - mean) / std, labels, timings) for data, labels, timings in (train, validation, test))
    return Task(*parts, **options)


def collate_steps(items: list, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Two views of each window (T, C) as a batch of steps, (B, T / size, size · C) each, and their lengths."""
    first, second, lengths = collate_fn_contrastive(items)
    return steps_of(first, size), steps_of(second, size), lengths // size


def few_steps(steps, labels: np.ndarray, timings: np.ndarray, size: int, batch_size: int) -> DataLoader:
    """Batches of labelled windows in steps (N, T / size, size · C), normalised already; timings (N, E) in samples."""
    width = steps.shape[-1]
    dataset = EventDataset(steps, labels, timings / size, 1, (np.zeros(width), np.ones(width)))
    return DataLoader(dataset, batch_size, shuffle=True, collate_fn=collate_fn_supervised)


def steps_of(x, size: int):
    """Samples (..., T, C) to steps (..., T / size, size · C): nothing is lost, the LSTM only takes fewer steps."""
    return x.reshape(*x.shape[:-2], x.shape[-2] // size, size * x.shape[-1])
