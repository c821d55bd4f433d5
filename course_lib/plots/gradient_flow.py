"""How much of a gradient is left after so many steps back in time."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from course_lib.plots.style import colours, line_style, one_axes


def gradient_flow(norms: Mapping[str, object], *, ax: Axes | None = None) -> Axes:
    """Draw the norm of ∂s_T/∂s_t against the distance T - t, on a logarithmic scale: one curve a name.

    norms: name -> (seeds, D), the norm for distances 1 to D. The line is the median over seeds, the band reaches from
    the smallest to the largest. The black line at 1 is a gradient that neither fades nor grows.
    Raises ValueError where an entry is not (seeds, D) or not positive.
    """
    ax = one_axes(ax, 8.0, 4.0)
    for nth, ((name, values), colour) in enumerate(zip(norms.items(), colours(len(norms)), strict=True)):
        values = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, dtype=float)
        if values.ndim != 2 or values.size == 0 or not (values > 0).all():
            raise ValueError(f"norms[{name!r}]: expected positive numbers (seeds, distances), got shape {values.shape}")
        distance = np.arange(1, values.shape[1] + 1)
        ax.plot(distance, np.median(values, axis=0), color=colour, linestyle=line_style(10 * nth), label=name)
        ax.fill_between(distance, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.2, linewidth=0)
    ax.axhline(1.0, color="black", linewidth=0.8)
    ax.set(xlabel="distance T − t (time steps)", ylabel=r"norm of $\partial s_T\,/\,\partial s_t$", yscale="log")
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return ax
