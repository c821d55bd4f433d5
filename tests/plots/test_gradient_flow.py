"""Gradient norms against distance."""

import numpy as np
import pytest

from course_lib import plots


def test_line_is_the_median_and_band_the_range_over_seeds(ax):
    norms = np.array([[1.0, 0.1, 0.01], [2.0, 0.2, 0.02], [8.0, 0.8, 0.08]])  # (seeds, distances)
    assert plots.gradient_flow({"RNN": norms, "LSTM": 3 * norms}, ax=ax) is ax
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), norms[1])
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() == 0.01 and band.max() == 8.0
    assert ax.get_yscale() == "log"
    ax.figure.canvas.draw()


def test_refuses_what_has_no_logarithm_or_no_seeds(ax):
    for wrong in (np.zeros((2, 3)), np.ones(3), np.ones((0, 3))):
        with pytest.raises(ValueError, match=r"norms\['RNN'\]: expected (finite \(seeds, distances\)|positive)"):
            plots.gradient_flow({"RNN": wrong}, ax=ax)
