"""Attention scores as pictures."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from course_lib import plots


def test_maps_share_one_scale_around_zero():
    first, second = np.arange(6.0).reshape(2, 3), -10 * np.ones((4, 4))
    axes = plots.score_maps({"a": first, "b": second})
    for axis, values in zip(axes, (first, second), strict=True):
        image = axis.get_images()[0]
        np.testing.assert_array_equal(image.get_array(), values)
        assert image.get_clim() == (-10.0, 10.0)
    assert [axis.get_title() for axis in axes] == ["a", "b"]
    plt.gcf().canvas.draw()


def test_names_what_is_no_finite_matrix():
    for wrong in (np.ones(3), np.full((2, 2), np.inf), np.ones((0, 2))):
        with pytest.raises(ValueError, match=r"scores\['a'\]: expected finite \(Q, K\)"):
            plots.score_maps({"a": wrong})
