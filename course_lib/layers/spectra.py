"""Spectra of a stream: Fourier transforms along a channel axis, the short-time transform and its inverse, mel bands."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor

from course_lib.layers.overlap_add import OverlappingLayer, Overlaps, overlap_add
from course_lib.layers.windows import FixedArray, WindowedLayer, WindowLike, Windows, inverse_window_array, window_array
from course_lib.sequence import ChannelSpec, StatelessLayer, at_least_float32, check_channels, check_floating


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


def _fft_length(frame_length: int, fft_length: int | None) -> int:
    if fft_length is not None and fft_length < frame_length:
        raise ValueError(f"fft_length: expected at least frame_length={frame_length}, got {fft_length}")
    return fft_length or frame_length


class STFT(WindowedLayer):
    """Spectra of overlapping frames, (B, T, *C) -> (B, N, fft_length // 2 + 1, *C), complex.

    Frames of `frame_length` samples, one every `frame_step`, are weighed by `window` and transformed, with zeros up to
    `fft_length` (None: `frame_length`) after the frame or, with `fft_padding="center"`, on both sides of it.
    padding: a mode of `course_lib.layers.windows`; with `reverse_causal`, frame n begins at sample n · frame_step.
    magnitude: give absolute values, real. window: as in `Window`.
    Half precisions are transformed in float32. Raises ValueError where the input is not real.
    """

    def __init__(
        self,
        frame_length: int,
        frame_step: int,
        fft_length: int | None = None,
        window: WindowLike = "hann",
        padding: str = "reverse_causal",
        fft_padding: str = "right",
        magnitude: bool = False,
    ):
        super().__init__(Windows(frame_length, frame_step, 1, padding))
        self.frame_length, self.frame_step = frame_length, frame_step
        self.fft_length = _fft_length(frame_length, fft_length)
        self.fft_padding, self.magnitude = check_fft_padding(fft_padding), magnitude
        weights = window_array(window, frame_length)
        self.window = FixedArray(weights)
        seen = np.flatnonzero(weights) - self.windows.before  # a window may be zero at its ends
        self.receptive_field = (int(seen[0]), int(seen[-1]))

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        check_floating(self, spec)
        dtype = spec.dtype if self.magnitude else at_least_float32(spec.dtype).to_complex()
        return ChannelSpec((self.fft_length // 2 + 1, *spec.shape), dtype)

    def _windowed(self, values, mask):
        frames = self.windows.of(values) * self.window.like(values)  # (B, N, *C, frame_length)
        if self.fft_padding == "center":
            frames = fit_length(frames, self.fft_length, -1, "center")
        spectra = transformed(torch.fft.rfft, frames, self.fft_length, -1).movedim(-1, 2)
        return spectra.abs().to(values.dtype) if self.magnitude else spectra


class InverseSTFT(OverlappingLayer):
    """The signal whose `STFT` with the same arguments it is given, (B, T, fft_length // 2 + 1, *C) -> (B, N, *C).

    Each spectrum is transformed back, cut to `frame_length`, weighed by the window that undoes `window`, and the frames
    are summed. The result is exact at every sample for which all frames that cover it exist and one of them has weight:
    after `STFT(padding="reverse_causal")`, with `padding="causal"`, from the second frame on.
    padding: `causal`, `same`, `full` or `semicausal_full`, as in `course_lib.layers.overlap_add`.
    window: the forward window, as in `Window`. Raises ValueError where the input is not complex or has other bins.
    """

    def __init__(
        self,
        frame_length: int,
        frame_step: int,
        fft_length: int | None = None,
        window: WindowLike = "hann",
        padding: str = "causal",
        fft_padding: str = "right",
    ):
        super().__init__(Overlaps(frame_length, frame_step, 1, padding))
        self.frame_length, self.frame_step = frame_length, frame_step
        self.fft_length = _fft_length(frame_length, fft_length)
        self.fft_padding = check_fft_padding(fft_padding)
        weights = inverse_window_array(window, frame_length, frame_step)
        self.window = FixedArray(weights)
        self._look_at(np.flatnonzero(weights).tolist())

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        check_channels(self, spec, (self.fft_length // 2 + 1, ...))
        if not spec.dtype.is_complex:
            raise ValueError(f"x: expected complex spectra in InverseSTFT, got {spec.dtype}")
        return ChannelSpec(spec.shape[1:], spec.dtype.to_real())

    def _summed(self, values):
        frames = transformed(torch.fft.irfft, values, self.fft_length, 2)
        frames = fit_length(frames, self.frame_length, 2, self.fft_padding)
        weights = self.window.like(frames).reshape(-1, *(1,) * (frames.dim() - 3))
        return overlap_add(frames * weights, self.frame_step)


def hertz_to_mel(frequency: ArrayLike) -> np.ndarray:
    """The HTK mel scale, 1127 · ln(1 + f / 700 Hz). Source: Young et al., The HTK Book, eq. 5.13."""
    return 1127.0 * np.log1p(np.asarray(frequency) / 700.0)


def mel_to_hertz(mel: ArrayLike) -> np.ndarray:
    """The inverse of `hertz_to_mel`."""
    return 700.0 * np.expm1(np.asarray(mel) / 1127.0)


def linear_to_mel_matrix(
    num_bins: int,
    num_mel_bins: int,
    sample_rate: float,
    lower_edge_hertz: float = 0.0,
    upper_edge_hertz: float | None = None,
    scale: str = "htk",
) -> np.ndarray:
    """Weights (num_bins, num_mel_bins) that sum the bins of a spectrum into overlapping triangles, float64.

    num_bins: fft_length // 2 + 1 bins from 0 Hz to sample_rate / 2. The triangles lie between the two edges (None: half
    the sample rate). `htk`: equal distances on the HTK scale, sides straight in mel, peak 1, the bin at 0 Hz left out,
    as TensorFlow's matrix. `slaney`: as `librosa.filters.mel`, each triangle with area 1 in Hz.
    Raises ValueError where the edges are not 0 ≤ lower < upper ≤ sample_rate / 2.
    """
    upper = sample_rate / 2 if upper_edge_hertz is None else upper_edge_hertz
    if not 0 <= lower_edge_hertz < upper <= sample_rate / 2:
        raise ValueError(
            f"lower_edge_hertz, upper_edge_hertz: expected 0 <= lower < upper <= {sample_rate / 2}, "
            f"got {lower_edge_hertz} and {upper}"
        )
    if scale == "slaney":
        from librosa.filters import mel

        fft_length = 2 * (num_bins - 1)
        return mel(
            sr=sample_rate, n_fft=fft_length, n_mels=num_mel_bins, fmin=lower_edge_hertz, fmax=upper, dtype=np.float64
        ).T
    if scale != "htk":
        raise ValueError(f"scale: expected 'htk' or 'slaney', got {scale!r}")
    mels = hertz_to_mel(np.linspace(0, sample_rate / 2, num_bins))[:, None]
    edges = np.linspace(hertz_to_mel(lower_edge_hertz), hertz_to_mel(upper), num_mel_bins + 2)
    left, peak, right = edges[:-2], edges[1:-1], edges[2:]
    weights = np.maximum(np.minimum((mels - left) / (peak - left), (right - mels) / (right - peak)), 0)
    weights[0] = 0
    return weights


class LinearToMel(StatelessLayer):
    """Spectra (B, T, num_bins, *C) to mel bands (B, T, num_mel_bins, *C): see `linear_to_mel_matrix`.

    Takes magnitudes or powers, real; the logarithm is left to whoever needs it.
    """

    def __init__(
        self,
        num_bins: int,
        num_mel_bins: int,
        sample_rate: float,
        lower_edge_hertz: float = 0.0,
        upper_edge_hertz: float | None = None,
        scale: str = "htk",
    ):
        super().__init__()
        self.num_bins, self.num_mel_bins = num_bins, num_mel_bins
        matrix = linear_to_mel_matrix(num_bins, num_mel_bins, sample_rate, lower_edge_hertz, upper_edge_hertz, scale)
        self.matrix = FixedArray(matrix)

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        check_channels(self, spec, (self.num_bins, ...))
        check_floating(self, spec)
        return ChannelSpec((self.num_mel_bins, *spec.shape[1:]), spec.dtype)

    def _values(self, values, training):
        matrix = self.matrix.like(values)
        bands = values.movedim(2, -1).to(matrix.dtype) @ matrix
        return bands.movedim(-1, 2).to(values.dtype)
