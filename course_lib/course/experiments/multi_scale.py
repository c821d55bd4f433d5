"""A small multi-scale CNN taken apart: dilation, squeeze-and-excitation, shortcuts, separable; one task, ten seeds.

A window of 192 noisy samples holds two equal clicks, 30 or 38 samples apart; the model says which. No part of the
window that is shorter than the distance tells. Models have two stages of 8 and 16 channels, then the maximum over time
and a linear layer; 200 fresh batches of 32, AdamW 1e-2 with warm-up and cosine, gradients clipped at 1. About 3 CPU
seconds a model.

A training either finds the task or does not, so the table also tells how many of them came above 0.95.

Writes figures/results/multi_scale.csv: accuracy on 1,000 new windows (std over seeds), solved (the number of seeds
above 0.95), and parameters, of each variant.
"""

from functools import partial

import numpy as np
import torch
from torch import Tensor

import course_lib.layers as sl
from course_lib.course.experiments.runner import Experiment, Found, column, mean_rows
from course_lib.models import PooledClassifier
from course_lib.training import cosine_with_warmup, fit, predict
from course_lib.training.rng import isolated

LENGTH = 192
GAPS = (30, 38)  # samples between the clicks
EDGE = 48  # samples without a click at either end
CLICK = torch.tensor([1.0, -1.0, 0.5])
VARIANTS = {  # name: options of `MultiScaleCNN`
    "all parts": {},
    "no dilation": {"dilations": (1, 1, 1)},
    "no squeeze-and-excitation": {"squeeze": False},
    "no shortcut": {"residual": False},
    "separable": {"separable": True},
    "separable, no squeeze-and-excitation": {"separable": True, "squeeze": False},
}


def gap_batch(batch_size: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Windows (B, 192, 1) with two clicks in noise of standard deviation 0.2, and 0 or 1 for a gap of 30 or 38, (B,).

    A click is 3 samples long. The first begins at sample 48 or later, the second before the last 48 samples.
    """
    wide = torch.randint(2, (batch_size,), generator=generator)
    first = torch.randint(EDGE, LENGTH - EDGE - max(GAPS), (batch_size,), generator=generator)
    second = first + torch.tensor(GAPS)[wide]
    x = 0.2 * torch.randn(batch_size, LENGTH, generator=generator)
    for start in (first, second):
        x.scatter_add_(1, start[:, None] + torch.arange(len(CLICK)), CLICK.expand(batch_size, -1))
    return x[..., None], wide


def gap_classifier(**options) -> PooledClassifier:
    """`MultiScaleCNN` of two stages (8 and 16 channels, strides 1 and 2), maximum over time: (B, T, 1) -> (B, 2).

    options: of `MultiScaleCNN`.
    """
    return PooledClassifier(sl.MultiScaleCNN(1, (8, 16), (1, 2), **options), "max", 16, 2)


def train_gap_classifier(options: dict, seed: int, steps: int) -> tuple[PooledClassifier, float]:
    """The model after `steps` batches, and its accuracy on 1,000 windows that it has not seen."""
    generator = torch.Generator().manual_seed(seed)
    with isolated(seed, torch.device("cpu")):
        model = gap_classifier(**options)
    fit(
        model,
        [gap_batch(32, generator) for _ in range(steps)],
        epochs=1,
        optimizer=partial(torch.optim.AdamW, lr=1e-2),
        schedule=cosine_with_warmup,
        clip_norm=1.0,
        device="cpu",
        progress=False,
    )
    x, wide = gap_batch(1000, generator)
    return model, float((predict(model, x, device="cpu").argmax(1) == wide.numpy()).mean())


def measure(seed: int, steps: int, **options) -> dict[str, float]:
    """Accuracy of one training, and the model's size."""
    model, accuracy = train_gap_classifier(options, seed, steps)
    return {"accuracy": accuracy, "parameters": sum(p.numel() for p in model.parameters())}


def rows(found: Found) -> list[dict]:
    """The means, and how many seeds found the task."""
    solved = {name: column(cells, "accuracy") > 0.95 for name, cells in found.items()}
    counted = [
        {"measure": f"{name}: solved", "value": float(np.sum(seeds)), "seeds": len(seeds)}
        for name, seeds in solved.items()
    ]
    return mean_rows(found) + counted


EXPERIMENT = Experiment(
    measure,
    VARIANTS,
    cheapest="no dilation",
    seeds=range(10),
    options={"steps": (200, "batches of 32 windows")},
    rows=rows,
    unchecked="solved",
)
