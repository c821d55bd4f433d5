"""Scores at every threshold: ROC curves with the area under them, precision against recall."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve

from course_lib.plots.inputs import Classes, as_array, as_column, as_scores, short
from course_lib.plots.style import colours, line_style, one_axes

GRID = np.linspace(0, 1, 201)  # false-positive rates, or recalls, at which the curves of several runs are averaged
MOST_NAMED = 20


def auc_table(
    labels: ArrayLike, scores: ArrayLike, *, classes: Classes = None, folds: ArrayLike | None = None
) -> pd.DataFrame:
    """A row for each class and a last one `mean`: columns `auc`, `std`, `folds`.

    labels: (N,).  scores: (N, num_classes), larger means more likely.
    folds: (N,) or None. With folds, `auc` is the mean and `std` the sample standard deviation over the folds that hold
    clips of the class and of others; models of different folds need not share a threshold, so their scores are never
    pooled. `mean` averages over classes first, within each fold. NaN where a class has no curve at all; `std` also
    where it has one curve alone.
    """
    given, true, names, parts = _parts(labels, scores, classes, folds)
    areas = np.array([[_area(true[part] == c, given[part, c]) for c in range(len(names))] for part in parts])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of nothing is NaN, as promised
        areas = np.column_stack([areas, np.nanmean(areas, axis=1)])  # (folds, num_classes + 1)
        mean, spread = np.nanmean(areas, axis=0), np.nanstd(areas, axis=0, ddof=1)
    count = (~np.isnan(areas)).sum(axis=0)
    return pd.DataFrame({"auc": mean, "std": spread, "folds": count}, index=[*names, "mean"])


def roc_curves(
    labels: ArrayLike,
    scores: ArrayLike,
    *,
    classes: Classes = None,
    folds: ArrayLike | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a one-against-the-rest ROC curve for each class, and their mean in black; the legend gives the areas (AUC).

    labels: (N,).  scores: (N, num_classes), larger means more likely.
    folds: (N,) or None. With folds, every curve is the mean over the folds, and the band around the black one is one
    standard deviation over folds to either side, within 0 and 1. Source of each curve: sklearn.metrics.roc_curve.
    """
    given, true, names, parts = _parts(labels, scores, classes, folds)
    table = auc_table(labels, scores, classes=names, folds=folds)
    ax = one_axes(ax, 7.6, 4.4, square=True)
    curves = np.array([[_true_rates(true[part] == c, given[part, c]) for c in range(len(names))] for part in parts])
    for c, (name, colour) in enumerate(zip(names, colours(len(names)), strict=True)):
        present = ~np.isnan(curves[:, c, 0])
        if present.any():
            label = f"{short(name)} {_area_text(table.iloc[c])}" if len(names) <= MOST_NAMED else None
            curve = curves[present, c].mean(axis=0)
            ax.plot(GRID, curve, color=colour, linestyle=line_style(c), linewidth=1, alpha=0.8, label=label)
    present = ~np.isnan(curves[:, :, 0])  # (folds, num_classes)
    if present.any():
        means = np.array([curve[here].mean(axis=0) for curve, here in zip(curves, present, strict=True) if here.any()])
        _banded(ax, means, color="black", linewidth=2.2, label=f"mean {_area_text(table.iloc[-1])}")
    ax.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle=":", label="guessing 0.5")
    ax.set(xlabel="false-positive rate", ylabel="true-positive rate", xlim=(0, 1), ylim=(0, 1.02))
    ax.set_title("one class against the rest" + (f", mean of {len(parts)} folds" if folds is not None else ""))
    ax.set_aspect("equal")
    ax.legend(title="area under curve", loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize="small")
    return ax


def _parts(
    labels: ArrayLike, scores: ArrayLike, classes: Classes, folds: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray, list[str], list[np.ndarray]]:
    """Checked scores, labels and names, and the clips of each fold (one part with all clips without folds)."""
    given, true, names = as_scores(scores, labels, classes, "scores")
    if folds is None:
        return given, true, names, [np.arange(len(true))]
    column = as_column(folds, len(true), "folds")
    return given, true, names, [np.flatnonzero(column == fold) for fold in np.unique(column)]


def _area(positive: np.ndarray, score: np.ndarray) -> float:
    if positive.all() or not positive.any():
        return np.nan
    false_rate, true_rate, _ = roc_curve(positive, score)
    return float(auc(false_rate, true_rate))


def _true_rates(positive: np.ndarray, score: np.ndarray) -> np.ndarray:
    """True-positive rate at the rates of GRID; NaN where the fold lacks the class, or has nothing else."""
    if positive.all() or not positive.any():
        return np.full(len(GRID), np.nan)
    false_rate, true_rate, _ = roc_curve(positive, score)
    curve = np.interp(GRID, false_rate, true_rate)
    curve[0] = 0.0
    return curve


def _area_text(row: pd.Series) -> str:
    return f"{row['auc']:.3f}" + (f" ± {row['std']:.3f}" if pd.notna(row["std"]) else "")


def precision_recall(curves: Mapping[str, Any], labels: ArrayLike | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw precision against recall, a curve a name; the legend gives the average precision.

    curves: name -> what `events.precision_recall` returns (anything with `precision`, `recall` and
        `average_precision`), drawn to its lowest threshold. Or, with labels, name -> scores (N,), larger meaning more
        likely 1; or scores (seeds, N), drawn as the mean over seeds in a band of one standard deviation to either side,
        within 0 and 1, with mean ± standard deviation of the average precision.
    labels: (N,) of 0 and 1, 1 being the class to find. A dotted line is what guessing gives: their share of 1.
    Raises ValueError where shapes differ or one of the two labels is missing.  Source of each curve of scores:
    sklearn.metrics.precision_recall_curve, with precision taken at the largest threshold that reaches a recall.
    """
    truth = None if labels is None else as_array(labels)
    if truth is not None and (truth.ndim != 1 or set(np.unique(truth).tolist()) != {0, 1}):
        raise ValueError(f"labels: expected (N,) with both 0 and 1, got shape {truth.shape}")
    if not curves:
        raise ValueError("curves: expected at least one, got none")
    ax = one_axes(ax, 7.0, 3.8)
    for index, ((name, given), colour) in enumerate(zip(curves.items(), colours(len(curves)), strict=True)):
        look: dict[str, Any] = {"color": colour, "linestyle": line_style(index)}
        if truth is None:
            ax.plot(given.recall, given.precision, label=f"{short(name, 40)}: {given.average_precision:.2f}", **look)
            continue
        runs = np.atleast_2d(as_array(given, float))  # (seeds, N)
        if runs.ndim != 2 or runs.shape[1] != len(truth) or not np.isfinite(runs).all():
            raise ValueError(f"curves[{name!r}]: expected finite ({len(truth)},) or (seeds, {len(truth)})")
        areas = np.array([average_precision_score(truth, run) for run in runs])
        text = f"{short(name, 40)}: {areas.mean():.2f}" + (f" ± {areas.std(ddof=1):.2f}" if len(runs) > 1 else "")
        _banded(ax, np.array([_precision_at(truth, run) for run in runs]), label=text, **look)
    if truth is not None:
        ax.axhline(truth.mean(), color="0.5", linestyle=":", label=f"guessing: {truth.mean():.2g}")
    ax.set(xlabel="recall (share found)", ylabel="precision (share of finds right)", xlim=(0, 1.02), ylim=(0, 1.02))
    ax.legend(title="average precision", loc="center left", bbox_to_anchor=(1.02, 0.5))
    return ax


def _precision_at(labels: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Precision at the recalls of GRID: at the first threshold, from the largest down, that finds at least so much."""
    precision, recall, thresholds = precision_recall_curve(labels, score)
    precision, recall = precision[: len(thresholds)][::-1], recall[: len(thresholds)][::-1]  # recall now rises
    return precision[np.minimum(np.searchsorted(recall, GRID), len(recall) - 1)]


def _banded(ax: Axes, curves: np.ndarray, **line: Any) -> None:
    """The mean of curves (runs, points of GRID) and, of several, a band of ± one standard deviation within 0 and 1."""
    mean = curves.mean(axis=0)
    ax.plot(GRID, mean, **line)
    if len(curves) > 1:
        spread = curves.std(axis=0, ddof=1)
        low, high = np.clip([mean - spread, mean + spread], 0, 1)
        ax.fill_between(GRID, low, high, color=line["color"], alpha=0.2, linewidth=0)
