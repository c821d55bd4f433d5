"""Several channels one above the other with events marked, and a stream as a live detector sees it."""

import numpy as np
from matplotlib.axes import Axes

from course_lib.plots.style import colours, grid_axes, one_axes

SAMPLE_RATE = 2000  # Hz


def event_traces(
    data,
    events=(),
    found=None,
    *,
    start: int = 0,
    sample_rate: float = SAMPLE_RATE,
    names=None,
    ax: Axes | None = None,
) -> Axes:
    """Draw data (T, C), a row a channel, and a dashed line through all rows at the onset of each event, with its type.

    events: true events (type, sample, ...).  found: those that a detector found, triangles above the rows.
    start: the sample that the first row of data is, on the clock of the events; those outside are not drawn.
    names: of the channels, C of them; None: numbers.
    """
    data = np.asarray(data)
    if data.ndim != 2 or len(data) == 0:
        raise ValueError(f"data: expected (T, C), got {data.shape}")
    if names is not None and len(names) != data.shape[1]:
        raise ValueError(f"names: expected {data.shape[1]}, one a channel, got {len(names)}")
    ax = one_axes(ax, 9.0, 0.9 + 0.5 * data.shape[1])
    milliseconds = (start + np.arange(len(data))) * 1000 / sample_rate
    step = 6 * np.median(data.std(axis=0)) or 1.0
    for channel, trace in enumerate(data.T):
        ax.plot(milliseconds, trace - np.median(trace) - step * channel, color="0.35", linewidth=0.7)
    palette = colours(10)
    for kind, sample, *_ in events:
        if start <= sample < start + len(data):
            look = {"color": palette[int(kind) % 10], "linewidth": 1.4, "linestyle": "--"}
            ax.axvline(sample * 1000 / sample_rate, ymax=0.93, **look)
            ax.text(
                sample * 1000 / sample_rate,
                step,
                str(int(kind)),
                color=look["color"],
                ha="center",
                va="bottom",
                fontsize=10,
            )
    for kind, sample, *_ in () if found is None else found:
        if start <= sample < start + len(data):
            ax.plot(sample * 1000 / sample_rate, 0.75 * step, "v", color=palette[int(kind) % 10], markersize=7)
    labels = [f"channel {channel}" for channel in range(data.shape[1])] if names is None else list(names)
    ax.set_yticks(-step * np.arange(data.shape[1]), labels)
    ax.set(
        xlabel="time (ms)", xlim=(milliseconds[0], milliseconds[-1]), ylim=(-step * (data.shape[1] - 0.3), 1.45 * step)
    )
    ax.grid(False)
    return ax


def live_events(snapshots, truth, *, sample_rate: float = SAMPLE_RATE, ax=None) -> np.ndarray:
    """A live detection as a strip of frames, one below the other; each shows only what had been received by then.

    snapshots: (received, decided, found) each: samples received, the sample up to which events were decided, and the
    events (type, sample, ...) returned so far.  truth: all true events (type, sample).
    True onsets are open circles, returned ones crosses; grey is what has been received but not decided.
    """
    snapshots = list(snapshots)
    if not snapshots:
        raise ValueError("snapshots: expected at least one, got none")
    axes = grid_axes(ax, len(snapshots), 1, (9.0, 1.6), sharex=True, sharey=True)
    end = max(received for received, _, _ in snapshots) / sample_rate
    for axis, (received, decided, found) in zip(axes, snapshots, strict=True):
        seen = [(kind, sample) for kind, sample, *_ in truth if sample < received]
        axis.plot([t / sample_rate for _, t in seen], [k for k, _ in seen], "o", mfc="none", color="0.3", label="true")
        times, kinds = [event[1] / sample_rate for event in found], [event[0] for event in found]
        axis.plot(times, kinds, "x", color=colours(2)[1], label="returned")
        axis.axvspan(decided / sample_rate, received / sample_rate, color="0.85", zorder=0)
        axis.set(ylabel="type", xlim=(0, end))
        axis.set_title(f"after {received / sample_rate:.1f} s", loc="left", fontsize="medium")
        axis.grid(False)
    axes[-1].set_xlabel("time (s)")
    axes[0].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return axes
