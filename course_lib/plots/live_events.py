"""A strip of frames: what a live detector knew at several moments."""

from __future__ import annotations

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from course_lib.plots.style import colours, grid_axes


def live_events(
    snapshots, truth, *, period: float = 4000.0, sample_rate: float = 2000.0, span: float = 8.0, ax=None
) -> np.ndarray:
    """Draw one frame a snapshot, types below each other over the last `span` seconds; return the axes.

    snapshots: (samples received, decided up to, found events (type, sample, ...)) each, in time order.
    truth: (type, sample, ...) of the whole recording; only what has been received is drawn.
    period: samples, drawn as a bar behind each found event.  Raises ValueError where there is no snapshot.
    """
    snapshots = list(snapshots)
    if not snapshots:
        raise ValueError("snapshots: expected at least one")
    kinds = 1 + max([int(kind) for kind, *_ in truth] + [int(k) for *_, found in snapshots for k, *_ in found] + [0])
    axes = grid_axes(ax, len(snapshots), 3, (4.2, 2.9), sharey=True)
    found_colour, true_colour = colours(1)[0], "0.1"
    for axis, (received, decided, found) in zip(axes, snapshots, strict=True):
        now = received / sample_rate
        for kind, sample, *_ in found:
            axis.barh(kind, period / sample_rate, left=sample / sample_rate, height=0.7, color=found_colour, alpha=0.25)
        _dots(axis, [e for e in truth if e[1] < received], sample_rate, "o", true_colour, 6, "none")
        _dots(axis, found, sample_rate, "x", found_colour, 5, found_colour)
        axis.axvspan(decided / sample_rate, now, color="0.85", zorder=0, linewidth=0)
        axis.set(title=f"at {now:.1f} s", xlim=(now - span, now), ylim=(kinds - 0.4, -0.6), xlabel="s")
        axis.grid(False)
    for axis in axes[::3]:
        axis.set(ylabel="type", yticks=range(0, kinds, max(1, kinds // 5)))
    if ax is None:
        handles = [
            Line2D([], [], marker="o", linestyle="", color=true_colour, markerfacecolor="none", label="true"),
            Line2D([], [], marker="x", linestyle="", color=found_colour, label="found"),
            Patch(color=found_colour, alpha=0.25, label="refractory period"),
            Patch(color="0.85", label="not decided yet"),
        ]
        axes[0].figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return axes


def _dots(axis, events, sample_rate: float, marker: str, colour, size: float, face) -> None:
    times, kinds = [event[1] / sample_rate for event in events], [event[0] for event in events]
    axis.plot(times, kinds, marker, color=colour, markersize=size, markerfacecolor=face)
