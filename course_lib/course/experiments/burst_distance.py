"""Three bursts in one of six orders: accuracy of each model against the distance between the bursts.

Signals of 1,088 samples, at least 208 of silence before the first burst and after the last. A token of the convolutions
(dilations of 1 and 3) sees 207 samples. Each model learns from the same 4,000 signals, half of them with 0 to 40
samples of silence between bursts, where one token may see all three, half with 0 to 240. With wide ranges alone and
fields of 151 and 375 the model without encoder had hardly begun to learn after two passes. The near half, the dilations
and the length were chosen for it, on seed 0.
Models and recipe are those of `burst_order`. Tested on 500 new signals at each distance, the same for all.

Writes figures/results/burst_distance.csv and detail/burst_distance_seeds.csv, a row for each model, seed and distance.
About 11 CPU minutes.
"""

from typing import Any

import numpy as np
import pandas as pd
import torch

from course_lib.course.experiments import results
from course_lib.course.experiments._minirocket import minirocket_accuracies
from course_lib.course.experiments.burst_order import (
    MODELS,
    ROCKET,
    TEST_SEED,
    Task,
    accuracy,
    make_model,
    signals_of,
    train,
)
from course_lib.course.experiments.runner import Experiment, Found, column, total_seconds
from course_lib.data import BurstOrders
from course_lib.training.rng import isolated

TASK = Task(1088, (0, 240), 208, (1, 3))
NEAR = (0, 40)  # samples of silence, in half of the training signals
DISTANCES = range(0, 241, 20)
PARTS = {"at most 80 samples": slice(0, 5), "at least 160 samples": slice(8, None)}  # of the distances
TESTED = 500


def training_signals(count: int, seed: int) -> BurstOrders:
    """Half near, half at any distance."""
    near = signals_of(TASK._replace(gap=NEAR), count // 2, seed)
    wide = signals_of(TASK, count // 2, TEST_SEED // 2 + seed)
    return BurstOrders(*(np.concatenate(parts) for parts in zip(near, wide, strict=True)))


def measure(seed: int, model: str, signals: int) -> dict[str, Any]:
    """Accuracy on new signals by the distance of the bursts."""
    data = training_signals(signals, seed)
    tests = {d: signals_of(TASK._replace(gap=(d, d)), TESTED, TEST_SEED) for d in DISTANCES}
    if model == ROCKET:
        pairs = {d: (one.signals, one.labels) for d, one in tests.items()}
        scores, seconds = minirocket_accuracies(data.signals, data.labels, pairs, seed)
        return {"by distance": list(scores.values()), "seconds": seconds}
    with isolated(seed, torch.device("cpu")):
        network = make_model(TASK, model)
    train(network, data, seed)
    return {"by distance": [accuracy(network, one) for one in tests.values()]}


def details(found: Found) -> dict[str, pd.DataFrame]:
    """Accuracy by model, seed and distance."""
    rows = [
        {"setting": model, "seed": cell["seed"], "distance": distance, "accuracy": value}
        for model, cells in found.items()
        for cell in cells
        for distance, value in zip(DISTANCES, cell["by distance"], strict=True)
    ]
    return {"seeds": pd.DataFrame(rows)}


def rows(found: Found) -> list[dict]:
    """Mean accuracy where two neighbouring bursts lie in a token's field, and where their middles do not."""
    made = []
    for model, cells in found.items():
        by_distance = column(cells, "by distance")  # (seeds, distances)
        for what, at in PARTS.items():
            made.append(results.over_seeds(f"{model}: {what}", by_distance[:, at].mean(axis=1), total_seconds(cells)))
    return made


EXPERIMENT = Experiment(
    measure,
    settings={model: {"model": model} for model in MODELS},
    seeds=range(5),
    options={"signals": (4_000, "signals to learn from")},
    rows=rows,
    details=details,
    cheapest="without encoder",
    threads=1,
)
