"""From linear frequency to the mel scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from course_lib.layers.parameters import FixedArray
from course_lib.sequence import ChannelSpec, StatelessLayer, check_channels, check_floating


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
