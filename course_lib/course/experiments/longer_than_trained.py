"""Trained at length L, tested at 2L and 4L: rotary, sinusoidal, learned and other positions, on two tasks.

"echo": name, at every step, the symbol (one of 8) that came five steps before; L = 16. "speakers": say at every step
of a noisy conversation joined from JapaneseVowels utterances who is speaking; L = 32 steps of 6.4 ms. One small
transformer of two pre-norm layers for each kind of positions, trained on fresh batches of 32 with Adam; every step may
see every other one unless the name says otherwise. Recorded is the accuracy. One to two CPU minutes a seed.
"""

import copy
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.course.experiments import look_ahead
from course_lib.course.experiments._training import fitted, over_steps, seeded
from course_lib.course.experiments.runner import Experiment, by_measure, grid
from course_lib.models import StepLabeller

SYMBOLS, DELAY = 8, 5
LENGTHS = {"echo": 16, "speakers": 32}  # L, in steps
STEPS = {"echo": 500, "speakers": 200}  # training batches of the recorded run
TEST_SEED = 99  # of the test sequences, the same for every model


def echo(count: int, length: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """One-hot symbols (count, length, 8), and at each step the symbol of five steps before, (count, length) int64.

    The first five steps have no answer: -100, which the loss and the accuracy pass over.
    """
    symbols = torch.randint(SYMBOLS, (count, length), generator=generator)
    answers = F.pad(symbols, (DELAY, 0), value=-100)[:, :length]
    return F.one_hot(symbols, SYMBOLS).float(), answers


def sequences(task: str, count: int, length: int, generator: torch.Generator, split: str = "train"):
    """(x, answers) of the task "echo" or "speakers": (count, length, C) and (count, length)."""
    if task == "echo":
        return echo(count, length, generator)
    return look_ahead.conversations(*look_ahead.load_speakers(split), count, length, 1.0, generator)[:2]


def train(task: str, encoding: str, seed: int, steps: int) -> StepLabeller:
    """A labeller after `steps` batches of 32 fresh sequences of length L; `seed` decides weights and sequences."""
    generator, length = torch.Generator().manual_seed(seed), LENGTHS[task]
    batches = [sequences(task, 32, length, generator) for _ in range(steps)]
    classes = SYMBOLS if task == "echo" else look_ahead.SPEAKERS

    def trained() -> StepLabeller:
        model = StepLabeller(encoding, batches[0][0].shape[2], classes, length, 2)
        return fitted(model, batches, 5e-3, torch.optim.Adam, loss=over_steps, schedule=look_ahead.one_cycle)

    return seeded(seed, trained)


def right_steps(model: nn.Module, task: str, times: int) -> Tensor:
    """(N, T), T = times · L: 1.0 where a test step is named rightly, 0.0 where not, NaN where it has no answer."""
    x, answers = sequences(task, 64, times * LENGTHS[task], torch.Generator().manual_seed(TEST_SEED), "test")
    with torch.no_grad():
        right = (model(x).argmax(dim=-1) == answers).float()
    return right.masked_fill(answers < 0, torch.nan)


def stretched(model: StepLabeller, train_length: int, length: int) -> StepLabeller:
    """A copy of a "learned" model whose first `train_length` positions are drawn out linearly over `length` steps."""
    model = copy.deepcopy(model)
    rows = model.positions.weight[:train_length].detach().T[None]  # (1, StepLabeller.WIDTH, L)
    drawn_out = F.interpolate(rows, size=length, mode="linear", align_corners=True)  # (1, StepLabeller.WIDTH, length)
    model.positions.weight = nn.Parameter(drawn_out[0].T.contiguous())
    return model


def with_horizon(model: StepLabeller, horizon: int) -> StepLabeller:
    """A copy of the model, its weights as they are, in which no step sees further than `horizon` steps."""
    model = copy.deepcopy(model)
    for block in model.blocks:
        block.attention.past = block.attention.future = horizon
    return model


def measure(seed: int, task: str, encoding: str, steps: int) -> dict[str, float]:
    """Accuracy of a trained model at L, 2L and 4L, and after what can be changed in the test.  steps: 0 for `STEPS`."""
    scores, length = {}, LENGTHS[task]
    model = train(task, encoding, seed, steps or STEPS[task])
    for times in (1, 2, 4):
        variants = {encoding: model}
        if encoding == "learned":
            variants["learned, stretched in the test"] = stretched(model, length, times * length)
        if encoding == "rotary":
            variants["rotary, horizon L − 1 in the test"] = with_horizon(model, length - 1)
        for name, variant in variants.items():
            scores[f"{task}: {name}: {times} L"] = right_steps(variant, task, times).nanmean().item()
    return scores


EXPERIMENT = Experiment(
    measure,
    settings=grid("{task}: {encoding}", task=LENGTHS, encoding=StepLabeller.ENCODINGS),
    cheapest="speakers: none",
    seeds=range(6),
    details=partial(by_measure, value="accuracy"),
    options={"steps": (0, f"training batches, 0: {STEPS}")},
    label="{what}",
    source="JapaneseVowels and generated",
    load=look_ahead.load_splits,
)
