"""Discrete Fourier transforms along a channel axis: each time step by itself, so that a stream needs no state."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.sequence import ChannelSpec, StatelessLayer, at_least_float32, check_floating


def fit_length(values: Tensor, length: int, axis: int, padding: str) -> Tensor:
    """Zeros added to (or values cut from) `axis` until it has `length`: at its end, or on both sides for `center`."""
    surplus = values.shape[axis] - length
    if surplus == 0:
        return values
    first = abs(surplus) // 2 if padding == "center" else 0
    if surplus > 0:
        return values.narrow(axis, first, length)
    return F.pad(values, (0, 0) * (values.dim() - 1 - axis % values.dim()) + (first, -surplus - first))


def transformed(transform: Callable[..., Tensor], values: Tensor, points: int | None, axis: int) -> Tensor:
    """`transform`, a function of `torch.fft`, along `axis`, in at least float32; also of tensors without elements."""
    values = values if values.is_complex() else values.to(at_least_float32(values.dtype))
    if values.numel():
        return transform(values, n=points, dim=axis)
    y = transform(values.new_zeros([max(size, 1) for size in values.shape]), n=points, dim=axis)
    axis = axis % values.dim()
    return y[tuple(slice(None) if i == axis else slice(size) for i, size in enumerate(values.shape))]


def check_fft_padding(padding: str) -> str:
    if padding not in ("right", "center"):
        raise ValueError(f"fft_padding: expected 'right' or 'center', got {padding!r}")
    return padding


class _Transform(StatelessLayer):
    """fft_length: points of the transform, None: as many as come. axis: a channel axis, 2 or above, or negative.

    padding: where zeros go if the input has fewer points: after it (`right`) or on both sides (`center`).
    """

    def __init__(self, fft_length: int | None = None, axis: int = -1, padding: str = "right"):
        super().__init__()
        if fft_length is not None and fft_length < 1:
            raise ValueError(f"fft_length: expected at least 1, got {fft_length}")
        self.fft_length, self.axis, self.padding = fft_length, axis, check_fft_padding(padding)

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        axis = self.axis - 2 if self.axis >= 0 else self.axis + len(spec.shape)
        if not 0 <= axis < len(spec.shape):
            raise ValueError(
                f"x: expected a channel axis {self.axis} in {type(self).__name__}, "
                f"got (B, T, {', '.join(map(str, spec.shape))})"
            )
        shape = spec.shape[:axis] + (self._length(spec.shape[axis]),) + spec.shape[axis + 1 :]
        return ChannelSpec(shape, self._dtype(spec.dtype))

    def _length(self, points: int) -> int:
        """Points that come out for `points` going in."""
        return self.fft_length or points

    def _dtype(self, dtype: torch.dtype) -> torch.dtype:
        return torch.complex128 if dtype in (torch.float64, torch.complex128) else torch.complex64


class FFT(_Transform):
    """X[k] = Σ_n x[n] exp(−2πi k n / fft_length) along a channel axis; real or complex in, complex out."""

    def _values(self, values, training):
        values = fit_length(values, self._length(values.shape[self.axis]), self.axis, self.padding)
        return transformed(torch.fft.fft, values, None, self.axis)


class IFFT(_Transform):
    """The inverse of `FFT`: x[n] = Σ_k X[k] exp(2πi k n / K) / K with K the points that come in; complex out.

    frame_length: how much of the result is kept (None: all), its beginning or, with `center`, its middle.
    """

    def __init__(self, frame_length: int | None = None, axis: int = -1, padding: str = "right"):
        super().__init__(frame_length, axis, padding)

    def _values(self, values, training):
        frames = transformed(torch.fft.ifft, values, None, self.axis)
        return fit_length(frames, self._length(values.shape[self.axis]), self.axis, self.padding)


class RFFT(_Transform):
    """`FFT` of real numbers, of which only the fft_length // 2 + 1 points of non-negative frequency come out."""

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        check_floating(self, spec)
        return super().output_spec(spec)

    def _length(self, points):
        return (self.fft_length or points) // 2 + 1

    def _values(self, values, training):
        values = fit_length(values, self.fft_length or values.shape[self.axis], self.axis, self.padding)
        return transformed(torch.fft.rfft, values, None, self.axis)


class IRFFT(_Transform):
    """The inverse of `RFFT`, real numbers out. fft_length: None means 2 · (points − 1), the even one that fits.

    frame_length: how much of the result is kept (None: all), its beginning or, with `center`, its middle.
    """

    def __init__(
        self,
        fft_length: int | None = None,
        frame_length: int | None = None,
        axis: int = -1,
        padding: str = "right",
    ):
        super().__init__(fft_length, axis, padding)
        self.frame_length = frame_length

    def _length(self, points):
        return self.frame_length or self.fft_length or 2 * (points - 1)

    def _dtype(self, dtype):
        return torch.float64 if dtype in (torch.float64, torch.complex128) else torch.float32

    def _values(self, values, training):
        points = values.shape[self.axis]
        frames = transformed(torch.fft.irfft, values, self.fft_length or 2 * (points - 1), self.axis)
        return fit_length(frames, self._length(points), self.axis, self.padding)
