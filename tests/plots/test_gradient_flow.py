"""Gradient norms against distance."""

import numpy as np
import pytest

from course_lib import plots


def test_line_is_the_median_and_each_seed_has_a_pale_one(ax):
    norms = np.array([[1.0, 0.1, 0.01], [2.0, 0.2, 0.02], [8.0, 0.8, 0.08]])  # (seeds, distances)
    assert plots.gradient_flow({"RNN": norms, "LSTM": 3 * norms}, ax=ax) is ax
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), norms[1])
    seeds = [path.vertices[:, 1] for path in ax.collections[0].get_paths()]
    np.testing.assert_array_equal(seeds, norms)
    assert ax.get_ylim()[0] <= 0.01 and ax.get_ylim()[1] >= 24.0
    assert ax.get_yscale() == "log"
    ax.figure.canvas.draw()


def test_refuses_what_has_no_logarithm_or_no_seeds(ax):
    for wrong in (np.zeros((2, 3)), np.ones(3), np.ones((0, 3))):
        with pytest.raises(ValueError, match=r"norms\['RNN'\]: expected (finite \(seeds, distances\)|positive)"):
            plots.gradient_flow({"RNN": wrong}, ax=ax)
