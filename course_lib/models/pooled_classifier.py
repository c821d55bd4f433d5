"""Small classifiers: one vector of a sequence, by one of six ways to pool or as its last step, and its class."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

import course_lib.layers as sl
from course_lib.models.model_input import real_input


class CLSPooling(nn.Module):
    """A CLS token in front, one encoder block, and what the token has gathered: (B, T, embed_dim) -> (B, embed_dim)."""

    def __init__(self, embed_dim: int, num_heads: int = 4):
        super().__init__()
        self.token = sl.CLSToken(embed_dim)
        self.block = sl.EncoderBlock(embed_dim, num_heads)
        self.norm = sl.LayerNorm(embed_dim)

    def forward(self, x: Tensor, return_weights: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """The vector; with `return_weights` a pair (vector, (B, num_heads, T)), how the token looks at the steps."""
        tokens = self.token(x)  # (B, T + 1, embed_dim)
        pooled = self.norm(self.block(tokens))[:, 0]
        return (pooled, self.block.weights(tokens)[:, :, 0, 1:]) if return_weights else pooled


HEADS: dict[str, tuple[Callable[[int], nn.Module], int]] = {  # name: (module for C channels, features for each of them)
    "mean": (lambda embed_dim: sl.MeanPooling(), 1),
    "max": (lambda embed_dim: sl.MaxPooling(), 1),
    "statistics": (lambda embed_dim: sl.StatisticsPooling(), 2),
    "attention": (lambda embed_dim: sl.AttentionPooling(embed_dim), 1),
    "attention statistics": (lambda embed_dim: sl.AttentionPooling(embed_dim, statistics=True), 2),
    "CLS": (CLSPooling, 1),
}


class PooledClassifier(nn.Module):
    """A backbone that makes (B, T, embed_dim) of its input, one of `HEADS`, a linear layer: logits (B, num_classes).

    Raises ValueError for another head.
    """

    def __init__(self, features: nn.Module, head: str, embed_dim: int, num_classes: int):
        super().__init__()
        if head not in HEADS:
            raise ValueError(f"head: expected one of {', '.join(HEADS)}, got {head!r}")
        make, copies = HEADS[head]
        self.features, self.pool = features, make(embed_dim)
        self.classifier = nn.Linear(copies * embed_dim, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        tokens = real_input(self.features(x), self)  # (B, T, embed_dim), full precision under autocast
        return self.classifier(self.pool(tokens))


class LastStepClassifier(nn.Module):
    """A recurrent layer that gives (B, T, hidden_size), and a readout of its last step: logits (B, num_classes)."""

    def __init__(self, recurrent: nn.Module, hidden_size: int, num_classes: int):
        super().__init__()
        self.recurrent = recurrent
        self.readout = nn.Linear(hidden_size, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.recurrent(real_input(x, self))[:, -1])


class RingFinder(nn.Module):
    """Two convolutions, the maximum over time, a linear layer: (B, 1, T) -> logits (B, 2) for no ring and ring.

    one_in: the last bias starts at the share of one in so many; 2: at even odds.  Raises ValueError for less than 2.
    """

    def __init__(self, one_in: int = 2):
        super().__init__()
        if one_in < 2:
            raise ValueError(f"one_in: expected at least 2, got {one_in}")
        first = [nn.Conv1d(1, 12, 9, stride=2, padding=4), nn.BatchNorm1d(12), nn.ReLU()]
        second = [nn.Conv1d(12, 12, 9, stride=2, padding=4), nn.BatchNorm1d(12), nn.ReLU()]
        self.features = nn.Sequential(*first, *second)
        self.classifier = nn.Linear(12, 2)
        with torch.no_grad():
            self.classifier.bias.copy_(torch.tensor([0.0, -math.log(one_in - 1)]))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(real_input(x, self)).amax(2))  # (B, 12, T / 4) -> (B, 12) -> (B, 2)
