"""Speed of the signal transformer: a training step beside PyTorch's own encoder layers, and sequences a second.

One signal is 1,024 steps long; `SignalTransformerConfig(num_classes=10)`, 2.3 M parameters, dropout 0.1 as it comes.

The comparison swaps the six encoder blocks for six `nn.TransformerEncoderLayer` (pre-norm, GELU, the width of the
hidden layer chosen for equal parameters, the same dropout) and leaves all else: convolutions, tokens, pooling. One step
is forward, cross-entropy, backward and AdamW on a batch of 32 in float32 with one thread; the two models take turns in
one run, and a row is the median of the ratios of neighbours, torch's time over ours: 1.0 or more means not slower.

The table has training steps and inference at batch 32, 128 and 256 with two threads, in float32 and under bfloat16
autocast: the best of the repetitions by the wall clock, in sequences a second, and the largest memory that a process
of its own took for it, above what it held before (MiB).

Takes about 3 minutes on two idle cores; the numbers of a busy machine are too low. Writes
figures/results/signal_transformer_speed.csv.
"""

import json
import statistics
import subprocess
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

from course_lib.course.experiments import results
from course_lib.models import SignalSequenceTransformer, SignalTransformerConfig

LENGTH = 1_024
BATCHES = (32, 128, 256)
DTYPES = ("float32", "bfloat16")


def add_arguments(parser) -> None:
    parser.add_argument("--threads", type=int, default=2, help="of the table's runs (default: 2)")
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES, help="(default: 32 128 256)")
    parser.add_argument("--note", default="", help="added to every measure's name, such as ', machine shared'")


def run(arguments) -> None:
    rows = [row | {"measure": row["measure"] + arguments.note} for row in compare_steps()]
    results.record("signal_transformer_speed", rows, arguments.command)
    for batch in arguments.batches:
        for dtype in DTYPES:
            for mode in ("training", "inference"):
                seconds, mebibytes = _in_process(batch, dtype, mode, arguments.threads)
                name = f"{mode}, batch {batch}, {dtype}"
                rows = [
                    {"measure": f"sequences a second: {name}{arguments.note}", "value": round(batch / seconds, 1)},
                    {"measure": f"peak memory, MiB: {name}{arguments.note}", "value": round(mebibytes)},
                ]
                results.record("signal_transformer_speed", rows, arguments.command)
                print(f"{name}: {batch / seconds:.1f} sequences/s, {mebibytes:.0f} MiB", flush=True)


def with_torch_blocks(config: SignalTransformerConfig) -> SignalSequenceTransformer:
    """The signal transformer with PyTorch's encoder layers, as near to its number of parameters as their width lets."""
    model = SignalSequenceTransformer(config)
    d = config.model_dim
    wanted = sum(p.numel() for p in model.encoder[0].parameters())
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


def training_step(model: nn.Module, batch: int, dtype: str = "float32"):
    """A function that takes one training step on made-up data."""
    x, y = torch.randn(batch, LENGTH), torch.randint(10, (batch,))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    model.train()

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            loss = F.cross_entropy(model(x).float(), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def compare_steps(batch: int = 32, rounds: int = 10) -> list[dict]:
    """Rows: milliseconds of CPU time a step of either model, and how many times as fast ours is."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    config = SignalTransformerConfig(num_classes=10)
    models = [SignalSequenceTransformer(config), with_torch_blocks(config)]
    steps = [training_step(model, batch) for model in models]
    times = [[], []]
    for turn in range(rounds + 1):
        for i in (0, 1) if turn % 2 else (1, 0):
            started = time.process_time()
            steps[i]()
            if turn:  # the first round warms up
                times[i].append(time.process_time() - started)
    torch.set_num_threads(threads)
    sizes = [sum(p.numel() for p in model.parameters()) for model in models]
    ratios = [theirs / ours for ours, theirs in zip(*times, strict=True)]
    rows = [
        {"measure": f"training step, {name}, ms", "value": round(1e3 * statistics.median(taken), 1)}
        for name, taken in zip(("course's blocks", "PyTorch's blocks"), times, strict=True)
    ]
    rows += [
        {"measure": f"parameters, {name}", "value": size}
        for name, size in zip(("course's blocks", "PyTorch's blocks"), sizes, strict=True)
    ]
    ratio = {"measure": "training step, times as fast as PyTorch's blocks"}
    return [ratio | {"value": round(statistics.median(ratios), 3), "std": round(statistics.stdev(ratios), 3)}, *rows]


def measure(batch: int, dtype: str, mode: str, threads: int, budget: float = 6.0) -> tuple[float, float]:
    """Best wall-clock seconds of a step or of one batch's inference, and MiB taken, in this process."""
    torch.set_num_threads(threads)
    model = SignalSequenceTransformer(SignalTransformerConfig(num_classes=10))
    if mode == "training":
        work = training_step(model, batch, dtype)
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


def _in_process(batch: int, dtype: str, mode: str, threads: int) -> tuple[float, float]:
    code = (
        "import json; from course_lib.course.experiments.signal_transformer_speed import measure; "
        f"print(json.dumps(measure({batch}, {dtype!r}, {mode!r}, {threads})))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return tuple(json.loads(found.stdout.splitlines()[-1]))


def _memory(entry: str) -> float:
    """MiB that this process holds now ("VmRSS") or has held at most ("VmHWM"), as Linux tells; NaN elsewhere."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file)
        return int(lines[entry].split()[0]) / 1024
    except (OSError, KeyError):
        return float("nan")
