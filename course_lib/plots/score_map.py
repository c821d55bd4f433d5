"""Attention scores before the softmax as pictures: queries downwards, keys to the right."""

from collections.abc import Mapping

import numpy as np

from course_lib.plots.style import grid_axes, whole_numbers


def score_maps(scores: Mapping[str, object], *, step: str = "time step", ax=None) -> np.ndarray:
    """Draw a heat map for each name and return the array of their axes: red is positive, blue negative, white zero.

    scores: name -> (Q, K); all maps share one scale. A score that depends on the distance between query and key alone
    has one colour along each diagonal.
    Raises ValueError where an entry is no finite matrix.
    """
    maps = {}
    for name, values in scores.items():
        maps[name] = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, dtype=float)
        if maps[name].ndim != 2 or not maps[name].size or not np.isfinite(maps[name]).all():
            raise ValueError(f"scores[{name!r}]: expected a finite matrix (Q, K), got shape {maps[name].shape}")
    limit = max(np.abs(values).max() for values in maps.values()) or 1.0
    axes = grid_axes(ax, len(maps), 3, (3.9, 3.6))
    for axis, (name, values) in zip(axes, maps.items(), strict=True):
        image = axis.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
        axis.set(title=name, xlabel=f"key ({step})", ylabel=f"query ({step})")
        whole_numbers(axis.xaxis)
        whole_numbers(axis.yaxis)
        axis.grid(False)
    axes[0].figure.colorbar(image, ax=list(axes), label="score", pad=0.02, shrink=0.85)
    return axes
