"""Signals against time: one clip, a few of every class, the borders between blocks, the places of frames."""

from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from course_lib.plots.inputs import Classes, Signals, as_clip, as_clips, as_labels, as_sample_rate, short
from course_lib.plots.style import Grid, colours, grid_axes, labelled_box, one_axes

MAX_POINTS = 4000  # a longer clip is drawn as the envelope of that many short blocks: same picture, small file


def waveform(signal: ArrayLike, sample_rate: float, *, ax: Axes | None = None, title: str = "", **line: Any) -> Axes:
    """Draw one clip against time in seconds.

    signal: (samples,) or (1, samples), amplitude in units of full scale.  line: passed on to matplotlib, as color=.
    A clip of more than 4,000 samples is drawn as the smallest and largest value of each short block.
    """
    clip = as_clip(signal)
    ax = one_axes(ax, 8.0, 2.2)
    time, values = _envelope(clip, as_sample_rate(sample_rate))
    ax.plot(time, values, **{"linewidth": 0.8, **line})
    ax.set(xlabel="time (s)", ylabel="amplitude", title=title, xlim=(0, max(len(clip), 2) / sample_rate))
    return ax


def waveforms(
    signals: Signals,
    labels: ArrayLike,
    sample_rate: float,
    *,
    classes: Classes = None,
    per_class: int = 1,
    columns: int = 5,
    ax: Grid | None = None,
) -> np.ndarray:
    """Draw the first `per_class` clips of every class, a panel for each class, several one below another.

    signals: (N, 1, samples) or a list of clips.  labels: (N,).  ax: axes to draw on, one a class.
    The clips of one panel share their vertical scale, panels do not: look at shapes here, at loudness elsewhere.
    Returns the array of Axes, one a class; a class without a clip says so.
    """
    clips = as_clips(signals)
    numbers, names = as_labels(labels, len(clips), classes)
    if per_class < 1:
        raise ValueError(f"per_class: expected 1 or more, got {per_class}")
    axes = grid_axes(ax, len(names), columns, (2.6, 1.2 + 0.7 * per_class), sharex=True)
    seconds = 0.0
    for index, (panel, name, colour) in enumerate(zip(axes, names, colours(len(names)), strict=True)):
        chosen = [clips[i] for i in np.flatnonzero(numbers == index)[:per_class]]
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


def block_borders(
    whole: ArrayLike, blocks: ArrayLike, block_size: int, sample_rate: float, *, ax: Axes | None = None, title: str = ""
) -> Axes:
    """Draw `blocks` (samples,) over `whole` (samples,) against time in milliseconds, a dotted line at every border.

    block_size: samples from one border to the next; the first block begins at the first sample.
    Raises ValueError where the two signals differ in length or a block has less than one sample.
    """
    below, above, rate = as_clip(whole, "whole"), as_clip(blocks, "blocks"), as_sample_rate(sample_rate)
    if len(below) != len(above):
        raise ValueError(f"blocks: expected as many samples as whole, {len(below)}, got {len(above)}")
    if block_size < 1:
        raise ValueError(f"block_size: expected at least 1 sample, got {block_size}")
    ax = one_axes(ax, 9.0, 2.8)
    milliseconds = 1000 * np.arange(len(below)) / rate
    ax.plot(milliseconds, below, color="0.45", linewidth=2.6, label="whole signal at once")
    ax.plot(milliseconds, above, color=colours(2)[1], linewidth=1.2, label="block by block")
    for border in range(block_size, len(below), block_size):
        ax.axvline(1000 * border / rate, color="black", linestyle=":", linewidth=1.0)
    ax.set(xlabel="time (ms), borders dotted", ylabel="amplitude", title=title, xlim=(0, milliseconds[-1]))
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return ax


def frame_layout(samples: int, frame_length: int, frame_step: int, *, ax: Axes | None = None) -> Axes:
    """Draw every frame that begins within a signal of `samples` samples, a row a frame, and how many cover each sample.

    Frame n begins at sample n · frame_step. Cells hold the number of their sample, counted from 0; hatched cells lie
    beyond the end of the signal. The bottom row counts the frames at each sample. Meant for signals of a few samples.
    Raises ValueError where a number is below 1.
    """
    for name, value in (("samples", samples), ("frame_length", frame_length), ("frame_step", frame_step)):
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")
    starts = [n * frame_step for n in range(ceil(samples / frame_step))]
    end = max(starts[-1] + frame_length, samples)
    ax = one_axes(ax, max(4.0, 0.5 * end + 1.8), 0.42 * (len(starts) + 1) + 0.9)
    inside = colours(1)[0]
    for row, start in enumerate(starts):
        for sample in range(start, start + frame_length):
            labelled_box(ax, sample, row, str(sample), inside, empty=sample >= samples, alpha=0.85)
    for sample in range(samples):
        count = sum(start <= sample < start + frame_length for start in starts)
        ax.text(sample, len(starts), str(count), ha="center", va="center")
    ax.axvline(samples - 0.5, color="black", linewidth=1.2, linestyle="--")
    ax.set_yticks(range(len(starts) + 1), [f"frame {n}" for n in range(len(starts))] + ["frames here"])
    ax.set_xticks(range(end))
    ax.set(xlabel="sample", ylabel="", xlim=(-0.6, end - 0.4), ylim=(len(starts) + 0.5, -0.5))
    ax.grid(False)
    return ax
