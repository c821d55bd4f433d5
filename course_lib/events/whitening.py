"""Whitening: a short filter after which neighbouring samples of the noise no longer tell of each other."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_toeplitz
from scipy.signal import lfilter

from course_lib.events.detections import as_array

_FLOOR = 1e-9  # of the power: noise that is always there


def whitening_filter(data: np.ndarray, order: int = 16) -> np.ndarray:
    """Taps (order + 1,) that predict each sample of data (N, T, C) from the `order` before it, and keep the surprise.

    One filter for all channels, scaled so that the surprise has RMS 1. Events in the data are taken for noise: harmless
    where they are rare or faint, else give the data with the events taken out.
    A pure tone can be predicted without error; a billionth of the power is taken for noise, which keeps taps finite.
    Raises ValueError where data are not (N, T, C), not real, not finite, constant or not longer than `order`.
    Source: autoregressive model by the Yule-Walker equations; Makhoul 1975.
    """
    data = as_array(data)
    if data.dtype.kind not in "fiub" or order != int(order):
        raise ValueError(f"data, order: expected real numbers and a whole number, got {data.dtype} and {order}")
    data, order = data.astype(np.float64), int(order)
    if data.ndim != 3 or data.shape[1] <= order or order < 1 or not np.isfinite(data).all():
        raise ValueError(f"data: expected finite (N, T, C) with T above order={order}, got shape {data.shape}")
    largest = np.abs(data).max(initial=0.0)
    data = data - data.mean(axis=1, keepdims=True)
    scale = np.abs(data).max(initial=0.0)
    if scale <= 1e-12 * largest:  # what rounding leaves of a constant
        raise ValueError("data: expected a signal that varies")
    data = data / scale
    length = data.shape[1]
    # Sums over fewer and fewer pairs, all divided by N: these are the correlations of a process, of which no prediction
    # can explain more than all. With means over the pairs there need be none, and the taps may be NaN.
    correlation = np.array([(data[:, k:] * data[:, : length - k]).sum() for k in range(order + 1)]) / data.size
    correlation[0] *= 1 + _FLOOR
    coefficients = solve_toeplitz(correlation[:-1], correlation[1:])
    surprise = max(correlation[0] - coefficients @ correlation[1:], _FLOOR * correlation[0])
    taps = np.concatenate([[1.0], -coefficients]) / np.sqrt(surprise) / scale
    if not np.isfinite(taps).all():
        raise ValueError(f"data: expected values that can be scaled to RMS 1, got {scale:g} at the largest")
    return taps


def whiten(data: np.ndarray, taps: np.ndarray, axis: int = 1) -> np.ndarray:
    """`data` filtered along time by `taps`, float32. Looks back only; what was before the first sample counts as 0.

    Raises ValueError where taps are not (K,), K > 0, and finite.
    """
    if np.ndim(taps) != 1 or len(taps) == 0 or not np.isfinite(taps).all():
        raise ValueError(f"taps: expected finite (K,) with K > 0, got shape {np.shape(taps)}")
    if 0 in np.shape(data):
        return np.zeros(np.shape(data), np.float32)
    return lfilter(taps, [1.0], data, axis=axis).astype(np.float32)
