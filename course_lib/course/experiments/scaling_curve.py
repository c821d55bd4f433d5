"""Loss against signals and against parameters: a CNN on ten kinds of generated signal, three decades of either.

Signals of 128 steps: 32 to 32,000 of them to train a CNN of 24 channels on, and CNNs of 2 to 112 channels (about 100
to 100,000 parameters) for 10,000 signals. Every run takes the same 400 steps of 64 signals (or all, where there are
fewer) with AdamW under a one-cycle schedule, looks at 500 signals of a validation part every 50 steps, and reports the
cross-entropy on 4,000 other signals at the look that was best. Three seeds: another training part, other weights.

Takes about 3 CPU minutes.
"""

import torch
from torch import nn
from torch.nn import functional as F

from course_lib.course.experiments._training import parameters, seeded
from course_lib.course.experiments.runner import Experiment, grid
from course_lib.data import synthetic_signals

LENGTH, BATCH, LOOK = 128, 64, 50
TESTED = 400  # signals of each kind
SIGNALS = (32, 100, 320, 1_000, 3_200, 10_000, 32_000)
WIDTHS = (2, 4, 8, 16, 32, 64, 112)


def network(width: int) -> nn.Module:
    """Three strided convolutions, the mean over time, ten scores: (B, 1, 128) -> (B, 10)."""
    return nn.Sequential(
        nn.Conv1d(1, width, 7, 2, 3),
        nn.SiLU(),
        nn.Conv1d(width, width, 5, 2, 2),
        nn.SiLU(),
        nn.Conv1d(width, width, 5, 2, 2),
        nn.SiLU(),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(width, 10),
    )


def part(per_kind: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Signals (N, 1, 128) and kinds (N,)."""
    x, y = synthetic_signals(per_kind, LENGTH, seed, snr=(6.0, 12.0))
    return torch.from_numpy(x)[:, None], torch.from_numpy(y)


def measure(seed: int, steps: int, signals: int, width: int) -> dict:
    """Test loss of one network where its validation loss was least, and its parameters."""
    x, y = part(-(-signals // 10), 100 + seed)
    x, y = x[:signals], y[:signals]
    (x_look, y_look), (x_test, y_test) = part(50, 98), part(TESTED, 99)
    model, chance = seeded(seed, network, width), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    best, found = float("inf"), float("nan")
    for step in range(1, steps + 1):
        batch = torch.randint(signals, (min(BATCH, signals),), generator=chance)
        optimizer.zero_grad()
        F.cross_entropy(model(x[batch]), y[batch]).backward()
        optimizer.step()
        schedule.step()
        if step % LOOK and step < steps:
            continue
        with torch.no_grad():
            looked = F.cross_entropy(model(x_look), y_look).item()
            if looked < best:
                best, found = looked, F.cross_entropy(model(x_test), y_test).item()
    return {"loss": found, "parameters": parameters(model)}


SETTINGS = grid("{signals} signals", signals=SIGNALS, width=[24]) | grid(
    "{width} channels", signals=[10_000], width=WIDTHS
)
EXPERIMENT = Experiment(
    measure,
    settings=SETTINGS,
    options={"steps": (400, "training batches")},
    cheapest="2 channels",
    threads=1,
)
