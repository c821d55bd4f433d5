"""One class against the rest: ROC curves, the area under them, and how much both vary over folds."""

import warnings

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from sklearn.metrics import auc, roc_curve

from course_lib.plots.inputs import as_column, as_scores, short
from course_lib.plots.style import colours, line_style, one_axes

GRID = np.linspace(0, 1, 201)  # false-positive rates at which curves of several folds are averaged
MOST_NAMED = 20


def auc_table(labels, scores, *, classes=None, folds=None) -> pd.DataFrame:
    """A row for each class and a last one `mean`: columns `auc`, `std`, `folds`.

    labels: (N,).  scores: (N, num_classes), larger means more likely.
    folds: (N,) or None. With folds, `auc` and `std` are mean and standard deviation over the folds that hold clips of
    the class and of others; models of different folds need not share a threshold, so their scores are never pooled.
    `mean` averages over classes first, within each fold. NaN where a class has no curve at all.
    """
    scores, labels, names, parts = _parts(labels, scores, classes, folds)
    areas = np.array([[_area(labels[part] == c, scores[part, c]) for c in range(len(names))] for part in parts])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of nothing is NaN, as promised above
        areas = np.column_stack([areas, np.nanmean(areas, axis=1)])  # (folds, num_classes + 1)
        mean, spread = np.nanmean(areas, axis=0), np.nanstd(areas, axis=0)
    count = (~np.isnan(areas)).sum(axis=0)
    return pd.DataFrame({"auc": mean, "std": spread, "folds": count}, index=[*names, "mean"])


def roc_curves(labels, scores, *, classes=None, folds=None, ax: Axes | None = None) -> Axes:
    """Draw a one-against-the-rest ROC curve for each class, and their mean in black; the legend gives the areas (AUC).

    labels: (N,).  scores: (N, num_classes), larger means more likely.
    folds: (N,) or None. With folds, every curve is the mean over the folds, and the band around the black one is one
    standard deviation over folds to either side. Source of each curve: sklearn.metrics.roc_curve.
    """
    scores, labels, names, parts = _parts(labels, scores, classes, folds)
    table = auc_table(labels, scores, classes=names, folds=folds)
    ax = one_axes(ax, 7.6, 4.4, square=True)
    curves = np.array([[_curve(labels[part] == c, scores[part, c]) for c in range(len(names))] for part in parts])
    for c, (name, colour) in enumerate(zip(names, colours(len(names)), strict=True)):
        present = ~np.isnan(curves[:, c, 0])
        if present.any():
            label = f"{short(name)} {_area_text(table.iloc[c], folds)}" if len(names) <= MOST_NAMED else None
            curve = curves[present, c].mean(axis=0)
            ax.plot(GRID, curve, color=colour, linestyle=line_style(c), linewidth=1, alpha=0.8, label=label)
    present = ~np.isnan(curves[:, :, 0])  # (folds, num_classes)
    if present.any():
        means = np.array([curve[here].mean(axis=0) for curve, here in zip(curves, present, strict=True) if here.any()])
        mean, spread = means.mean(axis=0), means.std(axis=0)
        ax.plot(GRID, mean, color="black", linewidth=2.2, label=f"mean {_area_text(table.iloc[-1], folds)}")
        if folds is not None:
            ax.fill_between(GRID, mean - spread, np.minimum(mean + spread, 1), color="black", alpha=0.2, linewidth=0)
    ax.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle=":", label="guessing 0.5")
    ax.set(xlabel="false-positive rate", ylabel="true-positive rate", xlim=(0, 1), ylim=(0, 1.02))
    ax.set_title("one class against the rest" + (f", mean of {len(parts)} folds" if folds is not None else ""))
    ax.set_aspect("equal")
    ax.legend(title="area under curve", loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize="small")
    return ax


def _parts(labels, scores, classes, folds):
    """Checked scores, labels and names, and the clips of each fold (one part with all clips without folds)."""
    scores, labels, names = as_scores(scores, labels, classes, "scores")
    if folds is None:
        return scores, labels, names, [np.arange(len(labels))]
    folds = as_column(folds, len(labels), "folds")
    return scores, labels, names, [np.flatnonzero(folds == fold) for fold in np.unique(folds)]


def _area(positive: np.ndarray, score: np.ndarray) -> float:
    if positive.all() or not positive.any():
        return np.nan
    false_rate, true_rate, _ = roc_curve(positive, score)
    return float(auc(false_rate, true_rate))


def _curve(positive: np.ndarray, score: np.ndarray) -> np.ndarray:
    """True-positive rate at the rates of GRID; NaN where the fold lacks the class, or has nothing else."""
    if positive.all() or not positive.any():
        return np.full(len(GRID), np.nan)
    false_rate, true_rate, _ = roc_curve(positive, score)
    curve = np.interp(GRID, false_rate, true_rate)
    curve[0] = 0.0
    return curve


def _area_text(row: pd.Series, folds) -> str:
    return f"{row['auc']:.3f}" + (f" ± {row['std']:.3f}" if folds is not None else "")
