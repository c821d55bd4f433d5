"""Initial and terminal contacts of real steps: trained on the first half of a walk, found in the second.

Both feet of the gait recording (COURSE_DATA/gait), 6 inertial axes at 204.8 Hz. The detector trains on
crops of the first three eighths, takes its threshold from the next eighth and is scored at 20 ms on the second half,
between the first and the last labelled contact there. A few CPU seconds a seed. Beside it a matched filter on the same
parts: the mean of the half second around the contacts of the training part, correlated with the signal.
"""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from course_lib.course.experiments._event_runs import load_feet, train_on
from course_lib.course.experiments.runner import Experiment
from course_lib.data import EventBatch, GaitRecording
from course_lib.data.datasets import channel_statistics
from course_lib.events import Detections, LiveDetector, best_threshold, decode_peaks, event_scores, refractory_filter
from course_lib.losses import HeatmapLoss
from course_lib.models import EventDetector

RESOLUTION = 4  # samples a frame: 20 ms
REFRACTORY = 100  # samples: no foot touches the ground twice in half a second
CROP, PER_TYPE = 400, 4  # samples, and events of one type in so many at most
REACH = 50  # samples that the matched filter sees on either side
TOLERANCE_MS = 20.0

Find = Callable[[GaitRecording], Detections]


def measure(seed: int, data: dict, way: str, steps: int) -> dict[str, float]:
    """F1 of each contact and the median error on the second half of each foot; CPU seconds of training."""
    feet, started = list(data.values()), time.process_time()
    half = len(feet[0].data) // 2
    train = [foot.part(0, half * 3 // 4) for foot in feet]
    find = matched_filter(train) if way == "filter" else trained_detector(train, seed, steps)
    took = time.process_time() - started
    validation = labelled([foot.part(half * 3 // 4, half) for foot in feet], find)
    events, founds = labelled([foot.part(half, 2 * half) for foot in feet], find)
    rate, values = feet[0].sample_rate, {}
    threshold = best_threshold(*validation, TOLERANCE_MS, rate)
    for kind, name in enumerate(feet[0].classes):
        truths = [[event for event in of_foot if event[0] == kind] for of_foot in events]
        own = [found[found.types == kind].above(threshold) for found in founds]
        scores = event_scores(truths, own, TOLERANCE_MS, rate)
        values |= {f"{name}, F1 at 20 ms": scores.f1, f"{name}, median error, ms": scores.median_error_ms}
        values |= {f"{name}, true": scores.true_events}
    return values | {"CPU seconds of training": took}


def labelled(feet: list[GaitRecording], find: Find) -> tuple[list, list[Detections]]:
    """The labelled events of each foot, and what is found there from 0.3 s before the first to after the last."""
    founds = []
    for foot in feet:
        times, found = [time for _, time in foot.events], find(foot)
        founds.append(found[(found.times >= min(times) - 60) & (found.times <= max(times) + 60)])
    return [foot.events for foot in feet], founds


def matched_filter(train: list[GaitRecording]) -> Find:
    """Finds events where the signal looks like the mean of what surrounds those of the training part, by its cosine."""
    mean, std = channel_statistics([foot.data for foot in train])

    def around(foot: GaitRecording) -> np.ndarray:
        padded = np.pad((foot.data - mean) / std, ((REACH, REACH), (0, 0)))
        return np.lib.stride_tricks.sliding_window_view(padded, 2 * REACH + 1, axis=0)  # (T, C, 2 REACH + 1)

    pieces = [(kind, around(foot)[round(at)]) for foot in train for kind, at in foot.events]
    kinds = range(len(train[0].classes))
    kernels = np.stack([np.mean([piece for k, piece in pieces if k == kind], axis=0) for kind in kinds])
    kernels /= np.linalg.norm(kernels, axis=(1, 2), keepdims=True)  # (E, C, 2 REACH + 1)

    def find(foot: GaitRecording) -> Detections:
        x = around(foot)
        norms = np.sqrt(np.einsum("tck,tck->t", x, x))
        scores = np.einsum("tck,eck->te", x, kernels) / norms[:, None]  # (T, E)
        peaks = decode_peaks(scores, np.zeros_like(scores), resolution=1, threshold=0.05)
        return refractory_filter(peaks, REFRACTORY)

    return find


def trained_detector(train: list[GaitRecording], seed: int, steps: int) -> Find:
    model, statistics = train_detector(train, seed, steps)

    def find(foot: GaitRecording) -> Detections:
        live = LiveDetector(model, 0.05, window=1000, margin=100, statistics=statistics)
        return Detections.concatenate([live.push(foot.data), live.flush()])

    return find


def train_detector(recordings: list, seed: int, steps: int):
    """A small detector trained on random crops, turned up and down by up to 20 %, with a little noise."""
    statistics = channel_statistics([recording.data for recording in recordings])
    grid = {"timing_resolution_samples": RESOLUTION, "refractory_period_samples": REFRACTORY}
    rng = np.random.default_rng(seed)
    batches = [_crops(recordings, statistics, rng) for _ in range(steps)]
    make_model = partial(EventDetector, num_events=2, width=48, dilations=(1, 2, 4), **grid)
    loss = HeatmapLoss(timing_resolution_samples=RESOLUTION)
    return train_on(batches, make_model, loss, seed=seed, steps=steps, amp=False), statistics


def _crops(recordings: list, statistics, rng: np.random.Generator, count: int = 16) -> EventBatch:
    """Random crops between the first and the last labelled event of a recording.  timings: (B, E, PER_TYPE)."""
    mean, std = statistics
    x = np.zeros((count, CROP, mean.size), np.float32)
    timings = np.full((count, 2, PER_TYPE), np.nan)
    for row in range(count):
        recording = recordings[rng.integers(len(recordings))]
        times = [time for _, time in recording.events]
        start = int(rng.integers(max(0, int(min(times)) - 60), min(len(recording.data), int(max(times)) + 60) - CROP))
        part = recording.part(start, start + CROP)
        x[row] = (part.data - mean) / std * rng.uniform(0.8, 1.2) + 0.05 * rng.standard_normal(part.data.shape)
        for kind in range(2):
            own = [time for k, time in part.events if k == kind]
            timings[row, kind, : len(own)] = own
    timings = torch.from_numpy(timings)
    labels = (~timings.isnan()).any(2).float()
    return EventBatch(torch.from_numpy(x), torch.full((count,), CROP), labels, timings, torch.zeros_like(labels).long())


EXPERIMENT = Experiment(
    measure,
    settings={"detector": {"way": "detector"}, "matched filter": {"way": "filter"}},
    once=("matched filter",),
    cheapest="matched filter",
    options={"steps": (120, "training steps")},
    source="gait",
    load=load_feet,
    threads=1,
    unchecked="CPU seconds",
)
