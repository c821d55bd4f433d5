"""What a stream was labelled as, step by step: one coloured strip a labelling, one below the other."""

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np
from matplotlib.axes import Axes

from course_lib.plots.style import colours, one_axes

_SHORTEST = 0.018  # a run that fills less of the width than this has no room for its name


def label_strips(
    strips: Mapping[str, object],
    *,
    classes: Sequence[str] | None = None,
    step: str = "time step",
    ax: Axes | None = None,
    title: str = "",
) -> Axes:
    """Draw each labelling as a strip over time, each run of one label with its colour and, where it fits, its name.

    strips: name -> (T,) integers, the label of each step; -1 is no answer and stays white. The first strip is the
    reference: in the others, black below a strip marks the steps at which they differ from it (no answer does not).
    classes: names of the labels; their numbers by default.
    Raises ValueError where the strips differ in length or a label has no name.
    """
    rows = {name: np.asarray(labels) for name, labels in strips.items()}
    lengths = {name: row.shape for name, row in rows.items()}
    if (
        not rows
        or len(set(lengths.values())) != 1
        or any(len(shape) != 1 or not shape[0] for shape in lengths.values())
    ):
        raise ValueError(f"strips: expected one number of steps, (T,) each, got {lengths or 'no strip'}")
    count = max(int(row.max()) for row in rows.values()) + 1
    names = [str(k) for k in range(count)] if classes is None else list(classes)
    if min(int(row.min()) for row in rows.values()) < -1 or count > len(names):
        raise ValueError(f"strips: expected labels from -1 to {len(names) - 1}, got up to {count - 1}")
    ax = one_axes(ax, 9.0, 0.9 + 0.5 * len(rows))
    palette, reference = colours(max(count, 1)), next(iter(rows.values()))
    for place, row in enumerate(rows.values()):
        for start, stop, label in _runs(row):
            if label < 0:
                continue
            ax.barh(place, stop - start, left=start - 0.5, height=0.6, color=palette[label], ec="white", lw=0.5)
            if stop - start > _SHORTEST * len(row):
                ax.text((start + stop - 1) / 2, place, names[label], ha="center", va="center", fontsize=9)
        for start, stop, differs in _runs((row != reference) & (row >= 0)):
            if differs:
                ax.barh(place + 0.37, stop - start, left=start - 0.5, height=0.12, color="black")
    ax.set(xlabel=step, xlim=(-0.5, len(reference) - 0.5), ylim=(len(rows) - 0.5, -0.5), title=title)
    ax.set_yticks(range(len(rows)), list(rows))
    ax.grid(False)
    return ax


def _runs(row: np.ndarray):
    """(start, stop, value) of each run of equal values."""
    start = 0
    for value, group in groupby(row.tolist()):
        stop = start + len(list(group))
        yield start, stop, value
        start = stop
