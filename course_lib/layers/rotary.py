"""Rotary position embedding: channel pairs turned by an angle proportional to the position."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.layers.positional import PositionedLayer, angles_at, geometric_rates
from course_lib.sequence import ChannelSpec, at_least_float32, check_floating


def rotary(x: Tensor, positions: Tensor, base: float = 10_000.0) -> Tensor:
    """Rotate channel pairs of `x` by an angle proportional to position, so that dot products depend on distance.

    x: (B, H, T, D), D even.  positions: (T,) or (B, T), in time steps.  Returns (B, H, T, D).
    The pairs are channels (i, i + D/2); pair i turns by positions · base^(-2i/D).
    Raises ValueError where D is odd.  Source: Su et al. 2021, eq. 34.
    """
    angles = rotary_angles(positions, x.shape[-1], base, at_least_float32(x.dtype))  # (T, D/2) or (B, T, D/2)
    return rotate_pairs(x, angles if positions.dim() == 1 else angles.unsqueeze(1))


def rotary_angles(positions: Tensor, dim: int, base: float = 10_000.0, dtype: torch.dtype | None = None) -> Tensor:
    """Angles in radians, whole turns left out, (..., dim/2): as `angles_at` for the rates base^(-2i/dim).

    positions: (...), in time steps.  Raises ValueError where `dim` is odd.
    """
    if dim % 2:
        raise ValueError(f"x: expected an even number of channels to pair up, got {dim}")
    return angles_at(positions, geometric_rates(dim, base), dtype)


def rotate_pairs(x: Tensor, angles: Tensor) -> Tensor:
    """Turn the pairs (i, i + D/2) of `x` (..., D) by `angles`, broadcastable to (..., D/2); at least in float32."""
    dtype = at_least_float32(x.dtype)
    cosine, sine = torch.cos(angles).to(dtype), torch.sin(angles).to(dtype)
    first, second = x.to(dtype).chunk(2, dim=-1)
    turned = torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)
    return turned.to(x.dtype)


class RotaryEmbedding(PositionedLayer):
    """Rotates the last channel axis of (B, T, *C, D) by each step's position; the state is the position.

    base: the slowest pair turns by about 1/base radians a step.  See `rotary`.  counts_invalid: see `PositionedLayer`.
    """

    def __init__(self, base: float = 10_000.0, counts_invalid: bool = False):
        super().__init__()
        if not base > 0:
            raise ValueError(f"base: expected a positive number, got {base}")
        self.base, self.counts_invalid = base, counts_invalid

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        check_floating(self, spec)
        if not spec.shape or spec.shape[-1] % 2:
            raise ValueError(f"x: expected (B, T, ..., D) with D even, got channels {spec.shape} in RotaryEmbedding")
        return spec

    def _at(self, x, positions):
        angles = rotary_angles(positions, x.shape[-1], self.base, at_least_float32(x.values.dtype))
        angles = angles.reshape(positions.shape + (1,) * (x.values.dim() - 3) + angles.shape[-1:])
        return x.with_values(rotate_pairs(x.values, angles))
