"""Transposed convolutions over time, and over time and one more axis: every step is spread over a kernel of samples.

PyTorch's kernels and weight layouts; which part of the sum comes out, the latency and the mask are overlap-add's.
"""

from __future__ import annotations

import torch.nn.functional as F

from course_lib.layers.convolution import Activation, KernelLayer, axis_windows
from course_lib.layers.overlap_add import OverlappingLayer, Overlaps


class _TransposedConvolution(KernelLayer, OverlappingLayer):
    """A transposed convolution over the frames of each axis, time first; `weight` (in, out / groups, *kernel)."""

    transposed = True

    def __init__(self, in_channels, out_channels, overlaps: list[Overlaps], groups, bias, activation):
        super().__init__(overlaps[0])
        self._make_kernel((in_channels, out_channels), overlaps, groups, bias, activation)
        self.space = overlaps[1:]
        self._arguments["output_padding"] = tuple(max(o.stride - o.extent, 0) for o in overlaps)

    def _summed(self, values):
        values = values.movedim(-1, 1)
        if not self.space:
            return F.conv_transpose1d(values, self.weight, **self._arguments).transpose(1, 2)
        summed = F.conv_transpose2d(values, self.weight, **self._arguments).movedim(1, -1)
        first, count = self.space[0].shift, self.space[0].output_length(values.shape[-1])
        return summed[:, :, first : first + count]

    def _finished(self, values):
        if self.bias is not None:
            values = values + self.bias
        return values if self.activation is None else self.activation(values)


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
        activation: Activation = None,
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
        activation: Activation = None,
    ):
        overlaps = axis_windows(2, kernel_size, stride, dilation, time_padding, spatial_padding, Overlaps)
        super().__init__(in_channels, out_channels, overlaps, groups, bias, activation)
