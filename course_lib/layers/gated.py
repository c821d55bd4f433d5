"""Gated units: one half of the channels decides how much of the other half goes through."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.sequence import ChannelSpec, StatelessLayer, check_floating


class GLU(StatelessLayer):
    """(B, T, ..., 2 C) -> (B, T, ..., C): the first half times the sigmoid of the second, as `nn.GLU` has it.

    The linear maps before and after it are `Dense` layers. Raises ValueError where the last axis is odd.
    Source: Dauphin et al. 2017, eq. 1.
    """

    def output_spec(self, spec):
        if not spec.shape or spec.shape[-1] % 2:
            raise ValueError(
                f"x: expected an even last axis, got channels {tuple(spec.shape)} in {type(self).__name__}"
            )
        check_floating(self, spec)
        return ChannelSpec(spec.shape[:-1] + (spec.shape[-1] // 2,), spec.dtype)

    def _values(self, values, training):
        first, second = values.chunk(2, dim=-1)
        return self._gated(first, second)

    def _gated(self, first: Tensor, second: Tensor) -> Tensor:
        return first * torch.sigmoid(second)


class SwiGLU(GLU):
    """The first half's x σ(x) times the second half, which stays linear.  Source: Shazeer 2020, eq. 5: W, then V."""

    def _gated(self, first, second):
        return F.silu(first) * second


class GEGLU(GLU):
    """The first half's GELU (exact) times the second half, which stays linear.  Source: Shazeer 2020, eq. 5."""

    def _gated(self, first, second):
        return F.gelu(first) * second
