"""Does a model that says 80 % get 80 % right?"""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from course_lib.plots.inputs import as_probabilities
from course_lib.plots.style import colours, one_axes


def calibration_table(labels, probabilities, *, bins: int = 10) -> pd.DataFrame:
    """Clips sorted by the model's confidence into `bins` equal bins: columns low, high, clips, confidence, accuracy.

    labels: (N,).  probabilities: (N, num_classes), rows sum to 1. Confidence is the largest probability of a row.
    A bin without a clip has NaN for confidence and accuracy. A value on an edge belongs to the bin below it.
    """
    if bins < 1:
        raise ValueError(f"bins: expected 1 or more, got {bins}")
    probabilities, labels, _ = as_probabilities(probabilities, labels, None)
    confidence = np.minimum(probabilities.max(axis=1), 1.0)
    edges = np.linspace(0, 1, bins + 1)
    place = np.searchsorted(edges[1:], confidence, side="left")
    rows = pd.DataFrame({"confidence": confidence, "accuracy": probabilities.argmax(axis=1) == labels}).astype(float)
    table = rows.groupby(place).mean().reindex(range(bins))
    table.insert(0, "clips", np.bincount(place, minlength=bins))
    table.insert(0, "high", edges[1:])
    table.insert(0, "low", edges[:-1])
    return table


def expected_calibration_error(labels, probabilities, *, bins: int = 10) -> float:
    """Mean over clips of |accuracy - confidence| of their bin: 0 is calibrated. Source: Guo et al. 2017, eq. 3."""
    table = calibration_table(labels, probabilities, bins=bins)
    gap = (table["accuracy"] - table["confidence"]).abs().fillna(0.0)
    return float((gap * table["clips"]).sum() / table["clips"].sum())


def reliability_diagram(labels, probabilities, *, bins: int = 10, ax: Axes | None = None) -> Axes:
    """Draw accuracy against confidence, a bar for each bin with its number of clips, the diagonal, and the error (ECE).

    Bars below the diagonal: the model is right less often than it says, it is overconfident.
    """
    table = calibration_table(labels, probabilities, bins=bins)
    error = expected_calibration_error(labels, probabilities, bins=bins)
    ax = one_axes(ax, 4.8, 4.2)
    seen = table[table["clips"] > 0]
    ax.bar(
        seen["low"], seen["accuracy"], width=1 / bins, align="edge", color=colours(1)[0], edgecolor="white", alpha=0.6
    )
    ax.plot([0, 1], [0, 1], color="0.3", linestyle="--", linewidth=1.2, label="calibrated")
    point = {"color": colours(2)[1], "s": 40, "zorder": 3, "label": "mean of a bin"}
    sns.scatterplot(x=seen["confidence"], y=seen["accuracy"], ax=ax, **point)
    for row in seen.itertuples():
        ax.text((row.low + row.high) / 2, 0.015, f"{row.clips}", ha="center", va="bottom", fontsize="x-small")
    ax.set(xlabel="confidence (largest probability)", ylabel="accuracy (share correct)", xlim=(0, 1), ylim=(0, 1.04))
    ax.set_title(f"expected calibration error {error:.3f}\n(small numbers: clips in the bin)", fontsize="medium")
    ax.legend(loc="upper left")
    return ax
