"""How many clips each class has, and each fold."""

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from course_lib.plots.inputs import as_column, as_labels, short
from course_lib.plots.style import colours, one_axes, whole_numbers


def class_balance(labels, *, classes=None, folds=None, ax: Axes | None = None) -> Axes:
    """Draw the number of clips of each class as bars; with `folds` as a heatmap of class against fold.

    labels: (N,).  folds: (N,) or None.
    """
    labels, names = as_labels(labels, classes=classes)
    shown = [short(name) for name in names]
    if folds is None:
        ax = one_axes(ax, 8.0, 1.2 + 0.26 * len(names))
        counts = pd.Series(labels).value_counts().reindex(range(len(names)), fill_value=0)
        sns.barplot(x=counts.to_numpy(), y=list(range(len(names))), orient="h", color=colours(1)[0], ax=ax)
        ax.set_yticks(range(len(names)), shown)
        ax.set(xlabel="clips", ylabel="")
        ax.grid(False, axis="y")
        whole_numbers(ax.xaxis)
        return ax
    folds = as_column(folds, len(labels), "folds")
    table = pd.crosstab(labels, folds).reindex(range(len(names)), fill_value=0)
    ax = one_axes(ax, 3.2 + 0.6 * table.shape[1], 1.2 + 0.28 * len(names))
    top = max(int(table.to_numpy().max()), 1)
    sns.heatmap(
        table, annot=True, fmt="d", cmap="crest", vmin=0, vmax=top, linewidths=1, cbar_kws={"label": "clips"}, ax=ax
    )
    ax.set_yticks([row + 0.5 for row in range(len(names))], shown, rotation=0)
    ax.set(xlabel="fold", ylabel="")
    return ax
