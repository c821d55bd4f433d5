"""Initial and terminal contacts of real steps: trained on the first half of a walk, found in the second.

Both feet of the gait recording (COURSE_DATA/gait), 6 inertial axes at 204.8 Hz. The detector trains on
crops of the first three eighths, takes its threshold from the next eighth and is scored at 20 ms on the second half,
between the first and the last labelled contact there. A few CPU seconds a seed.

Writes figures/results/gait_events.csv.
"""

import time
from functools import partial

import numpy as np
import torch

from course_lib.course.experiments._event_runs import load_feet
from course_lib.course.experiments.runner import Experiment
from course_lib.data import EventBatch
from course_lib.data.event_dataset import channel_statistics
from course_lib.events import Detections, LiveDetector, best_threshold, event_scores
from course_lib.losses import HeatmapLoss
from course_lib.models import EventDetector
from course_lib.training import cosine_with_warmup, fit

RESOLUTION = 4  # samples a frame: 20 ms
REFRACTORY = 100  # samples: no foot touches the ground twice in half a second
CROP, PER_TYPE = 400, 4  # samples, and events of one type in so many at most
TOLERANCE_MS = 20.0


def measure(seed: int, data: dict, steps: int) -> dict[str, float]:
    """F1 of each contact and the median error on the second half of each foot; CPU seconds of training."""
    feet = list(data.values())
    half = len(feet[0].data) // 2
    train = [foot.part(0, half * 3 // 4) for foot in feet]
    validation = [foot.part(half * 3 // 4, half) for foot in feet]
    test = [foot.part(half, 2 * half) for foot in feet]
    model, statistics, took = train_detector(train, seed, steps)
    truths, founds = zip(*(detect(model, part, statistics) for part in validation), strict=True)
    rate = feet[0].sample_rate
    threshold = best_threshold(truths, founds, TOLERANCE_MS, rate)
    truths, founds = zip(*(detect(model, part, statistics) for part in test), strict=True)
    founds = [found.above(threshold) for found in founds]
    values = {}
    for kind, name in enumerate(feet[0].classes):
        only = [[event for event in recording if event[0] == kind] for recording in truths]
        scores = event_scores(only, [found[found.types == kind] for found in founds], TOLERANCE_MS, rate)
        values |= {f"{name}, F1 at 20 ms": scores.f1, f"{name}, median error, ms": scores.median_error_ms}
    return values | {"CPU seconds of training": took}


def detect(model, recording, statistics) -> tuple[list, Detections]:
    """The labelled events of a recording, and what the detector finds from 0.3 s before the first to after the last."""
    live = LiveDetector(model, 0.05, window=1000, margin=100, statistics=statistics)
    found = Detections.concatenate([live.push(recording.data), live.flush()])
    times = [time for _, time in recording.events]
    near = (found.times >= min(times) - 60) & (found.times <= max(times) + 60)
    return recording.events, found[near]


def train_detector(recordings: list, seed: int, steps: int):
    """A small detector trained on random crops, turned up and down by up to 20 %, with a little noise."""
    started = time.process_time()
    statistics = channel_statistics([recording.data for recording in recordings])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = EventDetector(
            num_events=2,
            width=48,
            dilations=(1, 2, 4),
            timing_resolution_samples=RESOLUTION,
            refractory_period_samples=REFRACTORY,
        )
    rng, loss = np.random.default_rng(seed), HeatmapLoss(timing_resolution_samples=RESOLUTION)

    class Crops:
        def __len__(self):
            return 20

        def __iter__(self):
            return (_crops(recordings, statistics, rng) for _ in range(len(self)))

    def step(network, batch):
        return loss(network(batch.x, batch.lengths), batch.labels, batch.timings, batch.lengths)

    fit(
        model,
        Crops(),
        epochs=max(1, steps // 20),
        training_step=step,
        optimizer=partial(torch.optim.AdamW, lr=3e-3, weight_decay=0.01),
        schedule=cosine_with_warmup,
        clip_norm=1.0,
        generator=torch.Generator().manual_seed(seed),
        progress=False,
        device="cpu",
    )
    return model.eval(), statistics, time.process_time() - started


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
    settings={"detector": {}},
    cheapest="detector",
    options={"steps": (120, "training steps")},
    source="gait",
    load=load_feet,
    threads=1,
    unchecked="CPU seconds",
)
