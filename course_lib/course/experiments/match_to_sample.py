"""Which of three later bursts is of the first one's kind, farther apart than a token sees: what it takes to learn.

`match_to_sample` in its default size: three kinds, 520 samples, at least 40 of silence between bursts, where a token of
the convolutions sees 39. All networks learn from 20,480 fresh signals, each seen once: 640 steps in batches of 32, with
the recipe and the sizes of `burst_order`. Two lessons. "curriculum": in the first quarter every sample is of the first
kind, so this kind must be found again; in the second it is of the first or the second kind; then of any. "at once":
any kind from the start. Models: two encoder blocks; two LSTMs or two RG-LRUs (each behind a norm, beside a shortcut) in
their place; no encoder. The curriculum was chosen with the whole model and the LSTMs on seed 0, which is not among the
recorded ones. Tested on 1,000 new signals. About 30 CPU seconds a training.
"""

import numpy as np
import torch
from torch.utils.data import DataLoader

from course_lib.course.experiments._training import fitted, seeded
from course_lib.course.experiments.burst_order import BARE, FULL, LSTMS, RG_LRUS, Task, make_model
from course_lib.course.experiments.runner import Experiment, by_seed, grid
from course_lib.data import SignalDataset, match_to_sample
from course_lib.training import predict

LESSONS = {"curriculum": (1, 2, 3, 3), "at once": (3, 3, 3, 3)}  # kinds of sample in each quarter
LENGTH, TESTED, TEST_SEED = 520, 1_000, 1_000
TASK = Task(LENGTH, (40, 60), 40)
MODELS = (FULL, LSTMS, RG_LRUS, BARE)


def measure(seed: int, model: str, lesson: str, signals: int) -> dict[str, float]:
    """Accuracy on new signals: of all, and of those whose sample is of the first, second and third kind."""
    quarters = [
        match_to_sample(signals // 4, LENGTH, sampled=sampled, seed=4 * seed + n)
        for n, sampled in enumerate(LESSONS[lesson])
    ]
    x, y = (np.concatenate(parts) for parts in list(zip(*quarters, strict=True))[:2])
    network = seeded(seed, make_model, TASK, model, classes=3)
    loader = DataLoader(SignalDataset(x, y), 32)  # drawn at random already, and in the lesson's order
    fitted(network, loader, 4e-3, generator=torch.Generator().manual_seed(seed), device="auto")
    new = match_to_sample(TESTED, LENGTH, seed=TEST_SEED)
    right = predict(network, new.signals).argmax(1) == new.labels
    by_kind = {f"kind {kind + 1}": float(right[new.kinds[:, 0] == kind].mean()) for kind in range(3)}
    return {"accuracy": float(right.mean())} | by_kind


EXPERIMENT = Experiment(
    measure,
    settings=grid("{model}, {lesson}", lesson=LESSONS, model=MODELS),
    seeds=(1, 2, 3, 4, 5),
    options={"signals": (20_480, "signals to learn from")},
    details=by_seed,
    cheapest="without encoder, curriculum",
    threads=1,
)
