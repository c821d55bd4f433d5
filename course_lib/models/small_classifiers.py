"""Small classifiers that notebooks compare: six ways to pool, the last step, two transformers that tell positions."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

import course_lib.layers as sl
from course_lib.models.model_input import real_input
from course_lib.sequence import Sequence


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


class StepLabeller(nn.Module):
    """Logits for every step from a small pre-norm transformer of width 32: (B, T, in_channels) -> (B, T, num_classes).

    encoding: one of `ENCODINGS`; "horizon 8": no step sees further than eight steps.  train_length: L. A learned table
    has 4L rows, so that it can be asked for 4L steps; training at L moves only the first L of them, unless each
    sequence starts at a random row ("random start").  Raises ValueError for another encoding.
    """

    ENCODINGS = (
        "none",
        "sinusoidal",
        "learned",
        "rotary",
        "T5 bias",
        "sinusoidal, random start",
        "learned, random start",
        "none, horizon 8",
        "rotary, horizon 8",
    )
    WIDTH, HEADS = 32, 2

    def __init__(self, encoding: str, in_channels: int, num_classes: int, train_length: int, num_layers: int = 2):
        super().__init__()
        if encoding not in self.ENCODINGS:
            raise ValueError(f"encoding: expected one of {self.ENCODINGS}, got {encoding!r}")
        kind, _, option = encoding.partition(", ")
        width, heads = self.WIDTH, self.HEADS
        self.embed = nn.Linear(in_channels, width)
        self.positions: sl.SequenceLayer = sl.Identity()
        if kind == "sinusoidal":
            self.positions = sl.PositionalEncoding(width)
        if kind == "learned":
            self.positions = sl.LearnedPositions(4 * train_length, width)
        self.starts = 3 * train_length + 1 if option == "random start" else 1
        horizon = 8 if option == "horizon 8" else -1

        def block() -> sl.EncoderBlock:
            bias = sl.T5RelativePositionBias(heads, max_distance=train_length) if kind == "T5 bias" else None
            rotary = 10_000.0 if kind == "rotary" else None
            return sl.EncoderBlock(
                width,
                heads,
                hidden_size=2 * width,
                max_past_horizon=horizon,
                max_future_horizon=horizon,
                rotary=rotary,
                relative_position=bias,
            )

        self.blocks = nn.Sequential(*[block() for _ in range(num_layers)])
        self.readout = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(real_input(x, self))  # (B, T, 32)
        if self.training and self.starts > 1:  # the state of the layer is the position at which it goes on
            start = torch.randint(self.starts, (len(x),), device=x.device)
            x = self.positions.step(Sequence.of(x), start)[0].values
        else:
            x = self.positions(x)
        return self.readout(self.blocks(x))


class OrderClassifier(nn.Module):
    """(B, T, in_channels) -> logits (B, num_classes): one encoder block and the mean over time, about 8,000 weights.

    encoding: one of `ENCODINGS`. The block and the mean see no order, so that all of it comes from the encoding.
    max_length: rows of the learned table.  Raises ValueError for another encoding.
    """

    ENCODINGS = ("none", "none, causal", "sinusoidal", "learned", "relative bias", "rotary")
    WIDTH, HEADS = 24, 2

    def __init__(self, encoding: str, in_channels: int, num_classes: int = 2, max_length: int = 32):
        super().__init__()
        if encoding not in self.ENCODINGS:
            raise ValueError(f"encoding: expected one of {', '.join(self.ENCODINGS)}, got {encoding!r}")
        width, heads = self.WIDTH, self.HEADS
        bias = None
        if encoding == "relative bias":
            bias = sl.T5RelativePositionBias(heads, num_buckets=16, max_distance=32)
        self.embed = sl.Dense(width, in_channels)
        self.positions: sl.SequenceLayer = sl.Identity()
        if encoding == "sinusoidal":
            self.positions = sl.PositionalEncoding(width)
        if encoding == "learned":
            self.positions = sl.LearnedPositions(max_length, width)
        self.block = sl.EncoderBlock(
            width,
            heads,
            max_future_horizon=0 if encoding == "none, causal" else -1,
            rotary=10_000.0 if encoding == "rotary" else None,
            relative_position=bias,
        )
        self.norm = sl.LayerNorm(width)
        self.pooling, self.readout = sl.MeanPooling(), nn.Linear(width, num_classes)

    def forward(self, x: Tensor | Sequence) -> Tensor:
        x = x if isinstance(x, Sequence) else Sequence.of(x)
        x = x.with_values(real_input(x.values, self))
        x = self.positions.layer(self.embed.layer(x))
        return self.readout(self.pooling(self.norm.layer(self.block.layer(x))))
