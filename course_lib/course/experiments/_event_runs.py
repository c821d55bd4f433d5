"""What the recorded runs on events share: training a model of events, finding events in windows, and measures."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from course_lib.course.experiments.runner import NotHere
from course_lib.data import EventBatch, FreshEvents, GaitRecording, load_gait_events, make_events
from course_lib.events import (
    SAMPLE_RATE,
    Detections,
    best_threshold,
    decode_peaks,
    event_scores,
    refractory_filter,
    window_events,
)
from course_lib.paths import data_roots
from course_lib.training import cosine_with_warmup, fit
from course_lib.training.rng import isolated

M = TypeVar("M", bound=nn.Module)
WINDOW = 2000  # samples: 1 s


def train(
    make_model: Callable[[], nn.Module],
    loss: nn.Module,
    *,
    seed: int,
    steps: int,
    batch_size: int = 32,
    rate: float = 3e-3,
    snr_db: float = 0.0,
    **events,
):
    """A model trained on windows that it never sees twice: the model, the training statistics and CPU seconds taken.

    The other arguments: see `train_on`.
    """
    started = time.process_time()
    loader = FreshEvents(min(steps, 20), batch_size, seed=1000 + seed, snr_db=snr_db, seq_len=WINDOW, **events)
    model = train_on(loader, make_model, loss, seed=seed, steps=steps, rate=rate)
    return model, loader.statistics, time.process_time() - started


def train_on(
    loader: Collection[EventBatch],
    make_model: Callable[[], M],
    loss: nn.Module,
    *,
    seed: int,
    steps: int,
    rate: float = 3e-3,
    amp: bool = True,
) -> M:
    """A model trained for about so many steps, in whole rounds of the loader, in evaluation mode.

    make_model: called under a seed of its own.  loss: `HeatmapLoss`, or `EventTimingLoss` for a classifier.
    """
    with isolated(seed, torch.device("cpu")):
        model = make_model()

    def step(network, batch):
        arguments = (batch.x, batch.lengths)
        outputs = network(*arguments)
        targets = (batch.labels, batch.timings, batch.lengths)
        return loss(outputs, *targets) if hasattr(outputs, "heatmap") else loss(*outputs, *targets)

    fit(
        model,
        loader,
        epochs=max(1, round(steps / len(loader))),
        training_step=step,
        optimizer=partial(torch.optim.AdamW, lr=rate, weight_decay=0.01),
        schedule=cosine_with_warmup,
        clip_norm=1.0,
        amp=amp,
        generator=torch.Generator().manual_seed(seed),
        progress=False,
        device="cpu",
    )
    return model.eval()


def load_feet() -> dict[str, GaitRecording]:
    """Both feet of the walk in COURSE_DATA/gait.  Raises NotHere where it is not there."""
    folder = next((root / "gait" for root in data_roots() if (root / "gait").is_dir()), None)
    if folder is None:
        raise NotHere("the gait recording is not here: a folder gait in COURSE_DATA or data/")
    return load_gait_events(folder)


def windows(count: int, seed: int, snr_db: float, statistics, **events):
    """Windows for validation or test: x (N, T, C), and their events, one list a window."""
    data, labels, timings = make_events(count, WINDOW, seed=seed, snr_db=snr_db, **events)
    mean, std = statistics
    return torch.from_numpy((data - mean) / std), window_events(labels, timings)


def find(model: nn.Module, x: torch.Tensor, batch_size: int = 32) -> list[Detections]:
    """All candidates that score at least 0.02 in windows x (N, T, C), the refractory period kept."""
    found = []
    for part in x.split(batch_size):
        for scores, offsets in zip(*model.frame_scores(part), strict=True):
            peaks = decode_peaks(scores.numpy(), offsets.numpy(), threshold=0.02)
            found.append(refractory_filter(peaks))
    return found


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


def close_recall(truths: list, founds: list, within_ms: float = 10.0, tolerance_ms: float = 5.0) -> float:
    """Recall over the events whose nearest other event, of any type, is less than `within_ms` away."""
    hit = total = 0
    for truth, found in zip(truths, founds, strict=True):
        onsets = np.array([onset for _, onset in truth])
        for i, (kind, onset) in enumerate(truth):
            if len(truth) > 1 and np.abs(np.delete(onsets, i) - onset).min() < 2 * within_ms:
                total += 1
                hit += event_scores(
                    [[(kind, onset)]], [[e for e in found if e[0] == kind]], tolerance_ms, SAMPLE_RATE
                ).matched
    return hit / total if total else np.nan


def threshold_of(model: nn.Module, statistics, snr_db: float, seed: int, **events) -> float:
    """The score threshold of the best F1 at 5 ms, on 256 validation windows."""
    x, truths = windows(256, 50_000 + seed, snr_db, statistics, **events)
    return best_threshold(truths, find(model, x), 5.0, SAMPLE_RATE)
