"""The detector of the page where a visitor turns up the noise: small, trained at several levels of noise at once.

`EventDetector` of width 64 with two blocks of convolutions, 16 types, generated windows of 1 s that are never seen
twice, at 12, 6, 0 and -6 dB in turn; 400 steps of 32 windows. Its threshold is the best of 256 validation windows at
0 dB. Tested on 400 windows at each level, and on a stream of 120 s. About 2 CPU minutes.

With --weights FILE the last seed's weights are kept, with threshold and statistics.
"""

import json
import os
from collections.abc import Iterator
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from course_lib.course.experiments import _training
from course_lib.course.experiments._event_runs import WINDOW, find, threshold_of, train_on, windows
from course_lib.course.experiments.runner import Experiment
from course_lib.data import FreshEvents, make_event_stream
from course_lib.data.datasets import EventBatch
from course_lib.data.synthetic_events import SAMPLE_RATE
from course_lib.events import LiveDetector, event_scores
from course_lib.losses import HeatmapLoss
from course_lib.models import EventDetector

LEVELS = (12.0, 6.0, 0.0, -6.0)  # dB
SIZES = {"width": 64, "dilations": (1, 2)}


class Levels:
    """Batches of 32 windows at each level of noise in turn, all standardised by the statistics of 0 dB."""

    def __init__(self, batches: int, seed: int):
        self.batches = batches
        self.statistics = FreshEvents(1, 1, seed=seed, snr_db=0.0, seq_len=WINDOW).statistics
        each = -(-batches // len(LEVELS))
        self.loaders = [
            FreshEvents(each, 32, seed=seed + i, statistics=self.statistics, snr_db=level, seq_len=WINDOW)
            for i, level in enumerate(LEVELS, start=1)
        ]

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[EventBatch]:
        loaders = [iter(loader) for loader in self.loaders]
        return (next(loader) for loader in islice(cycle(loaders), self.batches))


def measure(seed: int, steps: int, weights: str | None = None) -> dict[str, float]:
    """F1 at 5 ms at each level of noise, and over a stream."""
    model, statistics = trained(seed, steps)
    threshold = threshold_of(model, statistics, 0.0, seed)
    if weights:
        mean, std = (np.asarray(part, np.float64).tolist() for part in statistics)
        about = {"mean": mean, "std": std, "threshold": float(threshold), "sample_rate": SAMPLE_RATE}
        _training.keep(model, Path(weights), **{name: json.dumps(value) for name, value in about.items()})
    values = {"parameters": _training.parameters(model), "threshold": threshold}
    for level in LEVELS:
        x, truths = windows(400, 60_000 + seed, level, statistics)
        found = [one.above(threshold) for one in find(model, x)]
        values[f"{level:g} dB: F1 at 5 ms"] = event_scores(truths, found, 5.0, SAMPLE_RATE).f1
        data, truth = make_event_stream(120, seed=70_000 + seed, snr_db=level)
        live = LiveDetector(model, threshold, statistics=statistics)
        streamed = [*live.push(data), *live.flush()]
        values[f"{level:g} dB: stream: F1 at 5 ms"] = event_scores([truth], [streamed], 5.0, SAMPLE_RATE).f1
    return values


def trained(seed: int, steps: int) -> tuple[EventDetector, tuple[np.ndarray, np.ndarray]]:
    """The detector, in evaluation mode, and the statistics of its input."""
    loader = Levels(min(steps, 40), 1000 + 10 * seed)
    return train_on(loader, partial(EventDetector, **SIZES), HeatmapLoss(), seed=seed, steps=steps), loader.statistics


def kept(path: str | os.PathLike) -> tuple[EventDetector, dict[str, Any]]:
    """The model of such a file, in evaluation mode, and its mean, std, threshold and sample_rate."""
    weights, about = _training.kept(path)
    model = EventDetector(**SIZES)  # type: ignore[arg-type]
    model.load_state_dict(weights)
    return model.eval(), {name: json.loads(value) for name, value in about.items()}


EXPERIMENT = Experiment(
    measure,
    settings={"several levels of noise": {}},
    seeds=(0,),
    label="{what}",
    options={
        "steps": (400, "batches of 32 windows"),
        "weights": (None, "a file that takes the trained weights"),
    },
    source="generated events",
    cheapest="several levels of noise",
)
