"""Streams drawn over the whole: every border is there, and signals that cannot be compared are refused."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from course_lib import plots

RATE = 8000


def test_borders_lie_between_blocks_in_milliseconds(ax):
    drawn = plots.block_borders(np.zeros(100), np.ones(100), 40, RATE, ax=ax)
    assert drawn is ax and plt.get_fignums() == [ax.figure.number]
    whole, blocks, *borders = ax.get_lines()
    assert [line.get_xdata()[0] for line in borders] == [5.0, 10.0]
    assert whole.get_ydata().max() == 0 and blocks.get_ydata().min() == 1
    assert "ms" in ax.get_xlabel() and ax.get_ylabel()


def test_one_block_has_no_border():
    assert len(plots.block_borders(np.zeros(7), np.zeros(7), 9, RATE).get_lines()) == 2


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match="blocks: expected as many samples as whole, 5, got 4"):
        plots.block_borders(np.zeros(5), np.zeros(4), 2, RATE)
    with pytest.raises(ValueError, match="block_size: expected at least 1"):
        plots.block_borders(np.zeros(5), np.zeros(5), 0, RATE)
