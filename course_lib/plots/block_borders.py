"""A signal processed block by block over the same signal processed whole, with the borders between blocks."""

import numpy as np
from matplotlib.axes import Axes

from course_lib.plots.inputs import as_clip, as_sample_rate
from course_lib.plots.style import colours, one_axes


def block_borders(
    whole, blocks, block_size: int, sample_rate: float, *, ax: Axes | None = None, title: str = ""
) -> Axes:
    """Draw `blocks` (samples,) over `whole` (samples,) against time in milliseconds, a dotted line at every border.

    block_size: samples from one border to the next; the first block begins at the first sample.
    Raises ValueError where the two signals differ in length or a block has less than one sample.
    """
    whole, blocks, rate = as_clip(whole), as_clip(blocks), as_sample_rate(sample_rate)
    if len(whole) != len(blocks):
        raise ValueError(f"blocks: expected as many samples as whole, {len(whole)}, got {len(blocks)}")
    if block_size < 1:
        raise ValueError(f"block_size: expected at least 1 sample, got {block_size}")
    ax = one_axes(ax, 9.0, 2.8)
    milliseconds = 1000 * np.arange(len(whole)) / rate
    grey, colour = "0.45", colours(2)[1]
    ax.plot(milliseconds, whole, color=grey, linewidth=2.6, label="whole signal at once")
    ax.plot(milliseconds, blocks, color=colour, linewidth=1.2, label="block by block")
    for border in range(block_size, len(whole), block_size):
        ax.axvline(1000 * border / rate, color="black", linestyle=":", linewidth=1.0)
    ax.set(xlabel="time (ms), borders dotted", ylabel="amplitude", title=title, xlim=(0, milliseconds[-1]))
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return ax
