"""Where the frames of a short signal lie: a picture to count on."""

from math import ceil

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from course_lib.plots.style import colours, one_axes


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
    inside, outside = colours(1)[0], "0.6"
    for row, start in enumerate(starts):
        for sample in range(start, start + frame_length):
            beyond = sample >= samples
            look = {"facecolor": "none", "edgecolor": outside, "hatch": "///"} if beyond else {"facecolor": inside}
            cell = Rectangle((sample - 0.46, row - 0.38), 0.92, 0.76, **{"edgecolor": inside, "alpha": 0.85, **look})
            ax.add_patch(cell)
            if not beyond:
                ax.text(sample, row, str(sample), ha="center", va="center", color="white")
    for sample in range(samples):
        count = sum(start <= sample < start + frame_length for start in starts)
        ax.text(sample, len(starts), str(count), ha="center", va="center")
    ax.axvline(samples - 0.5, color="black", linewidth=1.2, linestyle="--")
    ax.set_yticks(range(len(starts) + 1), [f"frame {n}" for n in range(len(starts))] + ["frames here"])
    ax.set_xticks(range(end))
    ax.set(xlabel="sample", ylabel="", xlim=(-0.6, end - 0.4), ylim=(len(starts) + 0.5, -0.5))
    ax.grid(False)
    return ax
