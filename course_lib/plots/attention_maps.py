"""What depends on what: attention weights and scores, weights over their signal, vectors that turn, Jacobians."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from course_lib.plots.inputs import as_array, as_clip, as_numbers, as_sample_rate, short
from course_lib.plots.style import Grid, colours, grid_axes, line_style, one_axes, whole_numbers
from course_lib.plots.waveforms import waveform

_NOTHING = "0.88"  # grey of a weight that is exactly 0
_LABELLED = 16  # up to so many inputs there is room for the numbers


def attention_maps(
    weights: ArrayLike,
    signal: ArrayLike | None = None,
    *,
    names: Sequence[str] | None = None,
    step: str = "time step",
    seconds: float | None = None,
    vmax: float | None = None,
    columns: int = 4,
    ax: Grid | None = None,
) -> np.ndarray:
    """Draw a heat map for each head, and return the array of their axes. The darker, the larger the weight.

    weights: (H, Q, K), (1, H, Q, K) or (Q, K), row q being the weights with which query q looks at the keys. A weight
        of exactly 0, a hidden key, is grey. All heads share one scale, from 0 to `vmax` or the largest weight.
    signal: (N,) or (N, C), drawn above the keys and, where there are as many queries as keys, beside the queries.
        Any N will do: the signal is spread over the axis, so that the samples behind the steps can be laid along them.
    names: a title for each head; "head 1", "head 2", … by default.  step: what the axes count.
    seconds: duration of the whole axis; it then shows seconds in place of steps.
    ax: axes to draw on, one a head.  columns: panels in a row.
    Raises ValueError where `weights` are no finite numbers of these shapes or a weight is negative.
    """
    maps, drawn = _as_heads(weights), _as_channels(signal)
    heads, queries, keys = maps.shape
    names = list(names) if names is not None else [f"head {h + 1}" for h in range(heads)] if heads > 1 else [""]
    if len(names) != heads:
        raise ValueError(f"names: expected one a head, {heads}, got {len(names)}")
    axes = grid_axes(ax, heads, columns, (3.2, 3.4) if heads > 1 else (5.2, 5.0))
    if ax is None:
        axes[0].figure.set_layout_engine("compressed")
    right = keys - 0.5 if seconds is None else seconds
    left = -0.5 if seconds is None else 0.0
    bottom = left + (right - left) * queries / keys  # one unit on both axes
    vmax = float(maps.max()) or 1.0 if vmax is None else vmax
    cmap = colormaps["Blues"].with_extremes(bad=_NOTHING)
    for place, (axis, name, map_) in enumerate(zip(axes, names, maps, strict=True)):
        image = axis.imshow(
            np.ma.masked_equal(map_, 0.0),
            cmap=cmap,
            vmin=0.0,
            vmax=vmax,
            extent=(left, right, bottom, left),
            aspect="equal" if queries == keys else "auto",
            interpolation="nearest" if max(queries, keys) <= 400 else "antialiased",
        )
        axis.grid(False)
        first = place % columns == 0
        unit = "s" if seconds is not None else step
        axis.set_xlabel(f"key ({unit})")
        whole = seconds is None or seconds >= 5
        axis.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=whole, prune="upper" if heads > 1 else None))
        axis.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=whole))
        beside = axis
        if drawn is not None:
            above = axis.inset_axes([0.0, 1.03, 1.0, 0.2], sharex=axis)
            _draw(above, drawn, np.linspace(left, right, 2 * len(drawn) + 1)[1::2], upright=False)
            above.set_title(short(name, 40))
            if first and queries == keys:
                beside = axis.inset_axes([-0.23, 0.0, 0.2, 1.0], sharey=axis)
                _draw(beside, drawn, np.linspace(left, bottom, 2 * len(drawn) + 1)[1::2], upright=True)
                axis.tick_params(left=False, labelleft=False)
        else:
            axis.set_title(short(name, 40))
        if first:
            beside.set_ylabel(f"query ({unit})")
        else:
            axis.tick_params(labelleft=False)
    axes[0].figure.colorbar(image, ax=list(axes), label="weight", shrink=0.8, pad=0.02)
    return axes


def _draw(axis: Axes, signal: np.ndarray, times: np.ndarray, *, upright: bool) -> None:
    """The signal along one side of a map: time to the right, or downwards with its larger values to the left."""
    for channel in signal.T:
        values = (channel, times) if upright else (times, channel)
        axis.plot(*values, linewidth=1.0, color="0.25" if signal.shape[1] == 1 else None)
    if upright:
        axis.invert_xaxis()
        axis.tick_params(bottom=False, labelbottom=False)
    else:
        axis.tick_params(left=False, labelleft=False, bottom=False, labelbottom=False)
    axis.grid(False)
    for name, spine in axis.spines.items():
        spine.set_visible(upright and name == "left")


def _as_heads(weights: ArrayLike) -> np.ndarray:
    array = as_array(weights, float)
    if array.ndim == 4 and len(array) == 1:
        array = array[0]
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or array.size == 0:
        raise ValueError(
            f"weights: expected (H, Q, K) or (Q, K), got shape {array.shape}: one item of a batch at a time"
        )
    if not np.isfinite(array).all() or array.min() < 0:
        raise ValueError("weights: expected finite numbers of at least 0: are these scores, before softmax?")
    return array


def _as_channels(signal: ArrayLike | None) -> np.ndarray | None:
    if signal is None:
        return None
    array = as_array(signal, float)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"signal: expected (N,) or (N, C), got shape {array.shape}")
    return array


def score_maps(scores: Mapping[str, ArrayLike], *, step: str = "time step", ax: Grid | None = None) -> np.ndarray:
    """Draw a heat map for each name and return the array of their axes: red is positive, blue negative, white zero.

    scores: name -> (Q, K); all maps share one scale. A score that depends on the distance between query and key alone
    has one colour along each diagonal.
    Raises ValueError where an entry is no finite matrix.
    """
    maps = {name: as_numbers(values, f"scores[{name!r}]", "(Q, K)") for name, values in scores.items()}
    if not maps:
        raise ValueError("scores: expected at least one map, got none")
    limit = max(np.abs(values).max() for values in maps.values()) or 1.0
    axes = grid_axes(ax, len(maps), 3, (3.9, 3.6))
    for axis, (name, values) in zip(axes, maps.items(), strict=True):
        image = axis.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
        axis.set(title=short(name, 40), xlabel=f"key ({step})", ylabel=f"query ({step})")
        whole_numbers(axis.xaxis)
        whole_numbers(axis.yaxis)
        axis.grid(False)
    axes[0].figure.colorbar(image, ax=list(axes), label="score", pad=0.02, shrink=0.85)
    return axes


def weights_over_signal(
    signal: ArrayLike,
    weights: Mapping[str, ArrayLike],
    *,
    sample_rate: float | None = None,
    marked: tuple[float, float] | None = None,
    ax: Grid | None = None,
) -> np.ndarray:
    """Draw each of `weights` over the signal, a panel each, and return the axes, from top to bottom.

    signal: (T,), drawn in grey, its scale on the left.
    weights: name -> (N,) weights of sum 1 for N steps of equal length that cover the signal in order, any N. They are
        drawn, coloured, as multiples of 1/N: the dashed line at 1 is what the plain mean gives to every step.
    sample_rate: in Hz, for a time axis in seconds; None counts samples.
    marked: (start, end) of a stretch to shade, such as the event to be found, in the units of the time axis.
    Raises ValueError where there is no panel, or weights are no finite, non-negative numbers (N,).
    """
    clip = as_clip(signal)
    rate = 1.0 if sample_rate is None else as_sample_rate(sample_rate)
    panels = {name: as_numbers(values, f"weights[{name!r}]", "(N,)", least=0) for name, values in weights.items()}
    if not panels:
        raise ValueError("weights: expected at least one panel, got none")
    axes = grid_axes(ax, len(panels), 1, (8.0, 1.7), sharex=True)
    for axis, (name, values), colour in zip(axes, panels.items(), colours(len(panels)), strict=True):
        waveform(clip, rate, ax=axis, color="0.6")
        axis.set_xlabel("")
        axis.set_title(short(name, 60), loc="left", fontsize=11)
        axis.grid(False)
        over = axis.twinx()
        edges = np.linspace(0, len(clip) / rate, len(values) + 1)
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


def plane_arrows(
    arrows: Mapping[str, ArrayLike],
    *,
    labels: Mapping[str, Sequence[object]] | None = None,
    ax: Axes | None = None,
    title: str = "",
) -> Axes:
    """Draw each pair as an arrow from the origin, one colour a name, on axes of equal scale.

    arrows: name -> (N, 2), or (2,) for a single one; of several, the later ones are the stronger in colour.
    labels: name -> N words written at the tips; names that are missing get none.
    A dotted circle shows the length of each name's first arrow: turned arrows stay on it.
    Raises ValueError where an entry is no finite (N, 2), or where there is none.
    """
    if not arrows:
        raise ValueError("arrows: expected at least one name, got none")
    ax = one_axes(ax, 4.2, 4.2, square=True)
    reach = 0.0
    for (name, given), colour in zip(arrows.items(), colours(len(arrows)), strict=True):
        pairs = as_numbers(np.atleast_2d(as_array(given)), f"arrows[{name!r}]", "(N, 2)")
        if pairs.shape[1] != 2:
            raise ValueError(f"arrows[{name!r}]: expected finite (N, 2), got shape {pairs.shape}")
        words = (labels or {}).get(name, [""] * len(pairs))
        if len(words) != len(pairs):
            raise ValueError(f"labels[{name!r}]: expected {len(pairs)} words, one an arrow, got {len(words)}")
        strength = np.linspace(0.35, 1.0, len(pairs)) if len(pairs) > 1 else np.ones(1)
        for n, ((x, y), word) in enumerate(zip(pairs, words, strict=True)):
            ax.annotate(
                "",
                (x, y),
                (0.0, 0.0),
                arrowprops={"arrowstyle": "-|>", "color": colour, "alpha": strength[n], "lw": 1.8, "shrinkB": 0},
            )
            ax.text(1.13 * x, 1.13 * y, short(word), ha="center", va="center", fontsize=10)
        radius = float(np.hypot(*pairs[0]))
        angle = np.linspace(0.0, 2 * np.pi, 200)
        ax.plot(
            radius * np.cos(angle),
            radius * np.sin(angle),
            color=colour,
            linestyle=":",
            linewidth=1.0,
            label=short(name),
        )
        reach = max(reach, float(np.hypot(*pairs.T).max()))
    limit = 1.3 * (reach or 1.0)
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xlabel="first", ylabel="second", title=title)
    ax.axhline(0.0, color="0.6", linewidth=0.6)
    ax.axvline(0.0, color="0.6", linewidth=0.6)
    if len(arrows) > 1:
        ax.legend(loc="upper right")
    return ax


def influence_map(jacobian: ArrayLike, *, stride: int = 1, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw `jacobian` (N, T), how much output n changes with input t: dark where it does, white where it does not.

    A square frames each output's own step, input n · stride. The numbers are written into small pictures, unless they
    are all alike, as in a map of booleans; a large one has a scale of its shades.
    Raises ValueError where `jacobian` is not a matrix of finite numbers.
    """
    changes = as_numbers(jacobian, "jacobian", "(N, T)")
    outputs, inputs = changes.shape
    cell = min(0.36, 6 / max(inputs, outputs))  # inches
    ax = one_axes(ax, 1.2 + cell * inputs, 1.2 + cell * outputs, square=True)
    shade = np.abs(changes)
    image = ax.imshow(shade, cmap="Blues", vmin=0, vmax=1.6 * shade.max() or 1.0, origin="upper")
    if inputs > _LABELLED:
        bar = ax.figure.colorbar(image, ax=ax, shrink=0.8, pad=0.02, label="change of the output")
        bar.ax.set_ylim(0, shade.max() or 1.0)
    elif len(np.unique(changes[changes != 0])) > 1:
        for n, t in np.argwhere(changes):
            ax.text(t, n, f"{changes[n, t]:.3g}", ha="center", va="center", fontsize=9)
    own = [n for n in range(outputs) if n * stride < inputs]
    ax.scatter(
        [n * stride for n in own], own, marker="s", s=230 if inputs <= _LABELLED else 40, fc="none", ec="C1", lw=1.6
    )
    ax.set(xlabel="input step", ylabel="output step", title=title)
    whole_numbers(ax.xaxis)
    whole_numbers(ax.yaxis)
    ax.grid(False)
    return ax


def gradient_flow(norms: Mapping[str, ArrayLike], *, ax: Axes | None = None) -> Axes:
    """Draw the norm of ∂s_T/∂s_t against the distance T - t, on a logarithmic scale: one curve a name.

    norms: name -> (seeds, D), the norm for distances 1 to D. The line is the median over seeds, each pale one a seed.
    The black line at 1 is a gradient that neither fades nor grows.
    Raises ValueError where an entry is not (seeds, D) or not positive, or where there is none.
    """
    if not norms:
        raise ValueError("norms: expected at least one curve, got none")
    ax = one_axes(ax, 8.0, 4.0)
    for nth, ((name, given), colour) in enumerate(zip(norms.items(), colours(len(norms)), strict=True)):
        values = as_numbers(given, f"norms[{name!r}]", "(seeds, distances)")
        if not (values > 0).all():
            raise ValueError(f"norms[{name!r}]: expected positive numbers, got {values.min():.3g} among them")
        distance = np.arange(1, values.shape[1] + 1)
        ax.plot(distance, np.median(values, axis=0), color=colour, linestyle=line_style(10 * nth), label=short(name))
        ax.add_collection(
            LineCollection([np.stack([distance, row], 1) for row in values], colors=[colour], alpha=0.3, lw=0.6)
        )
    ax.axhline(1.0, color="black", linewidth=0.8)
    ax.set(xlabel="distance T − t (time steps)", ylabel=r"norm of $\partial s_T\,/\,\partial s_t$", yscale="log")
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return ax
