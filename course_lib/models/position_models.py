"""Two small transformers that differ in nothing but how they tell positions: one answer a step, and one a sequence."""

import torch
from torch import Tensor, nn

import course_lib.layers as sl
from course_lib.models.model_input import real_input
from course_lib.sequence import Sequence


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
