"""What depends on what over time: a Jacobian as a picture, and how much of a gradient is left."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import ArrayLike

from course_lib.plots.inputs import as_numbers, short
from course_lib.plots.style import colours, line_style, one_axes, whole_numbers

_LABELLED = 16  # up to so many inputs there is room for the numbers


def influence_map(jacobian: ArrayLike, *, stride: int = 1, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw `jacobian` (N, T), how much output n changes with input t: dark where it does, white where it does not.

    A square frames each output's own step, input n · stride. The numbers are written into small pictures, unless they
    are all alike, as in a map of booleans; a large one has a scale of its shades.
    Raises ValueError where `jacobian` is not a matrix of finite numbers.
    """
    changes = as_numbers(jacobian, "jacobian", "(N, T)")
    outputs, inputs = changes.shape
    cell = min(0.36, 6 / max(inputs, outputs))  # inches
    ax = one_axes(ax, 1.2 + cell * inputs, 1.2 + cell * outputs, square=True)
    shade = np.abs(changes)
    image = ax.imshow(shade, cmap="Blues", vmin=0, vmax=1.6 * shade.max() or 1.0, origin="upper")
    if inputs > _LABELLED:
        bar = ax.figure.colorbar(image, ax=ax, shrink=0.8, pad=0.02, label="change of the output")
        bar.ax.set_ylim(0, shade.max() or 1.0)
    elif len(np.unique(changes[changes != 0])) > 1:
        for n, t in np.argwhere(changes):
            ax.text(t, n, f"{changes[n, t]:.3g}", ha="center", va="center", fontsize=9)
    own = [n for n in range(outputs) if n * stride < inputs]
    ax.scatter(
        [n * stride for n in own], own, marker="s", s=230 if inputs <= _LABELLED else 40, fc="none", ec="C1", lw=1.6
    )
    ax.set(xlabel="input step", ylabel="output step", title=title)
    whole_numbers(ax.xaxis)
    whole_numbers(ax.yaxis)
    ax.grid(False)
    return ax


def gradient_flow(norms: Mapping[str, ArrayLike], *, ax: Axes | None = None) -> Axes:
    """Draw the norm of ∂s_T/∂s_t against the distance T - t, on a logarithmic scale: one curve a name.

    norms: name -> (seeds, D), the norm for distances 1 to D. The line is the median over seeds, each pale one a seed.
    The black line at 1 is a gradient that neither fades nor grows.
    Raises ValueError where an entry is not (seeds, D) or not positive, or where there is none.
    """
    if not norms:
        raise ValueError("norms: expected at least one curve, got none")
    ax = one_axes(ax, 8.0, 4.0)
    for nth, ((name, given), colour) in enumerate(zip(norms.items(), colours(len(norms)), strict=True)):
        values = as_numbers(given, f"norms[{name!r}]", "(seeds, distances)")
        if not (values > 0).all():
            raise ValueError(f"norms[{name!r}]: expected positive numbers, got {values.min():.3g} among them")
        distance = np.arange(1, values.shape[1] + 1)
        ax.plot(distance, np.median(values, axis=0), color=colour, linestyle=line_style(10 * nth), label=short(name))
        ax.add_collection(
            LineCollection([np.stack([distance, row], 1) for row in values], colors=[colour], alpha=0.3, lw=0.6)
        )
    ax.axhline(1.0, color="black", linewidth=0.8)
    ax.set(xlabel="distance T − t (time steps)", ylabel=r"norm of $\partial s_T\,/\,\partial s_t$", yscale="log")
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return ax
