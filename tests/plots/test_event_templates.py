"""Figures of templates and of live detection: what they show, and what they refuse."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from course_lib import plots


class Bank:
    template_length = 20

    def __init__(self, types=16):
        self.values = np.random.default_rng(0).standard_normal((types, 6, 44))

    def kernels(self):
        return self.values

    def delays(self):
        return self.values[:, :, 0]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_sixteen_types_fill_four_by_four_with_six_channels_and_their_delays(tmp_path):
    bank = Bank()
    axes = plots.visualize_learned_templates(bank, save_path=tmp_path / "templates.png")
    assert len(axes) == 16 and {axis.get_subplotspec().get_gridspec().get_geometry() for axis in axes} == {(4, 4)}
    lines = axes[3].lines
    assert len(lines) == 12  # a curve and a mark a channel
    np.testing.assert_allclose([line.get_xdata()[0] for line in lines[1::2]], bank.delays()[3] / 2)  # in ms
    assert (tmp_path / "templates.png").stat().st_size > 10_000


def test_true_templates_stand_behind_the_learned_ones_at_equal_energy():
    bank = Bank(2)
    axes = plots.visualize_learned_templates(bank, true_kernels=5 * bank.values, true_delays=bank.delays())
    true, learned = axes[0].lines[0], axes[0].lines[1]
    np.testing.assert_allclose(true.get_ydata(), learned.get_ydata())
    assert len(axes[0].lines) == 24


def test_finds_the_bank_inside_a_model_and_refuses_others():
    class Model:
        bank = Bank(3)

    assert len(plots.visualize_learned_templates(Model(), types=[2])) == 1
    with pytest.raises(TypeError, match="expected a template bank"):
        plots.visualize_learned_templates(object())
    with pytest.raises(ValueError, match="true_kernels: expected"):
        plots.visualize_learned_templates(Bank(3), true_kernels=np.zeros((3, 6, 20)))


def test_a_frame_shows_nothing_that_has_not_been_received():
    truth = [(0, 1000.0), (1, 9000.0)]
    axes = plots.live_events([(4000, 2000, []), (12000, 9500, [(0, 1001.0, 0.9), (1, 9000.5, 0.8)])], truth)
    assert len(axes[0].lines[0].get_xdata()) == 1 and len(axes[1].lines[0].get_xdata()) == 2
    assert len(axes[1].lines[1].get_xdata()) == 2
    with pytest.raises(ValueError, match="snapshots"):
        plots.live_events([], truth)
