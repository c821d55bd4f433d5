"""The learning-rate range test: a short run in which the rate grows until training breaks."""

import copy
import math
from collections.abc import Callable, Iterable, Iterator

import pandas as pd
import torch
from torch import nn
from torch.optim import AdamW, Optimizer

from course_lib.training.device import resolve_device, to_device
from course_lib.training.rng import capture, generators_of, restore
from course_lib.training.steps import checked, supervised_step


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
