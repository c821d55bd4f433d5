"""Convolutions over time, in one to three dimensions, and transposed ones: PyTorch's kernels and weight layouts.

The time axis comes first and channels last: (B, T, C), (B, T, H, C), (B, T, H, W, C). Padding, latency and mask follow
the window arithmetic of `course_lib.layers.windows`. A transposed convolution spreads every step over a kernel of
samples; which part of their sum comes out, its latency and mask are those of `course_lib.layers.overlap_add`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.layers.overlap_add import OverlappingLayer, Overlaps
from course_lib.layers.windows import Taps, WindowedLayer, Windows, pad_axis
from course_lib.sequence import ChannelSpec, Sequence, SequenceLayer, check_channels

_LONG = 64  # steps
Activation = Callable[[Tensor], Tensor] | None


class KernelLayer(SequenceLayer):
    """What convolutions and transposed ones share: a kernel over time and, after it, further axes."""

    transposed = False
    _arguments: dict[str, Any]  # of PyTorch's kernel

    def _make_kernel(
        self, sizes: tuple[int, int], axes: Iterable[Taps], groups: int, bias: bool, activation: Activation
    ) -> None:
        """sizes: channels in and out.  axes: taps of each axis, time first.  Initial values: PyTorch's."""
        self.in_channels, self.out_channels = sizes
        for name, channels in zip(("in_channels", "out_channels"), sizes, strict=True):
            if groups < 1 or channels < 1 or channels % groups:
                raise ValueError(f"{name}: expected a positive multiple of groups={groups}, got {channels}")
        self.axes, self.groups, self.activation = tuple(axes), groups, activation
        rows, columns = sizes if self.transposed else sizes[::-1]
        shape = (rows, columns // groups, *(axis.kernel_size for axis in self.axes))
        bound = 1 / math.sqrt(math.prod(shape[1:]))
        self.weight = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(self.out_channels).uniform_(-bound, bound)) if bias else None
        self._arguments = {
            "stride": tuple(axis.stride for axis in self.axes),
            "dilation": tuple(axis.dilation for axis in self.axes),
            "groups": groups,
        }

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        space = self.axes[1:]
        sizes = spec.shape[:-1] if len(spec.shape) == 1 + len(space) else (0,) * len(space)
        check_channels(self, spec, (*sizes, self.in_channels), self.weight.dtype)
        sizes = tuple(axis.output_length(size) for axis, size in zip(space, sizes, strict=True))
        return ChannelSpec((*sizes, self.out_channels), spec.dtype)

    @property
    def input_spec(self) -> ChannelSpec | None:
        return ChannelSpec((self.in_channels,), self.weight.dtype) if len(self.axes) == 1 else None

    def extra_repr(self) -> str:
        axes = ", ".join(map(str, self.axes))
        return f"{self.in_channels}, {self.out_channels}, {axes}, groups={self.groups}"


class Convolution(KernelLayer, WindowedLayer):
    """A convolution over the windows of each axis, time first; `weight` (out, in / groups, *kernel)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        windows: list[Windows],
        groups: int,
        bias: bool,
        activation: Activation,
    ):
        super().__init__(windows[0])
        self._make_kernel((in_channels, out_channels), windows, groups, bias, activation)
        self.space = windows[1:]

    def _windowed(self, values, mask):
        for axis, windows in enumerate(self.space, start=2):
            values = pad_axis(values, axis, windows.pads(values.shape[axis]))
        y = self._convolve(values)
        return y if self.activation is None else self.activation(y)

    def _convolve(self, values: Tensor) -> Tensor:
        """(B, T', *space, in) -> (B, N, *space', out), of padded values."""
        convolve = F.conv2d if len(self.space) == 1 else F.conv3d
        return convolve(values.movedim(-1, 1), self.weight, self.bias, **self._arguments).movedim(1, -1)


class Conv1D(Convolution):
    """Convolution along time, (B, T, in_channels) -> (B, N, out_channels). Loads the state dict of `nn.Conv1d`.

    kernel_size, stride, dilation: in time steps; the kernel sees taps `dilation` apart. padding: a mode of
    `course_lib.layers.windows`, which tells N, latency and mask. activation: a function applied to the result.
    Raises ValueError where channels are no multiple of `groups`, or the padding mode is unknown.
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
        windows = Windows(kernel_size, stride, dilation, padding)
        super().__init__(in_channels, out_channels, [windows], groups, bias, activation)

    def _layer(self, x, training, constants):
        windows, length = self.windows, x.shape[1]
        if isinstance(length, torch.SymInt):
            return super()._layer(x, training, constants)
        fits = (length + 2 * windows.before - windows.extent) // windows.stride + 1 == windows.output_length(length)
        if not (x.all_valid and windows.padding == "same" and fits and 0 < length):
            return super()._layer(x, training, constants)
        y = self._convolve(x.values, windows.before)  # the kernel pads both ends by itself, which saves a copy
        y = y if self.activation is None else self.activation(y)
        return Sequence(y, x.mask[:, :: windows.stride], all_valid=True)

    def _convolve(self, values, padding=0):
        # On a CPU, (B, T', C) seen as an image (B, C, 1, T') is in the layout "channels last" that the two-dimensional
        # kernel takes as it is, where the one-dimensional one copies the values to (B, C, T') and back. But it first
        # rearranges the weights, which does not pay for a short block of a stream.
        symbolic = isinstance(values.shape[1], torch.SymInt)  # of torch.export, which follows one branch only
        if symbolic or values.shape[1] < _LONG or values.device.type != "cpu":
            values = values.transpose(1, 2)
            return F.conv1d(values, self.weight, self.bias, padding=padding, **self._arguments).transpose(1, 2)
        image, weight = values.unsqueeze(1).permute(0, 3, 1, 2), self.weight.unsqueeze(2)
        stride, dilation = (1, self.windows.stride), (1, self.windows.dilation)
        y = F.conv2d(image, weight, self.bias, stride, (0, padding), dilation, self.groups)
        return y.permute(0, 2, 3, 1).squeeze(1)


class DepthwiseConv1D(Conv1D):
    """Each channel convolved by itself with `depth_multiplier` kernels: (B, T, C) -> (B, N, C · depth_multiplier).

    Output channel c · depth_multiplier + i comes from input channel c.
    """

    def __init__(
        self,
        in_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: str = "causal",
        dilation: int = 1,
        depth_multiplier: int = 1,
        bias: bool = True,
        activation: Activation = None,
    ):
        out_channels = in_channels * depth_multiplier
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, in_channels, bias, activation
        )


class _SpatialConvolution(Convolution):
    """Time and further axes: every argument about an axis takes one value for all or one for each, time first."""

    dimensions: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        time_padding: str = "causal",
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        spatial_padding: str | tuple[str, ...] = "same",
        activation: Activation = None,
    ):
        windows = axis_windows(self.dimensions, kernel_size, stride, dilation, time_padding, spatial_padding)
        super().__init__(in_channels, out_channels, windows, groups, bias, activation)


class Conv2D(_SpatialConvolution):
    """Convolution along time and one more axis, (B, T, H, in_channels) -> (B, N, H', out_channels).

    kernel_size, stride, dilation: one number, or one for time and one for H. time_padding, spatial_padding: modes of
    `course_lib.layers.windows`; only time has latency and a mask. Loads the state dict of `nn.Conv2d`.
    """

    dimensions = 2


class Conv3D(_SpatialConvolution):
    """Convolution along time and two more axes, (B, T, H, W, in_channels) -> (B, N, H', W', out_channels).

    As `Conv2D`, with one number, or one for each of time, H and W. Loads the state dict of `nn.Conv3d`.
    """

    dimensions = 3


def axis_windows(
    dimensions: int,
    kernel_size: int | tuple[int, ...],
    stride: int | tuple[int, ...],
    dilation: int | tuple[int, ...],
    time_padding: str,
    spatial_padding: str | tuple[str, ...],
    kind: type[Taps] = Windows,
) -> list[Any]:
    """The windows (or another `kind` of taps) of each of `dimensions` axes, time first.

    Raises ValueError where an argument has neither one value nor one for each axis.
    """
    each: dict[str, Any] = {
        "kernel_size": kernel_size,
        "stride": stride,
        "dilation": dilation,
        "spatial_padding": spatial_padding,
    }
    for name, value in each.items():
        count = dimensions - 1 if name == "spatial_padding" else dimensions
        each[name] = tuple(value) if isinstance(value, list | tuple) else (value,) * count
        if len(each[name]) != count:
            raise ValueError(f"{name}: expected one value or {count}, got {value!r}")
    *taps, space = each.values()
    return [kind(*axis) for axis in zip(*taps, (time_padding, *space), strict=True)]


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
