"""± means one thing in every plot: the sample standard deviation; and bars of shares stay within 0 and 1."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from course_lib import plots

LABELS = np.tile([0, 1], 10)
FOLDS = np.repeat([0, 1, 2, 3], 5)


def half_width(band, at: float) -> float:
    """Half the height of a filled band over `at`."""
    vertices = band.get_paths()[0].vertices
    heights = vertices[np.isclose(vertices[:, 0], at)][:, 1]
    return float(np.ptp(heights) / 2)


def test_learning_curves():
    losses = [2.0, 2.5, 3.6]
    ax = plots.learning_curves([pd.DataFrame({"epoch": [1, 2], "train_loss": [loss, loss]}) for loss in losses])
    assert half_width(ax.collections[0], 1) == pytest.approx(np.std(losses, ddof=1))


def test_error_bars():
    values = [2.0, 2.5, 3.6]
    ax = plots.error_bars(pd.DataFrame({"x": [1, 1, 1], "loss": values}), x="x", y="loss")
    (segment,) = ax.containers[0][2][0].get_segments()
    assert np.ptp(segment[:, 1]) / 2 == pytest.approx(np.std(values, ddof=1))


def test_roc_table_and_band(scores):
    labels, probabilities, folds = scores
    table = plots.auc_table(labels, probabilities, folds=folds)
    per_fold = [plots.auc_table(labels[folds == f], probabilities[folds == f])["auc"] for f in np.unique(folds)]
    np.testing.assert_allclose(table["std"], np.std(per_fold, axis=0, ddof=1))
    ax = plots.roc_curves(labels, probabilities, folds=folds)
    assert f"± {table['std'].iloc[-1]:.3f}" in " ".join(text.get_text() for text in ax.get_legend().get_texts())


def test_one_fold_has_no_spread(scores):
    labels, probabilities, _ = scores
    assert plots.auc_table(labels, probabilities, folds=np.zeros(len(labels), int))["std"].isna().all()
    ax = plots.roc_curves(labels, probabilities, folds=np.zeros(len(labels), int))
    assert not ax.collections and not any("±" in text.get_text() for text in ax.get_legend().get_texts())


def test_precision_recall_band():
    runs = np.random.default_rng(0).normal(size=(2, 20)) + LABELS
    one, other = (plots.precision_recall({"a": run}, LABELS).lines[0].get_ydata() for run in runs)
    ax = plots.precision_recall({"a": runs}, LABELS)
    inside = np.abs(one - other) / 2**0.5
    middle = int(np.argmin(np.abs((one + other) / 2 - 0.7)))
    grid = ax.lines[0].get_xdata()
    assert half_width(ax.collections[0], grid[middle]) == pytest.approx(inside[middle])


@pytest.mark.parametrize("numeric", [True, False])
def test_bars_of_shares_end_at_one(numeric):
    x = [1, 2] if numeric else ["a", "b"]
    table = pd.DataFrame({"x": x, "accuracy": [0.98, 0.03], "std": [0.05, 0.06]})
    for axis, names in (
        ("accuracy", {"y": "accuracy"}),
        ("value (share correct)", {"y": "value", "unit": "share correct"}),
    ):
        ax = plots.error_bars(table.rename(columns={"accuracy": names["y"]}), x="x", **names)
        along = 1 if numeric else 0
        ends = [segment[:, along] for segment in ax.containers[0][2][0].get_segments()]
        np.testing.assert_allclose(ends, [[0.93, 1.0], [0.0, 0.09]], err_msg=axis)
    seeds = pd.DataFrame({"x": np.repeat(x, 3), "accuracy": [1.0, 0.9, 1.0, 0.0, 0.1, 0.0]})
    ax = plots.error_bars(seeds, x="x", y="accuracy")
    ends = np.array([segment[:, along] for segment in ax.containers[0][2][0].get_segments()])
    assert ends.max() == 1 and ends.min() == 0


def test_what_is_no_share_is_not_cut():
    for name, values in (
        ("loss", [0.9, 0.1]),
        ("change in accuracy", [0.01, 0.02]),
        ("accuracy in points", [90.0, 0.5]),
    ):
        ax = plots.error_bars(pd.DataFrame({"x": [1, 2], name: values, "std": [0.3, 0.3]}), x="x", y=name)
        ends = [segment[:, 1] for segment in ax.containers[0][2][0].get_segments()]
        np.testing.assert_allclose(ends, [[v - 0.3, v + 0.3] for v in values])


def test_bands_of_shares_stay_inside():
    tables = [
        pd.DataFrame({"epoch": [1, 2], "train_accuracy": [0.0, 1.0]}),
        pd.DataFrame({"epoch": [1, 2], "train_accuracy": [0.5, 0.9]}),
    ]
    band = plots.learning_curves(tables, measure="accuracy").collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() == 0 and band.max() == 1
    runs = np.random.default_rng(0).normal(size=(4, 20)) + LABELS
    band = plots.precision_recall({"a": runs}, LABELS).collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() >= 0 and band.max() <= 1
    plt.close("all")
