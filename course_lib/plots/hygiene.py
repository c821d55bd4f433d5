"""What may be wrong with a set of recordings before any model sees it: clipping, silence, duplicates, leaks."""

import hashlib
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from course_lib.plots.inputs import Classes, Signals, as_clips, as_column, as_labels, short
from course_lib.plots.style import one_axes

PROBLEMS = ("clipped", "partly silent", "silent", "not finite", "duplicate", "leak")


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
