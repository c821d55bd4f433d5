"""Which of four symbols came 10 to 1,000 steps ago: gated and plain accumulators, a GRU, causal attention.

The task of `recurrent_memory` at longer distances. Models have 2,300 to 3,500 parameters, each begins with a map of the
five channels to its own width, and all are trained alike: fresh sequences, 32 a batch, with Adam at 0.01. About
7 CPU minutes a seed, of which the GRUs and attention take 5 at 1,000 steps.

Writes figures/results/recall_distance.csv: accuracy on 500 fresh sequences, mean and standard deviation over seeds,
and each seed's to detail/recall_distance_seeds.csv.
"""

import course_lib.layers as sl
from course_lib.course.experiments.recurrent_memory import SYMBOLS, half_life_bias, train
from course_lib.course.experiments.runner import Experiment, by_seed
from course_lib.models import LastStepClassifier

DISTANCES = (10, 100, 300, 1000)
CHANNELS = SYMBOLS + 1


def _attention(distance: int) -> tuple[sl.SequenceLayer, int]:
    block = lambda: sl.EncoderBlock(16, 2, hidden_size=16, max_future_horizon=0, rotary=10_000.0)  # noqa: E731
    return sl.Sequential([sl.Dense(16, CHANNELS), sl.Repeat(block, 2)]), 16


def _widened(memory: sl.SequenceLayer, width: int) -> tuple[sl.SequenceLayer, int]:
    return sl.Sequential([sl.Dense(width, CHANNELS), memory]), width


MODELS = {  # name: distance → the layer with the memory, and the channels that it gives
    "accumulator, input-dependent": lambda distance: _widened(sl.Accumulator(44, 0.9, "input-dependent"), 44),
    "accumulator, half-life": lambda distance: _widened(
        sl.Accumulator(44, 0.5 ** (1 / distance), "input-dependent"), 44
    ),
    "RG-LRU": lambda distance: _widened(sl.RGLRU(32), 32),
    "GRU": lambda distance: _gru(None),
    "GRU, half-life": lambda distance: _gru(distance),
    "causal attention": _attention,
}


def _gru(half_life: int | None) -> tuple[sl.SequenceLayer, int]:
    """With a half-life, the gate that keeps begins with it, as in `recurrent_memory`."""
    layer = sl.GRU(CHANNELS, 24)
    if half_life is not None and layer.bias_ih_l0 is not None and layer.bias_hh_l0 is not None:
        layer.bias_ih_l0.data[24:48] = half_life_bias(half_life)
        layer.bias_hh_l0.data[24:48] = 0.0
    return layer, 24


def make(name: str, distance: int) -> LastStepClassifier:
    """A fresh model of `MODELS`: (B, T, 5) -> logits of the symbols (B, 4)."""
    memory, width = MODELS[name](distance)
    return LastStepClassifier(memory, width, SYMBOLS)


def measure(seed: int, name: str, distance: int, steps: int) -> dict[str, float]:
    """Accuracy of one model after one training."""
    return {"accuracy": train(lambda: make(name, distance), distance, seed, steps)[1]}


EXPERIMENT = Experiment(
    measure,
    settings={
        f"{name}, {distance} steps": {"name": name, "distance": distance} for distance in DISTANCES for name in MODELS
    },
    cheapest="RG-LRU, 10 steps",
    options={"steps": (200, "batches of 32 sequences")},
    label="{setting}",
    details=by_seed,
)
