"""Log-mel spectrograms of many clips: the picture of sound that most classifiers look at."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from course_lib.data.audio_data import check_format, is_number, is_whole
from course_lib.data.cache import Append, cached_array, content_key
from course_lib.data.datasets import as_array, as_float32

FLOOR = 1e-7  # added to the power, so that silence has a logarithm: -7
WINDOW, HOP = 2048 / 22_050, 0.04  # seconds: 93 ms every 40 ms


def log_mel(
    signals: np.ndarray,
    sample_rate: int,
    n_fft: int | None = None,
    hop_length: int | None = None,
    n_mels: int = 64,
    fmin: float = 0.0,
    fmax: float | None = None,
    cache: bool = False,
    workers: int | None = None,
) -> np.ndarray:
    """log10(mel power + 1e-7) of each clip: (N, samples) or (N, 1, samples) to (N, n_mels, frames) float32.

    A Hann window of `n_fft` samples moves by `hop_length`; None: 93 ms and 40 ms, at 22,050 Hz 2048 and 882 samples.
    Frames are centred, so frames = 1 + samples // hop_length.
    Bands are librosa's default, the Slaney mel scale with unit area, from `fmin` to `fmax` Hz (half the sample rate).
    cache: keep the result on disk, by content and parameters.  workers: clips at once, by default one per core up to 8.
    Raises ValueError naming the argument: signals of another shape, complex, not finite, or none; a size below 1; bands
    that do not lie between 0 and half the sample rate.  Source: librosa.feature.melspectrogram.
    """
    import librosa  # takes seconds to import: only where it is needed

    signals = as_array(signals)
    if signals.ndim == 3 and signals.shape[1] == 1:
        signals = signals[:, 0]
    if signals.ndim != 2 or 0 in signals.shape:
        raise ValueError(f"signals: expected (N, samples) or (N, 1, samples) with N > 0, got {signals.shape}")
    check_format(sample_rate, 1.0)
    n_fft = max(2, 2 * round(WINDOW * sample_rate / 2)) if n_fft is None else n_fft  # even: frames are centred
    hop_length = max(1, round(HOP * sample_rate)) if hop_length is None else hop_length
    for name, size in (("n_fft", n_fft), ("hop_length", hop_length), ("n_mels", n_mels)):
        if not is_whole(size, 1):
            raise ValueError(f"{name}: expected at least 1, got {size!r}")
    if workers is not None and not is_whole(workers, 1):
        raise ValueError(f"workers: expected at least 1, or None, got {workers!r}")
    highest = sample_rate / 2
    if (
        not (is_number(fmin) and (fmax is None or is_number(fmax)))
        or not 0 <= fmin < (highest if fmax is None else fmax) <= highest
    ):
        raise ValueError(f"fmin, fmax: expected 0 <= fmin < fmax <= {highest:g} Hz, got {fmin!r} and {fmax!r}")
    workers = workers or min(8, os.cpu_count() or 1)

    def one(i: int) -> np.ndarray:
        power = librosa.feature.melspectrogram(
            y=as_float32("signals", signals[i], f"clip {i}"),
            sr=sample_rate,
            n_fft=n_fft,
            hop_length=hop_length,
            n_mels=n_mels,
            fmin=fmin,
            fmax=fmax,
        )
        if not np.isfinite(power).all():
            raise ValueError(f"signals: expected values whose squares float32 holds, got larger ones in clip {i}")
        return np.log10(power + FLOOR)  # (n_mels, frames)

    def build(append: Append) -> dict:
        append(one(0))  # the first alone: librosa compiles and caches its filters here
        with ThreadPoolExecutor(workers) as pool:
            for picture in pool.map(one, range(1, len(signals))):
                append(picture)
        return {}

    options = {"n_fft": n_fft, "hop_length": hop_length, "n_mels": n_mels, "fmin": fmin, "fmax": fmax}
    identity = {"log_mel": content_key(signals), "sample_rate": sample_rate, **options} if cache else {}
    return cached_array("log mel", identity, None, build, cache)[0]
