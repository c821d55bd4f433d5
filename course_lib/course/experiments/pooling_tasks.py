"""Two questions about noisy windows, ways to pool, ten seeds.

Which event: 256 samples of noise with an event of 24, one of four kinds. Which lasts longer: a tone that is fast for 46
or 54 % of the window and slow for the rest. Two convolutions make 32 steps of 16 channels, one of `HEADS` pools them, a
linear layer answers. 480 batches of 32 fresh windows, AdamW at 1e-2, warm-up and cosine; 1,000 windows to test on, the
same for all. A seed has the same windows and the same first convolutions for every head. About 5 CPU minutes. Declared
and not recorded yet: the heads other than mean, max and attention.
"""

import math

import torch
from torch import Tensor

import course_lib.layers as sl
from course_lib.course.experiments import _training
from course_lib.course.experiments._training import fitted, seeded
from course_lib.course.experiments.runner import Experiment, by_seed, grid
from course_lib.models import PooledClassifier
from course_lib.models.small_classifiers import HEADS
from course_lib.training import adamw

LENGTH, EVENT, EMBED_DIM = 256, 24, 16
BATCHES = 480


def event_batch(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Windows (B, 256, 1), the kind of event (B,) from 0 to 3, the sample at which it starts (B,)."""
    t = torch.arange(EVENT)
    chirp = torch.sin(2 * math.pi * (0.05 + 0.15 * t / EVENT) * t)
    tone = torch.sin(2 * math.pi * 0.12 * t + 0.1)
    kinds = torch.stack([chirp, chirp.flip(0), tone, tone.sign()]) * torch.hann_window(EVENT)  # (4, 24)
    kind = torch.randint(4, (count,), generator=generator)
    start = torch.randint(LENGTH - EVENT, (count,), generator=generator)
    x = 0.3 * torch.randn(count, LENGTH, generator=generator)  # (B, 256)
    x.scatter_add_(1, start[:, None] + t, kinds[kind])
    return x[..., None], kind, start


def share_batch(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Windows (B, 256, 1), and whether the fast tone lasts longer, (B,) integers 0 or 1."""
    longer = torch.randint(2, (count,), generator=generator)
    place = (torch.arange(LENGTH) / LENGTH - torch.rand(count, 1, generator=generator)) % 1.0  # (B, 256)
    fast = place < 0.46 + 0.08 * longer[:, None]
    turns = torch.where(fast, 0.12, 0.06).cumsum(1) + torch.rand(count, 1, generator=generator)
    x = torch.sin(2 * math.pi * turns) + 0.1 * torch.randn(count, LENGTH, generator=generator)
    return x[..., None], longer


TASKS = {"which event?": (event_batch, 4), "which lasts longer?": (share_batch, 2)}


def backbone() -> sl.Sequential:
    """Two convolutions, (B, 256, 1) -> (B, 32, 16)."""
    first = [sl.Conv1D(1, EMBED_DIM, 15, stride=4, padding="same"), sl.BatchNorm(EMBED_DIM), sl.ReLU()]
    second = [sl.Conv1D(EMBED_DIM, EMBED_DIM, 9, stride=2, padding="same"), sl.BatchNorm(EMBED_DIM), sl.ReLU()]
    return sl.Sequential([*first, *second])


def train(head: str, task: str, seed: int, batches: int = BATCHES) -> PooledClassifier:
    """A model with one of `HEADS`, trained on so many batches of 32 fresh windows; back on the CPU."""
    make_batch, num_classes = TASKS[task]
    generator = torch.Generator().manual_seed(seed)
    model = seeded(seed, lambda: PooledClassifier(backbone(), head, EMBED_DIM, num_classes))
    return fitted(model, [make_batch(32, generator)[:2] for _ in range(batches)], 1e-2, adamw)


def accuracy(model: PooledClassifier, task: str) -> float:
    """The share of 1,000 windows that the model answers right; the same windows for every model."""
    return _training.accuracy(model, *TASKS[task][0](1_000, torch.Generator().manual_seed(1_000_000))[:2])


def measure(seed: int, head: str, task: str) -> dict:
    return {"accuracy": accuracy(train(head, task, seed), task), "of": {"task": task, "head": head}}


EXPERIMENT = Experiment(
    measure,
    settings=grid("{task} {head}", task=TASKS, head=HEADS),
    seeds=tuple(range(10)),
    label="{setting}",
    details=by_seed,
    cheapest="which lasts longer? mean",
)
