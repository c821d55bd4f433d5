"""Squeeze and excitation: the mean of each channel over time decides how much of every channel goes on."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.layers.global_pooling import masked_mean
from course_lib.sequence import ChannelSpec, Sequence, SequenceLayer, check_channels


class SqueezeExcitation(SequenceLayer):
    """x times a weight between 0 and 1 for each channel: (B, T, channels) -> the same shape.

    The weights are σ(W₂ ReLU(W₁ m)), m the mean of x over an item's valid steps; W₁ leads to channels / reduction
    numbers (at least 4), W₂ back. It cannot step, since the mean is known only when the sequence has ended.
    Source: Hu, Shen and Sun 2018, eq. 2 to 4.
    """

    supports_step = False
    receptive_field = (None, None)

    def __init__(self, channels: int, reduction: int = 4):
        super().__init__()
        if channels < 1 or reduction < 1:
            raise ValueError(f"channels, reduction: expected at least 1, got {channels} and {reduction}")
        hidden = max(4, channels // reduction)
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)

    @property
    def input_spec(self):
        return ChannelSpec((self.excite.out_features,), self.excite.weight.dtype)

    def output_spec(self, spec):
        check_channels(self, spec, *self.input_spec)
        return spec

    def why_no_step(self):
        return "its weights come from the mean of the whole sequence"

    def weights(self, x: Tensor | Sequence) -> Tensor:
        """(B, channels): how much of each channel goes on, from 0 to 1."""
        x = x if isinstance(x, Sequence) else Sequence.of(x)
        self._check(x)
        return self._weights(x.masked())

    def _weights(self, x: Sequence) -> Tensor:
        return torch.sigmoid(self.excite(F.relu(self.squeeze(masked_mean(x)))))

    def _layer(self, x, training, constants):
        x = x.masked()
        return x.with_values(x.values * self._weights(x)[:, None])
