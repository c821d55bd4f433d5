"""Measured values with their spread: learning curves, and tables over seeds or folds."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from pandas.api.types import is_numeric_dtype

from course_lib.plots.inputs import short
from course_lib.plots.style import colours, one_axes, whole_numbers


def learning_curves(
    tables: pd.DataFrame | Sequence[pd.DataFrame], *, measure: str = "loss", ax: Axes | None = None
) -> Axes:
    """Draw `train_<measure>` and `validation_<measure>` against the epoch.

    tables: a history table with a column `epoch`, or a list of them, one for each fold: then the line is the mean over
    the folds and the band is one sample standard deviation to either side (an accuracy's within 0 and 1). Folds may
    stop at different epochs; the mean is over those that are still running, and of a single one there is no band.
    A table without validation gives one line.
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
        mean, spread = by_epoch.mean(), by_epoch.std(ddof=1)
        marker = "o" if len(mean) < 3 else None
        ax.plot(mean.index, mean, color=colour, marker=marker, label=name.removesuffix(f"_{measure}"))
        if len(tables) > 1:
            low, high = _within(mean - spread, mean + spread, _is_share(mean, measure))
            ax.fill_between(mean.index, low, high, color=colour, alpha=0.2, linewidth=0)
    ax.set(xlabel="epoch", ylabel=f"{measure} (share correct)" if measure == "accuracy" else measure)
    if len(tables) > 1:
        ax.set_title(f"mean of {len(tables)} runs, band: ± one standard deviation")
    if measure == "accuracy":
        ax.set_ylim(0, 1.02)
    whole_numbers(ax.xaxis)
    ax.legend()
    return ax


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
    it has none, rows with the same `x` are repetitions (seeds, folds), each drawn as a dot, and beside them their mean
    and sample standard deviation (no bar for a single one).
    Bars of a share (values from 0 to 1 whose name or unit says accuracy, share, F1, precision, recall or AUC) end at 0
    and 1, since nothing lies beyond.
    hue: a column whose values get a colour each.  unit: written behind the name of `y`.
    Numbers on `x` become a line from left to right; names become rows from top to bottom, with room to read them.
    """
    keys = [x] + ([hue] if hue else [])
    missing = [column for column in (*keys, y) if column not in table]
    if missing or len(table) == 0:
        raise ValueError(
            f"table: expected rows with columns {[*keys, y]}, got {len(table)} rows with {list(table.columns)}"
        )
    repeated = None if error in table else table
    if repeated is None:
        rows = table[keys].assign(value=table[y], spread=table[error].fillna(0.0))
    else:
        grouped = repeated.groupby(keys, sort=False)[y]
        rows = pd.DataFrame({"value": grouped.mean(), "spread": grouped.std(ddof=1).fillna(0.0)}).reset_index()
    title = f"{y} ({unit})" if unit else y
    low, high = _within(rows["value"] - rows["spread"], rows["value"] + rows["spread"], _is_share(rows["value"], title))
    rows = rows.assign(low=rows["value"] - low, high=high - rows["value"])
    numeric = is_numeric_dtype(rows[x])
    names = list(dict.fromkeys(rows[x]))
    ax = one_axes(ax, 6.5 if numeric else 8.0, 3.4 if numeric else 1.2 + 0.36 * len(names))
    curves = [(None, rows)] if hue is None else list(rows.groupby(hue, sort=False))
    for nth, ((label, curve), colour) in enumerate(zip(curves, colours(len(curves)), strict=True)):
        text = None if hue is None else short(label, 40)
        shift = 0.0 if numeric else (nth - (len(curves) - 1) / 2) * 0.5 / max(len(curves), 2)
        curve = curve.sort_values(x) if numeric else curve
        at = curve[x] if numeric else np.array([names.index(name) + shift for name in curve[x]])
        bars, means = curve[["low", "high"]].to_numpy().T, curve["value"]
        if numeric:
            ax.errorbar(at, means, yerr=bars, fmt="o-", color=colour, capsize=3, markersize=5, label=text)
        else:
            ax.errorbar(means, at, xerr=bars, fmt="o", color=colour, capsize=3, markersize=5, label=text)
        if repeated is not None:
            mine = repeated if hue is None else repeated[repeated[hue] == label]
            places = mine[x] if numeric else np.array([names.index(name) + shift for name in mine[x]]) + 0.12
            dots = (places, mine[y]) if numeric else (mine[y], places)
            ax.plot(*dots, "o", color=colour, markersize=3, alpha=0.5, markeredgewidth=0)
    if numeric:
        ax.set(xlabel=x, ylabel=title)
        if (rows[x] % 1 == 0).all():
            whole_numbers(ax.xaxis)
    else:
        ax.set_yticks(range(len(names)), [short(name, 40) for name in names])
        ax.set(xlabel=title, ylabel="", ylim=(len(names) - 0.5, -0.5))
    if hue:
        ax.legend(title=hue, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return ax


def _is_share(values: pd.Series, name: str) -> bool:
    """Whether `values` are shares of something: all from 0 to 1, with a name that says so and speaks of no change."""
    known = re.search(r"accuracy|share|\bF1\b|precision|recall|\bAUC\b", name, re.IGNORECASE)
    return bool(known) and not re.search(r"change|difference|gain", name) and bool(values.dropna().between(0, 1).all())


def _within(low: pd.Series, high: pd.Series, share: bool) -> tuple[pd.Series, pd.Series]:
    """Both ends of a bar or band, those of a share cut at 0 and 1."""
    return (low.clip(lower=0), high.clip(upper=1)) if share else (low, high)
