"""The signal-to-sequence transformer: convolutions make tokens, an encoder relates them, pooling sums up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from course_lib import layers as sl
from course_lib.models.model_input import real_input
from course_lib.sequence import Sequence


@dataclass(frozen=True)
class SignalTransformerConfig:
    """What a `SignalSequenceTransformer` is made of.

    num_classes, max_signal_length (time steps), in_channels: the task.  The default size has about 2.4 M parameters.
    model_dim, num_layers, num_heads, hidden_size, norm, norm_kind, feed_forward: of the `EncoderBlock`s.
    positions: "rotary" inside the attention; "sinusoidal" or "learned", added before the first block; "none".
    pooling: "statistics" (mean and standard deviation under attention), "attention", "mean", "max" or "cls";
        pooling_heads: of the first two.
    channels, strides, kernel_size, dilations, squeeze, residual, separable, cnn_norm: of the `MultiScaleCNN`. Signals
        of fewer than about 100 steps want smaller strides: the encoder sees one token for each product of them.
    dropout: in the encoder and before the last linear layer.
    gradient_checkpointing: in training, keep only the input of each encoder block and compute the rest again on the
        way back: less memory, about a third more time, equal gradients.
    """

    num_classes: int
    max_signal_length: int = 1024
    in_channels: int = 1
    model_dim: int = 144
    num_layers: int = 6
    num_heads: int = 4
    hidden_size: int | None = None
    norm: str = "pre"
    norm_kind: str = "rms"
    feed_forward: str = "swiglu"
    positions: str = "rotary"
    pooling: str = "statistics"
    pooling_heads: int = 4
    channels: tuple[int, ...] = (32, 64, 128, 256)
    strides: tuple[int, ...] = (2, 2, 2, 2)
    kernel_size: int = 3
    dilations: tuple[int, ...] = (1, 2, 4)
    squeeze: bool = True
    residual: bool = True
    separable: bool = False
    cnn_norm: str = "batch"
    dropout: float = 0.1
    gradient_checkpointing: bool = False

    def __post_init__(self):
        if self.num_classes < 2:
            raise ValueError(f"num_classes: expected at least 2, got {self.num_classes}")
        for name in ("max_signal_length", "in_channels", "model_dim"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if self.num_layers < 0:
            raise ValueError(f"num_layers: expected at least 0, got {self.num_layers}")
        for name, known in (("positions", _POSITIONS), ("pooling", _POOLINGS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}: expected one of {', '.join(known)}, got {getattr(self, name)!r}")


class SignalWeights(NamedTuple):
    """Where a `SignalSequenceTransformer` looked.

    attention: for each encoder block (B, num_heads, N, N).  pooling: (B, pooling_heads, N), or None where the pooling
    has no weights.  channels: for each stage with squeeze-and-excitation (B, channels).
    """

    attention: list[Tensor]
    pooling: Tensor | None
    channels: list[Tensor]


class SignalSequenceTransformer(nn.Module):
    """Classify signals: multi-scale CNN, transformer encoder, pooling, linear layer.

    x: (B, L) or (B, L, in_channels), or a `Sequence` of these, whose invalid steps change nothing; L from 1 to
    max_signal_length; any real dtype, converted to that of the weights.  Returns logits (B, num_classes).
    NaN or infinity in a signal makes that signal's logits NaN, and in training those of its whole batch.
    Raises ValueError where rank, channels or length do not fit.
    """

    def __init__(self, config: SignalTransformerConfig):
        super().__init__()
        self.config = c = config
        self.features = sl.MultiScaleCNN(
            c.in_channels,
            c.channels,
            c.strides,
            kernel_size=c.kernel_size,
            dilations=c.dilations,
            norm_kind=c.cnn_norm,
            squeeze=c.squeeze,
            residual=c.residual,
            separable=c.separable,
        )
        self.tokens = sl.Sequential(
            [
                sl.Dense(c.model_dim, c.channels[-1]),
                *_POSITIONS[c.positions](c),
                *([sl.CLSToken(c.model_dim)] if c.pooling == "cls" else []),
                sl.Dropout(c.dropout),
            ]
        )
        self.encoder = sl.Repeat(lambda: _encoder_block(c), c.num_layers)
        self.norm = sl.make_norm(c.norm_kind, c.model_dim) if c.norm == "pre" else sl.Identity()
        self.pooling = _POOLINGS[c.pooling](c)
        pooled = 2 * c.model_dim if c.pooling == "statistics" else c.model_dim
        self.classifier = nn.Sequential(nn.Dropout(c.dropout), nn.Linear(pooled, c.num_classes))

    def forward(self, x: Tensor | Sequence, return_weights: bool = False) -> Tensor | tuple[Tensor, SignalWeights]:
        """Logits; with `return_weights` a pair (logits, `SignalWeights`), meant for evaluation mode."""
        signals = self._checked(x)
        tokens = self.tokens.layer(self.features.layer(signals))  # (B, N, model_dim)
        tokens = tokens.to(signals.values.dtype)  # under autocast the sums of the shortcuts stay in full precision
        attention = []
        for block in self.encoder:
            if return_weights:
                attention.append(block.weights(tokens))  # type: ignore[operator]
            tokens = self._through(block, tokens)
        tokens = self.norm.layer(tokens)
        logits = self.classifier(self.pooling(tokens))
        if not return_weights:
            return logits
        pooling = self.pooling(tokens, return_weights=True)[1] if hasattr(self.pooling, "score") else None
        return logits, SignalWeights(attention, pooling, self.features.channel_weights(signals))

    def _through(self, block: sl.SequenceLayer, tokens: Sequence) -> Sequence:
        if self.config.gradient_checkpointing and self.training and torch.is_grad_enabled():
            return checkpoint(block.layer, tokens, use_reentrant=False)
        return block.layer(tokens)

    def _checked(self, x: Tensor | Sequence) -> Sequence:
        """`x` as a Sequence (B, L, in_channels) in the dtype of the weights."""
        channels, longest = self.config.in_channels, self.config.max_signal_length
        shape = tuple(x.shape)
        if len(shape) not in (2, 3) or (shape[2] if len(shape) == 3 else 1) != channels:
            wanted = f"(B, L, {channels})" if channels > 1 else "(B, L) or (B, L, 1)"
            raise ValueError(f"x: expected {wanted}, got {shape}: is the time axis second?")
        if not 1 <= shape[1] <= longest:
            raise ValueError(
                f"x: expected 1 to max_signal_length={longest} time steps, got {shape[1]}: cut the signals"
            )
        x = x if isinstance(x, Sequence) else Sequence.of(x)
        values = x.values if len(shape) == 3 else x.values.unsqueeze(2)  # (B, L, C)
        return x.with_values(real_input(values, self))


class FirstStep(nn.Module):
    """The first step, where a CLS token stands: a `Sequence` of (B, T, C) -> (B, C)."""

    def forward(self, x: Sequence) -> Tensor:
        return x.values[:, 0]


def _encoder_block(c: SignalTransformerConfig) -> sl.EncoderBlock:
    return sl.EncoderBlock(
        c.model_dim,
        c.num_heads,
        norm=c.norm,
        norm_kind=c.norm_kind,
        feed_forward=c.feed_forward,
        hidden_size=c.hidden_size,
        dropout=c.dropout,
        rotary=10_000.0 if c.positions == "rotary" else None,
    )


_POSITIONS: dict[str, Callable[[SignalTransformerConfig], list[sl.SequenceLayer]]] = {
    "rotary": lambda c: [],
    "sinusoidal": lambda c: [sl.PositionalEncoding(c.model_dim)],
    "learned": lambda c: [sl.LearnedPositions(c.max_signal_length, c.model_dim)],
    "none": lambda c: [],
}
_POOLINGS: dict[str, Callable[[SignalTransformerConfig], nn.Module]] = {
    "statistics": lambda c: sl.AttentionPooling(c.model_dim, c.pooling_heads, statistics=True),
    "attention": lambda c: sl.AttentionPooling(c.model_dim, c.pooling_heads),
    "mean": lambda c: sl.MeanPooling(),
    "max": lambda c: sl.MaxPooling(),
    "cls": lambda c: FirstStep(),
}
