"""What the recorded runs on events share: training a model of events, finding events in windows, and measures."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from course_lib.course.experiments._training import fitted, seeded
from course_lib.course.experiments.runner import NotHere
from course_lib.data import (
    EventBatch,
    FreshEvents,
    GaitRecording,
    event_templates,
    load_gait_events,
    make_event_stream,
    make_events,
)
from course_lib.events import (
    SAMPLE_RATE,
    Detections,
    LiveDetector,
    best_threshold,
    decode_peaks,
    event_scores,
    refractory_filter,
    violations,
    window_events,
)
from course_lib.models.template_bank import MARGIN
from course_lib.paths import data_roots

M = TypeVar("M", bound=nn.Module)
WINDOW = 2000  # samples: 1 s


def train(
    make_model: Callable[[], nn.Module],
    loss: nn.Module,
    *,
    seed: int,
    steps: int,
    batch_size: int = 32,
    snr_db: float = 0.0,
):
    """A model trained on windows that it never sees twice: the model, the training statistics and CPU seconds taken.

    The other arguments: see `train_on`.
    """
    started = time.process_time()
    loader = FreshEvents(min(steps, 20), batch_size, seed=1000 + seed, snr_db=snr_db, seq_len=WINDOW)
    model = train_on(loader, make_model, loss, seed=seed, steps=steps)
    return model, loader.statistics, time.process_time() - started


def train_on(
    loader: Collection[EventBatch],
    make_model: Callable[[], M],
    loss: nn.Module,
    *,
    seed: int,
    steps: int,
    amp: bool = True,
) -> M:
    """A model trained for about so many steps, in whole rounds of the loader, in evaluation mode.

    make_model: called under a seed of its own.  loss: `HeatmapLoss`, or `EventTimingLoss` for a classifier.
    """

    def step(network: nn.Module, batch: EventBatch):
        outputs = network(batch.x, batch.lengths)
        targets = (batch.labels, batch.timings, batch.lengths)
        return loss(outputs, *targets) if hasattr(outputs, "heatmap") else loss(*outputs, *targets)

    return fitted(
        seeded(seed, make_model),
        loader,
        3e-3,
        partial(torch.optim.AdamW, weight_decay=0.01),
        epochs=max(1, round(steps / len(loader))),
        training_step=step,
        amp=amp,
        generator=torch.Generator().manual_seed(seed),
    )


def load_feet() -> dict[str, GaitRecording]:
    """Both feet of the walk in COURSE_DATA/gait.  Raises NotHere where it is not there."""
    folder = next((root / "gait" for root in data_roots() if (root / "gait").is_dir()), None)
    if folder is None:
        raise NotHere("the gait recording is not here: a folder gait in COURSE_DATA or data/")
    return load_gait_events(folder)


def windows(count: int, seed: int, snr_db: float, statistics):
    """Windows for validation or test: x (N, T, C), and their events, one list a window."""
    data, labels, timings = make_events(count, WINDOW, seed=seed, snr_db=snr_db)
    mean, std = statistics
    return torch.from_numpy((data - mean) / std), window_events(labels, timings)


def with_every_type(count: int, seeds: Iterable, **events) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """data, labels, timings of the first of the seeds with which every type occurs in `count` windows.

    Raises ValueError where that is none of them.
    """
    for seed in seeds:
        drawn = make_events(count, seed=seed, **events)
        if drawn[1].sum(axis=0).min() >= 1:
            return drawn
    raise ValueError(f"count: no draw of {count} windows has every type")


def candidates(model: Any, x: torch.Tensor, batch_size: int = 32, step: int = 1) -> list[Detections]:
    """All peaks of at least 0.02 in windows x (N, T, C).  step: samples that are one step of the model's input."""
    resolution = step * model.timing_resolution_samples
    return [
        decode_peaks(scores.numpy(), step * offsets.numpy(), resolution=resolution, threshold=0.02)
        for part in x.split(batch_size)
        for scores, offsets in zip(*model.frame_scores(part), strict=True)
    ]


def find(model: nn.Module, x: torch.Tensor) -> list[Detections]:
    """The `candidates` that keep the refractory period."""
    return [refractory_filter(found) for found in candidates(model, x)]


def f1(truths: list, founds: list, tolerance_ms: float = 5.0) -> float:
    return event_scores(truths, founds, tolerance_ms, SAMPLE_RATE).f1


def best_at_5_ms(truths: list, founds: list[Detections]) -> float:
    """The threshold of the best F1 at 5 ms."""
    return best_threshold(truths, founds, 5.0, SAMPLE_RATE)


def over_stream(live: LiveDetector, seed: int, snr_db: float, chunks: int) -> dict[str, float]:
    """A stream of 120 s detected live, in so many chunks: F1 at 5 ms, violations, and times real time."""
    data, truth = make_event_stream(120, seed=70_000 + seed, snr_db=snr_db)
    started = time.process_time()
    found = [event for chunk in np.array_split(data, chunks) for event in live.push(chunk)] + list(live.flush())
    took = time.process_time() - started
    return {"F1": f1([truth], [found]), "violations": violations(found), "speed": 120 / took}


def true_kernels(warps: ArrayLike = (1.0,), samples: int = 80 + 2 * MARGIN) -> np.ndarray:
    """What `make_events` adds, at each warp: (E, W, C, samples), the onset at sample 12."""
    true = event_templates()
    types, times = np.arange(len(true)), np.tile(np.arange(-MARGIN, samples - MARGIN, dtype=float), (len(true), 1))
    return np.stack([true.render(types, times, warp) for warp in np.asarray(warps)], axis=1)


def measures(truths: list, founds: list[Detections], threshold: float) -> dict[str, float]:
    """What section by section is asked of a detector, at one threshold."""
    kept = [found.above(threshold) for found in founds]
    at = {tolerance: event_scores(truths, kept, tolerance, SAMPLE_RATE) for tolerance in (2.0, 5.0, 10.0, 25.0)}
    return {
        "F1 at 2 ms": at[2.0].f1,
        "F1 at 5 ms": at[5.0].f1,
        "F1 at 10 ms": at[10.0].f1,
        "median error, ms": at[25.0].median_error_ms,
        "within 5 ms": at[25.0].within(5.0),
        "recall of close events": close_recall(truths, kept),
    }


def close_recall(truths: list, founds: list) -> float:
    """Recall at 5 ms over the events whose nearest other event, of any type, is less than 10 ms away."""
    hits = []
    for truth, found in zip(truths, founds, strict=True):
        onsets = np.array([onset for _, onset in truth])
        for i, (kind, onset) in enumerate(truth):
            if len(truth) > 1 and np.abs(np.delete(onsets, i) - onset).min() < 0.01 * SAMPLE_RATE:
                own = [event for event in found if event[0] == kind]
                hits.append(event_scores([[(kind, onset)]], [own], 5.0, SAMPLE_RATE).matched)
    return float(np.mean(hits)) if hits else np.nan


def threshold_of(model: nn.Module, statistics, snr_db: float, seed: int) -> float:
    """The score threshold of the best F1 at 5 ms, on 256 validation windows."""
    x, truths = windows(256, 50_000 + seed, snr_db, statistics)
    return best_at_5_ms(truths, find(model, x))
