"""Normalisation within one time step: layer normalisation and root-mean-square normalisation.

Both look at a step's channels alone, so that a stream needs no state. Moments are taken in at least float32.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.sequence import StatelessLayer, check_channels


class _ChannelNorm(StatelessLayer):
    def __init__(self, normalized_shape: int | tuple[int, ...], eps: float, elementwise_affine: bool):
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        if not self.normalized_shape or min(self.normalized_shape) < 1:
            raise ValueError(f"normalized_shape: expected positive sizes, got {normalized_shape!r}")
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(self.normalized_shape)) if elementwise_affine else None

    def output_spec(self, spec):
        if not spec.dtype.is_floating_point:
            raise ValueError(f"x: expected floating point in {type(self).__name__}, got {spec.dtype}")
        other = spec.shape[: max(len(spec.shape) - len(self.normalized_shape), 0)]
        check_channels(self, spec, other + self.normalized_shape, None if self.weight is None else self.weight.dtype)
        return spec

    def extra_repr(self):
        return f"{self.normalized_shape}, eps={self.eps}"


class LayerNorm(_ChannelNorm):
    """(x − mean) / √(variance + eps) · weight + bias over the last channel axes, for each step by itself.

    normalized_shape: the number of channels, or the shape of the last axes. Loads the state dict of `nn.LayerNorm`.
    Raises ValueError where the channels differ. Source: Ba, Kiros, Hinton 2016, eq. 3 and 4.
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ):
        super().__init__(normalized_shape, eps, elementwise_affine)
        self.bias = nn.Parameter(torch.zeros(self.normalized_shape)) if elementwise_affine and bias else None

    def _values(self, values: Tensor, training: bool) -> Tensor:
        return F.layer_norm(values, self.normalized_shape, self.weight, self.bias, self.eps)


class RMSNorm(_ChannelNorm):
    """x / √(mean of x² + eps) · weight over the last channel axes, for each step by itself.

    As `LayerNorm` without the mean and the bias. Loads the state dict of `nn.RMSNorm`.
    Source: Zhang and Sennrich 2019, eq. 4.
    """

    def __init__(self, normalized_shape: int | tuple[int, ...], eps: float = 1e-6, elementwise_affine: bool = True):
        super().__init__(normalized_shape, eps, elementwise_affine)

    def _values(self, values: Tensor, training: bool) -> Tensor:
        return F.rms_norm(values, self.normalized_shape, self.weight, self.eps)
