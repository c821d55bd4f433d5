"""Waveforms: pressure against time, one clip or a few of every class."""

import numpy as np
from matplotlib.axes import Axes

from course_lib.plots.inputs import as_clip, as_clips, as_labels, as_sample_rate, short
from course_lib.plots.style import colours, grid_axes, one_axes

MAX_POINTS = 4000  # a longer clip is drawn as the envelope of that many short blocks: same picture, small file


def waveform(signal, sample_rate: float, *, ax: Axes | None = None, title: str = "", **line) -> Axes:
    """Draw one clip against time in seconds.

    signal: (samples,) or (1, samples), amplitude in units of full scale.  line: passed on to matplotlib, as color=.
    A clip of more than 4,000 samples is drawn as the smallest and largest value of each short block.
    """
    signal = as_clip(signal)
    ax = one_axes(ax, 8.0, 2.2)
    time, values = _envelope(signal, as_sample_rate(sample_rate))
    ax.plot(time, values, **{"linewidth": 0.8, **line})
    ax.set(xlabel="time (s)", ylabel="amplitude", title=title, xlim=(0, max(len(signal), 2) / sample_rate))
    return ax


def waveforms(
    signals, labels, sample_rate: float, *, classes=None, per_class: int = 1, columns: int = 5, ax=None
) -> np.ndarray:
    """Draw the first `per_class` clips of every class, a panel for each class, several one below another.

    signals: (N, 1, samples) or a list of clips.  labels: (N,).  ax: axes to draw on, one a class.
    The clips of one panel share their vertical scale, panels do not: look at shapes here, at loudness elsewhere.
    Returns the array of Axes, one a class; a class without a clip says so.
    """
    clips = as_clips(signals)
    labels, names = as_labels(labels, len(clips), classes)
    if per_class < 1:
        raise ValueError(f"per_class: expected 1 or more, got {per_class}")
    axes = grid_axes(ax, len(names), columns, (2.6, 1.2 + 0.7 * per_class), sharex=True)
    seconds = 0.0
    for index, (panel, name, colour) in enumerate(zip(axes, names, colours(len(names)), strict=True)):
        chosen = [clips[i] for i in np.flatnonzero(labels == index)[:per_class]]
        peak = max((float(np.abs(clip).max()) for clip in chosen), default=0.0) or 1.0
        for row, clip in enumerate(chosen):
            time, values = _envelope(clip, as_sample_rate(sample_rate))
            panel.plot(time, values / peak - 2.2 * row, color=colour, linewidth=0.7)
            seconds = max(seconds, len(clip) / sample_rate)
        if not chosen:
            panel.text(0.5, 0.5, "no clip", transform=panel.transAxes, ha="center", va="center")
        panel.set_title(short(name), fontsize="medium")
        panel.set_yticks([])
        panel.grid(False)
        if index >= len(names) - columns or ax is not None:
            panel.set_xlabel("time (s)")
            panel.tick_params(labelbottom=True)
    for panel in axes:
        panel.set_xlim(0, seconds)
    return axes


def _envelope(signal: np.ndarray, sample_rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Times in seconds and values to draw: the samples, or the lowest and highest of each block of a long clip."""
    if len(signal) <= MAX_POINTS:
        return np.arange(len(signal)) / sample_rate, np.asarray(signal, dtype=float)
    block = -(-2 * len(signal) // MAX_POINTS)
    starts = np.arange(0, len(signal), block)
    lowest, highest = np.minimum.reduceat(signal, starts), np.maximum.reduceat(signal, starts)
    return np.repeat(starts, 2) / sample_rate, np.stack([lowest, highest], axis=1).ravel().astype(float)
