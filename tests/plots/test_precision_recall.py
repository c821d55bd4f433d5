"""Precision and recall: a perfect score, guessing, several seeds, refusals."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from course_lib import plots

LABELS = np.repeat([0, 1], [90, 10])
CHANCE = np.random.default_rng(0).normal(size=(3, 100))


def lines(ax):
    return {line.get_label().split(":")[0]: line for line in ax.get_lines()}


def test_a_perfect_score_stays_at_one_and_guessing_is_the_share(ax):
    drawn = plots.precision_recall({"perfect": LABELS + 0.0, "one by one": CHANCE[0]}, LABELS, ax=ax)
    assert drawn is ax and plt.get_fignums() == [ax.figure.number]
    found = lines(ax)
    assert (found["perfect"].get_ydata() == 1).all()
    assert found["perfect"].get_label() == "perfect: 1.00"
    assert set(found["guessing"].get_ydata()) == {0.1}
    ax.figure.canvas.draw()


def test_several_seeds_give_mean_and_spread_of_the_average_precision():
    ax = plots.precision_recall({"runs": CHANCE + LABELS}, LABELS)
    areas = [average_precision_score(LABELS, run) for run in CHANCE + LABELS]
    assert lines(ax)["runs"].get_label() == f"runs: {np.mean(areas):.2f} ± {np.std(areas, ddof=1):.2f}"
    assert len(ax.collections) == 1


def test_precision_is_that_of_the_first_threshold_that_finds_enough():
    labels, score = np.array([1, 0, 1, 0]), np.array([4.0, 3.0, 2.0, 1.0])
    curve = lines(plots.precision_recall({"a": score}, labels))["a"]
    at = dict(zip(curve.get_xdata().round(3).tolist(), curve.get_ydata().tolist(), strict=True))
    assert at[0.5] == 1.0 and at[0.505] == pytest.approx(2 / 3) and at[1.0] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("labels", "scores", "complaint"),
    [
        ([1, 1, 1], {"a": [0, 1, 2]}, "labels: expected .* both 0 and 1"),
        ([0, 1, 2], {"a": [0, 1, 2]}, "labels"),
        ([0, 1, 1], {"a": [0, 1]}, r"curves\['a'\]: expected finite \(3,\)"),
        ([0, 1, 1], {"a": [0, 1, np.nan]}, "finite"),
        ([0, 1, 1], {}, "curves: expected at least one"),
    ],
)
def test_wrong_input_is_named(labels, scores, complaint):
    with pytest.raises(ValueError, match=complaint):
        plots.precision_recall(scores, labels)
