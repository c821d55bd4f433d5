"""A small multi-scale CNN taken apart: dilation, squeeze-and-excitation, shortcuts, separable; one task, ten seeds.

A window of 192 noisy samples holds two equal clicks, 30 or 38 samples apart; the model says which. No part of the
window that is shorter than the distance tells. Models have two stages of 8 and 16 channels, then the maximum over time
and a linear layer; 200 fresh batches of 32, AdamW 1e-2 with warm-up and cosine, gradients clipped at 1. About 3 CPU
seconds a model. Rows are written as soon as a variant's seeds are done.

A training either finds the task or does not, so the table also tells how many of them came above 0.95.

Writes figures/results/multi_scale.csv: accuracy on 1,000 new windows (std over seeds), solved (the number of seeds
above 0.95), and parameters, of each variant.
"""

import time
from functools import partial

import numpy as np
import torch
from torch import Tensor

import course_lib.layers as sl
from course_lib.course.experiments import results
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


def add_arguments(parser) -> None:
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)), help="one training run each")
    parser.add_argument("--steps", type=int, default=200, help="batches of 32 windows (default: %(default)s)")


def run(arguments) -> None:
    for name, options in VARIANTS.items():
        started = time.process_time()
        scores = [train_gap_classifier(options, seed, arguments.steps)[1] for seed in arguments.seeds]
        measured = results.over_seeds(f"{name}: accuracy", scores, time.process_time() - started)
        count = sum(p.numel() for p in gap_classifier(**options).parameters())
        solved = {"measure": f"{name}: solved", "value": int(np.sum(np.array(scores) > 0.95)), "seeds": len(scores)}
        sizes = {"measure": f"{name}: parameters", "value": count}
        results.record("multi_scale", [measured, solved, sizes], arguments.command)
        print(f"{name:36} {measured['value']:.3f} ± {measured['std']:.3f}", [round(s, 3) for s in scores], flush=True)
