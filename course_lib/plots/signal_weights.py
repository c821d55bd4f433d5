"""Where a pooling layer looks: its weights over time, laid over the signal that they weigh."""

from collections.abc import Mapping

import numpy as np

from course_lib.plots.inputs import as_clip, as_sample_rate
from course_lib.plots.style import colours, grid_axes
from course_lib.plots.waveform import waveform


def weights_over_signal(
    signal, weights: Mapping[str, object], *, sample_rate: float | None = None, marked=None, ax=None
) -> np.ndarray:
    """Draw each of `weights` over the signal, a panel each, and return the axes, from top to bottom.

    signal: (T,), drawn in grey, its scale on the left.
    weights: name -> (N,) weights of sum 1 for N steps of equal length that cover the signal in order, any N. They are
        drawn, coloured, as multiples of 1/N: the dashed line at 1 is what the plain mean gives to every step.
    sample_rate: in Hz, for a time axis in seconds; None counts samples.
    marked: (start, end) of a stretch to shade, such as the event to be found, in the units of the time axis.
    Raises ValueError where there is no panel, or weights are no finite, non-negative numbers (N,).
    """
    signal = as_clip(signal)
    rate = 1.0 if sample_rate is None else as_sample_rate(sample_rate)
    panels = {name: _as_weights(name, values) for name, values in weights.items()}
    if not panels:
        raise ValueError("weights: expected at least one panel, got none")
    axes = grid_axes(ax, len(panels), 1, (8.0, 1.7), sharex=True)
    for axis, (name, values), colour in zip(axes, panels.items(), colours(len(panels)), strict=True):
        waveform(signal, rate, ax=axis, color="0.6")
        axis.set_xlabel("")
        axis.set_title(name, loc="left", fontsize=11)
        axis.grid(False)
        over = axis.twinx()
        edges = np.linspace(0, len(signal) / rate, len(values) + 1)
        over.stairs(len(values) * values, edges, color=colour, fill=True, alpha=0.35)
        over.stairs(len(values) * values, edges, color=colour, linewidth=1.6, baseline=None)
        over.axhline(1.0, color="0.3", linestyle="--", linewidth=1)
        over.set_ylim(0, max(2.0, 1.15 * len(values) * values.max()))
        over.set_ylabel("weight · N", color=colour)
        over.grid(False)
        over.spines["right"].set_visible(True)
        if marked is not None:
            axis.axvspan(*marked, color="0.2", alpha=0.15, linewidth=0)
    axes[-1].set_xlabel("time (samples)" if sample_rate is None else "time (s)")
    return axes


def _as_weights(name: str, values) -> np.ndarray:
    values = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, dtype=float)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all() or values.min() < 0:
        raise ValueError(f"weights[{name!r}]: expected (N,) finite numbers of at least 0, got shape {values.shape}")
    return values
