"""Weights over a signal: a panel each, in units of the mean's weight, over the whole time axis."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from course_lib import plots

SIGNAL = np.sin(np.arange(120.0))


def test_weights_cover_the_signal_in_units_of_one_nth():
    axes = plots.weights_over_signal(
        SIGNAL, {"mean": torch.full((6,), 1 / 6), "one": [0, 0, 1, 0]}, sample_rate=60.0, marked=(0.5, 1.0)
    )
    assert [axis.get_title(loc="left") for axis in axes] == ["mean", "one"]
    over = axes[0].figure.axes[2:]
    heights = [axis.patches[0].get_data() for axis in over]
    np.testing.assert_allclose(heights[0].values, 1.0, rtol=1e-6)
    np.testing.assert_allclose(heights[1].values, [0, 0, 4, 0])
    np.testing.assert_allclose(heights[1].edges, [0, 0.5, 1.0, 1.5, 2.0])
    assert over[1].get_ylim()[1] > 4
    assert axes[-1].get_xlabel() == "time (s)" and axes[0].get_ylabel() and over[0].get_ylabel()
    axes[0].figure.canvas.draw()


def test_draws_on_given_axes_and_counts_samples_without_a_rate(ax):
    (drawn,) = plots.weights_over_signal(SIGNAL, {"a": [0.5, 0.5]}, ax=ax)
    assert drawn is ax and plt.get_fignums() == [ax.figure.number]
    assert ax.get_xlabel() == "time (samples)"


@pytest.mark.parametrize(
    ("weights", "complaint"),
    [
        ({}, "weights: expected at least one panel"),
        ({"a": [[0.5, 0.5]]}, r"weights\['a'\]: expected finite \(N,\)"),
        ({"a": [1.5, -0.5]}, "at least 0"),
        ({"a": [np.nan, 1.0]}, "finite"),
    ],
)
def test_wrong_weights_are_named(weights, complaint):
    with pytest.raises(ValueError, match=complaint):
        plots.weights_over_signal(SIGNAL, weights)
