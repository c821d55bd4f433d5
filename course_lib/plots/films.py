"""What moves: a figure drawn again and again, as a small player in the notebook, beside its still picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
from matplotlib.animation import FuncAnimation
from matplotlib.figure import Figure

from course_lib.plots.alt_text import describe

if TYPE_CHECKING:
    from IPython.display import HTML

LARGEST = 300_000  # bytes: a notebook with a film still opens at once
DPI = 60


def film(figure: Figure, draw: Callable[[int], Any], frames: int, *, interval: float = 300.0) -> HTML:
    """A player of `frames` pictures of `figure`, made by `draw(0)`, `draw(1)`, …; it needs no server and no widgets.

    draw: changes what is on the figure, or clears its axes and draws anew.  interval: milliseconds a picture.
    The text alternative is that of the last picture. The figure is closed, so that it is not shown a second time.
    Raises ValueError where there is no picture, or the player is larger than 300 kB.
    """
    from IPython.display import HTML

    if frames < 1:
        raise ValueError(f"frames: expected at least 1, got {frames}")
    with plt.rc_context({"savefig.dpi": DPI, "savefig.bbox": None}):
        player = FuncAnimation(figure, draw, frames=frames, interval=interval).to_jshtml(default_mode="once")
    text = describe(figure).replace("&", "&amp;").replace('"', "&quot;")
    plt.close(figure)
    if len(player) > LARGEST:
        raise ValueError(
            f"frames: {frames} pictures take {len(player):,} bytes, over {LARGEST:,}: fewer, or smaller ones"
        )
    return HTML(player.replace("<img ", f'<img alt="{text}" ', 1))
