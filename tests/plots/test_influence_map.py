"""The picture of a Jacobian: what depends is dark, each output's own step is framed, numbers stand where they fit."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from course_lib import plots


def test_dependence_is_dark_whatever_its_sign(ax):
    drawn = plots.influence_map([[2.0, 0.0, 0.0], [-2.0, 1.0, 0.0]], ax=ax, title="causal")
    assert drawn is ax and plt.get_fignums() == [ax.figure.number]
    shade = ax.images[0].get_array()
    assert (shade > 0).tolist() == [[True, False, False], [True, True, False]] and shade[0, 0] == shade[1, 0]
    assert sorted(text.get_text() for text in ax.texts) == ["-2", "1", "2"]
    assert ax.get_xlabel() and ax.get_ylabel() and ax.get_title() == "causal"


def test_frames_stand_at_each_outputs_own_step():
    ax = plots.influence_map(np.ones((3, 5)), stride=2)
    assert ax.collections[0].get_offsets().tolist() == [[0, 0], [2, 1], [4, 2]]


def test_no_dependence_and_large_pictures_draw_too():
    for jacobian in (np.zeros((4, 6)), np.eye(40)):
        ax = plots.influence_map(jacobian)
        ax.figure.canvas.draw()
        assert not ax.texts


def test_a_map_of_booleans_has_no_numbers_and_a_large_one_has_a_scale(ax):
    plots.influence_map(np.tri(6, dtype=bool), ax=ax)
    assert not ax.texts and len(ax.figure.axes) == 1
    large = plots.influence_map(np.tri(20))
    assert not large.texts and large.figure.axes[1].get_ylabel() == "change of the output"


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match=r"jacobian: expected finite \(N, T\), got shape \(3,\)"):
        plots.influence_map(np.ones(3))
    with pytest.raises(ValueError, match="jacobian"):
        plots.influence_map(np.full((2, 2), np.nan))
