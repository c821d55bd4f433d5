"""The map of the course: a row of boxes a part, a box a notebook."""

import textwrap
from collections.abc import Collection, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from course_lib.plots.style import colours, one_axes

COLUMNS = 5  # boxes to a row; a longer part takes several rows
WIDTH, HEIGHT, GAP = 1.0, 0.7, 0.1


def course_map(
    parts: Sequence[tuple[str, Sequence[tuple[str, str]], str]], *, ready: Collection[str] = (), ax: Axes | None = None
) -> Axes:
    """Draw the parts from top to bottom and their notebooks from left to right.

    parts: (title, ((number, topic), ...), what works at the end of it) for each.  ready: numbers of the notebooks that
    exist: their boxes are filled, the others are outlines.
    """
    rows = sum(-(-len(notebooks) // COLUMNS) for _, notebooks, _ in parts)
    ax = one_axes(ax, 11.0, 0.66 * rows + 0.6)
    y = 0.0
    for index, ((title, notebooks, system), colour) in enumerate(zip(parts, colours(len(parts)), strict=True)):
        ax.text(-0.15, y - HEIGHT / 2, f"{index}", ha="right", va="center", fontsize=20, color=colour, weight="bold")
        ax.text(-0.45, y - HEIGHT / 2, _wrapped(title, 18), ha="right", va="center", fontsize=11)
        for place, (number, topic) in enumerate(notebooks):
            row, column = divmod(place, COLUMNS)
            _box(ax, column * (WIDTH + GAP), y - row * (HEIGHT + GAP), number, topic, colour, number in ready)
        lines = -(-len(notebooks) // COLUMNS)
        if system:
            end = y - (lines - 1) * (HEIGHT + GAP) - HEIGHT / 2
            used = (len(notebooks) - 1) % COLUMNS + 1
            right = COLUMNS * (WIDTH + GAP)
            ax.annotate(
                "",
                (right + 0.05, end),
                (used * (WIDTH + GAP) - GAP + 0.03, end),
                arrowprops={"arrowstyle": "->", "color": colour, "linewidth": 1.4},
            )
            ax.text(right + 0.12, end, _wrapped(system, 20), ha="left", va="center", fontsize=11, style="italic")
        y -= lines * (HEIGHT + GAP) + 0.12
    ax.set(xlim=(-1.9, COLUMNS * (WIDTH + GAP) + 1.5), ylim=(y + 0.1, 0.15))
    ax.set_axis_off()
    return ax


def _box(ax: Axes, x: float, top: float, number: str, topic: str, colour: tuple, filled: bool) -> None:
    ax.add_patch(
        FancyBboxPatch(
            (x, top - HEIGHT),
            WIDTH,
            HEIGHT,
            boxstyle="round,pad=0,rounding_size=0.06",
            facecolor=(*colour, 0.25) if filled else "none",
            edgecolor=colour,
            linewidth=1.6 if filled else 0.9,
        )
    )
    ax.text(x + 0.06, top - 0.07, number, ha="left", va="top", fontsize=9, weight="bold")
    ax.text(x + WIDTH / 2, top - 0.43, _wrapped(topic, 15), ha="center", va="center", fontsize=8.5, linespacing=0.95)


def _wrapped(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text, width))
