"""The picture of frames: what it counts is what the Frame layer does."""

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.patches import Rectangle

import course_lib.layers as sl
from course_lib import plots


def cells(ax):
    return [patch for patch in ax.patches if isinstance(patch, Rectangle)]


@pytest.mark.parametrize("samples, length, step", [(9, 4, 2), (7, 3, 3), (5, 6, 1), (8, 2, 3)])
def test_draws_the_frames_of_the_layer_and_counts_them(samples, length, step):
    ax = plots.frame_layout(samples, length, step)
    frames = sl.Frame(length, step, "reverse_causal")(torch.arange(1.0, samples + 1)[None])[0]
    hatched = [cell for cell in cells(ax) if cell.get_hatch()]
    assert len(cells(ax)) == frames.numel() and len(hatched) == int((frames == 0).sum())
    counts = [text.get_text() for text in ax.texts if text.get_position()[1] == len(frames)]
    covered = [int((frames == sample).sum()) for sample in range(1, samples + 1)]
    assert counts == [str(count) for count in covered]
    assert [label.get_text() for label in ax.get_yticklabels()][-1] == "frames here"


def test_draws_on_the_axes_given():
    _, ax = plt.subplots()
    assert plots.frame_layout(9, 4, 2, ax=ax) is ax
    assert plt.get_fignums() == [ax.figure.number]
    ax.figure.canvas.draw()


@pytest.mark.parametrize(
    "arguments, name", [((0, 4, 2), "samples"), ((9, 0, 2), "frame_length"), ((9, 4, 0), "frame_step")]
)
def test_refuses_what_is_no_layout(arguments, name):
    with pytest.raises(ValueError, match=f"{name}: expected at least 1, got 0"):
        plots.frame_layout(*arguments)
