"""What happens over time: inside a layer, along a chain of layers, as a stream was labelled, or picture by picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from course_lib.plots.alt_text import describe
from course_lib.plots.inputs import Classes, as_array, short
from course_lib.plots.style import Grid, colours, grid_axes, labelled_box, one_axes, whole_numbers

MARKED = 400  # steps: in a longer panel, the markers of single steps would hide the line
SHORTEST = 0.018  # a run of labels that fills less of the width than this has no room for its name
INVALID = "–"
LARGEST = 300_000  # bytes: a notebook with a film still opens at once
DPI = 60


def over_time(
    panels: Mapping[str, ArrayLike | Mapping[str, ArrayLike]],
    *,
    limits: Mapping[str, tuple[float, float]] | None = None,
    valid: ArrayLike | None = None,
    step: str = "time step",
    ax: Grid | None = None,
) -> np.ndarray:
    """Draw each panel against time, and return the axes, from top to bottom.

    panels: name -> (T,), a line; a dict of such lines, each with its name; or (T, C), an image with a row a channel.
    Values below zero give an image colours on both sides of white; otherwise dark is low and bright is high.
    limits: name -> (lowest, highest value) for the axis of a line or the colours of an image.
    valid: (T,) True where a step is valid; the others are shaded grey in every panel. NaN is left white.
    Raises ValueError where the panels differ in the number of time steps, or a panel is neither (T,) nor (T, C).
    """
    drawn = {name: _as_panel(name, panel) for name, panel in panels.items()}
    lengths = {name: len(next(iter(p.values())) if isinstance(p, dict) else p) for name, p in drawn.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"panels: expected one number of time steps, got {lengths or 'no panel'}")
    (length,) = set(lengths.values())
    limits = limits or {}
    axes = grid_axes(ax, len(drawn), 1, (8.0, 1.7), sharex=True)
    for axis, (name, panel) in zip(axes, drawn.items(), strict=True):
        if isinstance(panel, dict):
            _lines(axis, panel, limits.get(name))
        else:
            _image(axis, panel, limits.get(name))
        axis.set_title(short(name, 80), loc="left", fontsize=11)
        axis.grid(False)
        _shade(axis, valid)
    axes[-1].set(xlabel=step, xlim=(-0.5, length - 0.5))
    whole_numbers(axes[-1].xaxis)
    return axes


def _as_panel(name: str, panel: ArrayLike | Mapping[str, ArrayLike]) -> np.ndarray | dict[str, np.ndarray]:
    if isinstance(panel, Mapping):
        return {label: _as_steps(name, line, dimensions=(1,)) for label, line in panel.items()}
    array = _as_steps(name, panel, dimensions=(1, 2))
    return array if array.ndim == 2 else {"": array}


def _as_steps(name: str, values: ArrayLike, dimensions: tuple[int, ...]) -> np.ndarray:
    array = as_array(values, float)
    if array.ndim not in dimensions or len(array) == 0:
        shapes = " or ".join({1: "(T,)", 2: "(T, C)"}[d] for d in dimensions)
        raise ValueError(f"panels[{name!r}]: expected {shapes}, got shape {array.shape}")
    return array


def _lines(axis: Axes, lines: dict[str, np.ndarray], limits: tuple[float, float] | None) -> None:
    width = max(8, min(60, 110 // max(1, len(lines))))  # the legend is one row: letters that a name may have
    for (label, line), colour in zip(lines.items(), colours(len(lines)), strict=True):
        marker = "." if len(line) <= MARKED else None
        axis.plot(np.arange(len(line)), line, marker=marker, color=colour, label=short(label, width))
    if limits:
        axis.set_ylim(limits)
    if any(lines):
        axis.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(lines), borderpad=0.0, borderaxespad=0.2)


def _image(axis: Axes, values: np.ndarray, limits: tuple[float, float] | None) -> None:
    low, high = limits or (np.nanmin(values), np.nanmax(values))
    cmap = "magma"
    if low < 0:
        cmap, low, high = "RdBu_r", -max(-low, high), max(-low, high)
    image = axis.imshow(values.T, aspect="auto", interpolation="nearest", cmap=cmap, vmin=low, vmax=high)
    axis.set_ylabel("channel")
    axis.set_yticks([0, values.shape[1] - 1] if values.shape[1] > 1 else [0])
    plt.colorbar(image, ax=axis, pad=0.01)


def _shade(axis: Axes, valid: ArrayLike | None) -> None:
    if valid is None:
        return
    for t in np.flatnonzero(~as_array(valid, bool)):
        axis.axvspan(t - 0.5, t + 0.5, color="0.5", alpha=0.25, linewidth=0)


def label_strips(
    strips: Mapping[str, ArrayLike],
    *,
    classes: Classes = None,
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
    rows = {name: as_array(labels) for name, labels in strips.items()}
    lengths = {name: row.shape for name, row in rows.items()}
    if (
        not rows
        or len(set(lengths.values())) != 1
        or any(len(shape) != 1 or not shape[0] for shape in lengths.values())
    ):
        raise ValueError(f"strips: expected one number of steps, (T,) each, got {lengths or 'no strip'}")
    count = max(int(row.max()) for row in rows.values()) + 1
    names = [short(k) for k in (range(count) if classes is None else classes)]
    if min(int(row.min()) for row in rows.values()) < -1 or count > len(names):
        raise ValueError(f"strips: expected labels from -1 to {len(names) - 1}, got up to {count - 1}")
    ax = one_axes(ax, 9.0, 0.9 + 0.5 * len(rows))
    palette, reference = colours(max(count, 1)), next(iter(rows.values()))
    for place, row in enumerate(rows.values()):
        for start, stop, label in _runs(row):
            if label < 0:
                continue
            ax.barh(place, stop - start, left=start - 0.5, height=0.6, color=palette[label], ec="white", lw=0.5)
            if stop - start > SHORTEST * len(row):
                ax.text((start + stop - 1) / 2, place, names[label], ha="center", va="center", fontsize=9)
        for start, stop, differs in _runs((row != reference) & (row >= 0)):
            if differs:
                ax.barh(place + 0.37, stop - start, left=start - 0.5, height=0.12, color="black")
    ax.set(xlabel=step, xlim=(-0.5, len(reference) - 0.5), ylim=(len(rows) - 0.5, -0.5), title=title)
    ax.set_yticks(range(len(rows)), [short(name, 40) for name in rows])
    ax.grid(False)
    return ax


def _runs(row: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """(start, stop, value) of each run of equal values."""
    start = 0
    for value, group in groupby(row.tolist()):
        stop = start + len(list(group))
        yield start, stop, value
        start = stop


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
            labelled_box(ax, nth * width, row, short(label), colour, width=width, empty=label == INVALID, linewidth=0.8)
    ax.set_yticks(range(len(rows)), [short(name, 40) for name in rows])
    ax.set_xticks(range(steps))
    ax.set(xlabel="time step of the stream", ylabel="", xlim=(-0.6, steps - 0.4), ylim=(len(rows) - 0.5, -0.5))
    ax.grid(False)
    return ax


if TYPE_CHECKING:
    from IPython.display import HTML


def film(figure: Figure, draw: Callable[[int], Any], frames: int, *, interval: float = 300.0) -> HTML:
    """A player of `frames` pictures of `figure`, made by `draw(0)`, `draw(1)`, …; it needs no server and no widgets.

    draw: changes what is on the figure, or clears its axes and draws anew.  interval: milliseconds a picture.
    The text alternative is that of the last picture. The figure is closed, so that it is not shown a second time.
    Raises ValueError where there is no picture, or the player is larger than 300 kB.
    """
    from IPython.display import HTML

    if frames < 1:
        raise ValueError(f"frames: expected at least 1, got {frames}")
    with plt.rc_context({"savefig.dpi": DPI, "savefig.bbox": None}):
        player = FuncAnimation(figure, draw, frames=frames, interval=interval).to_jshtml(default_mode="once")
    text = describe(figure).replace("&", "&amp;").replace('"', "&quot;")
    plt.close(figure)
    if len(player) > LARGEST:
        raise ValueError(
            f"frames: {frames} pictures take {len(player):,} bytes, over {LARGEST:,}: fewer, or smaller ones"
        )
    return HTML(player.replace("<img ", f'<img alt="{text}" ', 1))
