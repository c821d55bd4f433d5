"""Panels on one time axis."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from course_lib import plots

T, C = 7, 3


def panels():
    signed = torch.randn(T, C, generator=torch.Generator().manual_seed(0), requires_grad=True)
    return {
        "signal": signed,
        "gate": np.linspace(0, 1, T * C).reshape(T, C),
        "two lines": {"a": np.arange(T), "b": np.ones(T)},
        "one line": np.arange(T) ** 2,
    }


def test_a_panel_a_name_on_one_time_axis():
    axes = plots.over_time(panels(), limits={"gate": (0, 1), "one line": (0, 50)}, step="frame")
    assert [ax.get_title(loc="left") for ax in axes] == list(panels())
    assert {ax.get_xlim() for ax in axes} == {(-0.5, T - 0.5)}
    assert axes[-1].get_xlabel() == "frame" and axes[-1].get_ylim() == (0, 50)
    axes[0].figure.canvas.draw()


def test_images_have_a_row_a_channel_and_colours_as_the_values_ask():
    signed, unsigned, *_ = plots.over_time(panels())
    (image,) = signed.images
    assert image.get_array().shape == (C, T)
    low, high = image.get_clim()
    assert low == -high  # zero is white
    assert unsigned.images[0].get_clim() == (0, 1)


def test_named_lines_get_a_legend_and_one_line_none():
    *_, two, one = plots.over_time(panels())
    assert [text.get_text() for text in two.get_legend().get_texts()] == ["a", "b"]
    assert one.get_legend() is None


def test_invalid_steps_are_shaded_in_every_panel():
    valid = np.arange(T) < T - 2
    for ax in plots.over_time(panels(), valid=valid):
        assert len(ax.patches) == 2


def test_draws_on_the_axes_given():
    figure, given = plt.subplots(4, 1)
    assert list(plots.over_time(panels(), ax=given)) == list(given)


def test_refuses_panels_that_do_not_fit():
    with pytest.raises(ValueError, match=r"panels: expected one number of time steps, got \{'a': 3, 'b': 4\}"):
        plots.over_time({"a": np.ones(3), "b": np.ones(4)})
    with pytest.raises(ValueError, match=r"panels\['a'\]: expected \(T,\) or \(T, C\), got shape \(2, 3, 4\)"):
        plots.over_time({"a": np.ones((2, 3, 4))})
    with pytest.raises(ValueError, match="no panel"):
        plots.over_time({})
