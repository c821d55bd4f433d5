"""Transposed convolutions over time, and over time and one more axis: every step is spread over a kernel of samples.

PyTorch's kernels and weight layouts; which part of the sum comes out, the latency and the mask are overlap-add's.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from course_lib.layers.convolution import as_tuple, check_groups, kernel_parameters
from course_lib.layers.overlap_add import OverlappingLayer, Overlaps
from course_lib.sequence import ChannelSpec, check_channels


class _TransposedConvolution(OverlappingLayer):
    """`overlaps`: one for each axis, time first; `weight` (in, out / groups, *kernel)."""

    def __init__(self, in_channels, out_channels, overlaps: list[Overlaps], groups, bias, activation):
        super().__init__(overlaps[0])
        check_groups(in_channels, out_channels, groups)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.space = overlaps[1] if len(overlaps) > 1 else None
        kernel = tuple(o.kernel_size for o in overlaps)
        shape = (in_channels, out_channels // groups, *kernel)
        fan_in = out_channels // groups * math.prod(kernel)  # PyTorch counts this way for the transposed kinds
        self.weight, self.bias = kernel_parameters(shape, fan_in, out_channels, bias)
        self.activation = activation
        self._arguments = {
            "stride": tuple(o.stride for o in overlaps),
            "dilation": tuple(o.dilation for o in overlaps),
            "output_padding": tuple(max(o.stride - o.extent, 0) for o in overlaps),
            "groups": groups,
        }

    def output_spec(self, spec):
        if self.space is None:
            check_channels(self, spec, (self.in_channels,), self.weight.dtype)
            return ChannelSpec((self.out_channels,), spec.dtype)
        size = spec.shape[0] if len(spec.shape) == 2 else 0
        check_channels(self, spec, (size, self.in_channels), self.weight.dtype)
        return ChannelSpec((self.space.output_length(size), self.out_channels), spec.dtype)

    @property
    def input_spec(self):
        return ChannelSpec((self.in_channels,), self.weight.dtype) if self.space is None else None

    def _summed(self, values):
        values = values.movedim(-1, 1)
        if self.space is None:
            return F.conv_transpose1d(values, self.weight, **self._arguments).transpose(1, 2)
        summed = F.conv_transpose2d(values, self.weight, **self._arguments).movedim(1, -1)
        first, count = self.space.shift, self.space.output_length(values.shape[-1])
        return summed[:, :, first : first + count]

    def _finished(self, values):
        if self.bias is not None:
            values = values + self.bias
        return values if self.activation is None else self.activation(values)

    def extra_repr(self):
        return f"{self.in_channels}, {self.out_channels}, {self.overlaps}, groups={self.groups}"


class Conv1DTranspose(_TransposedConvolution):
    """Transposed convolution along time, (B, T, in_channels) -> (B, N, out_channels): `stride` samples for each step.

    padding: `causal`, `same`, `full` (also called `valid`) or `semicausal_full`, as in `course_lib.layers.overlap_add`.
    Loads the state dict of `nn.ConvTranspose1d`. Raises ValueError where channels are no multiple of `groups`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: str = "causal",
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
        activation: Callable[[Tensor], Tensor] | None = None,
    ):
        overlaps = [Overlaps(kernel_size, stride, dilation, padding)]
        super().__init__(in_channels, out_channels, overlaps, groups, bias, activation)


class Conv2DTranspose(_TransposedConvolution):
    """Transposed convolution along time and one more axis, (B, T, H, in_channels) -> (B, N, H', out_channels).

    kernel_size, stride, dilation: one number, or one for time and one for H. time_padding, spatial_padding: as the
    padding of `Conv1DTranspose`. Loads the state dict of `nn.ConvTranspose2d`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        time_padding: str = "causal",
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        spatial_padding: str = "same",
        activation: Callable[[Tensor], Tensor] | None = None,
    ):
        kernels, strides = as_tuple("kernel_size", kernel_size, 2), as_tuple("stride", stride, 2)
        axes = zip(kernels, strides, as_tuple("dilation", dilation, 2), (time_padding, spatial_padding), strict=True)
        super().__init__(in_channels, out_channels, [Overlaps(*axis) for axis in axes], groups, bias, activation)
