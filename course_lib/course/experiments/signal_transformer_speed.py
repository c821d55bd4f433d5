"""Speed of the signal transformer: a training step beside PyTorch's own encoder layers, and sequences a second.

One signal is 1,024 steps long; `SignalTransformerConfig(num_classes=10)`, 2.3 M parameters, dropout 0.1 as it comes.

The comparison swaps the six encoder blocks for six `nn.TransformerEncoderLayer` (pre-norm, GELU, the width of the
hidden layer chosen for equal parameters, the same dropout) and leaves all else: convolutions, tokens, pooling. One step
is forward, cross-entropy, backward and AdamW on a batch of 32 in float32 with one thread; the two models take turns in
one run, and a row is the median of the ratios of neighbours, torch's time over ours: 1.0 or more means not slower.

The table has training steps and inference at batch 32, 128 and 256 with two threads, in float32 and under bfloat16
autocast: the best of the repetitions by the wall clock, in sequences a second, and the largest memory that a process
of its own took for it, above what it held before (MiB).

Takes about 3 minutes on two idle cores; the numbers of a busy machine are too low.
"""

import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import torch
from torch import nn

from course_lib.course.experiments._speed import LENGTH, milliseconds_row, ratio_row, taken_in_turn, training_step
from course_lib.course.experiments._training import parameters
from course_lib.course.experiments.runner import Experiment, Found, grid, mean_rows
from course_lib.models import SignalSequenceTransformer, SignalTransformerConfig


def with_torch_blocks(config: SignalTransformerConfig) -> SignalSequenceTransformer:
    """The signal transformer with PyTorch's encoder layers, as near to its number of parameters as their width lets."""
    model = SignalSequenceTransformer(config)
    d = config.model_dim
    wanted = parameters(model.encoder[0])
    hidden = round((wanted - 4 * d * d - 9 * d) / (2 * d + 1))  # attention, two norms and the second bias are fixed
    options = {"activation": "gelu", "batch_first": True, "norm_first": True}
    blocks = [
        nn.TransformerEncoderLayer(d, config.num_heads, hidden, config.dropout, **options)
        for _ in range(config.num_layers)
    ]
    for block in blocks:  # the model calls `layer`, a Sequence in and out
        block.layer = lambda x, block=block: x.with_values(block(x.values))
    model.encoder = nn.ModuleList(blocks)
    return model


def compare_steps(batch: int = 32, rounds: int = 10) -> dict:
    """CPU seconds of the steps of either model, "ours" and "theirs", taken in turn."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    config = SignalTransformerConfig(num_classes=10)
    steps = [training_step(model, batch) for model in (SignalSequenceTransformer(config), with_torch_blocks(config))]
    ours, theirs = taken_in_turn(*steps, rounds)
    torch.set_num_threads(threads)
    return {"ours": ours, "theirs": theirs}


def work_of(batch: int, dtype: str, mode: str, threads: int, budget: float) -> tuple[float, float]:
    """Best wall-clock seconds of a step or of one batch's inference, and MiB taken, in this process."""
    torch.set_num_threads(threads)
    model = SignalSequenceTransformer(SignalTransformerConfig(num_classes=10))
    if mode == "training":
        work = training_step(model, batch, autocast=dtype == "bfloat16")
    else:
        x = torch.randn(batch, LENGTH)
        model.eval()

        @torch.inference_mode()
        def work():
            with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
                model(x)

    before = _memory("VmRSS")
    work()
    best, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < budget:
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best, _memory("VmHWM") - before


def in_process(*arguments: Any) -> tuple[float, float]:
    """`work_of` in a process of its own, whose memory is nobody else's."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work_of, *arguments).result()


def _memory(entry: str) -> float:
    """MiB that this process holds now ("VmRSS") or has held at most ("VmHWM"), as Linux tells; NaN elsewhere."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file)
        return int(lines[entry].split()[0]) / 1024
    except (OSError, KeyError):
        return float("nan")


def measure(
    seed: int, threads: int, budget: float, what: str = "work", batch: int = 0, dtype: str = "", mode: str = ""
) -> dict:
    """The parameters of both models; steps of both, taken in turn; or one kind of work in a process of its own."""
    config = SignalTransformerConfig(num_classes=10)
    if what == "parameters":
        models = {"course's": SignalSequenceTransformer(config), "PyTorch's": with_torch_blocks(config)}
        return {f"{name} blocks": parameters(model) for name, model in models.items()}
    if what == "steps":
        return compare_steps()
    seconds, mebibytes = in_process(batch, dtype, mode, threads, budget)
    return {"sequences a second": round(batch / seconds, 1), "peak memory, MiB": float(round(mebibytes))}


def rows(found: Found) -> list[dict]:
    """Medians of the comparison, and what the others measured."""
    made, others = [], dict(found)
    for cell in others.pop("steps", ()):
        ratios = [theirs / ours for ours, theirs in zip(cell["ours"], cell["theirs"], strict=True)]
        made.append(ratio_row("training step, times as fast as PyTorch's blocks", ratios))
        made.append(milliseconds_row("training step, course's blocks, ms", cell["ours"]))
        made.append(milliseconds_row("training step, PyTorch's blocks, ms", cell["theirs"]))
    if "parameters" in others:
        made += mean_rows({"parameters": others.pop("parameters")}, "{setting}, {what}")
    return made + mean_rows(others, "{what}: {setting}")


MODES, DTYPES = ("training", "inference"), ("float32", "bfloat16")
EXPERIMENT = Experiment(
    measure,
    settings={"steps": {"what": "steps"}, "parameters": {"what": "parameters"}}
    | grid("{mode}, batch {batch}, {dtype}", batch=(32, 128, 256), dtype=DTYPES, mode=MODES),
    seeds=(0,),
    options={"threads": (2, "of the table's runs"), "budget": (6.0, "seconds that each is repeated for")},
    rows=rows,
    cheapest="parameters",
    unchecked="a second|MiB|step",
)
