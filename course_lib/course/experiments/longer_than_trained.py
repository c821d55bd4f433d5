"""Trained at length L, tested at 2L and 4L: rotary, sinusoidal, learned and other positions, on two tasks.

"echo": name, at every step, the symbol (one of 8) that came five steps before; L = 16. "speakers": say at every step
of a noisy conversation joined from JapaneseVowels utterances who is speaking; L = 32 steps of 6.4 ms. One small
transformer of two pre-norm layers for each kind of positions, trained on fresh batches of 32 with Adam; every step may
see every other one unless the name says otherwise. A few CPU minutes a seed.

Writes figures/results/longer_than_trained.csv: accuracy at L, 2L and 4L, mean and standard deviation over seeds.
"""

import copy
import functools
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import course_lib.layers as sl
from course_lib.course.experiments import look_ahead, results
from course_lib.models import StepLabeller
from course_lib.training import fit
from course_lib.training.rng import isolated

SYMBOLS, DELAY = 8, 5
LENGTHS = {"echo": 16, "speakers": 32}  # L, in steps
STEPS = {"echo": 500, "speakers": 200}  # training batches of the recorded run
TEST_SEED = 99  # of the test sequences, the same for every model
ENCODINGS = StepLabeller.ENCODINGS


def echo(count: int, length: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """One-hot symbols (count, length, 8), and at each step the symbol of five steps before, (count, length) int64.

    The first five steps have no answer: -100, which the loss and the accuracy pass over.
    """
    symbols = torch.randint(SYMBOLS, (count, length), generator=generator)
    answers = F.pad(symbols, (DELAY, 0), value=-100)[:, :length]
    return F.one_hot(symbols, SYMBOLS).float(), answers


load_speakers = functools.cache(look_ahead.load_speakers)  # read once, not once a batch


def sequences(task: str, count: int, length: int, generator: torch.Generator, split: str = "train"):
    """(x, answers) of the task "echo" or "speakers": (count, length, C) and (count, length)."""
    if task == "echo":
        return echo(count, length, generator)
    talk = look_ahead.conversations(*load_speakers(split), count, length, 1.0, generator)
    return talk[0], talk[1]


def train(task: str, encoding: str, seed: int, steps: int, num_layers: int = 2) -> StepLabeller:
    """A labeller after `steps` batches of 32 fresh sequences of length L; `seed` decides weights and sequences."""
    generator, length = torch.Generator().manual_seed(seed), LENGTHS[task]
    batches = [sequences(task, 32, length, generator) for _ in range(steps)]
    with isolated(seed, torch.device("cpu")):
        classes = SYMBOLS if task == "echo" else look_ahead.SPEAKERS
        model = StepLabeller(encoding, batches[0][0].shape[2], classes, length, num_layers)
        optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, steps)
        options = {"metrics": {}, "clip_norm": 1.0, "device": "cpu", "progress": False}
        fit(model, batches, epochs=1, loss=_loss, optimizer=optimizer, schedule=schedule, **options)
    return model.eval()


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
    model.positions = sl.LearnedPositions(length, StepLabeller.WIDTH)
    model.positions.weight.data = drawn_out[0].T.contiguous()
    return model


def with_horizon(model: StepLabeller, horizon: int) -> StepLabeller:
    """A copy of the model, its weights as they are, in which no step sees further than `horizon` steps."""
    model = copy.deepcopy(model)
    for block in model.blocks:
        block.attention.past = block.attention.future = horizon
    return model


def _loss(logits: Tensor, answers: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), answers.flatten())  # passes over -100


def add_arguments(parser) -> None:
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="one training run each")
    parser.add_argument("--tasks", nargs="+", choices=list(LENGTHS), default=list(LENGTHS))
    parser.add_argument("--encodings", nargs="+", choices=ENCODINGS, default=list(ENCODINGS))
    parser.add_argument("--steps", type=int, help=f"training batches (default: {STEPS})")


def run(arguments) -> None:
    for task in arguments.tasks:
        for encoding in arguments.encodings:
            _measure(task, encoding, arguments)


def _measure(task: str, encoding: str, arguments) -> None:
    """Train a model a seed; record its accuracy at L, 2L and 4L, and that of what can be changed after training."""
    started, length = time.perf_counter(), LENGTHS[task]
    scores = {}  # (variant, times) -> one accuracy a seed
    for seed in arguments.seeds:
        model = train(task, encoding, seed, arguments.steps or STEPS[task])
        for times in (1, 2, 4):
            variants = {encoding: model}
            if encoding == "learned":
                variants["learned, stretched in the test"] = stretched(model, length, times * length)
            if encoding == "rotary":
                variants["rotary, horizon L − 1 in the test"] = with_horizon(model, length - 1)
            for name, variant in variants.items():
                scores.setdefault((name, times), []).append(right_steps(variant, task, times).nanmean().item())
    seconds = round(time.perf_counter() - started, 1)
    rows = [
        results.over_seeds(f"{task}: {name}: {times} L", values, seconds) for (name, times), values in scores.items()
    ]
    results.record("longer_than_trained", rows, arguments.command)
    for row in rows:
        print(f"{row['measure']:48} {row['value']:.3f} ± {row['std']:.3f}", flush=True)
