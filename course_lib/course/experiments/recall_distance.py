"""Which of four symbols came 10 to 1,000 steps ago: gated and plain accumulators, a GRU, causal attention.

The task of `recurrent_memory` at longer distances. Models have 2,300 to 3,500 parameters, each begins with a map of the
five channels to its own width, and all are trained alike: fresh sequences, 32 a batch, with Adam at 0.01. Recorded is
the accuracy on 500 fresh sequences. About 7 CPU minutes a seed, of which the GRUs and attention take 5 at 1,000 steps.
"""

import course_lib.layers as sl
from course_lib.course.experiments.recurrent_memory import SYMBOLS, train, with_half_life
from course_lib.course.experiments.runner import Experiment, by_seed, grid
from course_lib.models import LastStepClassifier

DISTANCES = (10, 100, 300, 1000)
CHANNELS = SYMBOLS + 1


def _attention() -> sl.SequenceLayer:
    block = lambda: sl.EncoderBlock(16, 2, hidden_size=16, max_future_horizon=0, rotary=10_000.0)  # noqa: E731
    return sl.Sequential([sl.Dense(16, CHANNELS), sl.Repeat(block, 2)])


def _widened(memory: sl.SequenceLayer, width: int) -> sl.SequenceLayer:
    return sl.Sequential([sl.Dense(width, CHANNELS), memory])


MODELS = {  # name: the channels of the layer with the memory, distance → the layer
    "accumulator, input-dependent": (44, lambda distance: _widened(sl.Accumulator(44, 0.9, "input-dependent"), 44)),
    "accumulator, half-life": (
        44,
        lambda distance: _widened(sl.Accumulator(44, 0.5 ** (1 / distance), "input-dependent"), 44),
    ),
    "RG-LRU": (32, lambda distance: _widened(sl.RGLRU(32), 32)),
    "GRU": (24, lambda distance: sl.GRU(CHANNELS, 24)),
    "GRU, half-life": (24, lambda distance: with_half_life(sl.GRU(CHANNELS, 24), distance)),
    "causal attention": (16, lambda distance: _attention()),
}


def make(name: str, distance: int) -> LastStepClassifier:
    """A fresh model of `MODELS`: (B, T, 5) -> logits of the symbols (B, 4)."""
    width, memory = MODELS[name]
    return LastStepClassifier(memory(distance), width, SYMBOLS)


def measure(seed: int, name: str, distance: int, steps: int) -> dict[str, float]:
    return {"accuracy": train(lambda: make(name, distance), distance, seed, steps)[1]}


EXPERIMENT = Experiment(
    measure,
    settings=grid("{name}, {distance} steps", distance=DISTANCES, name=MODELS),
    cheapest="RG-LRU, 10 steps",
    options={"steps": (200, "batches of 32 sequences")},
    label="{setting}",
    details=by_seed,
)
