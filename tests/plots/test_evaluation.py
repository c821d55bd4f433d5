"""Do the pictures of a model's results agree with scikit-learn, and with arithmetic?"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from IPython.display import Audio
from sklearn import metrics

from course_lib import plots


def curve(ax, start):
    return next(line for line in ax.lines if line.get_label().startswith(start))


def test_learning_curves_are_the_table():
    table = pd.DataFrame({"epoch": [1, 2, 3], "train_loss": [3.0, 2.0, 1.0], "validation_loss": [3.0, 2.5, 2.6]})
    ax = plots.learning_curves(table)
    assert curve(ax, "train").get_ydata().tolist() == [3, 2, 1]
    assert curve(ax, "validation").get_xdata().tolist() == [1, 2, 3]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "loss") and not ax.collections


def test_learning_curves_of_folds_show_mean_and_band():
    folds = [
        pd.DataFrame({"epoch": [1, 2, 3], "train_accuracy": [0.2, 0.4, 0.9]}),
        pd.DataFrame({"epoch": [1, 2], "train_accuracy": [0.4, 0.8]}),  # stopped early
    ]
    ax = plots.learning_curves(folds, measure="accuracy")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["train"]
    assert curve(ax, "train").get_ydata().tolist() == pytest.approx([0.3, 0.6, 0.9])
    band = ax.collections[0].get_paths()[0].vertices
    spread = 0.4 / 2**0.5  # sample standard deviation of 0.4 and 0.8
    assert band[band[:, 0] == 2][:, 1].min() == pytest.approx(0.6 - spread)
    assert band[:, 1].max() == pytest.approx(0.6 + spread) and band[:, 0].max() == 2  # a single run has no spread


def test_validation_measured_now_and_then_is_still_a_line():
    table = pd.DataFrame({"epoch": [1, 2, 3], "train_loss": [3.0, 2, 1], "validation_loss": [3.0, np.nan, 2.0]})
    assert curve(plots.learning_curves(table), "validation").get_xdata().tolist() == [1, 3]


def test_confusion_matrix_is_sklearns(scores):
    labels, probabilities, _ = scores
    ax = plots.confusion_matrix(labels, probabilities.argmax(1), classes=list("abcd"))
    written = np.array([int(text.get_text()) for text in ax.texts]).reshape(4, 4)
    assert (written == metrics.confusion_matrix(labels, probabilities.argmax(1))).all()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")


def test_normalised_rows_sum_to_one_and_an_absent_class_is_zero():
    ax = plots.confusion_matrix([0, 0, 1], [0, 1, 1], classes=list("abc"), normalise=True)
    written = np.array([float(text.get_text()) for text in ax.texts]).reshape(3, 3)
    assert written.tolist() == [[0.5, 0.5, 0], [0, 1, 0], [0, 0, 0]]


def test_per_class_scores_are_sklearns(scores):
    labels, probabilities, _ = scores
    predictions = probabilities.argmax(1)
    table = plots.score_table(labels, predictions, classes=list("abcd"))
    precision, recall, f1, clips = metrics.precision_recall_fscore_support(labels, predictions)
    np.testing.assert_allclose(table.to_numpy().T, [precision, recall, f1, clips])
    ax = plots.per_class_scores(labels, predictions, classes=list("abcd"))
    drawn = np.array([[bar.get_width() for bar in bars] for bars in ax.containers])
    np.testing.assert_allclose(drawn, [precision, recall, f1])
    assert f"{metrics.f1_score(labels, predictions, average='macro'):.3f}" in ax.get_title()


def test_a_class_that_is_never_predicted_scores_zero_without_a_warning(recwarn):
    table = plots.score_table([0, 1], [0, 0], classes=["a", "b", "c"])
    assert table.loc["b"].tolist() == [0, 0, 0, 1] and table.loc["c"].tolist() == [0, 0, 0, 0]
    assert not recwarn.list


def test_auc_is_sklearns(scores):
    labels, probabilities, folds = scores
    table = plots.auc_table(labels, probabilities, classes=list("abcd"))
    expected = [metrics.roc_auc_score(labels == c, probabilities[:, c]) for c in range(4)]
    np.testing.assert_allclose(table["auc"], [*expected, np.mean(expected)])
    per_fold = plots.auc_table(labels, probabilities, classes=list("abcd"), folds=folds)
    expected = [
        [metrics.roc_auc_score((labels == c)[folds == f], probabilities[folds == f, c]) for c in range(4)]
        for f in (1, 2, 3)
    ]
    np.testing.assert_allclose(per_fold["auc"][:4], np.mean(expected, axis=0))
    np.testing.assert_allclose(per_fold["std"][:4], np.std(expected, axis=0, ddof=1))
    np.testing.assert_allclose(per_fold["std"].iloc[4], np.std(np.mean(expected, axis=1), ddof=1))
    assert (per_fold["folds"] == 3).all()


def test_roc_curves_tell_the_area_and_lie_under_it(scores):
    labels, probabilities, folds = scores
    ax = plots.roc_curves(labels, probabilities, classes=list("abcd"), folds=folds)
    table = plots.auc_table(labels, probabilities, classes=list("abcd"), folds=folds)
    for name, row in table.iterrows():
        line = curve(ax, f"{name} ")
        assert line.get_label() == f"{name} {row['auc']:.3f} ± {row['std']:.3f}"
        assert np.trapezoid(line.get_ydata(), line.get_xdata()) == pytest.approx(row["auc"], abs=0.01)
    assert len(ax.collections) == 1  # the band over folds
    assert not plots.roc_curves(labels, probabilities).collections


def test_a_fold_without_a_class_is_left_out_of_that_class_only():
    labels, folds = np.array([0, 1, 0, 1, 0, 0]), np.array([1, 1, 2, 2, 3, 3])
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3], [0.5, 0.5], [0.6, 0.4]])
    table = plots.auc_table(labels, scores, folds=folds)
    assert table["folds"].tolist() == [2, 2, 2] and table["auc"].tolist() == [0.5, 0.5, 0.5]
    plots.roc_curves(labels, scores, folds=folds)
    assert np.isnan(plots.auc_table([0, 0], [[1.0, 0], [1, 0]])["auc"]).all()
    plots.roc_curves([0, 0], [[1.0, 0], [1, 0]])


def test_calibration_of_a_case_by_hand():
    probabilities = np.array([[0.95, 0.05], [0.95, 0.05], [0.6, 0.4], [0.4, 0.6]])
    labels = [0, 1, 0, 1]
    table = plots.calibration_table(labels, probabilities, bins=10)
    assert table["clips"].tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 0, 2]
    assert table["accuracy"].dropna().tolist() == [1.0, 0.5]
    expected = (2 * abs(1.0 - 0.6) + 2 * abs(0.5 - 0.95)) / 4
    assert plots.expected_calibration_error(labels, probabilities) == pytest.approx(expected)
    ax = plots.reliability_diagram(labels, probabilities)
    assert {bar.get_x(): bar.get_height() for bar in ax.patches} == pytest.approx({0.5: 1.0, 0.9: 0.5})
    assert f"{expected:.3f}" in ax.get_title()


def test_a_calibrated_model_has_no_error():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=40_000)
    labels = (rng.uniform(size=p.size) < p).astype(int)
    assert plots.expected_calibration_error(labels, np.stack([1 - p, p], axis=1)) < 0.01
    assert plots.expected_calibration_error(1 - labels, np.stack([1 - p, p], axis=1)) > 0.4


def test_mistakes_come_in_order_of_confidence_with_their_sound():
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.4, 0.6]])
    signals = [np.full(2000, i + 1.0) for i in range(4)]
    found = plots.confident_mistakes(
        signals, [1, 1, 1, 0], probabilities, 8000, classes=["<a>", "b"], files=list("wxyz"), count=2
    )
    assert found.table.to_dict("list") == {
        "index": [0, 1],
        "file": ["w", "x"],
        "true": ["b", "b"],
        "predicted": ["<a>", "<a>"],
        "confidence": [0.9, 0.7],
    }
    assert len(found.axes) == 2 and found.axes[0].lines[0].get_ydata()[0] == 1.0
    assert len(found.audio) == 2 and all(isinstance(player, Audio) for player in found.audio)
    shown = found._repr_html_()
    assert shown.count("<audio") == 2 and "&lt;a&gt;" in shown and "0.90" in shown
    assert "confidence" in repr(found)


def test_no_mistake_draws_nothing():
    found = plots.confident_mistakes([np.ones(5)], [0], [[0.9, 0.1]], 8000)
    assert len(found.table) == len(found.axes) == len(found.audio) == 0 and plt.get_fignums() == []
    assert found._repr_html_() == "<p>No mistakes.</p>" and repr(found) == "No mistakes."


def drawn_bars(container):
    """(x, y, lower and upper end of the bar) of each point."""
    line, _, (bars,) = container
    return [(x, y, *bar.ravel()) for x, y, bar in zip(*line.get_data(), bars.get_segments(), strict=True)]


def test_error_bars_of_recorded_results():
    table = pd.DataFrame({"measure": ["small", "large"], "value": [0.5, 0.9], "std": [0.1, np.nan]})
    ax = plots.error_bars(table, unit="accuracy")
    (first, second) = drawn_bars(ax.containers[0])
    assert first == pytest.approx((0.5, 0, 0.4, 0, 0.6, 0)) and second == pytest.approx((0.9, 1, 0.9, 1, 0.9, 1))
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["small", "large"]
    assert ax.get_xlabel() == "value (accuracy)"


def test_error_bars_of_repetitions_are_mean_and_deviation():
    table = pd.DataFrame({"window": [40, 10, 40, 10], "error": [1.0, 5.0, 3.0, 5.0]})
    ax = plots.error_bars(table, x="window", y="error", unit="steps")
    first, second = drawn_bars(ax.containers[0])
    spread = 2**0.5  # sample standard deviation of 1 and 3
    assert first == pytest.approx((10, 5, 10, 5, 10, 5))
    assert second == pytest.approx((40, 2, 40, 2 - spread, 40, 2 + spread))
    dots = ax.lines[-1]  # a dot a repetition
    assert dots.get_xdata().tolist() == [40, 10, 40, 10] and dots.get_ydata().tolist() == [1, 5, 3, 5]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("window", "error (steps)")


def test_error_bars_by_colour():
    table = pd.DataFrame({"folds": ["a", "b"] * 4, "score": range(8), "model": ["m"] * 4 + ["n"] * 4})
    ax = plots.error_bars(table, x="folds", y="score", hue="model")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["m", "n"]
    assert len(ax.containers) == 2


WRONG = [
    (lambda: plots.learning_curves([]), "tables: expected at least one history table"),
    (
        lambda: plots.learning_curves(pd.DataFrame({"epoch": [1]})),
        "tables: expected a column epoch, and train_loss or validation_loss",
    ),
    (lambda: plots.confusion_matrix([0], [[0.1, 0.9]]), r"predictions: .* for scores pass scores.argmax\(1\)"),
    (lambda: plots.confusion_matrix([0, 1], [0]), r"labels: expected one value for each of 1 clips"),
    (lambda: plots.roc_curves([0, 1], [0.1, 0.9]), r"scores: expected finite \(N, num_classes\), got shape \(2,\)"),
    (
        lambda: plots.roc_curves([0, 1], np.eye(2), classes=list("abc")),
        "scores: expected 3 columns, one a class, got 2",
    ),
    (lambda: plots.roc_curves([0, 1], [[np.nan, 0], [0, 1]]), "scores: expected finite"),
    (lambda: plots.roc_curves([0, 5], np.eye(2)), "labels: expected 0 to 1 for 2 classes, got 0 to 5"),
    (lambda: plots.reliability_diagram([0, 1], [[5.0, 1], [2, 3]]), "rows that sum to 1: are these logits"),
    (lambda: plots.reliability_diagram([0, 1], np.eye(2), bins=0), "bins: expected 1 or more, got 0"),
    (
        lambda: plots.confident_mistakes([np.ones(5)], [0, 1], np.eye(2), 8000),
        "labels: expected one value for each of 1 clips",
    ),
    (
        lambda: plots.error_bars(pd.DataFrame({"a": [1]}), x="a", y="b"),
        r"expected rows with columns \['a', 'b'\]",
    ),
]


@pytest.mark.parametrize("call, message", WRONG)
def test_wrong_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
