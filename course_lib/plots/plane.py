"""Pairs of numbers as arrows in the plane."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from course_lib.plots.style import colours, one_axes


def plane_arrows(arrows: Mapping[str, object], *, labels=None, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw each pair as an arrow from the origin, one colour a name, on axes of equal scale.

    arrows: name -> (N, 2), or (2,) for a single one; of several, the later ones are the stronger in colour.
    labels: name -> N words written at the tips; names that are missing get none.
    A dotted circle shows the length of each name's first arrow: turned arrows stay on it.
    Raises ValueError where an entry is no finite (N, 2).
    """
    ax = one_axes(ax, 4.2, 4.2, square=True)
    reach = 0.0
    for (name, pairs), colour in zip(arrows.items(), colours(len(arrows)), strict=True):
        pairs = np.atleast_2d(np.asarray(pairs.detach().cpu() if hasattr(pairs, "detach") else pairs, dtype=float))
        if pairs.ndim != 2 or pairs.shape[1] != 2 or not pairs.size or not np.isfinite(pairs).all():
            raise ValueError(f"arrows[{name!r}]: expected finite pairs (N, 2), got shape {pairs.shape}")
        words = (labels or {}).get(name, [""] * len(pairs))
        if len(words) != len(pairs):
            raise ValueError(f"labels[{name!r}]: expected {len(pairs)} words, one an arrow, got {len(words)}")
        strength = np.linspace(0.35, 1.0, len(pairs)) if len(pairs) > 1 else [1.0]
        for n, ((x, y), word) in enumerate(zip(pairs, words, strict=True)):
            ax.annotate(
                "",
                (x, y),
                (0.0, 0.0),
                arrowprops={"arrowstyle": "-|>", "color": colour, "alpha": strength[n], "lw": 1.8, "shrinkB": 0},
            )
            ax.text(1.13 * x, 1.13 * y, str(word), ha="center", va="center", fontsize=10)
        radius = float(np.hypot(*pairs[0]))
        angle = np.linspace(0.0, 2 * np.pi, 200)
        ax.plot(radius * np.cos(angle), radius * np.sin(angle), color=colour, linestyle=":", linewidth=1.0, label=name)
        reach = max(reach, float(np.hypot(*pairs.T).max()))
    limit = 1.3 * (reach or 1.0)
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xlabel="first", ylabel="second", title=title)
    ax.axhline(0.0, color="0.6", linewidth=0.6)
    ax.axvline(0.0, color="0.6", linewidth=0.6)
    if len(arrows) > 1:
        ax.legend(loc="upper right")
    return ax
