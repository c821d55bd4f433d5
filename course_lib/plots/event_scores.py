"""What a detector says of every frame and type, and how good its events are at every threshold."""

import numpy as np
from matplotlib.axes import Axes

from course_lib.plots.style import colours, line_style, one_axes

SAMPLE_RATE = 2000  # Hz


def event_heatmap(
    scores, events=(), found=None, *, resolution: int = 10, sample_rate: float = SAMPLE_RATE, ax: Axes | None = None
) -> Axes:
    """Draw scores (F, E), time to the right and a row a type; true onsets as open circles, found ones as crosses.

    scores: 0 to 1, one a frame of `resolution` samples.  events, found: (type, sample, ...).
    """
    scores = np.asarray(scores)
    if scores.ndim != 2 or scores.size == 0:
        raise ValueError(f"scores: expected (F, E), got {scores.shape}")
    ax = one_axes(ax, 9.0, 1.4 + 0.2 * scores.shape[1])
    length = len(scores) * resolution / sample_rate
    extent = (0, length, scores.shape[1] - 0.5, -0.5)
    image = ax.imshow(scores.T, aspect="auto", extent=extent, vmin=0, vmax=1, interpolation="nearest")
    ax.figure.colorbar(image, ax=ax, label="score", pad=0.01)
    circle = {"facecolors": "none", "edgecolors": "white", "s": 90, "linewidths": 1.5, "label": "true onset"}
    if len(list(events)):
        ax.scatter([e[1] / sample_rate for e in events], [e[0] for e in events], **circle)
    if found is not None and len(list(found)):
        cross = {"marker": "x", "color": colours(10)[9], "s": 40, "linewidths": 1.5, "label": "found"}
        ax.scatter([e[1] / sample_rate for e in found], [e[0] for e in found], **cross)
    ax.set(xlabel="time (s)", ylabel="type", xlim=(0, length))
    ax.set_yticks(range(0, scores.shape[1], 1 if scores.shape[1] <= 8 else 3))
    ax.grid(False)
    return ax


def precision_recall_curves(curves: dict, *, ax: Axes | None = None) -> Axes:
    """Draw precision against recall, a curve a name, each ending at its lowest threshold; the area stands behind it.

    curves: name -> anything with `precision`, `recall` (K,) and `average_precision`, as `events.precision_recall` has.
    """
    if not curves:
        raise ValueError("curves: expected at least one, got none")
    ax = one_axes(ax, 5.6, 4.0)
    for index, (name, curve) in enumerate(curves.items()):
        label = f"{name} (average precision {curve.average_precision:.2f})"
        ax.plot(
            curve.recall, curve.precision, color=colours(index + 1)[index], linestyle=line_style(index), label=label
        )
    ax.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
    ax.legend(loc="lower left")
    return ax
