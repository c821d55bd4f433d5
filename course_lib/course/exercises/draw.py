"""Valid inputs at random, for the makers that `exercise(inputs=…)` takes."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

T = TypeVar("T")


class Draw:
    """Draws from one seed: the same seed, the same inputs."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)

    def tensor(self, *shape: int) -> Tensor:
        """Standard normal numbers, float32, of a shape."""
        return torch.from_numpy(self.rng.normal(size=shape)).float()

    def array(self, *shape: int) -> np.ndarray:
        """Standard normal numbers, float64, of a shape."""
        return self.rng.normal(size=shape)

    def sizes(self, count: int, low: int = 1, high: int = 7) -> list[int]:
        """`count` different numbers from low to high: each axis of another length, so that a swapped one shows."""
        return [int(n) for n in self.rng.choice(np.arange(low, high + 1), count, replace=False)]

    def integer(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def number(self, low: float, high: float) -> float:
        """A number between low and high, of two decimals."""
        return round(float(self.rng.uniform(low, high)), 2)

    def integers(self, low: int, high: int, *shape: int) -> np.ndarray:
        """Whole numbers from low to high, both included."""
        return self.rng.integers(low, high + 1, size=shape)

    def lengths(self, B: int, T: int) -> Tensor:
        """(B,) lengths from 1 to T, one of them T."""
        lengths = self.integers(1, T, B)
        lengths[self.integer(0, B - 1)] = T
        return torch.from_numpy(lengths)

    def mask(self, B: int, T: int) -> Tensor:
        """(B, T) booleans, True where a step is valid: the first steps of each item."""
        return torch.arange(T) < self.lengths(B, T)[:, None]

    def choice(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self.integer(0, len(options) - 1)]
