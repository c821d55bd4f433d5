"""Windows without labels as PyTorch datasets: as they are, and as two views each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Generator, Tensor
from torch.utils.data import Dataset

from course_lib.data.event_dataset import EventDataset


class UnsupervisedDataset(Dataset):
    """Items x (T, C) float32, normalised per channel.

    data: (N, T, C), or a list of (T, C) of any lengths, finite.  statistics: (mean, std), each (C,), of the training
    data; None: these data's own, found in `.statistics`.  Raises ValueError naming the argument.
    """

    def __init__(self, data, statistics=None):
        nothing = np.zeros((len(data), 0))
        events = EventDataset(data, nothing, nothing, statistics=statistics)  # checks and normalises
        self.windows, self.statistics = events.windows, events.statistics

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> Tensor:
        return self.windows[index]


class ContrastiveDataset(UnsupervisedDataset):
    """Items (first, second): two views of one window, (T, C) each, made by `augmentation(x)` after normalisation.

    augmentation: such as `TemporalAugmentation(...)`; must keep the shape.  generator: handed to the augmentation as
    `generator=`; None: it draws from PyTorch's default.  Raises ValueError where a view has another shape.
    """

    def __init__(self, data, augmentation: Callable[..., Tensor], statistics=None, generator: Generator | None = None):
        super().__init__(data, statistics)
        self.augmentation, self.generator = augmentation, generator

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        x = self.windows[index]
        options = {} if self.generator is None else {"generator": self.generator}
        first, second = self.augmentation(x, **options), self.augmentation(x, **options)
        if not x.shape == first.shape == second.shape:
            raise ValueError(
                f"augmentation: expected views {tuple(x.shape)}, got {tuple(first.shape)}, {tuple(second.shape)}"
            )
        return first, second


def collate_fn_unsupervised(items: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Windows of mixed lengths, zero-padded on the right: x (B, T, C) and lengths (B,)."""
    return torch.nn.utils.rnn.pad_sequence(items, batch_first=True), torch.tensor([len(item) for item in items])


def collate_fn_contrastive(items: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs of views, zero-padded on the right: first and second (B, T, C), lengths (B,)."""
    first, second = zip(*items, strict=True)
    x, lengths = collate_fn_unsupervised(list(first))
    return x, collate_fn_unsupervised(list(second))[0], lengths
