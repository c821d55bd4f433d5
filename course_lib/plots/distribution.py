"""How a number that describes a clip is distributed in each class."""

import numpy as np
import pandas as pd
import seaborn as sns

from course_lib.plots.inputs import as_labels, short
from course_lib.plots.style import colours, grid_axes

LABELS = {
    "rms": "RMS (dB re full scale)",
    "zero_crossing_rate": "zero crossings per sample",
    "spectral_centroid": "spectral centroid (Hz)",
}
QUIETEST_DB = -100.0


def feature_distributions(features: pd.DataFrame, labels, *, classes=None, ax=None) -> np.ndarray:
    """Draw a panel for each column of `features`: a box for each class over its clips, a dot for each clip.

    features: a row for each clip, as from `audio_features`; any other numeric columns work too and keep their names.
    RMS is drawn in dB, since loudness spans a factor of a thousand; silence is drawn at -100 dB.
    ax: axes to draw on, one a column.  Returns the array of Axes.
    """
    if len(features) == 0 or features.shape[1] == 0:
        raise ValueError(f"features: expected a row for each clip and at least one column, got shape {features.shape}")
    labels, names = as_labels(labels, len(features), classes)
    axes = grid_axes(ax, features.shape[1], 3, (3.7, 1.2 + 0.3 * len(names)), sharey=True)
    for place, (panel, column) in enumerate(zip(axes, features.columns, strict=True)):
        values = features[column].to_numpy(dtype=float)
        if column == "rms":
            values = 20 * np.log10(np.maximum(values, 10 ** (QUIETEST_DB / 20)))
        row = {"x": values, "y": labels, "order": range(len(names)), "orient": "h", "ax": panel}
        sns.boxplot(**row, color="white", linecolor="0.35", width=0.7, fliersize=0, linewidth=1)
        sns.stripplot(**row, color=colours(1)[0], size=3, alpha=0.6, jitter=0.22)
        panel.set_yticks(range(len(names)), [short(name) for name in names])
        panel.tick_params(labelleft=ax is not None or place % 3 == 0)
        panel.set(xlabel=LABELS.get(column, str(column)), ylabel="")
    return axes
