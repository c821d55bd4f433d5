"""Learning curves: what one training run, or one for each fold, did epoch by epoch."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from course_lib.plots.style import colours, one_axes, whole_numbers


def learning_curves(
    tables: pd.DataFrame | Sequence[pd.DataFrame], *, measure: str = "loss", ax: Axes | None = None
) -> Axes:
    """Draw `train_<measure>` and `validation_<measure>` against the epoch.

    tables: a history table with a column `epoch`, or a list of them, one for each fold: then the line is the mean over
    the folds and the band is one standard deviation to either side. Folds may stop at different epochs; the mean is
    over those that are still running. A table without validation gives one line.
    """
    tables = [tables] if isinstance(tables, pd.DataFrame) else list(tables)
    if not tables or any(len(table) == 0 for table in tables):
        raise ValueError("tables: expected at least one history table with at least one epoch")
    rows = pd.concat([table.reset_index(drop=True) for table in tables], ignore_index=True)
    wanted = (f"train_{measure}", f"validation_{measure}")
    present = [name for name in wanted if name in rows and rows[name].notna().any()]
    if "epoch" not in rows or not present:
        raise ValueError(f"tables: expected a column epoch, and {wanted[0]} or {wanted[1]}, got {list(rows.columns)}")
    ax = one_axes(ax, 6.0, 3.4)
    for name, colour in zip(present, colours(len(present)), strict=True):
        by_epoch = rows.dropna(subset=[name]).groupby("epoch")[name]
        mean, spread = by_epoch.mean(), by_epoch.std(ddof=0)
        marker = "o" if len(mean) < 3 else None
        ax.plot(mean.index, mean, color=colour, marker=marker, label=name.removesuffix(f"_{measure}"))
        if len(tables) > 1:
            ax.fill_between(mean.index, mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0)
    ax.set(xlabel="epoch", ylabel=f"{measure} (share correct)" if measure == "accuracy" else measure)
    if len(tables) > 1:
        ax.set_title(f"mean of {len(tables)} runs, band: ± one standard deviation")
    if measure == "accuracy":
        ax.set_ylim(0, 1.02)
    whole_numbers(ax.xaxis)
    ax.legend()
    return ax
