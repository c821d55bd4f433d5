"""Which inputs an output sees: a Jacobian over time as a picture, outputs downwards, inputs to the right."""

import numpy as np
from matplotlib.axes import Axes

from course_lib.plots.style import one_axes, whole_numbers

_LABELLED = 16  # up to so many inputs there is room for the numbers


def influence_map(jacobian, *, stride: int = 1, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw `jacobian` (N, T), how much output n changes with input t: dark where it does, white where it does not.

    A square frames each output's own step, input n · stride. The numbers are written into small pictures.
    Raises ValueError where `jacobian` is not a matrix of finite numbers.
    """
    jacobian = np.asarray(jacobian, dtype=float)
    if jacobian.ndim != 2 or jacobian.size == 0 or not np.isfinite(jacobian).all():
        raise ValueError(f"jacobian: expected finite numbers of shape (N, T), got shape {jacobian.shape}")
    outputs, inputs = jacobian.shape
    cell = min(0.36, 6 / max(inputs, outputs))  # inches
    ax = one_axes(ax, 1.2 + cell * inputs, 1.2 + cell * outputs, square=True)
    shade = np.abs(jacobian)
    ax.imshow(shade, cmap="Blues", vmin=0, vmax=1.6 * shade.max() or 1.0, origin="upper")
    if inputs <= _LABELLED:
        for n, t in np.argwhere(jacobian):
            ax.text(t, n, f"{jacobian[n, t]:.3g}", ha="center", va="center", fontsize=9)
    own = [n for n in range(outputs) if n * stride < inputs]
    ax.scatter(
        [n * stride for n in own], own, marker="s", s=230 if inputs <= _LABELLED else 40, fc="none", ec="C1", lw=1.6
    )
    ax.set(xlabel="input step", ylabel="output step", title=title)
    whole_numbers(ax.xaxis)
    whole_numbers(ax.yaxis)
    ax.grid(False)
    return ax
