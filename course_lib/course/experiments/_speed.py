"""What the runs on speed share: one training step of the signal transformer, and two kinds of work timed in turn."""

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import torch
from torch import nn
from torch.nn import functional as F

from course_lib.course.experiments import results

LENGTH = 1_024  # steps of a signal


def training_step(
    model: nn.Module,
    batch: int,
    autocast: bool = False,
    compiled: bool = False,
    patches: tuple[tuple[Any, str, Any], ...] = (),
    **optimizer: Any,
) -> Callable[[], None]:
    """A function that takes one step on made-up signals: forward, cross-entropy, backward, AdamW.

    autocast: to bfloat16.  patches: (object, attribute, value) that hold during a step.  optimizer: options of AdamW.
    """
    device = next(model.parameters()).device
    network = torch.compile(model) if compiled else model
    adamw = torch.optim.AdamW(model.parameters(), lr=1e-4, **optimizer)
    x, y = torch.randn(batch, LENGTH, device=device), torch.randint(10, (batch,), device=device)
    model.train()

    def step() -> None:
        with ExitStack() as stack:
            for where, name, value in patches:
                stack.enter_context(patch.object(where, name, value))
            with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
                loss = F.cross_entropy(network(x).float(), y)
            adamw.zero_grad()
            loss.backward()
            adamw.step()

    return step


def taken_in_turn(one: Callable[[], None], other: Callable[[], None], rounds: int) -> tuple[list[float], list[float]]:
    """CPU seconds of `rounds` calls of either, neighbours in time, after one call of each that does not count."""
    pair = (one, other)
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        for which in (0, 1) if turn % 2 else (1, 0):
            started = time.process_time()
            pair[which]()
            if turn:
                times[which].append(time.process_time() - started)
    return times


def ratio_row(measure: str, ratios: list[float]) -> dict[str, Any]:
    """A row of the median over rounds, and the spread over them."""
    return {"measure": measure, "value": round(statistics.median(ratios), 3), "std": results.spread(ratios)}


def milliseconds_row(measure: str, seconds: list[float]) -> dict[str, Any]:
    return {"measure": measure, "value": round(1e3 * statistics.median(seconds), 1)}
