"""Vectors that tell each time step where it stands, added to it: sines and cosines, or a learned table."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.layers.positional import AddPositions
from course_lib.layers.rotary import rotary_angles
from course_lib.sequence import ChannelSpec, check_channels


class PositionalEncoding(AddPositions):
    """Adds sin(t / base^(2i/C)) to channel 2i and the cosine to channel 2i + 1, t the position: (B, T, C) -> the same.

    The angles are those of `rotary`: pair i turns by base^(-2i/C) radians a step.
    Raises ValueError where `embed_dim` is odd.  Source: Vaswani et al. 2017, section 3.5.
    """

    def __init__(self, embed_dim: int, base: float = 10_000.0):
        super().__init__()
        if embed_dim < 2 or embed_dim % 2:
            raise ValueError(f"embed_dim: expected an even number, a sine and a cosine each, got {embed_dim}")
        if not base > 0:
            raise ValueError(f"base: expected a positive number, got {base}")
        self.embed_dim, self.base = embed_dim, base

    def output_spec(self, spec):
        super().output_spec(spec)
        check_channels(self, spec, (self.embed_dim,))
        return spec

    def _signal(self, at: Tensor, channels: int) -> Tensor:
        angles = rotary_angles(at, channels, self.base)  # (..., C / 2)
        return torch.stack([torch.sin(angles), torch.cos(angles)], dim=-1).flatten(-2)

    def extra_repr(self):
        return f"{self.embed_dim}, base={self.base}"


class LearnedPositions(AddPositions):
    """Adds row t of a learned table to the step at position t: (B, T, embed_dim) -> the same shape.

    max_length: rows of the table.  `weight` (max_length, embed_dim) begins as small normal numbers.
    Raises ValueError for more steps than the table has rows, in a stream only on the CPU: a GPU reports the first
    position without a row as a failed device assertion.  Source: Gehring et al. 2017, section 3.1.
    """

    def __init__(self, max_length: int, embed_dim: int):
        super().__init__()
        if max_length < 1 or embed_dim < 1:
            raise ValueError(f"max_length, embed_dim: expected at least 1, got {max_length} and {embed_dim}")
        self.max_length = max_length
        self.weight = nn.Parameter(0.02 * torch.randn(max_length, embed_dim))

    @property
    def input_spec(self):
        return ChannelSpec((self.weight.shape[1],), self.weight.dtype)

    def output_spec(self, spec):
        check_channels(self, spec, *self.input_spec)
        return spec

    def _signal(self, at: Tensor, channels: int) -> Tensor:
        if at.dim() == 1 and len(at) > self.max_length:
            raise ValueError(f"x: expected at most max_length={self.max_length} steps, got {len(at)}")
        try:
            return F.embedding(at, self.weight)
        except IndexError:
            raise ValueError(
                f"x: expected positions below max_length={self.max_length}, got {int(at.max())}: too many steps"
            ) from None

    def extra_repr(self):
        return f"{self.max_length}, {self.weight.shape[1]}"
