"""What a template bank has learned: one panel a type, one row a channel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.lines import Line2D

from course_lib.plots.style import colours, grid_axes


def visualize_learned_templates(
    model,
    save_path: Path | str | None = None,
    *,
    true_kernels=None,
    true_delays=None,
    types=None,
    sample_rate: float = 2000.0,
    ax=None,
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
    kernels, delays = _array(bank.kernels()), _array(bank.delays())
    truth = None if true_kernels is None else _array(true_kernels)
    for name, given, shape in (("true_kernels", truth, kernels.shape), ("true_delays", true_delays, delays.shape)):
        if given is not None and np.shape(given) != shape:
            raise ValueError(f"{name}: expected {shape}, got {np.shape(given)}")
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
            if true_delays is not None:
                _mark(axis, true_delays[kind][channel] * to_ms, level, step, true, below=True)
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
    if truth is not None or true_delays is not None:
        handles.append(Line2D([], [], color=true, alpha=0.6, linewidth=2.2, label="true; ▴ its delay"))
    if ax is None:
        figure.legend(handles=handles, loc="outside upper center", ncols=2)
    if save_path is not None:
        figure.savefig(save_path)
    return axes


def _bank(model):
    for candidate in (model, getattr(model, "templates", None), getattr(model, "bank", None)):
        if hasattr(candidate, "kernels") and hasattr(candidate, "delays"):
            return candidate
    raise TypeError(
        f"model: expected a template bank or a model that has one as `templates` or `bank`, got {type(model).__name__}"
    )


def _array(values) -> np.ndarray:
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, dtype=float)


def _norm(kernel: np.ndarray) -> float:
    return float(np.sqrt(np.square(kernel).sum())) or 1.0


def _mark(axis, place: float, level: float, step: float, colour, *, below: bool) -> None:
    marker, height = ("^", level - 0.42 * step) if below else ("v", level + 0.42 * step)
    axis.plot([place], [height], marker=marker, color=colour, markersize=3.5, linestyle="")
