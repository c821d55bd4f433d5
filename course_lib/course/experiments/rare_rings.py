"""Rings in noise, one window in 10, 100 or 1,000: focal loss of three strengths, two starts, and class weights.

A window of 64 samples is noise, noise with a harmless bump (one in ten), or noise with a ring, which is rare. A small
CNN says which windows hold a ring. Each seed draws 20,000 windows to train on and as many for a threshold; all models
are tested on the same 1,000 rings and 40,000 others, each ring weighted so that its share is that of the training.
Ten epochs (30 in one setting) of AdamW at 1e-2 with warm-up and cosine, batches of 256, the last epoch's weights.
The even start says "ring" with probability one half, the start at the share as often as rings occur (Lin et al. 2017,
section 4.1).
The average precision is kept on the way, too: `epoch 4` is that after four epochs.
About 11 CPU minutes. Declared and not recorded yet: γ = 5, and the even starts at 1 in 10.
"""

import math

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.metrics import average_precision_score, f1_score, log_loss
from torch import Tensor, nn
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

from course_lib.course.experiments._training import fitted, seeded
from course_lib.course.experiments.runner import Experiment, by_seed, grid
from course_lib.losses import FocalLoss
from course_lib.models import RingFinder
from course_lib.training import History, adamw, predict

WINDOWS = 20_000  # to train on, and to choose a threshold on
TEST_RINGS, TEST_OTHERS = 1_000, 40_000
EPOCHS = 10
WATCHED = (1, 2, 4, 7, 10, 30)  # epochs after which the average precision is kept
ONE_IN = (10, 100, 1_000)
EVEN, SHARE = "even start", "start at the share"


def make_windows(rings: int, others: int, generator: torch.Generator, noise: float = 0.4) -> tuple[Tensor, Tensor]:
    """Windows (N, 1, 64), rings first, then bumps (a tenth of the others), then noise; and 1 for each ring, (N,)."""
    count, t = rings + others, torch.arange(24)
    ring = torch.sin(2 * math.pi * 0.21 * t) * torch.exp(-t / 8)
    bump = torch.sin(2 * math.pi * 0.12 * t) * torch.exp(-t / 8)
    shapes = torch.zeros(count, 24)
    shapes[:rings], shapes[rings : rings + others // 10] = ring, bump
    height = 1.2 + 1.2 * torch.rand(count, 1, generator=generator)
    start = torch.randint(64 - 24 + 1, (count, 1), generator=generator)
    x = noise * torch.randn(count, 64, generator=generator)
    x.scatter_add_(1, start + t, height * shapes)
    return x[:, None], (torch.arange(count) < rings).long()


def train(
    x: Tensor, y: Tensor, seed: int, *, loss: nn.Module, one_in: int = 2, epochs: int = EPOCHS, callback=None
) -> nn.Module:
    """A `RingFinder` started at `one_in` and trained on windows x (N, 1, 64) with y (N,); back on the CPU.

    seed: of the first weights and of the order.  callback: as of `course_lib.training.fit`.
    """
    windows = TensorDataset(x, y)
    order = RandomSampler(windows, generator=torch.Generator().manual_seed(seed))
    batches = DataLoader(windows, batch_size=None, sampler=BatchSampler(order, 256, drop_last=False))
    options = {"epochs": epochs, "loss": loss, "callback": callback, "clip_norm": None}
    return fitted(seeded(seed, RingFinder, one_in), batches, 1e-2, adamw, **options)


def probabilities(model: nn.Module, x: Tensor) -> np.ndarray:
    """The probability of a ring for each window: (N, 1, 64) -> (N,)."""
    return torch.from_numpy(predict(model, x)).double().softmax(1)[:, 1].numpy()


def best_threshold(truth: ArrayLike, score: np.ndarray) -> float:
    """The score above which "ring" has the largest F1, on windows that are not the test's.  truth, score: (N,)."""
    candidates = np.unique(np.quantile(score, 1 - np.geomspace(0.5, 1 / len(score), 200)))
    return float(max(candidates, key=lambda threshold: f1_score(truth, score > threshold, zero_division=0.0)))


def measure(
    seed: int, one_in: int, gamma: float = 0.0, start: str = EVEN, weighted: bool = False, times: int = 1
) -> dict:
    """One training: how well the scores are ordered, what the probabilities cost, and F1 at two thresholds."""
    generator = torch.Generator().manual_seed(seed)
    rings = WINDOWS // one_in
    x, y = make_windows(rings, WINDOWS - rings, generator)
    x_val, y_val = make_windows(rings, WINDOWS - rings, generator)
    x_test, y_test = make_windows(TEST_RINGS, TEST_OTHERS, torch.Generator().manual_seed(1_000_000))
    counts = np.where(y_test == 1, TEST_OTHERS / (one_in - 1) / TEST_RINGS, 1.0)  # rings: one in `one_in`
    curve = {}

    def watch(epoch: int, model: nn.Module, history: History) -> None:
        if epoch in WATCHED:
            precision = average_precision_score(y_test, probabilities(model, x_test), sample_weight=counts)
            curve[f"epoch {epoch}"] = float(precision)

    loss = FocalLoss(gamma, weight=[1.0, one_in - 1.0] if weighted else None)
    model = train(x, y, seed, loss=loss, one_in=2 if start == EVEN else one_in, epochs=times * EPOCHS, callback=watch)
    test, val = probabilities(model, x_test), probabilities(model, x_val)

    def f1(threshold: float) -> float:
        return float(f1_score(y_test, test > threshold, sample_weight=counts, zero_division=0.0))

    return {
        "average precision": float(average_precision_score(y_test, test, sample_weight=counts)),
        "log loss": float(log_loss(y_test, test, sample_weight=counts)),
        "mean P(ring)": float(np.average(test, weights=counts)),
        "F1 at 0.5": f1(0.5),
        "F1 at the chosen threshold": f1(best_threshold(y_val, val)),
        "curve": curve,
    }


EXPERIMENT = Experiment(
    measure,
    settings=grid("1 in {one_in}, γ = {gamma}, {start}", one_in=ONE_IN, gamma=(0, 2, 5), start=(EVEN, SHARE))
    | grid("1 in {one_in}, weighted", one_in=ONE_IN, weighted=[True])
    | {"1 in 1000, γ = 0, even start, three times as long": {"one_in": 1_000, "times": 3}},
    seeds=(0, 1, 2, 3, 4),
    details=by_seed,
    cheapest="1 in 10, weighted",
)
