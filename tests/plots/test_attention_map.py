"""Attention maps: a panel a head on one scale, rows are queries, hidden keys are grey, the signal lies along them."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from course_lib import plots


def weights(heads=2, queries=5, keys=5):
    return torch.softmax(torch.randn(heads, queries, keys, generator=torch.Generator().manual_seed(0)), dim=-1)


def drawn(ax):
    return np.ma.filled(ax.images[0].get_array(), 0.0)


def test_a_panel_for_each_head_with_queries_downwards_on_one_scale():
    given = weights(3)
    axes = plots.attention_maps(given)
    assert len(axes) == 3 and len(plt.get_fignums()) == 1
    for ax, map_ in zip(axes, given, strict=True):
        np.testing.assert_allclose(drawn(ax), map_)
        left, right, bottom, top = ax.images[0].get_extent()
        assert (left, right, bottom, top) == (-0.5, 4.5, 4.5, -0.5)  # query 0 is the uppermost row
        assert ax.images[0].get_clim() == (0.0, pytest.approx(float(given.max())))
    assert [ax.get_title() for ax in axes] == ["head 1", "head 2", "head 3"]
    axes[0].figure.canvas.draw()


@pytest.mark.parametrize("shape", [(4, 4), (1, 4, 4), (1, 1, 4, 4)])
def test_one_head_may_come_with_or_without_its_axes(shape):
    (ax,) = plots.attention_maps(torch.eye(4).reshape(shape))
    np.testing.assert_allclose(drawn(ax), np.eye(4))


def test_weights_of_exactly_zero_are_marked_as_hidden():
    (ax,) = plots.attention_maps(np.array([[1.0, 0.0], [0.5, 0.5]]))
    assert np.ma.getmaskarray(ax.images[0].get_array()).tolist() == [[False, True], [False, False]]


def test_signal_lies_along_keys_and_queries_step_by_step():
    signal = np.arange(5.0) ** 2
    axes = plots.attention_maps(weights(2), signal, names=["peak", "trough"])
    above, beside = axes[0].child_axes
    np.testing.assert_allclose(above.lines[0].get_xydata(), np.stack([np.arange(5), signal], axis=1))
    np.testing.assert_allclose(beside.lines[0].get_xydata(), np.stack([signal, np.arange(5)], axis=1))
    assert len(axes[1].child_axes) == 1 and axes[1].child_axes[0].get_title() == "trough"
    axes[0].figure.canvas.draw()


def test_signal_of_more_samples_than_steps_is_spread_over_the_axis_in_seconds():
    (ax,) = plots.attention_maps(weights(1, 8, 8), np.zeros((100, 2)), seconds=2.0)
    above = ax.child_axes[0]
    assert len(above.lines) == 2
    np.testing.assert_allclose(above.lines[0].get_xdata()[[0, -1]], [0.01, 1.99])
    assert ax.get_xlabel() == "key (s)" and ax.get_xlim() == (0.0, 2.0)


def test_fewer_queries_than_keys_have_no_signal_beside_them():
    (ax,) = plots.attention_maps(weights(1, 2, 6), np.zeros(6))
    assert len(ax.child_axes) == 1
    ax.figure.canvas.draw()


def test_draws_on_given_axes_and_opens_no_figure():
    figure, given = plt.subplots(1, 3)
    assert list(plots.attention_maps(weights(2), np.zeros(5), ax=given)) == list(given[:2])
    assert plt.get_fignums() == [figure.number]
    with pytest.raises(ValueError, match="ax: expected at least 4 axes"):
        plots.attention_maps(weights(4), ax=given)


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match=r"weights: expected \(H, Q, K\).*one item of a batch"):
        plots.attention_maps(np.ones((2, 3, 4, 4)))
    with pytest.raises(ValueError, match="weights: .*before softmax"):
        plots.attention_maps(-np.ones((4, 4)))
    with pytest.raises(ValueError, match="weights: expected finite"):
        plots.attention_maps(np.full((4, 4), np.nan))
    with pytest.raises(ValueError, match="names: expected one a head, 2, got 1"):
        plots.attention_maps(weights(2), names=["a"])
    with pytest.raises(ValueError, match=r"signal: expected \(N,\) or \(N, C\)"):
        plots.attention_maps(weights(2), np.zeros((1, 2, 3)))
