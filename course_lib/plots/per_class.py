"""Precision, recall and F1 of each class."""

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from sklearn.metrics import precision_recall_fscore_support

from course_lib.plots.inputs import as_predictions, short
from course_lib.plots.style import one_axes


def score_table(labels, predictions, *, classes=None) -> pd.DataFrame:
    """A row for each class, columns `precision`, `recall`, `F1`, `clips`; 0 where a score has nothing to divide by.

    labels, predictions: (N,) class numbers.  Source: sklearn.metrics.precision_recall_fscore_support.
    """
    labels, predictions, names = as_predictions(labels, predictions, classes)
    precision, recall, f1, clips = precision_recall_fscore_support(
        labels, predictions, labels=range(len(names)), zero_division=0
    )
    return pd.DataFrame({"precision": precision, "recall": recall, "F1": f1, "clips": clips}, index=names)


def per_class_scores(labels, predictions, *, classes=None, ax: Axes | None = None) -> Axes:
    """Draw precision, recall and F1 of each class as bars; the title gives the mean F1 over classes (macro F1)."""
    table = score_table(labels, predictions, classes=classes)
    ax = one_axes(ax, 8.0, 1.6 + 0.42 * len(table))
    bars = table[["precision", "recall", "F1"]].reset_index(drop=True).melt(ignore_index=False, var_name="score")
    sns.barplot(bars, x="value", y=bars.index, hue="score", orient="h", ax=ax)
    ax.set_yticks(range(len(table)), [short(name) for name in table.index])
    ax.set(xlabel="score (0 to 1)", ylabel="", xlim=(0, 1.0), title=f"mean F1 over classes: {table['F1'].mean():.3f}")
    ax.grid(False, axis="y")
    sns.move_legend(ax, "center left", bbox_to_anchor=(1.01, 0.5), title=None)
    return ax
