"""Accumulators of three kinds, an MLP, a GRU and causal attention name the last cue of a stream.

Streams of `StreamManager`, 250 steps, eight tokens, four of them cues. Two tasks: cues 10 to 30 steps apart, and 10 to
120. Every model has about 5,000 parameters and is trained on fresh streams, 16 a batch, with Adam at 0.005. Recorded
are the accuracy on 64 fresh streams, the parameters, and microseconds of CPU a step of one stream, one thread, the best
of five runs of 200 steps. About 80 CPU seconds a seed.
"""

import time

import torch

import course_lib.layers as sl
from course_lib.course.experiments._training import accuracy, fitted, over_steps, parameters, seeded
from course_lib.course.experiments.runner import Experiment, grid
from course_lib.data import StreamManager

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
    return seeded(seed, lambda: sl.Sequential(MODELS[name]()))


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


def measure(seed: int, updates: int, name: str, task: str = "") -> dict[str, float]:
    """Accuracy on fresh streams after one training; for no task, size and cost."""
    model = make(name, seed)
    if not task:
        return {"parameters": parameters(model), "µs a step": round(microseconds_a_step(model), 1)}
    streams = StreamManager(gaps=TASKS[task], seed=seed)
    batches = [streams.get_torch_batches(16, LENGTH) for _ in range(updates)]
    fitted(model, batches, 0.005, torch.optim.Adam, loss=over_steps, schedule=None)
    return {task: accuracy(model, *streams.get_torch_batches(64, LENGTH))}


EXPERIMENT = Experiment(
    measure,
    settings=grid("{name}", name=MODELS) | grid("{name}, {task}", name=MODELS, task=TASKS),
    once=MODELS,
    options={"updates": (400, "batches of 16 streams")},
    label="{name}: {what}",
    cheapest="MLP",
    unchecked="µs a step",
)
