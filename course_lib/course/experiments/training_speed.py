"""What makes a training step of the signal transformer faster on a CPU: fourteen changes beside the plain float32 loop.

The plain step is notebook 24's: `SignalTransformerConfig(num_classes=10)`, 2.3 M parameters, a batch of 32 signals of
1,024 steps, float32, AdamW as it comes, one thread. It and the step with one change take turns in one run, by the
process's clock, and a row is the median over the rounds of plain time over changed time, for one signal: above 1 the
change pays. `std` is the spread over rounds, not over machines. What a change does to the accuracy is not measured
here; three of them (no dropout, SiLU, another batch) train something else, and their names say so.

Takes about 8 CPU minutes, most of it for compiling. Writes figures/results/training_speed.csv.
"""

import os
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import torch
from torch.nn import functional as F

from course_lib.course.experiments import results
from course_lib.course.experiments.runner import Experiment, Found
from course_lib.layers import Mish, convolution
from course_lib.models import SignalSequenceTransformer, SignalTransformerConfig

LENGTH, BATCH = 1_024, 32


def training_step(
    batch: int = BATCH,
    autocast: bool = False,
    weights: str = "float32",
    optimizer: dict[str, Any] | None = None,
    compiled: bool = False,
    patches: tuple[tuple[Any, str, Any], ...] = (),
    **config: Any,
) -> Callable[[], None]:
    """A function that takes one step on made-up signals: forward, cross-entropy, backward, AdamW.

    patches: (object, attribute, value) that hold during a step.  config: of the model.
    """
    model = SignalSequenceTransformer(SignalTransformerConfig(num_classes=10, max_signal_length=LENGTH, **config))
    model.to(getattr(torch, weights)).train()
    network = torch.compile(model) if compiled else model
    adamw = torch.optim.AdamW(model.parameters(), lr=1e-4, **(optimizer or {}))
    x, y = torch.randn(batch, LENGTH), torch.randint(10, (batch,))

    def step() -> None:
        with ExitStack() as stack:
            for where, name, value in patches:
                stack.enter_context(patch.object(where, name, value))
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                loss = F.cross_entropy(network(x).float(), y)
            adamw.zero_grad()
            loss.backward()
            adamw.step()

    return step


def taken_in_turn(
    plain: Callable[[], None], changed: Callable[[], None], rounds: int
) -> tuple[list[float], list[float]]:
    """CPU seconds of `rounds` calls of either, neighbours in time, after one call of each that does not count."""
    pair = (plain, changed)
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        for which in (0, 1) if turn % 2 else (1, 0):
            started = time.process_time()
            pair[which]()
            if turn:
                times[which].append(time.process_time() - started)
    return times


def measure(seed: int, rounds: int, batch: int = BATCH, **change: Any) -> dict[str, Any]:
    """The ratios of one change, and for a compiled model the seconds before its first step is done."""
    torch.manual_seed(seed)
    plain, changed = training_step(), training_step(batch, **change)
    found: dict[str, Any] = {}
    if change.get("compiled"):
        started = sum(os.times()[:4])  # of this process and of the compilers that it starts
        with torch.compiler.config.patch(force_disable_caches=True):
            changed()
        found["seconds to compile"] = sum(os.times()[:4]) - started
    slow, fast = taken_in_turn(plain, changed, rounds)
    ratios = [(one / BATCH) / (other / batch) for one, other in zip(slow, fast, strict=True)]
    return found | {"ratios": ratios, "plain": slow}


def rows(found: Found) -> list[dict]:
    """A row for each change, and the plain step's time over all rounds."""
    made = []
    for setting, (cell, *_) in found.items():
        row = {"measure": f"{setting}: times as fast", "value": round(statistics.median(cell["ratios"]), 3)}
        made.append(row | {"std": results.spread(cell["ratios"]), "seconds": round(cell["seconds"], 1)})
        if "seconds to compile" in cell:
            value = round(cell["seconds to compile"], 1)
            made.append({"measure": f"{setting}: CPU seconds until the first step is done", "value": value})
    plain = [seconds for (cell, *_) in found.values() for seconds in cell["plain"]]
    made.append({"measure": "the plain step, ms", "value": round(1e3 * statistics.median(plain), 1)})
    return made


SILU = (Mish, "_values", lambda layer, values, training: F.silu(values))
CHANNELS_FIRST = (convolution, "_LONG", 10**9)  # steps from which a convolution sees (B, T, C) as an image
SETTINGS: dict[str, dict[str, Any]] = {
    "bfloat16 autocast": {"autocast": True},
    "bfloat16 autocast, fused AdamW": {"autocast": True, "optimizer": {"fused": True}},
    "bfloat16 autocast, no dropout (another training)": {"autocast": True, "dropout": 0.0},
    "bfloat16 weights too": {"weights": "bfloat16"},
    "fused AdamW": {"optimizer": {"fused": True}},
    "AdamW with foreach": {"optimizer": {"foreach": True}},
    "convolutions over (B, C, T), not channels last": {"patches": (CHANNELS_FIRST,)},
    "SiLU for Mish (another model)": {"patches": (SILU,)},
    "no dropout (another training)": {"dropout": 0.0},
    "blocks computed again on the way back": {"gradient_checkpointing": True},
    "batch of 8, for one signal (another training)": {"batch": 8},
    "batch of 128, for one signal (another training)": {"batch": 128},
    "torch.compile": {"compiled": True},
    "torch.compile, bfloat16 autocast": {"compiled": True, "autocast": True},
}
EXPERIMENT = Experiment(
    measure,
    settings=SETTINGS,
    seeds=(0,),
    options={"rounds": (5, "steps of either loop that count")},
    rows=rows,
    cheapest="fused AdamW",
    threads=1,
)
