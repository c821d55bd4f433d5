"""Which class is taken for which."""

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from sklearn import metrics

from course_lib.plots.inputs import as_predictions, short
from course_lib.plots.style import one_axes

MOST_WRITTEN = 20  # beyond so many classes the cells are too small to write in


def confusion_matrix(labels, predictions, *, classes=None, normalise: bool = False, ax: Axes | None = None) -> Axes:
    """Draw the confusion matrix: rows are true classes, columns are predictions.

    labels, predictions: (N,) class numbers.  normalise: show shares of the true class instead of numbers of clips.
    Source: sklearn.metrics.confusion_matrix.
    """
    labels, predictions, names = as_predictions(labels, predictions, classes)
    counts = metrics.confusion_matrix(labels, predictions, labels=range(len(names)))
    shown = [short(name, 18) for name in names]
    side = 2.4 + 0.46 * min(len(names), MOST_WRITTEN) + 0.16 * max(len(names) - MOST_WRITTEN, 0)
    ax = one_axes(ax, side + 1.2, side, square=True)
    cells = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) if normalise else counts
    sns.heatmap(
        cells,
        annot=len(names) <= MOST_WRITTEN,
        fmt=".2f" if normalise else "d",
        annot_kws={"fontsize": "small"},
        cmap="Blues",
        vmin=0,
        vmax=1 if normalise else max(int(counts.max()), 1),
        square=True,
        linewidths=0.5,
        cbar_kws={"label": "share of true class" if normalise else "clips", "shrink": 0.8},
        xticklabels=shown,
        yticklabels=shown,
        ax=ax,
    )
    ax.set(xlabel="predicted class", ylabel="true class")
    ax.tick_params(axis="y", rotation=0)
    ax.set_xticks(ax.get_xticks(), shown, rotation=45 if len(names) <= MOST_WRITTEN else 90, ha="right")
    return ax
