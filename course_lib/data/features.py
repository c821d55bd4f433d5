"""Log-mel spectrograms of many clips: the picture of sound that most classifiers look at."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from course_lib.data.cache import cached_array, content_key

FLOOR = 1e-7  # added to the power, so that silence has a logarithm: -7


def log_mel(
    signals: np.ndarray,
    sample_rate: int,
    n_fft: int = 2048,
    hop_length: int = 882,
    n_mels: int = 64,
    fmin: float = 0.0,
    fmax: float | None = None,
    cache: bool = False,
    workers: int | None = None,
) -> np.ndarray:
    """log10(mel power + 1e-7) of each clip: (N, samples) or (N, 1, samples) to (N, n_mels, frames) float32.

    A Hann window of `n_fft` samples moves by `hop_length`; frames are centred, so frames = 1 + samples // hop_length.
    Bands are librosa's default, the Slaney mel scale with unit area, from `fmin` to `fmax` Hz (half the sample rate).
    cache: keep the result on disk, by content and parameters.  workers: clips at once, by default one per core up to 8.
    Raises ValueError where `signals` has another shape or holds no clip.  Source: librosa.feature.melspectrogram.
    """
    import librosa  # takes seconds to import: only where it is needed

    if signals.ndim == 3 and signals.shape[1] == 1:
        signals = signals[:, 0]
    if signals.ndim != 2 or 0 in signals.shape:
        raise ValueError(f"signals: expected (N, samples) or (N, 1, samples) with N > 0, got {signals.shape}")
    options = {"n_fft": n_fft, "hop_length": hop_length, "n_mels": n_mels, "fmin": fmin, "fmax": fmax}
    workers = workers or min(8, os.cpu_count() or 1)

    def one(signal: np.ndarray) -> np.ndarray:
        power = librosa.feature.melspectrogram(y=np.asarray(signal, dtype=np.float32), sr=sample_rate, **options)
        return np.log10(power + FLOOR)  # (n_mels, frames)

    def build(append) -> dict:
        append(one(signals[0]))  # the first alone: librosa compiles and caches its filters here
        with ThreadPoolExecutor(workers) as pool:
            for picture in pool.map(one, signals[1:]):
                append(picture)
        return {}

    identity = {"log_mel": content_key(signals), "sample_rate": sample_rate, **options} if cache else {}
    return cached_array("log mel", identity, None, build, cache)[0]
