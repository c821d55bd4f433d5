"""A small task that the training tests share."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@pytest.fixture
def task():
    """37 samples of 3 classes, a loader that shuffles with its own generator, and a model with dropout; from seed 0."""

    def make(batch_size=8, dropout=0.2, samples=37):
        generator = torch.Generator().manual_seed(0)
        y = torch.arange(samples) % 3
        x = torch.randn(samples, 5, generator=generator)
        x[torch.arange(samples), y] += 2.0
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = nn.Sequential(nn.Linear(5, 11), nn.ReLU(), nn.Dropout(dropout), nn.Linear(11, 3))
        data = TensorDataset(x, y)
        order = torch.Generator().manual_seed(1)
        return SimpleNamespace(
            model=model,
            x=x,
            y=y,
            loader=DataLoader(data, batch_size, shuffle=True, generator=order),
            validation=DataLoader(data, batch_size),
        )

    return make


@pytest.fixture(autouse=True)
def global_random_state_is_restored():
    """Every test begins with the same default generator (dropout draws from it), whatever ran before."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
