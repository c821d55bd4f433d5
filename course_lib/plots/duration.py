"""Do all clips have the same shape and length?"""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from course_lib.plots.inputs import as_column, as_labels, as_sample_rate, short
from course_lib.plots.style import colours, one_axes


def shape_table(signals, sample_rate: float) -> pd.DataFrame:
    """Count the distinct shapes among the clips; columns channels, samples, dtype, seconds, clips, most frequent first.

    signals: an array (N, channels, samples) or (N, samples), or a list of clips of any length and number of channels.
    """
    if len(signals) == 0:
        raise ValueError("signals: expected at least one clip, got none")
    arrays = [np.atleast_2d(np.asarray(clip)) for clip in signals]
    rows = pd.DataFrame(
        {
            "channels": [array.shape[0] for array in arrays],
            "samples": [array.shape[1] for array in arrays],
            "dtype": [str(array.dtype) for array in arrays],
        }
    )
    rows["seconds"] = rows["samples"] / as_sample_rate(sample_rate)
    counted = rows.value_counts(sort=True).rename("clips")
    return counted.reset_index()


def durations(seconds, labels, *, classes=None, ax: Axes | None = None) -> Axes:
    """Draw the duration of every clip in seconds, a row for each class; the title says whether they agree.

    seconds: (N,), for instance the lengths of the recordings before they were padded or cut.  labels: (N,).
    """
    labels, names = as_labels(labels, classes=classes)
    seconds = as_column(seconds, len(labels), "seconds").astype(float)
    ax = one_axes(ax, 8.0, 1.4 + 0.26 * len(names))
    dots = {"size": 4, "alpha": 0.6, "color": colours(1)[0]}
    sns.stripplot(x=seconds, y=labels, order=range(len(names)), orient="h", ax=ax, **dots)
    ax.set_yticks(range(len(names)), [short(name) for name in names])
    shortest, longest = seconds.min(), seconds.max()
    span = f"all last {longest:.3g} s" if shortest == longest else f"{shortest:.3g} s to {longest:.3g} s"
    ax.set_title(f"{len(seconds)} clips, {span}")
    ax.set(xlabel="duration (s)", ylabel="", xlim=(0, 1.08 * longest))
    return ax
