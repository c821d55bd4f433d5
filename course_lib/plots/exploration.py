"""A set of recordings at first sight: how many, how long, what describes each clip, and what may be wrong."""

import hashlib
from typing import Any

import librosa
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from course_lib.plots.inputs import Classes, Signals, as_array, as_clips, as_column, as_labels, as_sample_rate, short
from course_lib.plots.style import Grid, colours, grid_axes, one_axes, whole_numbers

N_FFT, HOP_LENGTH = 2048, 1024
LABELS = {
    "rms": "RMS (dB re full scale)",
    "zero_crossing_rate": "zero crossings per sample",
    "spectral_centroid": "spectral centroid (Hz)",
}
QUIETEST_DB = -100.0
PROBLEMS = ("clipped", "partly silent", "silent", "not finite", "duplicate", "leak")


def class_balance(
    labels: ArrayLike, *, classes: Classes = None, folds: ArrayLike | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the number of clips of each class as bars; with `folds` as a heatmap of class against fold.

    labels: (N,).  folds: (N,) or None.
    """
    numbers, names = as_labels(labels, classes=classes)
    shown = [short(name) for name in names]
    if folds is None:
        ax = one_axes(ax, 8.0, 1.2 + 0.26 * len(names))
        counts = pd.Series(numbers).value_counts().reindex(range(len(names)), fill_value=0)
        sns.barplot(x=counts.to_numpy(), y=list(range(len(names))), orient="h", color=colours(1)[0], ax=ax)
        ax.set_yticks(range(len(names)), shown)
        ax.set(xlabel="clips", ylabel="")
        ax.grid(False, axis="y")
        whole_numbers(ax.xaxis)
        return ax
    table = pd.crosstab(numbers, as_column(folds, len(numbers), "folds")).reindex(range(len(names)), fill_value=0)
    ax = one_axes(ax, 3.2 + 0.6 * table.shape[1], 1.2 + 0.28 * len(names))
    top = max(int(table.to_numpy().max()), 1)
    sns.heatmap(
        table, annot=True, fmt="d", cmap="crest", vmin=0, vmax=top, linewidths=1, cbar_kws={"label": "clips"}, ax=ax
    )
    ax.set_yticks([row + 0.5 for row in range(len(names))], shown, rotation=0)
    ax.set(xlabel="fold", ylabel="")
    return ax


def shape_table(signals: Signals, sample_rate: float) -> pd.DataFrame:
    """Count the distinct shapes among the clips; columns channels, samples, dtype, seconds, clips, most frequent first.

    signals: an array (N, channels, samples) or (N, samples), or a list of clips of any length and number of channels.
    """
    arrays = [np.atleast_2d(as_array(clip)) for clip in signals]  # type: ignore[union-attr]
    if not arrays:
        raise ValueError("signals: expected at least one clip, got none")
    rows = pd.DataFrame(
        {
            "channels": [array.shape[0] for array in arrays],
            "samples": [array.shape[1] for array in arrays],
            "dtype": [str(array.dtype) for array in arrays],
        }
    )
    rows["seconds"] = rows["samples"] / as_sample_rate(sample_rate)
    counted = rows.value_counts(sort=True).rename("clips")
    return counted.reset_index()


def durations(seconds: ArrayLike, labels: ArrayLike, *, classes: Classes = None, ax: Axes | None = None) -> Axes:
    """Draw the duration of every clip in seconds, a row for each class; the title says whether they agree.

    seconds: (N,), for instance the lengths of the recordings before they were padded or cut.  labels: (N,).
    """
    numbers, names = as_labels(labels, classes=classes)
    lasting = as_column(seconds, len(numbers), "seconds").astype(float)
    ax = one_axes(ax, 8.0, 1.4 + 0.26 * len(names))
    row = {"x": lasting, "y": numbers, "order": range(len(names)), "orient": "h", "ax": ax}
    sns.stripplot(**row, size=4, alpha=0.6, color=colours(1)[0])
    ax.set_yticks(range(len(names)), [short(name) for name in names])
    shortest, longest = lasting.min(), lasting.max()
    span = f"all last {longest:.3g} s" if shortest == longest else f"{shortest:.3g} s to {longest:.3g} s"
    ax.set_title(f"{len(lasting)} clips, {span}")
    ax.set(xlabel="duration (s)", ylabel="", xlim=(0, 1.08 * longest))
    return ax


def audio_features(signals: Signals, sample_rate: float) -> pd.DataFrame:
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


def log_mel_statistics(signals: Signals, sample_rate: float, *, n_mels: int = 40) -> np.ndarray:
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
    length = len(clip)
    spectrum = _magnitude(clip).mean(axis=1, keepdims=True)  # (bins, 1)
    centroid = librosa.feature.spectral_centroid(S=spectrum, sr=sample_rate, n_fft=N_FFT) if spectrum.any() else 0.0
    return {
        "rms": float(librosa.feature.rms(y=clip, frame_length=length, hop_length=length, center=False).item()),
        "zero_crossing_rate": float(
            librosa.feature.zero_crossing_rate(clip, frame_length=length, hop_length=length, center=False).item()
        ),
        "spectral_centroid": float(np.asarray(centroid).item()),
    }


def _magnitude(clip: np.ndarray) -> np.ndarray:
    return np.abs(librosa.stft(clip, n_fft=N_FFT, hop_length=HOP_LENGTH))


def feature_distributions(
    features: pd.DataFrame, labels: ArrayLike, *, classes: Classes = None, ax: Grid | None = None
) -> np.ndarray:
    """Draw a panel for each column of `features`: a box for each class over its clips, a dot for each clip.

    features: a row for each clip, as from `audio_features`; any other numeric columns work too and keep their names.
    RMS is drawn in dB, since loudness spans a factor of a thousand; silence is drawn at -100 dB.
    ax: axes to draw on, one a column.  Returns the array of Axes.
    """
    if len(features) == 0 or features.shape[1] == 0:
        raise ValueError(f"features: expected a row for each clip and at least one column, got shape {features.shape}")
    numbers, names = as_labels(labels, len(features), classes)
    axes = grid_axes(ax, features.shape[1], 3, (3.7, 1.2 + 0.3 * len(names)), sharey=True)
    for place, (panel, column) in enumerate(zip(axes, features.columns, strict=True)):
        values = features[column].to_numpy(dtype=float)
        if column == "rms":
            values = 20 * np.log10(np.maximum(values, 10 ** (QUIETEST_DB / 20)))
        row = {"x": values, "y": numbers, "order": range(len(names)), "orient": "h", "ax": panel}
        sns.boxplot(**row, color="white", linecolor="0.35", width=0.7, fliersize=0, linewidth=1)
        sns.stripplot(**row, color=colours(1)[0], size=3, alpha=0.6, jitter=0.22)
        panel.set_yticks(range(len(names)), [short(name) for name in names])
        panel.tick_params(labelleft=ax is not None or place % 3 == 0)
        panel.set(xlabel=LABELS.get(column, short(column, 40)), ylabel="")
    return axes


def hygiene_report(
    signals: Signals,
    labels: ArrayLike | None = None,
    folds: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    files: ArrayLike | None = None,
    *,
    clip_level: float = 0.999,
    silence_level: float = 2.0**-16,
    silence_run: int = 441,
) -> pd.DataFrame:
    """A row for each clip: what it is, four measurements, and a True or False for each problem.

    signals: (N, 1, samples) or a list of clips, full scale ±1.  labels, folds, groups, files: (N,) each, or None.
    groups: the source recording of each clip.

    Measured: `peak` (largest |sample|), `clipped_share` (of samples at `clip_level` or above), `silent_share` (of
    samples in runs of at least `silence_run` samples below `silence_level`, half a step of 16-bit audio: no microphone
    is so quiet, such a stretch was put there by software), `copy_of` (the first clip with the same 16-bit samples).
    Problems: `clipped` (three samples or more; a single one may be an honest peak), `partly silent` (any silent run),
    `silent` (every sample), `not finite`, `duplicate` (of another clip; the first one is marked too), `leak` (its
    source recording, or a copy of it, is in more than one fold). Without folds there is no leak to find.
    """
    clips = as_clips(signals)
    table = pd.DataFrame({"file": _given(files, len(clips), "files", np.arange(len(clips)))})
    for name, values in (("label", labels), ("fold", folds), ("group", groups)):
        if values is not None:
            table[name] = as_column(values, len(clips), f"{name}s")
    sizes, copies = [], []
    first_with: dict[bytes, int] = {}
    for index, clip in enumerate(clips):
        copies.append(first_with.setdefault(_fingerprint(clip), index))
        sizes.append(_measure(clip, clip_level, silence_level, silence_run))
    table = pd.concat([table, pd.DataFrame(sizes)], axis=1)
    copy_of = np.array(copies)
    original = copy_of == np.arange(len(clips))
    table["copy_of"] = table["file"].to_numpy(dtype=object)[copy_of]
    table.loc[original, "copy_of"] = None
    table["clipped"] = table.pop("clipped_samples") >= 3
    table["partly silent"] = (table["silent_share"] > 0) & ~table["silent"]
    table["silent"] = table.pop("silent")
    table["not finite"] = table.pop("not finite")
    table["duplicate"] = np.isin(copy_of, copy_of[~original])
    table["leak"] = False
    if folds is not None:
        table["leak"] = _in_many_folds(copy_of, table["fold"])
        if groups is not None:
            table["leak"] |= _in_many_folds(table["group"], table["fold"])
    return table


def hygiene_counts(report: pd.DataFrame, *, classes: Classes = None, ax: Axes | None = None) -> Axes:
    """Draw the number of clips with each problem, a row for each class (one row where the report has no labels)."""
    if len(report) == 0 or not set(PROBLEMS) <= set(report.columns):
        raise ValueError(f"report: expected a table from hygiene_report, got columns {list(report.columns)}")
    if "label" in report:
        numbers, names = as_labels(report["label"], classes=classes)
    else:
        numbers, names = np.zeros(len(report), dtype=int), ["all clips"]
    counts = report[list(PROBLEMS)].groupby(numbers).sum().reindex(range(len(names)), fill_value=0).astype(int)
    ax = one_axes(ax, 8.0, 1.6 + 0.28 * len(names))
    top = max(int(counts.to_numpy().max()), 1)
    sns.heatmap(
        counts, annot=True, fmt="d", cmap="rocket_r", vmin=0, vmax=top, linewidths=1, cbar_kws={"label": "clips"}, ax=ax
    )
    ax.set_yticks(np.arange(len(names)) + 0.5, [short(name) for name in names], rotation=0)
    ax.set(xlabel="", ylabel="")
    ax.tick_params(axis="x", rotation=0)
    return ax


def _given(values: ArrayLike | None, count: int, name: str, default: np.ndarray) -> np.ndarray:
    return default if values is None else as_column(values, count, name)


def _fingerprint(clip: np.ndarray) -> bytes:
    """Equal for clips with the same samples at 16-bit precision, whatever their dtype; trailing zeros do not count."""
    coarse = np.round(np.nan_to_num(np.clip(clip, -1, 1), nan=2.0) * 2**15).astype("<i4")
    end = np.flatnonzero(coarse)
    return hashlib.sha256(coarse[: end[-1] + 1 if len(end) else 0].tobytes()).digest()


def _measure(clip: np.ndarray, clip_level: float, silence_level: float, silence_run: int) -> dict:
    level = np.abs(clip)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], level <= silence_level, [False]]).astype(np.int8)))
    runs = edges[1::2] - edges[::2]
    clipped = int((level >= clip_level).sum())
    return {
        "peak": float(np.nanmax(level)) if np.isfinite(clip).any() else np.nan,
        "clipped_share": clipped / len(clip),
        "silent_share": float(runs[runs >= min(silence_run, len(clip))].sum() / len(clip)),
        "clipped_samples": clipped,
        "silent": bool((level <= silence_level).all()),
        "not finite": not bool(np.isfinite(clip).all()),
    }


def _in_many_folds(source: Any, folds: pd.Series) -> np.ndarray:
    """True for each clip whose source is in more than one fold. An unknown source (None, NaN, empty) never is."""
    of = pd.Series(source)
    spread = folds.groupby(of).transform("nunique") > 1
    return (spread & of.notna() & (of.astype(str) != "")).to_numpy()
