"""Finding a rare class: precision against recall, for one or several scores, over several seeds."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from sklearn.metrics import average_precision_score, precision_recall_curve

from course_lib.plots.style import colours, line_style, one_axes

GRID = np.linspace(0, 1, 201)  # recalls at which curves of several seeds are averaged


def precision_recall(labels, scores: Mapping[str, object], *, ax: Axes | None = None) -> Axes:
    """Draw precision against recall for each of `scores`; the legend gives the average precision.

    labels: (N,) of 0 and 1, 1 being the class to find.
    scores: name -> (N,), larger means more likely 1; or (seeds, N), drawn as the mean over seeds, in a band of one
        standard deviation to either side, with mean ± standard deviation of the average precision.
    The dotted line is what guessing gives: the share of 1 among the labels.
    Raises ValueError where shapes differ or one of the two labels is missing.  Source of each curve:
    sklearn.metrics.precision_recall_curve, with precision taken at the largest threshold that reaches a recall.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or set(np.unique(labels).tolist()) != {0, 1}:
        raise ValueError(f"labels: expected (N,) with both 0 and 1, got shape {labels.shape}")
    if not scores:
        raise ValueError("scores: expected at least one row of scores, got none")
    ax = one_axes(ax, 7.0, 3.8)
    for index, ((name, values), colour) in enumerate(zip(scores.items(), colours(len(scores)), strict=True)):
        runs = np.atleast_2d(np.asarray(values, dtype=float))  # (seeds, N)
        if runs.ndim != 2 or runs.shape[1] != len(labels) or not np.isfinite(runs).all():
            raise ValueError(f"scores[{name!r}]: expected finite ({len(labels)},) or (seeds, {len(labels)})")
        curves = np.array([_curve(labels, run) for run in runs])  # (seeds, points)
        areas = np.array([average_precision_score(labels, run) for run in runs])
        text = f"{name}: {areas.mean():.2f}" + (f" ± {areas.std(ddof=1):.2f}" if len(runs) > 1 else "")
        mean, spread = curves.mean(axis=0), curves.std(axis=0)
        ax.plot(GRID, mean, color=colour, linestyle=line_style(index), label=text)
        if len(runs) > 1:
            ax.fill_between(GRID, mean - spread, mean + spread, color=colour, alpha=0.15, linewidth=0)
    ax.axhline(labels.mean(), color="0.5", linestyle=":", label=f"guessing: {labels.mean():.2g}")
    ax.set(xlabel="recall (share of the rare class found)", ylabel="precision (share of finds right)")
    ax.set(xlim=(0, 1), ylim=(0, 1.02))
    ax.legend(title="average precision", loc="center left", bbox_to_anchor=(1.02, 0.5))
    return ax


def _curve(labels: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Precision at the recalls of GRID: at the first threshold, from the largest down, that finds at least so much."""
    precision, recall, thresholds = precision_recall_curve(labels, score)
    precision, recall = precision[: len(thresholds)][::-1], recall[: len(thresholds)][::-1]  # recall now rises
    return precision[np.minimum(np.searchsorted(recall, GRID), len(recall) - 1)]
