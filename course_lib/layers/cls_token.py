"""A learned step in front of the sequence, whose output stands for the whole of it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from course_lib.sequence import ChannelSpec, Sequence, SequenceLayer, check_channels


class CLSToken(SequenceLayer):
    """Puts one learned, always valid step before the first: (B, T, embed_dim) -> (B, T + 1, embed_dim).

    After an encoder, `y[:, 0]` is what it has gathered. `weight` (embed_dim,) begins as small normal numbers.
    It cannot step: what is gathered is complete only when the sequence has ended.
    Source: Devlin et al. 2019, section 3.
    """

    supports_step = False
    receptive_field = (-1, -1)

    def __init__(self, embed_dim: int):
        super().__init__()
        if embed_dim < 1:
            raise ValueError(f"embed_dim: expected at least 1, got {embed_dim}")
        self.weight = nn.Parameter(0.02 * torch.randn(embed_dim))

    @property
    def input_spec(self):
        return ChannelSpec(tuple(self.weight.shape), self.weight.dtype)

    def output_spec(self, spec):
        check_channels(self, spec, *self.input_spec)
        return spec

    def output_length(self, length):
        return length + 1

    def why_no_step(self):
        return "its output stands for a whole sequence"

    def _layer(self, x, training, constants):
        token = self.weight.to(x.values.dtype).expand(x.shape[0], 1, -1)  # (B, 1, C)
        return Sequence(torch.cat([token, x.values], dim=1), F.pad(x.mask, (1, 0), value=True), x.all_valid)
