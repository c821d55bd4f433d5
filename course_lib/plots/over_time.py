"""What happens inside a layer, laid under the signal: panels one below the other on one time axis."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np

from course_lib.plots.style import colours, grid_axes, whole_numbers

MARKED = 400  # steps: in a longer panel, the markers of single steps would hide the line


def over_time(
    panels: Mapping[str, object],
    *,
    limits: Mapping[str, tuple[float, float]] | None = None,
    valid=None,
    step: str = "time step",
    ax=None,
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
        axis.set_title(name, loc="left", fontsize=11)
        axis.grid(False)
        _shade(axis, valid)
    axes[-1].set(xlabel=step, xlim=(-0.5, length - 0.5))
    whole_numbers(axes[-1].xaxis)
    return axes


def _as_panel(name: str, panel) -> np.ndarray | dict[str, np.ndarray]:
    if isinstance(panel, Mapping):
        return {label: _as_array(name, line, dimensions=(1,)) for label, line in panel.items()}
    array = _as_array(name, panel, dimensions=(1, 2))
    return array if array.ndim == 2 else {"": array}


def _as_array(name: str, values, dimensions: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, dtype=float)
    if array.ndim not in dimensions or len(array) == 0:
        shapes = " or ".join({1: "(T,)", 2: "(T, C)"}[d] for d in dimensions)
        raise ValueError(f"panels[{name!r}]: expected {shapes}, got shape {array.shape}")
    return array


def _lines(axis, lines: dict[str, np.ndarray], limits) -> None:
    for (label, line), colour in zip(lines.items(), colours(len(lines)), strict=True):
        marker = "." if len(line) <= MARKED else None
        axis.plot(np.arange(len(line)), line, marker=marker, color=colour, label=label)
    if limits:
        axis.set_ylim(limits)
    if any(lines):
        axis.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(lines), borderpad=0.0, borderaxespad=0.2)


def _image(axis, values: np.ndarray, limits) -> None:
    low, high = limits or (np.nanmin(values), np.nanmax(values))
    look = {"cmap": "magma", "vmin": low, "vmax": high}
    if low < 0:
        look = {"cmap": "RdBu_r", "vmin": -max(-low, high), "vmax": max(-low, high)}
    image = axis.imshow(values.T, aspect="auto", interpolation="nearest", **look)
    axis.set_ylabel("channel")
    axis.set_yticks([0, values.shape[1] - 1] if values.shape[1] > 1 else [0])
    plt.colorbar(image, ax=axis, pad=0.01)


def _shade(axis, valid) -> None:
    if valid is None:
        return
    for t in np.flatnonzero(~np.asarray(valid, dtype=bool)):
        axis.axvspan(t - 0.5, t + 0.5, color="0.5", alpha=0.25, linewidth=0)
