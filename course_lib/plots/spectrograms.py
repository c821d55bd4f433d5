"""Spectrograms and log-mel grids, and the average spectrum of each class."""

import math

import librosa
import numpy as np
import pandas as pd
import seaborn as sns
from librosa.display import specshow
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from course_lib.plots.inputs import Classes, Signals, as_clip, as_clips, as_labels, as_sample_rate, short
from course_lib.plots.style import Grid, grid_axes, hertz, one_axes

RANGE_DB = 80.0


def spectrogram(
    signal: ArrayLike,
    sample_rate: float,
    *,
    mel: bool = False,
    n_fft: int | None = None,
    hop_length: int | None = None,
    n_mels: int = 64,
    colorbar: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw one clip as power in dB below its own maximum, time in seconds against frequency in Hz.

    signal: (samples,) or (1, samples).  mel: add the power up in `n_mels` bands of the mel scale (log-mel spectrogram).
    n_fft, hop_length: window and step of the short-time Fourier transform, in samples; None: the power of two nearest
        to 46 ms (2,048 at 44.1 kHz), and a quarter of the window.
    """
    clip = as_clip(signal)
    ax = one_axes(ax, 8.0, 3.0)
    n_fft = 2 ** max(4, round(math.log2(0.0464 * as_sample_rate(sample_rate)))) if n_fft is None else n_fft
    hop_length = max(1, n_fft // 4) if hop_length is None else hop_length
    level = _level(clip, sample_rate, mel, n_fft, hop_length, n_mels)  # (bands, frames)
    kind = {"y_axis": "mel", "fmax": sample_rate / 2} if mel else {"y_axis": "hz"}
    image = specshow(
        level, sr=sample_rate, hop_length=hop_length, n_fft=n_fft, x_axis="time", ax=ax, vmin=-RANGE_DB, vmax=0, **kind
    )
    ax.set(xlabel="time (s)", ylabel="frequency (Hz)", xlim=(0, len(clip) / sample_rate))
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    ax.grid(False)
    if colorbar:
        ax.figure.colorbar(image, ax=ax, label="dB below maximum")
    return ax


def spectrograms(
    signals: Signals,
    labels: ArrayLike,
    sample_rate: float,
    *,
    classes: Classes = None,
    per_class: int = 1,
    mel: bool = False,
    columns: int = 5,
    ax: Grid | None = None,
) -> np.ndarray:
    """Draw the first `per_class` clips of every class as spectrograms (log-mel with `mel`), in a grid.

    With one clip a class there are `columns` panels to a row; with more, a row for each class.
    Returns the array of Axes, clip after clip, class after class; a class with too few clips leaves panels that say so.
    """
    clips = as_clips(signals)
    numbers, names = as_labels(labels, len(clips), classes)
    if per_class < 1:
        raise ValueError(f"per_class: expected 1 or more, got {per_class}")
    columns = columns if per_class == 1 else per_class
    axes = grid_axes(ax, len(names) * per_class, columns, (2.7, 1.9), sharex=ax is None, sharey=ax is None)
    seconds = max(len(clip) for clip in clips) / as_sample_rate(sample_rate)
    for place, panel in enumerate(axes):
        index, nth = divmod(place, per_class)
        chosen = np.flatnonzero(numbers == index)
        if nth < len(chosen):
            spectrogram(clips[chosen[nth]], sample_rate, mel=mel, colorbar=False, ax=panel)
        else:
            panel.text(0.5, 0.5, "no clip", transform=panel.transAxes, ha="center", va="center")
        panel.set_title(short(names[index]), fontsize="medium")
        panel.set_xlim(0, seconds)
        if ax is None:
            panel.set_xlabel("time (s)" if place >= len(axes) - columns else "")
            panel.set_ylabel("frequency (Hz)" if place % columns == 0 else "")
            panel.tick_params(labelbottom=place >= len(axes) - columns)
    images = [panel.collections[0] for panel in axes if panel.collections]
    if ax is None:
        axes[0].figure.colorbar(images[0], ax=list(axes), label="dB below maximum", aspect=40)
    return axes


def spectrum_table(
    signals: Signals, labels: ArrayLike, sample_rate: float, *, classes: Classes = None, n_mels: int = 48
) -> pd.DataFrame:
    """The average spectrum of each class: a row for each class, a column for each band (its centre in Hz), in dB.

    Every clip counts the same, loud or soft: its power is divided by its total before averaging. 0 dB is the strongest
    band of the class. Classes without a clip, or whose clips are all silent, have NaN.
    """
    clips = as_clips(signals)
    numbers, names = as_labels(labels, len(clips), classes)
    centres = librosa.mel_frequencies(n_mels=n_mels + 2, fmax=as_sample_rate(sample_rate) / 2)[1:-1]
    total = np.zeros((len(names), n_mels))
    for clip, label in zip(clips, numbers, strict=True):
        power = np.abs(librosa.stft(clip.astype(np.float32, copy=False), n_fft=2048, hop_length=1024)) ** 2
        # Slaney's bands are scaled to a density (1 / bandwidth), so that white noise is flat
        band = librosa.feature.melspectrogram(S=power.sum(axis=1, keepdims=True), sr=sample_rate, n_mels=n_mels)[:, 0]
        if band.sum() > 0:
            total[label] += band / band.sum()
    loudest = total.max(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        level = np.where(loudest > 0, np.maximum(10 * np.log10(total / loudest), -RANGE_DB), np.nan)
    return pd.DataFrame(level, index=names, columns=centres)


def average_spectrum(
    signals: Signals, labels: ArrayLike, sample_rate: float, *, classes: Classes = None, ax: Axes | None = None
) -> Axes:
    """Draw the average spectrum of each class (`spectrum_table`) as a heatmap: a row a class, frequency in Hz."""
    table = spectrum_table(signals, labels, sample_rate, classes=classes)
    ax = one_axes(ax, 8.5, 1.6 + 0.28 * len(table))
    sns.heatmap(table.to_numpy(), cmap="magma", vmin=-50, vmax=0, cbar_kws={"label": "dB below strongest"}, ax=ax)
    round_ones = np.array([f for f in (200, 500, 1000, 2000, 5000, 10_000, 20_000) if f <= table.columns[-1]])
    places = np.interp(round_ones, table.columns, np.arange(table.shape[1]) + 0.5)
    ax.set_xticks(places, [hertz(frequency) for frequency in round_ones], rotation=0)
    ax.set_yticks(np.arange(len(table)) + 0.5, [short(name) for name in table.index], rotation=0)
    ax.set(xlabel="frequency (Hz)", ylabel="")
    return ax


def _level(clip: np.ndarray, sample_rate: float, mel: bool, n_fft: int, hop_length: int, n_mels: int) -> np.ndarray:
    """Power in dB below the clip's maximum, at least -80; (bands, frames). A silent clip is -80 dB everywhere."""
    with np.errstate(over="ignore", invalid="ignore"):
        clip = clip.astype(np.float32, copy=False)
        if not np.isfinite(clip).all():
            raise ValueError("signal: expected finite samples within float32, got NaN, infinite or larger ones")
        if len(clip) < n_fft:  # less than a window: the rest of it is silence
            clip = np.pad(clip, (0, n_fft - len(clip)))
        largest = float(np.abs(clip).max()) or 1.0  # what is drawn is relative: of any unit, squares stay in float32
        power = np.abs(librosa.stft(clip / np.float32(largest), n_fft=n_fft, hop_length=hop_length)) ** 2
    if mel:
        power = librosa.feature.melspectrogram(S=power, sr=sample_rate, n_fft=n_fft, n_mels=n_mels)
    if power.max() == 0:
        return np.full(power.shape, -RANGE_DB)
    return librosa.power_to_db(power, ref=np.max, amin=1e-20, top_db=RANGE_DB)
