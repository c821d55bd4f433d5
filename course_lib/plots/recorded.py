"""Measured values with their spread."""

import pandas as pd
from matplotlib.axes import Axes
from pandas.api.types import is_numeric_dtype

from course_lib.plots.inputs import short
from course_lib.plots.style import colours, one_axes, whole_numbers


def error_bars(
    table: pd.DataFrame,
    *,
    x: str = "measure",
    y: str = "value",
    error: str = "std",
    hue: str | None = None,
    unit: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw column `y` against column `x` with bars of ± one standard deviation.

    Where the table has a column `error`, each row is a measured value and its spread, as in the recorded results. Where
    it has none, rows with the same `x` are repetitions (seeds, folds): drawn are their mean and standard deviation.
    hue: a column whose values get a colour each.  unit: written behind the name of `y`.
    Numbers on `x` become a line from left to right; names become rows from top to bottom, with room to read them.
    """
    wanted = [x, y] + ([hue] if hue else [])
    missing = [column for column in wanted if column not in table]
    if missing or len(table) == 0:
        raise ValueError(
            f"table: expected rows with columns {wanted}, got {len(table)} rows with {list(table.columns)}"
        )
    keys = [x] + ([hue] if hue else [])
    if error in table:
        rows = table[keys].assign(value=table[y], spread=table[error].fillna(0.0))
    else:
        grouped = table.groupby(keys, sort=False)[y]
        rows = pd.DataFrame({"value": grouped.mean(), "spread": grouped.std(ddof=0)}).reset_index()
    numeric = is_numeric_dtype(rows[x])
    names = list(dict.fromkeys(rows[x]))
    ax = one_axes(ax, 6.5 if numeric else 8.0, 3.4 if numeric else 1.2 + 0.36 * len(names))
    curves = [(None, rows)] if hue is None else list(rows.groupby(hue, sort=False))
    for nth, ((label, curve), colour) in enumerate(zip(curves, colours(len(curves)), strict=True)):
        look = {"fmt": "o-" if numeric else "o", "color": colour, "capsize": 3, "markersize": 5, "label": label}
        if numeric:
            curve = curve.sort_values(x)
            ax.errorbar(curve[x], curve["value"], yerr=curve["spread"], **look)
        else:
            shift = (nth - (len(curves) - 1) / 2) * 0.5 / max(len(curves), 2)
            places = [names.index(name) + shift for name in curve[x]]
            ax.errorbar(curve["value"], places, xerr=curve["spread"], **look)
    title = f"{y} ({unit})" if unit else y
    if numeric:
        ax.set(xlabel=x, ylabel=title)
        if (rows[x] % 1 == 0).all():
            whole_numbers(ax.xaxis)
    else:
        ax.set_yticks(range(len(names)), [short(str(name), 40) for name in names])
        ax.set(xlabel=title, ylabel="", ylim=(len(names) - 0.5, -0.5))
    if hue:
        ax.legend(title=hue, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return ax
