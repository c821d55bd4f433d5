"""What makes a training step of the signal transformer faster on a CPU: fourteen changes beside the plain float32 loop.

The plain step is notebook 24's: `SignalTransformerConfig(num_classes=10)`, 2.3 M parameters, a batch of 32 signals of
1,024 steps, float32, AdamW as it comes, one thread. It and the step with one change take turns in one run, by the
process's clock, and a row is the median over the rounds of plain time over changed time, for one signal: above 1 the
change pays. `std` is the spread over rounds, not over machines. What a change does to the accuracy is not measured
here; three of them (no dropout, SiLU, another batch) train something else, and their names say so.

Takes about 8 CPU minutes, most of it for compiling.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional as F

from course_lib.course.experiments._speed import milliseconds_row, ratio_row, taken_in_turn, training_step
from course_lib.course.experiments.runner import Experiment, Found
from course_lib.layers import Mish, convolution
from course_lib.models import SignalSequenceTransformer, SignalTransformerConfig

BATCH = 32


def changed_step(
    batch: int = BATCH, weights: str = "float32", step: Mapping[str, Any] | None = None, **config: Any
) -> Callable[[], None]:
    """A training step.  weights: their type.  step: options of `training_step`.  config: of the model."""
    model = SignalSequenceTransformer(SignalTransformerConfig(num_classes=10, **config))
    return training_step(model.to(getattr(torch, weights)), batch, **step or {})


def measure(seed: int, rounds: int, batch: int = BATCH, **change: Any) -> dict[str, Any]:
    """The ratios of one change, and for a compiled model the seconds before its first step is done."""
    torch.manual_seed(seed)
    plain, changed = changed_step(), changed_step(batch, **change)
    found: dict[str, Any] = {}
    if change.get("step", {}).get("compiled"):
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
        row = ratio_row(f"{setting}: times as fast", cell["ratios"])
        made.append(row | {"seconds": round(cell["seconds"], 1)})
        if "seconds to compile" in cell:
            value = round(cell["seconds to compile"], 1)
            made.append({"measure": f"{setting}: CPU seconds until the first step is done", "value": value})
    plain = [seconds for (cell, *_) in found.values() for seconds in cell["plain"]]
    return [*made, milliseconds_row("the plain step, ms", plain)]


SILU = (Mish, "_values", lambda layer, values, training: F.silu(values))
CHANNELS_FIRST = (convolution, "_LONG", 10**9)  # steps from which a convolution sees (B, T, C) as an image
SETTINGS: dict[str, dict[str, Any]] = {
    "bfloat16 autocast": {"step": {"autocast": True}},
    "bfloat16 autocast, fused AdamW": {"step": {"autocast": True, "fused": True}},
    "bfloat16 autocast, no dropout (another training)": {"step": {"autocast": True}, "dropout": 0.0},
    "bfloat16 weights too": {"weights": "bfloat16"},
    "fused AdamW": {"step": {"fused": True}},
    "AdamW with foreach": {"step": {"foreach": True}},
    "convolutions over (B, C, T), not channels last": {"step": {"patches": (CHANNELS_FIRST,)}},
    "SiLU for Mish (another model)": {"step": {"patches": (SILU,)}},
    "no dropout (another training)": {"dropout": 0.0},
    "blocks computed again on the way back": {"gradient_checkpointing": True},
    "batch of 8, for one signal (another training)": {"batch": 8},
    "batch of 128, for one signal (another training)": {"batch": 128},
    "torch.compile": {"step": {"compiled": True}},
    "torch.compile, bfloat16 autocast": {"step": {"compiled": True, "autocast": True}},
}
EXPERIMENT = Experiment(
    measure,
    settings=SETTINGS,
    seeds=(0,),
    options={"rounds": (5, "steps of either loop that count")},
    rows=rows,
    cheapest="fused AdamW",
    unchecked="ms$|CPU seconds",
    threads=1,
)
