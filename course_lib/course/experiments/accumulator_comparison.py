"""Accumulators of three kinds, an MLP, a GRU and causal attention name the last cue of a stream.

Streams of `StreamManager`, 250 steps, eight tokens, four of them cues. Two tasks: cues 10 to 30 steps apart, and 10 to
120. Every model has about 5,000 parameters and is trained on fresh streams, 16 a batch, with Adam at 0.005. About
80 CPU seconds a seed.

Writes figures/results/accumulator_comparison.csv: accuracy on 64 fresh streams, mean and standard deviation over seeds;
parameters; microseconds of CPU a step of one stream, one thread, the best of five runs of 200 steps.
"""

import time

import torch
import torch.nn.functional as F

import course_lib.layers as sl
from course_lib.course.experiments.runner import Experiment
from course_lib.data import StreamManager
from course_lib.training import fit, predict
from course_lib.training.rng import isolated

TOKENS, CLASSES, LENGTH = 8, 4, 250
TASKS = {"cues 10 to 30 apart": (10, 30), "cues 10 to 120 apart": (10, 120)}


def _head(size: int) -> list[sl.SequenceLayer]:
    return [sl.Dense(64, size), sl.ReLU(), sl.Dense(64, 64), sl.ReLU(), sl.Dense(CLASSES, 64)]


def _attention() -> list[sl.SequenceLayer]:
    """One block: attention over the last 128 steps with relative positions, and a feed-forward layer."""
    position = sl.T5RelativePositionBias(2, 16, 128)
    attention = sl.DotProductSelfAttention(24, 2, 12, max_past_horizon=128, relative_position=position)
    feed_forward = [sl.LayerNorm(24), sl.Dense(48, 24), sl.ReLU(), sl.Dense(24, 48)]
    return [
        sl.Dense(24, TOKENS),
        sl.Residual(sl.Sequential([sl.LayerNorm(24), attention, sl.Dense(24, 24)])),
        sl.Residual(sl.Sequential(feed_forward)),
        sl.Dense(CLASSES, 24),
    ]


MODELS = {  # name: layers over (B, T, 8) that give logits (B, T, 4)
    "MLP": lambda: _head(TOKENS),
    "accumulator, fixed 0.9": lambda: [sl.Accumulator(TOKENS, 0.9), *_head(TOKENS)],
    "accumulator, learned": lambda: [sl.Accumulator(TOKENS, 0.9, "learned"), *_head(TOKENS)],
    "accumulator, input-dependent": lambda: [sl.Accumulator(TOKENS, 0.9, "input-dependent"), *_head(TOKENS)],
    "GRU": lambda: [sl.GRU(TOKENS, 36), sl.Dense(CLASSES, 36)],
    "causal attention": _attention,
}


def make(name: str, seed: int = 0) -> sl.Sequential:
    """A fresh model of that name, its weights drawn from `seed`."""
    with isolated(seed, torch.device("cpu")):
        return sl.Sequential(MODELS[name]())


def over_time(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of logits (B, T, C) against targets (B, T)."""
    return F.cross_entropy(logits.transpose(1, 2), targets)


def train(name: str, gaps: tuple[int, int], seed: int, updates: int) -> tuple[sl.Sequential, float]:
    """The model after `updates` batches, and its accuracy on streams that it has not seen."""
    model, streams = make(name, seed), StreamManager(gaps=gaps, seed=seed)
    batches = [streams.get_torch_batches(16, LENGTH) for _ in range(updates)]
    adam = torch.optim.Adam(model.parameters(), lr=0.005)
    fit(model, batches, epochs=1, loss=over_time, optimizer=adam, clip_norm=1.0, device="cpu", progress=False)
    x, y = streams.get_torch_batches(64, LENGTH)
    return model, float((predict(model, x, device="cpu").argmax(-1) == y.numpy()).mean())


@torch.no_grad()
def microseconds_a_step(model: sl.SequenceLayer, steps: int = 200, rounds: int = 5) -> float:
    """CPU time of one step of one stream, one thread, the state passed on from step to step: the best of `rounds`."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    blocks = [sl.Sequence.of(x) for x in torch.randn(steps, 1, 1, TOKENS, generator=torch.Generator().manual_seed(0))]
    best = float("inf")
    for _ in range(rounds):
        state = model.initial_state(1, blocks[0].spec)
        started = time.process_time()
        for block in blocks:
            _, state = model.step(block, state, training=False)
        best = min(best, time.process_time() - started)
    torch.set_num_threads(threads)
    return 1e6 * best / steps


def size_and_cost(name: str) -> dict[str, float]:
    """What needs no training: parameters, and µs a step."""
    model = make(name)
    model(torch.zeros(1, 1, TOKENS))
    return {"parameters": sum(p.numel() for p in model.parameters()), "µs a step": round(microseconds_a_step(model), 1)}


def measure(seed: int, name: str, task: str, updates: int) -> dict[str, float]:
    """Accuracy on fresh streams; for no task, size and cost."""
    return {task: train(name, TASKS[task], seed, updates)[1]} if task else size_and_cost(name)


EXPERIMENT = Experiment(
    measure,
    settings={f"{name}{task and ', '}{task}": {"name": name, "task": task} for name in MODELS for task in ("", *TASKS)},
    once=MODELS,
    options={"updates": (400, "batches of 16 streams")},
    label="{name}: {what}",
    cheapest="MLP",
    unchecked="µs a step",
)
