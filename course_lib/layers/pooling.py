"""Pooling over time, and over time and one or two more axes: the largest, smallest or mean value of each window.

Invalid steps and padding never win: they hold ∓∞ (the smallest or largest integer), or 0 for the mean. Beside it stand
the plain changes of rate, `Downsample1D` and `Upsample1D`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import torch
import torch.nn.functional as F

from course_lib.layers.convolution import axis_windows
from course_lib.layers.windows import WindowedLayer, Windows, pad_axis
from course_lib.sequence import (
    ChannelSpec,
    Sequence,
    SequenceLayer,
    at_least_float32,
    check_floating,
    check_positive,
    over_channels,
)


class _Pooling(WindowedLayer):
    """`space`: the windows of the axes after time."""

    def __init__(self, windows: Windows, *space: Windows):
        super().__init__(windows)
        self.space = space

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        name = type(self).__name__
        if spec.dtype.is_complex or spec.dtype == torch.bool:
            raise ValueError(f"x: expected real numbers in {name}, got {spec.dtype}")
        axes = len(self.space)
        if axes and len(spec.shape) <= axes:
            wanted = ", ".join("HW"[:axes])
            raise ValueError(f"x: expected (B, T, {wanted}, C) in {name}, got channels {tuple(spec.shape)}")
        sizes = (axis.output_length(size) for axis, size in zip(self.space, spec.shape, strict=False))
        return ChannelSpec((*sizes, *spec.shape[axes:]), spec.dtype)

    def _padded_in_space(self, values):
        """(B, T', H, …, *C) with the neutral value on both sides of each axis that has windows."""
        for axis, windows in enumerate(self.space, start=2):
            values = pad_axis(values, axis, windows.pads(values.shape[axis]), self._fill(values.dtype))
        return values

    def extra_repr(self) -> str:
        return ", ".join(map(str, (self.windows, *self.space)))


class _ExtremePooling(_Pooling):
    """The largest value of each window; with `smallest` the order of the numbers is turned round before and after."""

    smallest = False

    def __init__(self, windows, *space):
        super().__init__(windows, *space)
        # The anchor may lie between two taps. Then an output can be valid without a valid tap in its window.
        self.looks_at_mask = windows.before % windows.dilation > 0

    def _fill(self, dtype):
        if dtype.is_floating_point:
            return torch.inf if self.smallest else -torch.inf
        return torch.iinfo(dtype).max if self.smallest else torch.iinfo(dtype).min

    def _windowed(self, values, mask):
        axes = self.windows, *(self.space or (_NO_WINDOW,))  # PyTorch's kernel needs two axes at least
        values = self._padded_in_space(values) if self.space else values.unsqueeze(2)
        shape = values.shape[1 + len(axes) :]
        flat = _reverse_order(values) if self.smallest else values
        # (B, T', H, C) seen as (B, C, T', H): the layout "channels last" of PyTorch's kernel, so nothing is copied.
        flat = flat.flatten(1 + len(axes)).movedim(-1, 1) if shape else flat.unsqueeze(1)
        pool = F.max_pool2d if len(axes) == 2 else F.max_pool3d
        kernel, stride, dilation = (
            tuple(getattr(axis, name) for axis in axes) for name in ("kernel_size", "stride", "dilation")
        )
        y = pool(flat, kernel, stride, dilation=dilation).movedim(1, -1)
        y = _reverse_order(y) if self.smallest else y
        y = y.reshape(y.shape[: 1 + len(axes)] + shape)
        y = y if self.space else y.squeeze(2)
        if not self.looks_at_mask:
            return y
        return torch.where(over_channels(self.windows.any_valid(mask), y), y, 0)

    # A window without a valid tap leaves the infinite fill, in an output that is invalid: make that a finite number.

    def _layer(self, x, training, constants):
        return super()._layer(x, training, constants).masked()

    def _step(self, x, state, training, constants):
        y, state = super()._step(x, state, training, constants)
        return y.masked(), state


class _AveragePooling(_Pooling):
    def __init__(self, windows, *space, masked_average=False):
        super().__init__(windows, *space)
        self.looks_at_mask = self.masked_average = masked_average

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        check_floating(self, spec)
        return super().output_spec(spec)

    def _windowed(self, values, mask):
        dtype = values.dtype
        total = self.windows.of(values).sum(dim=-1, dtype=at_least_float32(dtype))
        total = self._padded_in_space(total)
        for axis, space in enumerate(self.space, start=2):
            total = total.unfold(axis, space.extent, space.stride)[..., :: space.dilation].mean(dim=-1)
        if not self.masked_average:
            return (total / self.windows.kernel_size).to(dtype)
        count = self.windows.of(mask).sum(dim=-1).clamp(min=1)
        return (total / over_channels(count, total)).to(dtype)


_NO_WINDOW = Windows(1)


def _reverse_order(x: torch.Tensor) -> torch.Tensor:
    """Numbers in the opposite order: −x, or for integers −x − 1, which exists for each of them."""
    return -x if x.dtype.is_floating_point else ~x


class _Pooling1D(_Pooling):
    """The arguments of pooling over time."""

    def __init__(
        self, pool_size: int, stride: int | None = None, padding: str = "causal", dilation: int = 1, **options: Any
    ):
        super().__init__(Windows(pool_size, pool_size if stride is None else stride, dilation, padding), **options)


class _PoolingInSpace(_Pooling):
    """The arguments of pooling over time and further axes."""

    rank: int  # time and the axes after it

    def __init__(
        self,
        pool_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] | None = None,
        time_padding: str = "causal",
        spatial_padding: str = "same",
        dilation: int | tuple[int, ...] = 1,
        **options: Any,
    ):
        stride = pool_size if stride is None else stride
        windows = axis_windows(self.rank, pool_size, stride, dilation, time_padding, spatial_padding)
        super().__init__(*windows, **options)


class _Pooling2D(_PoolingInSpace):
    rank = 2


class _Pooling3D(_PoolingInSpace):
    rank = 3


class MaxPooling1D(_Pooling1D, _ExtremePooling):
    """The largest value of each window over time, (B, T, *C) -> (B, N, *C); floating point or integers.

    pool_size, stride (None: `pool_size`), dilation: in time steps. padding: a mode of `course_lib.layers.windows`.
    """


class MinPooling1D(_Pooling1D, _ExtremePooling):
    """The smallest value of each window over time; arguments as in `MaxPooling1D`."""

    smallest = True


class AveragePooling1D(_Pooling1D, _AveragePooling):
    """The mean of each window over time, (B, T, *C) -> (B, N, *C); arguments as in `MaxPooling1D`.

    Invalid steps and padding count as zeros, so that the sum is always divided by `pool_size`; with
    `masked_average=True` the mean is over the valid steps only.
    """


class MaxPooling2D(_Pooling2D, _ExtremePooling):
    """The largest value of each window over time and one more axis, (B, T, H, *C) -> (B, N, H', *C).

    pool_size, stride (None: `pool_size`), dilation: one number, or one for time and one for H. time_padding,
    spatial_padding: modes of `course_lib.layers.windows`; only time has latency and a mask.
    """


class MinPooling2D(_Pooling2D, _ExtremePooling):
    """The smallest value of each window over time and one more axis; arguments as in `MaxPooling2D`."""

    smallest = True


class AveragePooling2D(_Pooling2D, _AveragePooling):
    """The mean of each window over time and one more axis; arguments as in `MaxPooling2D` and `AveragePooling1D`.

    `masked_average=True` leaves out invalid steps; padding of the second axis always counts as zeros.
    """


class MaxPooling3D(_Pooling3D, _ExtremePooling):
    """The largest value of each window over time and two more axes, (B, T, H, W, *C) -> (B, N, H', W', *C).

    Arguments as in `MaxPooling2D`; a tuple has three numbers, for time, H and W.
    """


class MinPooling3D(_Pooling3D, _ExtremePooling):
    """The smallest value of each window over time and two more axes; arguments as in `MaxPooling3D`."""

    smallest = True


class AveragePooling3D(_Pooling3D, _AveragePooling):
    """The mean of each window over time and two more axes; arguments as in `MaxPooling3D` and `AveragePooling2D`."""


class _Resample(SequenceLayer):
    """A layer with a whole-number rate whose step is its layer."""

    channelwise = True

    def __init__(self, rate: int):
        super().__init__()
        check_positive(rate=rate)
        self.rate = rate

    def _step(self, x, state, training, constants):
        return self._layer(x, training, constants), state


class Upsample1D(_Resample):
    """Every step `rate` times: (B, T, *C) -> (B, T · rate, *C)."""

    def __init__(self, rate: int):
        super().__init__(rate)
        self.output_ratio = Fraction(rate)

    def _layer(self, x, training, constants):
        mask = x.mask.repeat_interleave(self.rate, dim=1)
        return Sequence(x.values.repeat_interleave(self.rate, dim=1), mask, x.all_valid)


class Downsample1D(_Resample):
    """Steps 0, rate, 2 · rate, …: (B, T, *C) -> (B, ⌈T / rate⌉, *C). Nothing is averaged; pooling avoids aliases."""

    def __init__(self, rate: int):
        super().__init__(rate)
        self.block_size, self.output_ratio = rate, Fraction(1, rate)

    def _layer(self, x, training, constants):
        return x[:, :: self.rate]
