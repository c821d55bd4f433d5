"""How every figure of the course looks: sizes, fonts and colours that colour-blind readers can tell apart."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from course_lib.plots.alt_text import alternative_text

PALETTE = "colorblind"  # ten colours, seaborn's extension of Okabe and Ito's set
LINE_STYLES = ("-", "--", ":", "-.")
Grid = Axes | np.ndarray | Sequence[Axes]  # axes to draw on, a panel each


def style() -> None:
    """Set matplotlib's defaults for a notebook: readable fonts, constrained layout, the course's colours.

    In a notebook, every figure shown from then on carries its alternative text (`describe`).
    """
    alternative_text()
    if "inline" in (backend := matplotlib.get_backend()):  # it draws what it shows; pyplot would draw it once before
        plt.switch_backend(backend)
        plt.uninstall_repl_displayhook()
    sns.set_theme(
        context="notebook",
        style="ticks",
        palette=PALETTE,
        rc={
            "figure.figsize": (8, 3.6),
            "figure.dpi": 100,
            "figure.constrained_layout.use": True,
            "savefig.dpi": 150,
            "font.size": 11,
            "axes.titlesize": 12,
            "axes.labelsize": 11,
            "xtick.labelsize": 10,
            "ytick.labelsize": 10,
            "legend.fontsize": 10,
            "legend.frameon": False,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.alpha": 0.35,
            "lines.linewidth": 1.6,
            "image.cmap": "magma",
        },
    )


def colours(count: int) -> list[tuple[float, float, float]]:
    """`count` colours of the course's cycle; it repeats after ten, where `line_style` tells the rounds apart."""
    return sns.color_palette(PALETTE, count)


def line_style(index: int) -> str:
    """The line style of curve number `index`: solid for the first ten curves, dashed for the next ten, and so on."""
    return LINE_STYLES[index // 10 % len(LINE_STYLES)]


def one_axes(ax: Axes | None, width: float, height: float, *, square: bool = False) -> Axes:
    """`ax` itself, or the axes of a new figure of `width` × `height` inches; `square` if its aspect will be fixed."""
    if ax is None:
        _, ax = plt.subplots(figsize=(width, height), layout="compressed" if square else "constrained")
    elif not isinstance(ax, Axes):
        raise TypeError(f"ax: expected one matplotlib Axes, got {type(ax).__name__}")
    return ax


def grid_axes(ax: Grid | None, count: int, columns: int, panel: tuple[float, float], **subplots: Any) -> np.ndarray:
    """`count` axes, as a flat array: the given ones, or a new figure of panels of `panel` inches, `columns` to a row.

    ax: None, one Axes or an array of them.  Raises ValueError where fewer than `count` are given.
    """
    if ax is None:
        columns = min(columns, count)
        rows = -(-count // columns)
        size = (panel[0] * columns, panel[1] * rows)
        _, grid = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", **subplots)
        for spare in grid.ravel()[count:]:
            spare.remove()
        return grid.ravel()[:count]
    given = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if len(given) < count:
        raise ValueError(f"ax: expected at least {count} axes, one a panel, got {len(given)}")
    return given[:count]


def labelled_box(
    ax: Axes, step: int, row: int, label: str, colour: Any, *, empty: bool, width: int = 1, **look: Any
) -> None:
    """A box over `width` steps from `step` on, its label in it; where it is empty, hatched and without one."""
    box = Rectangle((step - 0.46, row - 0.38), width - 0.08, 0.76, **look)
    box.set(facecolor="none" if empty else colour, edgecolor="0.6" if empty else colour, hatch="///" if empty else "")
    ax.add_patch(box)
    if not empty:
        ax.text(step + (width - 1) / 2, row, label, ha="center", va="center", color="white")


def hertz(frequency: float) -> str:
    """A short label for a frequency in Hz: 500, 1k, 2.5k."""
    return f"{frequency / 1000:.2g}k" if frequency >= 1000 else f"{frequency:.3g}"


def whole_numbers(axis: Axis) -> None:
    """Keep the ticks of a counting axis (epochs, clips) on whole numbers."""
    axis.set_major_locator(MaxNLocator(integer=True))
