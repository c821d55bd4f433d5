"""Who looks at whom: attention weights as pictures, queries downwards, keys to the right, the signal along both."""

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from course_lib.plots.style import grid_axes

_NOTHING = "0.88"  # grey of a weight that is exactly 0


def attention_maps(
    weights,
    signal=None,
    *,
    names=None,
    step: str = "time step",
    seconds: float | None = None,
    vmax: float | None = None,
    columns: int = 4,
    ax=None,
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
    weights, signal = _as_weights(weights), _as_signal(signal)
    heads, queries, keys = weights.shape
    names = list(names) if names is not None else [f"head {h + 1}" for h in range(heads)] if heads > 1 else [""]
    if len(names) != heads:
        raise ValueError(f"names: expected one a head, {heads}, got {len(names)}")
    axes = grid_axes(ax, heads, columns, (3.2, 3.4) if heads > 1 else (5.2, 5.0))
    if ax is None:
        axes[0].figure.set_layout_engine("compressed")
    right = keys - 0.5 if seconds is None else seconds
    left = -0.5 if seconds is None else 0.0
    bottom = left + (right - left) * queries / keys  # one unit on both axes
    vmax = float(weights.max()) or 1.0 if vmax is None else vmax
    cmap = colormaps["Blues"].with_extremes(bad=_NOTHING)
    for place, (axis, name, map_) in enumerate(zip(axes, names, weights, strict=True)):
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
        ticks = {"nbins": 5, "integer": seconds is None or seconds >= 5}
        axis.xaxis.set_major_locator(MaxNLocator(**ticks, prune="upper" if heads > 1 else None))
        axis.yaxis.set_major_locator(MaxNLocator(**ticks))
        beside = axis
        if signal is not None:
            above = axis.inset_axes([0.0, 1.03, 1.0, 0.2], sharex=axis)
            _draw(above, signal, np.linspace(left, right, 2 * len(signal) + 1)[1::2], upright=False)
            above.set_title(name)
            if first and queries == keys:
                beside = axis.inset_axes([-0.23, 0.0, 0.2, 1.0], sharey=axis)
                _draw(beside, signal, np.linspace(left, bottom, 2 * len(signal) + 1)[1::2], upright=True)
                axis.tick_params(left=False, labelleft=False)
        else:
            axis.set_title(name)
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


def _as_weights(weights) -> np.ndarray:
    weights = np.asarray(weights.detach().cpu() if hasattr(weights, "detach") else weights, dtype=float)
    if weights.ndim == 4 and len(weights) == 1:
        weights = weights[0]
    if weights.ndim == 2:
        weights = weights[None]
    if weights.ndim != 3 or weights.size == 0:
        raise ValueError(
            f"weights: expected (H, Q, K) or (Q, K), got shape {weights.shape}: one item of a batch at a time"
        )
    if not np.isfinite(weights).all() or weights.min() < 0:
        raise ValueError("weights: expected finite numbers of at least 0: are these scores, before softmax?")
    return weights


def _as_signal(signal) -> np.ndarray | None:
    if signal is None:
        return None
    signal = np.asarray(signal.detach().cpu() if hasattr(signal, "detach") else signal, dtype=float)
    if signal.ndim == 1:
        signal = signal[:, None]
    if signal.ndim != 2 or signal.size == 0:
        raise ValueError(f"signal: expected (N,) or (N, C), got shape {signal.shape}")
    return signal
