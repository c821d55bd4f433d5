"""The short-time Fourier transform and its inverse: frames, a window, a Fourier transform, and overlap-add back."""

from __future__ import annotations

import numpy as np
import torch

from course_lib.layers.fourier import check_fft_padding, fit_length, transformed
from course_lib.layers.frame import WindowLike, inverse_window_array, window_array
from course_lib.layers.overlap_add import OverlappingLayer, Overlaps, overlap_add
from course_lib.layers.parameters import FixedArray
from course_lib.layers.windows import WindowedLayer, Windows
from course_lib.sequence import ChannelSpec, at_least_float32, check_channels, check_floating


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
