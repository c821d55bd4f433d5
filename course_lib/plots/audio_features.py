"""Simple numbers that describe a whole clip: loudness, zero crossings, brightness, log-mel statistics."""

import librosa
import numpy as np
import pandas as pd

from course_lib.plots.inputs import as_clips, as_sample_rate

N_FFT, HOP_LENGTH = 2048, 1024


def audio_features(signals, sample_rate: float) -> pd.DataFrame:
    """Three numbers for each clip: a row a clip, columns `rms`, `zero_crossing_rate`, `spectral_centroid`.

    signals: (N, 1, samples) or a list of clips.
    rms: root mean square of the samples, in units of full scale.
    zero_crossing_rate: changes of sign per sample, 0 to 1.
    spectral_centroid: the mean frequency in Hz, weighted by the magnitude spectrum averaged over the clip (windows of
    2,048 samples); 0 for a silent clip. Averaging before dividing keeps silent stretches from pulling it down.
    All three come from `librosa.feature`.
    """
    as_sample_rate(sample_rate)
    return pd.DataFrame([_features(clip.astype(np.float32, copy=False), sample_rate) for clip in as_clips(signals)])


def log_mel_statistics(signals, sample_rate: float, *, n_mels: int = 40) -> np.ndarray:
    """Mean and standard deviation over time of the log power in each mel band: (N, 2 * n_mels), in dB.

    Power is floored at 1e-10 (-100 dB), so that digital silence is a very quiet sound and not minus infinity.
    The first half of the columns are the means: what the sound is made of. The second half: how much it varies.
    """
    as_sample_rate(sample_rate)
    rows = []
    for clip in as_clips(signals):
        magnitude = _magnitude(clip.astype(np.float32, copy=False))  # (bins, frames)
        power = librosa.feature.melspectrogram(S=magnitude**2, sr=sample_rate, n_fft=N_FFT, n_mels=n_mels)
        level = librosa.power_to_db(power, amin=1e-10, top_db=None)  # (n_mels, frames)
        rows.append(np.concatenate([level.mean(axis=1), level.std(axis=1)]))
    return np.stack(rows)


def _features(clip: np.ndarray, sample_rate: float) -> dict[str, float]:
    whole = {"frame_length": len(clip), "hop_length": len(clip), "center": False}
    spectrum = _magnitude(clip).mean(axis=1, keepdims=True)  # (bins, 1)
    centroid = librosa.feature.spectral_centroid(S=spectrum, sr=sample_rate, n_fft=N_FFT) if spectrum.any() else 0.0
    return {
        "rms": float(librosa.feature.rms(y=clip, **whole).item()),
        "zero_crossing_rate": float(librosa.feature.zero_crossing_rate(clip, **whole).item()),
        "spectral_centroid": float(np.asarray(centroid).item()),
    }


def _magnitude(clip: np.ndarray) -> np.ndarray:
    return np.abs(librosa.stft(clip, n_fft=N_FFT, hop_length=HOP_LENGTH))
