"""Who is speaking, step by step: what an attention layer gains from looking ahead, and from a longer past.

Test conversations are joined from the 370 utterances of the JapaneseVowels test set, training ones from the 270 of the
training set: real recordings, joined at random. One small labeller is trained on fresh conversations, 16 a batch, with
past horizons of 2, 16 and 64 steps and future horizons of 0 to 16 steps of 6.4 ms, on the recordings as they are and
under added white noise as strong as the signal. "answers 8 steps late" sees the same steps as "F = 8", in another
way: it looks back only, and answers for 8 steps ago. Recorded is the share of wrong steps on test conversations. About
40 CPU seconds a seed.
"""

import functools

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import course_lib.layers as sl
from course_lib.course.experiments._training import fitted, over_steps, seeded
from course_lib.course.experiments.runner import Experiment, grid

COEFFICIENTS, SPEAKERS, WIDTH = 12, 9, 16
TEST_SEED = 99  # seed of the test conversations, the same for every model
SETTINGS = {  # name: (past horizon, future horizon, steps that the answer comes late by itself)
    "P = 16, F = 0": (16, 0, 0),
    "P = 16, F = 2": (16, 2, 0),
    "P = 16, F = 8": (16, 8, 0),
    "P = 16, F = 16": (16, 16, 0),
    "P = 2, F = 0": (2, 0, 0),
    "P = 64, F = 0": (64, 0, 0),
    "P = 24, answers 8 steps late": (24, 0, 8),
}
NOISES = {"clean": 0.0, "noise": 1.0}  # standard deviation of the white noise


@functools.cache  # read once, not once a batch
def load_speakers(split: str) -> tuple[list[Tensor], Tensor]:
    """The utterances of a split, "train" or "test": a list of (T, 12), and their speakers (N,), integers from 0 to 8.

    Each coefficient is scaled to mean 0 and standard deviation 1 over the training set.
    """
    from aeon.datasets import load_classification  # takes seconds to import: only where it is needed

    known = torch.tensor(np.concatenate(load_classification("JapaneseVowels", split="train")[0], axis=1).T)
    items, names = load_classification("JapaneseVowels", split=split)
    utterances = [((torch.tensor(item.T) - known.mean(0)) / known.std(0)).float() for item in items]
    return utterances, torch.tensor(names.astype(int) - 1)


def load_splits() -> list[tuple[list[Tensor], Tensor]]:
    return [load_speakers(split) for split in ("train", "test")]


def conversations(
    utterances: list[Tensor], speakers: Tensor, count: int, length: int, noise: float = 0.0, generator=None
) -> tuple[Tensor, Tensor, Tensor]:
    """`count` sequences of `length` steps: utterances drawn at random, one after the other, the last one cut.

    Returns x (count, length, 12), the speaker of each step (count, length), and each step's number within its
    utterance (count, length).  noise: standard deviation of white noise added to x.
    """
    rows = []
    for _ in range(count):
        parts, steps = [], 0
        while steps < length:
            parts.append(int(torch.randint(len(utterances), (), generator=generator)))
            steps += len(utterances[parts[-1]])
        lengths = torch.tensor([len(utterances[k]) for k in parts])
        values = torch.cat([utterances[k] for k in parts])[:length]  # (length, 12)
        speaker = speakers[parts].repeat_interleave(lengths)[:length]
        since = torch.cat([torch.arange(n) for n in lengths.tolist()])[:length]
        rows.append((values, speaker, since))
    x, speaker, since = (torch.stack(column) for column in zip(*rows, strict=True))
    return x + noise * torch.randn(x.shape, generator=generator), speaker, since


def labeller(past: int, future: int, late: int = 0) -> sl.Sequential:
    """(B, T, 12) -> logits of the nine speakers at each step (B, T - late, 9): a transformer layer, 2,569 parameters.

    past, future: horizons of its attention.  late: answer t is given at step t + late.
    """
    attention = [
        sl.LayerNorm(WIDTH),
        sl.DotProductSelfAttention(WIDTH, 2, WIDTH // 2, past, future, rotary=10_000.0),
        sl.Dense(WIDTH, WIDTH),
    ]
    feed_forward = [sl.LayerNorm(WIDTH), sl.Dense(2 * WIDTH, WIDTH, activation=F.gelu), sl.Dense(WIDTH, 2 * WIDTH)]
    body = [sl.Residual(sl.Sequential(attention)), sl.Residual(sl.Sequential(feed_forward)), sl.LayerNorm(WIDTH)]
    return sl.Sequential([sl.Dense(WIDTH, COEFFICIENTS), *body, sl.Dense(SPEAKERS, WIDTH), sl.Lookahead(late)])


def train_labeller(
    past: int, future: int, seed: int, *, noise: float, steps: int, late: int = 0, length: int = 96
) -> sl.Sequential:
    """A labeller after `steps` batches of 16 fresh conversations; `seed` decides weights and conversations."""
    generator, known = torch.Generator().manual_seed(seed), load_speakers("train")
    batches = [conversations(*known, 16, length, noise, generator)[:2] for _ in range(steps)]
    model = seeded(seed, labeller, past, future, late)
    return fitted(model, batches, 0.01, loss=over_steps, schedule=one_cycle, clip_norm=None)


def one_cycle(optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.OneCycleLR:
    """PyTorch's one-cycle schedule up to the optimiser's own rate."""
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, optimizer.defaults["lr"], steps)


def test_conversations(noise: float) -> tuple[Tensor, Tensor, Tensor]:
    """The 40 conversations of 256 steps that every model is tested on, as `conversations` returns them."""
    return conversations(*load_speakers("test"), 40, 256, noise, torch.Generator().manual_seed(TEST_SEED))


def wrong_steps(model: sl.Sequential, x: Tensor, speaker: Tensor) -> Tensor:
    """Boolean (N, 176): where the model names another speaker, at steps 64 to 239, where no horizon meets an end."""
    with torch.no_grad():
        named = model(x).argmax(dim=-1)  # (N, T')
    return named[:, 64:240] != speaker[:, 64:240]


def measure(seed: int, name: str, kind: str, steps: int) -> dict[str, float]:
    """Share of wrong steps on the test conversations after one training."""
    (past, future, late), noise = SETTINGS[name], NOISES[kind]
    model = train_labeller(past, future, seed, noise=noise, steps=steps, late=late)
    x, speaker, _ = test_conversations(noise)
    return {"wrong steps": wrong_steps(model, x, speaker).float().mean().item()}


EXPERIMENT = Experiment(
    measure,
    settings=grid("{name}, {kind}", kind=NOISES, name=SETTINGS),
    cheapest="P = 2, F = 0, clean",
    seeds=(0, 1, 2, 3, 4),
    options={"steps": (300, "batches of 16 conversations")},
    label="{setting}",
    source="JapaneseVowels",
    load=load_splits,
)
