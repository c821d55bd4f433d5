"""Events in time: marked over their channels, scored by a detector, found in a stream, and as learned templates."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import ArrayLike

from course_lib.events import SAMPLE_RATE
from course_lib.plots.inputs import as_array, short
from course_lib.plots.style import Grid, colours, grid_axes, one_axes

Events = Iterable[Any]  # (type, sample, ...) each


def event_traces(
    data: ArrayLike,
    events: Events = (),
    found: Events | None = None,
    *,
    start: int = 0,
    sample_rate: float = SAMPLE_RATE,
    names: Sequence[object] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw data (T, C), a row a channel, and a dashed line through all rows at the onset of each event, with its type.

    events: true events (type, sample, ...).  found: those that a detector found, triangles above the rows.
    start: the sample that the first row of data is, on the clock of the events; those outside are not drawn.
    names: of the channels, C of them; None: numbers.
    """
    traces = as_array(data)
    if traces.ndim != 2 or len(traces) == 0:
        raise ValueError(f"data: expected (T, C), got {traces.shape}")
    length, channels = traces.shape
    if names is not None and len(names) != channels:
        raise ValueError(f"names: expected {channels}, one a channel, got {len(names)}")
    ax = one_axes(ax, 9.0, 0.9 + 0.5 * channels)
    milliseconds = (start + np.arange(length)) * 1000 / sample_rate
    step = max(6 * float(np.median(traces.std(axis=0))), float(np.median(np.ptp(traces, axis=0)))) or 1.0
    for channel, trace in enumerate(traces.T):
        ax.plot(milliseconds, trace - np.median(trace) - step * channel, color="0.35", linewidth=0.7)
    palette, row, before = colours(10), 0, -np.inf
    inside = sorted((event for event in events if start <= event[1] < start + length), key=lambda event: event[1])
    for kind, sample, *_ in inside:
        at, colour = sample * 1000 / sample_rate, palette[int(kind) % 10]
        row = (row + 1) % 3 if sample - before < 0.03 * length else 0  # close labels go above each other
        before = sample
        ax.axvline(at, ymax=0.9, color=colour, linewidth=1.4, linestyle="--")
        ax.text(at, step * (1 + 0.55 * row), str(int(kind)), color=colour, ha="center", va="bottom", fontsize=10)
    for kind, sample, *_ in () if found is None else found:
        if start <= sample < start + length:
            ax.plot(sample * 1000 / sample_rate, 0.75 * step, "v", color=palette[int(kind) % 10], markersize=7)
    labels = [f"channel {channel}" for channel in range(channels)] if names is None else [short(n) for n in names]
    ax.set_yticks(-step * np.arange(channels), labels)
    ax.set(xlabel="time (ms)", xlim=(milliseconds[0], milliseconds[-1]), ylim=(-step * (channels - 0.3), 1.6 * step))
    ax.grid(False)
    return ax


def event_heatmap(
    scores: ArrayLike,
    events: Events = (),
    found: Events | None = None,
    *,
    resolution: int = 10,
    sample_rate: float = SAMPLE_RATE,
    ax: Axes | None = None,
) -> Axes:
    """Draw scores (F, E), time to the right and a row a type; true onsets as open circles, found ones as crosses.

    scores: 0 to 1, one a frame of `resolution` samples.  events, found: (type, sample, ...).
    """
    frames = as_array(scores, float)
    if frames.ndim != 2 or frames.size == 0:
        raise ValueError(f"scores: expected (F, E), got {frames.shape}")
    types = frames.shape[1]
    ax = one_axes(ax, 9.0, 1.4 + 0.2 * types)
    length = len(frames) * resolution / sample_rate
    extent = (0, length, types - 0.5, -0.5)
    image = ax.imshow(frames.T, aspect="auto", extent=extent, vmin=0, vmax=1, interpolation="nearest")
    ax.figure.colorbar(image, ax=ax, label="score", pad=0.01)
    circle: dict[str, Any] = {"facecolors": "none", "edgecolors": "white", "s": 90, "label": "true onset"}
    cross: dict[str, Any] = {"marker": "x", "color": colours(10)[9], "s": 40, "label": "found"}
    for given, look in ((list(events), circle), (list(() if found is None else found), cross)):
        if given:
            ax.scatter([e[1] / sample_rate for e in given], [e[0] for e in given], linewidths=1.5, **look)
    ax.set(xlabel="time (s)", ylabel="type", xlim=(0, length))
    ax.set_yticks(range(0, types, 1 if types <= 8 else 3))
    ax.grid(False)
    return ax


def live_events(
    snapshots: Iterable[tuple[float, float, Events]],
    truth: Events,
    *,
    period: float = 4000.0,
    sample_rate: float = SAMPLE_RATE,
    span: float = 8.0,
    ax: Grid | None = None,
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
        axis.set(title=f"at {now:.1f} s", xlim=(now - span, now), ylim=(kinds - 0.4, -0.6), xlabel="time (s)")
        axis.grid(False)
    for axis in axes[::3]:
        axis.set(ylabel="type", yticks=range(0, kinds, max(1, kinds // 5)))
    if ax is None:
        handles = [
            Line2D([], [], marker="o", linestyle="", color=true_colour, markerfacecolor="none", label="true"),
            Line2D([], [], marker="x", linestyle="", color=found_colour, label="found"),
            Patch(color=found_colour, alpha=0.25, label="refractory period"),
            Patch(color="0.85", label="may be undecided"),
        ]
        axes[0].figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return axes


def _dots(axis: Axes, events: Events, sample_rate: float, marker: str, colour: Any, size: float, face: Any) -> None:
    times, kinds = [event[1] / sample_rate for event in events], [event[0] for event in events]
    axis.plot(times, kinds, marker, color=colour, markersize=size, markerfacecolor=face)


def visualize_learned_templates(
    model: Any,
    save_path: Path | str | None = None,
    *,
    true_kernels: ArrayLike | None = None,
    true_delays: ArrayLike | None = None,
    types: Sequence[int] | None = None,
    sample_rate: float = SAMPLE_RATE,
    ax: Grid | None = None,
) -> np.ndarray:
    """Draw each type's kernel, channel below channel, with a mark where the channel starts; return the axes.

    model: a template bank, with `kernels()` (E, C, L), `delays()` (E, C) and `template_length`, or a model that has one
        as `templates` or `bank`. Sixteen types fill a grid of 4 × 4.
    true_kernels: (E, C, L) where the true waveforms are known, black behind the learned ones; each type is scaled to
        equal energy in both.  true_delays: (E, C) samples, marked in black.
    types: which types to draw; None: all.  save_path: where to save the figure, by its suffix.
    A channel that differs between bank and truth in its mark but not in its curve has the right kernel, divided
    differently into waveform and delay.
    Raises TypeError where `model` has no bank, ValueError where shapes do not fit.
    """
    bank = _bank(model)
    kernels, delays = as_array(bank.kernels(), float), as_array(bank.delays(), float)
    truth = None if true_kernels is None else as_array(true_kernels, float)
    true_at = None if true_delays is None else as_array(true_delays, float)
    for name, given, wanted in (("true_kernels", truth, kernels), ("true_delays", true_at, delays)):
        if given is not None and given.shape != wanted.shape:
            raise ValueError(f"{name}: expected {wanted.shape}, got {given.shape}")
    types = list(range(len(kernels))) if types is None else list(types)
    onset = (kernels.shape[2] - bank.template_length) // 2
    to_ms = 1000 / sample_rate
    time = (np.arange(kernels.shape[2]) - onset) * to_ms
    learned, true = colours(1)[0], "0.15"
    axes = grid_axes(ax, len(types), 4, (2.9, 2.3 if len(types) > 4 else 3.3), sharex=True)
    for axis, kind in zip(axes, types, strict=True):
        step = 1.7 * np.abs(kernels[kind]).max() or 1.0
        scale = 1.0 if truth is None else _norm(kernels[kind]) / _norm(truth[kind])
        for channel, curve in enumerate(kernels[kind]):
            level = -channel * step
            if truth is not None:
                axis.plot(time, level + scale * truth[kind, channel], color=true, linewidth=2.2, alpha=0.45)
            axis.plot(time, level + curve, color=learned, linewidth=1.1)
            _mark(axis, delays[kind, channel] * to_ms, level, step, learned, below=False)
            if true_at is not None:
                _mark(axis, true_at[kind, channel] * to_ms, level, step, true, below=True)
        axis.set_title(f"type {kind}", fontsize=10)
        axis.set_yticks([-step * channel for channel in range(kernels.shape[1])], range(kernels.shape[1]))
        axis.set_ylim(-step * (kernels.shape[1] - 0.3), step * 0.7)
        axis.grid(False)
    figure = axes[0].figure
    for axis in axes[-4:]:
        axis.set_xlabel("ms after onset")
    for axis in axes[::4]:
        axis.set_ylabel("channel")
    handles = [Line2D([], [], color=learned, label="learned; ▾ its delay")]
    if truth is not None or true_at is not None:
        handles.append(Line2D([], [], color=true, alpha=0.6, linewidth=2.2, label="true; ▴ its delay"))
    if ax is None:
        figure.legend(handles=handles, loc="outside upper center", ncols=2)
    if save_path is not None:
        figure.savefig(save_path)
    return axes


def _bank(model: Any) -> Any:
    for candidate in (model, getattr(model, "templates", None), getattr(model, "bank", None)):
        if hasattr(candidate, "kernels") and hasattr(candidate, "delays"):
            return candidate
    raise TypeError(
        f"model: expected a template bank or a model that has one as `templates` or `bank`, got {type(model).__name__}"
    )


def _norm(kernel: np.ndarray) -> float:
    return float(np.sqrt(np.square(kernel).sum())) or 1.0


def _mark(axis: Axes, place: float, level: float, step: float, colour: Any, *, below: bool) -> None:
    marker, height = ("^", level - 0.42 * step) if below else ("v", level + 0.42 * step)
    axis.plot([place], [height], marker=marker, color=colour, markersize=3.5, linestyle="")
