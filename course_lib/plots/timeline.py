"""What goes into a chain of layers and what comes out of each, step by step, in one picture."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from course_lib.plots.inputs import short
from course_lib.plots.style import colours, one_axes

INVALID = "–"


def timeline(rows: Mapping[str, Sequence[str]], *, shown: int | None = None, ax: Axes | None = None) -> Axes:
    """Draw what each layer has put out, a row a layer and a box an output, against the steps of the first row.

    rows: name -> one label an output, the first row one a step. A row with a half or a third as many has boxes two or
    three steps wide, each out at its last step. A label "–" is an invalid step: its box is hatched.
    shown: only what is out after so many steps.
    Raises ValueError where a row's outputs do not divide the steps.
    """
    if not rows:
        raise ValueError("rows: expected at least one row, got none")
    steps = len(next(iter(rows.values())))
    for name, labels in rows.items():
        if not labels or steps % len(labels):
            raise ValueError(f"rows[{name!r}]: expected a number of outputs that divides {steps}, got {len(labels)}")
    ax = one_axes(ax, 0.62 * steps + 2.6, 0.5 * len(rows) + 0.8)
    for row, (labels, colour) in enumerate(zip(rows.values(), colours(len(rows)), strict=True)):
        width = steps // len(labels)
        for nth, label in enumerate(labels):
            if shown is not None and (nth + 1) * width > shown:
                break
            invalid = label == INVALID
            box = Rectangle((nth * width - 0.46, row - 0.38), width - 0.08, 0.76, linewidth=0.8)
            box.set(facecolor="none" if invalid else colour, edgecolor="0.6" if invalid else colour)
            box.set_hatch("///" if invalid else "")
            ax.add_patch(box)
            if not invalid:
                ax.text(nth * width + (width - 1) / 2, row, short(label), ha="center", va="center", color="white")
    ax.set_yticks(range(len(rows)), [short(name, 40) for name in rows])
    ax.set_xticks(range(steps))
    ax.set(xlabel="time step of the stream", ylabel="", xlim=(-0.6, steps - 0.4), ylim=(len(rows) - 0.5, -0.5))
    ax.grid(False)
    return ax
