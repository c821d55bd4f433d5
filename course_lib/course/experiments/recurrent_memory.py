"""Which of four symbols came 10, 40 or 100 steps ago: RNN, GRU and LSTM of one size, with several starts.

A sequence of noise shows one of four symbols at one of its first five steps; after the last step the model names it.
Models have about 1,550 parameters each and are trained on fresh sequences, 32 a batch, with Adam at 0.01. Recorded is
the accuracy on 500 fresh sequences. About 2 CPU minutes a seed.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

import course_lib.layers as sl
from course_lib.course.experiments._training import accuracy, fitted, seeded
from course_lib.course.experiments.runner import Experiment, by_seed, grid
from course_lib.models import LastStepClassifier

SYMBOLS = 4
FIRST_STEPS = 5  # the symbol comes at one of these
DISTANCES = (10, 40, 100)
STARTS = {  # name: (layer, hidden_size, how the weights begin)
    "RNN": (sl.VanillaRNN, 34, "default"),
    "RNN, orthogonal": (sl.VanillaRNN, 34, "orthogonal"),
    "GRU": (sl.GRU, 19, "default"),
    "GRU, half-life": (sl.GRU, 19, "half-life"),
    "LSTM": (sl.LSTM, 16, "default"),
    "LSTM, half-life": (sl.LSTM, 16, "half-life"),
}


def memory_batch(batch_size: int, distance: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Sequences (B, distance + 5, 5) and the symbol that each of them showed, (B,) integers from 0 to 3.

    Channels 0 to 3 are zero except where the symbol is shown: its channel is 1 at one of the first five steps, at least
    `distance` steps before the end. Channel 4 is standard normal noise.
    """
    x = torch.zeros(batch_size, distance + FIRST_STEPS, SYMBOLS + 1)
    symbols = torch.randint(SYMBOLS, (batch_size,), generator=generator)
    shown_at = torch.randint(FIRST_STEPS, (batch_size,), generator=generator)
    x[torch.arange(batch_size), shown_at, symbols] = 1.0
    x[..., SYMBOLS] = torch.randn(x.shape[:2], generator=generator)
    return x, symbols


def half_life_bias(steps: float) -> float:
    """The bias b at which a gate σ(b) halves what it keeps once every `steps` steps: σ(b) ** steps = 1/2."""
    keep = 2.0 ** (-1.0 / steps)
    return math.log(keep / (1.0 - keep))


def with_half_life(layer: sl.GRU | sl.LSTM, steps: float) -> sl.GRU | sl.LSTM:
    """The layer, its gate that keeps (z of the GRU, f of the LSTM: the second one) begun with this half-life."""
    keeps = slice(layer.hidden_size, 2 * layer.hidden_size)
    with torch.no_grad():
        layer.bias_ih_l0[keeps] = half_life_bias(steps)
        layer.bias_hh_l0[keeps] = 0.0
    return layer


def recaller(name: str, distance: int) -> LastStepClassifier:
    """A model of `STARTS`: (B, T, 5) -> logits of the symbols (B, 4).  distance: the half-life where one is set."""
    layer, hidden_size, start = STARTS[name]
    model = LastStepClassifier(layer(SYMBOLS + 1, hidden_size), hidden_size, SYMBOLS)
    if start == "orthogonal":
        nn.init.orthogonal_(model.recurrent.weight_hh_l0)
    if start == "half-life":
        with_half_life(model.recurrent, distance)
    return model


def train(
    make: Callable[[], LastStepClassifier], distance: int, seed: int, steps: int
) -> tuple[LastStepClassifier, float]:
    """What `make` makes, after `steps` batches, and its accuracy on 500 sequences that it has not seen."""
    generator = torch.Generator().manual_seed(seed)
    batches = [memory_batch(32, distance, generator) for _ in range(steps)]
    model = fitted(seeded(seed, make), batches, 0.01, torch.optim.Adam, schedule=None)
    return model, accuracy(model, *memory_batch(500, distance, generator))


def train_recaller(name: str, distance: int, seed: int, steps: int) -> tuple[LastStepClassifier, float]:
    """A model of `STARTS`, trained at the distance that its start is made for, and its accuracy."""
    return train(lambda: recaller(name, distance), distance, seed, steps)


def measure(seed: int, name: str, distance: int, steps: int) -> dict[str, float]:
    return {"accuracy": train_recaller(name, distance, seed, steps)[1]}


EXPERIMENT = Experiment(
    measure,
    settings=grid("{name}, {distance} steps", distance=DISTANCES, name=STARTS),
    cheapest="GRU, half-life, 10 steps",
    seeds=(0, 1, 2, 3, 4),
    options={"steps": (1000, "batches of 32 sequences")},
    label="{setting}",
    details=by_seed,
)
