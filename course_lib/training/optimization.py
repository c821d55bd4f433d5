"""How the weights move: AdamW, the cosine schedule, a moving average, and the test that finds a rate."""

import copy
import math
from collections.abc import Callable, Iterable, Iterator

import pandas as pd
import torch
from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from course_lib.training.device import resolve_device, to_device
from course_lib.training.rng import capture, generators_of, restore
from course_lib.training.steps import checked, supervised_step


def adamw(
    parameters: Iterable[nn.Parameter],
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.98),
    weight_decay: float = 0.05,
) -> torch.optim.AdamW:
    """AdamW in two groups: parameters of two or more dimensions shrink by `weight_decay`, vectors and numbers do not.

    A bias or a norm's gain is one number a channel: pulling it to zero does not make the function simpler.
    Source: Loshchilov and Hutter 2019; the two groups as in Radford et al. 2018 (GPT), section 4.1.
    """
    parameters = list(parameters)
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=lr, betas=betas)


def cosine_with_warmup(optimizer: Optimizer, total_steps: int, *, warmup: float = 0.1, final: float = 0.0) -> LambdaLR:
    """From near 0 up to the optimiser's rate in a straight line, then down along half a cosine to `final` of it.

    total_steps: optimiser steps of the whole run.  warmup: the share of them that rises, in [0, 1).  final: the last
    step's rate as a share of the highest, in [0, 1].  Pass it to `fit(schedule=cosine_with_warmup)`, with other values
    as `functools.partial(cosine_with_warmup, warmup=0.05)`.
    Source: Loshchilov and Hutter 2017, eq. 5, without restarts.
    """
    if total_steps < 1:
        raise ValueError(f"total_steps: expected at least 1, got {total_steps}")
    if not 0 <= warmup < 1 or not 0 <= final <= 1:
        raise ValueError(f"expected warmup in [0, 1) and final in [0, 1], got {warmup} and {final}")
    rising = round(warmup * total_steps)

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        progress = min(1.0, (step - rising) / max(1, total_steps - 1 - rising))
        return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))

    return LambdaLR(optimizer, factor)


def moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """A copy of `model` that follows it: call `update_parameters(model)` after every step; the copy is `.module`.

    w̄ ← d w̄ + (1 - d) w, for floating-point weights and buffers; counters are copied. The decay grows from 1/10 as
    d = min(decay, (1 + n) / (10 + n)) with n updates done, so that the first random weights are soon forgotten.
    Raises ValueError where `decay` is not between 0 and 1.
    Sources: Polyak and Juditsky 1992; the growing decay as in TensorFlow's ExponentialMovingAverage.
    """
    if not 0 < decay < 1:
        raise ValueError(f"decay: expected a number between 0 and 1, got {decay}")

    def follow(averages, weights, updates) -> None:
        updates = int(updates)
        share = 1 - min(decay, (1 + updates) / (10 + updates))
        for average, weight in zip(averages, weights, strict=True):
            if average.is_floating_point():
                average.lerp_(weight.to(average.device), share)
            else:
                average.copy_(weight)

    with torch.no_grad():
        return AveragedModel(model, multi_avg_fn=follow, use_buffers=True)


def learning_rate_range(
    model: nn.Module,
    loader: Iterable,
    *,
    low: float = 1e-5,
    high: float = 1.0,
    steps: int = 100,
    loss: Callable | None = None,
    optimizer: Callable[[list], Optimizer] | None = None,
    stop: float = 4.0,
    device: str | torch.device = "auto",
) -> pd.DataFrame:
    """Train a copy of `model` for `steps` batches, the rate growing by a constant factor from `low` to `high`.

    loader: of (inputs, targets); it is passed over as often as needed.  loss: `loss(outputs, targets)` -> scalar; None:
    cross-entropy.  optimizer: a function of the list of trainable parameters; None: AdamW.  stop: the test ends early
    where the smoothed loss is more than `stop` times its smallest value so far, or the loss is not finite.
    Returns one row a step: learning_rate, loss (before the step at that rate), smoothed (moving average of about ten
    losses, corrected for its start). The useful rates lie where it falls, some way before it turns.
    `model` and the states of all generators that the loader or the model draws from are afterwards as they were before.
    Raises ValueError (rates, steps, an empty loader, a loss that is not finite at `low`).
    Source: Smith 2017, section 3.3; there the rate grows linearly.
    """
    if not 0 < low < high < math.inf:
        raise ValueError(f"low, high: expected 0 < low < high, got {low} and {high}")
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 2:
        raise ValueError(f"steps: expected an integer of at least 2, got {steps!r}")
    if not stop > 1:
        raise ValueError(f"stop: expected a number above 1, got {stop}")
    device = resolve_device(device)
    probe = copy.deepcopy(model).to(device).train()
    mover = (optimizer or AdamW)([p for p in probe.parameters() if p.requires_grad])
    step, generators = supervised_step(loss, {}), generators_of(loader)
    before = capture(device, generators)
    try:
        rows = _losses(probe, _endless(loader), step, mover, low, high, steps, stop, device)
    finally:
        restore(before, device, generators)
    if not rows:
        raise ValueError(f"loss: expected a finite value at the lowest rate, {low}; look for NaN in the first batch")
    return pd.DataFrame(rows)


def _losses(model, batches: Iterator, step, optimizer, low, high, steps, stop, device) -> list[dict]:
    rows, average, smallest = [], 0.0, math.inf
    for n in range(steps):
        rate = low * (high / low) ** (n / (steps - 1))
        for group in optimizer.param_groups:
            group["lr"] = rate
        value = checked(step(model, to_device(next(batches), device)))["loss"]
        if not math.isfinite(value.item()):
            break
        average = 0.9 * average + 0.1 * value.item()
        smoothed = average / (1 - 0.9 ** (n + 1))
        rows.append({"learning_rate": rate, "loss": value.item(), "smoothed": smoothed})
        smallest = min(smallest, smoothed)
        if smoothed > stop * smallest:
            break
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()
    return rows


def _endless(loader: Iterable) -> Iterator:
    while True:
        empty = True
        for batch in loader:
            empty = False
            yield batch
        if empty:
            raise ValueError("loader: expected at least one batch, got none")
