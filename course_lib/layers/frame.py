"""Frames of a signal, and the windows that weigh them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from course_lib.layers.parameters import FixedArray
from course_lib.layers.windows import WindowedLayer, Windows
from course_lib.sequence import ChannelSpec, Reach, StatelessLayer, check_channels, check_floating

WindowLike = str | tuple | np.ndarray | Callable[[int], np.ndarray] | None


def window_array(window: WindowLike, length: int) -> np.ndarray:
    """`length` samples of a window in float64.

    window: a name or tuple that `scipy.signal.get_window` knows (periodic, as spectra need it), a function of the
    length, an array, or None for the rectangle. Raises ValueError where the result has another length.
    """
    if window is None:
        return np.ones(length)
    if isinstance(window, str | tuple):
        from scipy.signal import get_window

        return get_window(window, length, fftbins=True)
    array = np.asarray(window(length) if callable(window) else window, dtype=np.float64)
    if array.shape != (length,):
        raise ValueError(f"window: expected {length} samples, got an array of shape {array.shape}")
    return array


def inverse_window_array(window: WindowLike, length: int, step: int) -> np.ndarray:
    """The window that undoes `window` in overlap-add: divided by the sum of its squares over all frames at a sample.

    Where no frame has weight at a sample, that sample is lost, and the inverse is 0 there.
    Source: Griffin and Lim 1984, eq. 7.
    """
    forward = window_array(window, length)
    squares = np.zeros(-(-length // step) * step)
    squares[:length] = forward**2
    total = np.tile(squares.reshape(-1, step).sum(axis=0), len(squares) // step)[:length]
    return np.divide(forward, total, out=np.zeros(length), where=total > 0)


class Frame(WindowedLayer):
    """Overlapping frames of a signal, (B, T, *C) -> (B, N, frame_length, *C), one every `frame_step` samples.

    padding: a mode of `course_lib.layers.windows`; with `reverse_causal` frame n begins at sample n · frame_step, with
    `causal` it ends there. Samples beyond the ends are zeros.
    """

    def __init__(self, frame_length: int, frame_step: int, padding: str = "reverse_causal"):
        super().__init__(Windows(frame_length, frame_step, 1, padding))
        self.frame_length, self.frame_step = frame_length, frame_step

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        return ChannelSpec((self.frame_length, *spec.shape), spec.dtype)

    def _windowed(self, values, mask):
        return self.windows.of(values).movedim(-1, 2)

    def seen_by(self, step: int, taps: set[int]) -> Reach:
        """As `receptive_field_at`, if only these samples of a frame are looked at."""
        first = step * self.frame_step - self.windows.before
        return (first + min(taps), first + max(taps)) if taps else (1, 0)


class Window(StatelessLayer):
    """Frames (B, T, frame_length, *C) weighed by a window.

    window: a name of `scipy.signal.get_window`, a function of the length, an array, or None.
    """

    channelwise = True

    def __init__(self, frame_length: int, window: WindowLike = "hann"):
        super().__init__()
        self.frame_length = frame_length
        weights = window_array(window, frame_length)
        self.window = FixedArray(weights)
        self.taps = set(np.flatnonzero(weights).tolist())  # a window may be zero at its ends

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        check_channels(self, spec, (self.frame_length, ...))
        check_floating(self, spec, or_complex=True)
        return spec

    def _values(self, values, training):
        window = self.window.like(values).reshape(-1, *(1,) * (values.dim() - 3))
        return (values * window).to(values.dtype)
