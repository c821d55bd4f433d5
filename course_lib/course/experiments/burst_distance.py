"""Three bursts in one of six orders: accuracy of each model against the distance between the bursts.

Signals of 1,088 samples, at least 208 of silence before the first burst and after the last. A token of the convolutions
(dilations of 1 and 3) sees 207 samples. Each model learns from the same 4,000 signals, half of them with 0 to 40
samples of silence between bursts, where one token may see all three, half with 0 to 240. With wide ranges alone and
fields of 151 and 375 the model without encoder had hardly begun to learn after two passes. The near half, the dilations
and the length were chosen for it, on seed 0.
Models and recipe are those of `burst_order`. Tested on 500 new signals at each distance, the same for all. Recorded is
the mean where two neighbouring bursts lie in a token's field, and where their middles do not. About 11 CPU minutes.
"""

from typing import Any

import numpy as np
import pandas as pd

from course_lib.course.experiments._minirocket import minirocket
from course_lib.course.experiments.burst_order import MODELS, ROCKET, TEST_SEED, Task, accuracy, signals_of, trained
from course_lib.course.experiments.runner import Experiment, Found, by_item, grid
from course_lib.data import BurstOrders

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
    """Accuracy on new signals by the distance of the bursts, and its means."""
    data, found = training_signals(signals, seed), {}
    tests = [signals_of(TASK._replace(gap=(d, d)), TESTED, TEST_SEED) for d in DISTANCES]
    if model == ROCKET:
        pairs = [(one.signals, one.labels) for one in tests]
        scores, found["seconds"] = minirocket(data.signals, data.labels, pairs, seed)
    else:
        network, _ = trained(TASK, model, data, seed)
        scores = [accuracy(network, one) for one in tests]
    means = {what: float(np.mean(scores[part])) for what, part in PARTS.items()}
    return found | means | {"by distance": scores}


def details(found: Found) -> dict[str, pd.DataFrame]:
    return {"seeds": by_item(found, "by distance", "distance", "accuracy", items=DISTANCES)}


EXPERIMENT = Experiment(
    measure,
    settings=grid("{model}", model=MODELS),
    seeds=range(5),
    options={"signals": (4_000, "signals to learn from")},
    details=details,
    cheapest="without encoder",
    threads=1,
)
