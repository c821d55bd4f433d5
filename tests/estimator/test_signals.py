"""SignalClassifier: scikit-learn's own checks, signals of several shapes, repeatability, what it refuses."""

import pickle

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    PrecisionRecallDisplay,
    RocCurveDisplay,
    confusion_matrix,
    roc_auc_score,
)
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from course_lib.estimator import SignalClassifier
from course_lib.estimator.groups import hold_out
from course_lib.models import SignalSequenceTransformer, SignalTransformerConfig

SMALL = {"model_dim": 8, "num_heads": 2, "num_layers": 1, "channels": (8,), "dropout": 0.0, "device": "cpu"}
ROUNDING = "float32 sums round differently in batches of another size: probabilities agree to 1e-6, not to 1e-7"


@pytest.mark.slow
@parametrize_with_checks(
    [SignalClassifier(**SMALL, epochs=15, learning_rate=1e-2)],
    expected_failed_checks=lambda estimator: {
        "check_methods_subset_invariance": ROUNDING,
    },
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def small(**options):
    return SignalClassifier(**SMALL | {"epochs": 8, "learning_rate": 1e-2, "random_state": 0} | options)


def waves(count=24, length=40):
    """Sines of two frequencies with random phase, and their names."""
    rng = np.random.default_rng(0)
    fast = np.arange(count) % 2
    phase = rng.uniform(0, 2 * np.pi, (count, 1))
    x = np.sin(2 * np.pi * np.where(fast, 8, 2)[:, None] * np.arange(length) / length + phase)
    return 50 + 10 * x, np.where(fast, "fast", "slow")


def test_learns_what_two_frequencies_are():
    x, y = waves()
    model = small(epochs=20).fit(x, y)
    assert model.classes_.tolist() == ["fast", "slow"]
    assert model.score(x, y) == 1.0
    probabilities = model.predict_proba(x)
    assert probabilities.shape == (24, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert len(model.history_.table) == 20


def test_the_layouts_of_one_data_set_agree():
    x, y = waves(12)
    expected = small().fit(x, y).predict_proba(x)
    layouts = {
        "(N, L, 1)": x[:, :, None],
        "(N, 1, samples)": x[:, None],
        "list of (L,)": list(x),
        "list of (1, samples)": [row[None] for row in x],
        "tensor": torch.from_numpy(x),
        "Fortran order": np.asfortranarray(x),
        "every other of twice": np.repeat(x, 2, axis=1)[:, ::2],
    }
    for name, layout in layouts.items():
        got = small().fit(layout, y).predict_proba(layout)
        np.testing.assert_allclose(got, expected, atol=1e-4, err_msg=name)


def test_integer_signals_are_taken_as_numbers():
    x, y = waves(12)
    whole = np.round(x).astype(np.int16)
    np.testing.assert_allclose(
        small().fit(whole, y).predict_proba(whole), small().fit(whole.astype(float), y).predict_proba(whole), atol=1e-6
    )


def test_lengths_may_differ_and_channels_may_be_several():
    rng = np.random.default_rng(1)
    x = [rng.standard_normal((length, 3)) for length in rng.integers(5, 40, 12)]
    y = np.arange(12) % 3
    model = small().fit(x, y)
    assert model.max_length_ == max(map(len, x)) and model.n_channels_ == 3
    longer = [np.concatenate([signal, np.zeros((60 - len(signal), 3))]) for signal in x]
    assert model.predict(longer).shape == (12,)
    cut = [signal[: model.max_length_] for signal in longer]
    np.testing.assert_allclose(model.predict_proba(longer), model.predict_proba(cut), atol=1e-6)
    with pytest.raises(ValueError, match="X: expected signals of 3 channels, got 1"):
        model.predict([signal[:, 0] for signal in x])


def test_one_row_is_audio_or_one_step_as_the_training_was():
    generator = np.random.default_rng(0)
    steps = [generator.standard_normal((length, 3)) for length in (4, 9, 5, 7)]
    several = SignalClassifier(epochs=1, device="cpu", random_state=0).fit(steps, [0, 1, 0, 1])
    assert several.n_channels_ == 3
    one_step = generator.standard_normal((1, 3))
    standardised = torch.tensor((one_step - several.mean_) / several.scale_)[None]  # (1, 1, 3), one step of 3 channels
    alone = torch.softmax(several.model_(standardised), dim=1).detach()
    np.testing.assert_allclose(several.predict_proba([one_step]), alone, atol=1e-6)
    audio = SignalClassifier(epochs=1, device="cpu", random_state=0).fit([s[:, :1].T for s in steps], [0, 1, 0, 1])
    assert (audio.n_channels_, audio.max_length_) == (1, 9)
    np.testing.assert_array_equal(audio.predict_proba([one_step]), audio.predict_proba([one_step.T]))


def test_display_classes_of_scikit_learn_take_it():
    generator = np.random.default_rng(0)
    signals = [generator.standard_normal(length) for length in (20, 30, 25, 40, 35, 22)]
    labels = np.array(["a", "b"] * 3)
    classifier = SignalClassifier(epochs=1, device="cpu", random_state=0).fit(signals, labels)
    shown = ConfusionMatrixDisplay.from_estimator(classifier, signals, labels)
    np.testing.assert_array_equal(shown.confusion_matrix, confusion_matrix(labels, classifier.predict(signals)))
    curve = RocCurveDisplay.from_estimator(classifier, signals, labels)
    assert curve.roc_auc == pytest.approx(roc_auc_score(labels == "b", classifier.predict_proba(signals)[:, 1]))
    PrecisionRecallDisplay.from_estimator(classifier, signals, labels)
    plt.close("all")


def test_a_signal_is_classified_as_if_it_were_alone():
    """Neither longer companions nor the padding that they bring move a probability, at any length and place."""
    rng = np.random.default_rng(2)
    train = [rng.standard_normal(length) for length in rng.integers(30, 200, 20)] + [rng.standard_normal(200)]
    model = small(epochs=3).fit(train, np.arange(21) % 2)
    signals = [rng.standard_normal(length) for length in (1, 2, 7, 40, 40, 133, 200)]
    together = model.predict_proba(signals)
    for i, signal in enumerate(signals):
        values = torch.from_numpy((signal - model.mean_) / model.scale_)[None]  # (1, L), no padding at all
        alone = torch.softmax(model.model_(values), dim=1).detach()
        np.testing.assert_allclose(together[i : i + 1], alone, atol=1e-6)
        np.testing.assert_allclose(model.predict_proba([signal]), alone, atol=1e-6)
    np.testing.assert_allclose(model.predict_proba(signals[::-1])[::-1], together, atol=1e-6)


def test_padding_does_not_reach_the_training():
    """Signals that max_length cuts nothing off: a larger max_length means more padding and nothing else."""
    rng = np.random.default_rng(3)
    train = [rng.standard_normal(length) for length in rng.integers(20, 60, 12)]
    labels = np.arange(12) % 2
    first, second = (
        small(epochs=2, max_length=length, model=lambda *a: short_model()).fit(train, labels) for length in (60, 90)
    )
    np.testing.assert_allclose(first.predict_proba(train), second.predict_proba(train), atol=1e-4)


def short_model():
    config = SignalTransformerConfig(
        2, 100, model_dim=8, num_layers=1, num_heads=2, channels=(8,), strides=(2,), dropout=0.0
    )
    return SignalSequenceTransformer(config)


@pytest.mark.parametrize("layout", [np.asarray, list, lambda x: x[:, :, None]])
def test_values_beyond_float32_are_named(layout):
    x = X.copy()
    x[2, 3] = 1e39
    with pytest.raises(ValueError, match="beyond float32|too large for dtype"):
        small().fit(layout(x), Y)
    model = small(epochs=1).fit(layout(X), Y)
    with pytest.raises(ValueError, match="beyond float32|too large for dtype"):
        model.predict(layout(x))


def test_values_too_far_from_the_training_signals_are_named():
    model = small(epochs=1).fit(list(1e-6 * X), Y)
    with pytest.raises(ValueError, match="X: signal 1, standardised by the training signals"):
        model.predict([X[0], np.full(20, 1e38)])


def test_level_and_unit_do_not_matter():
    x, y = waves(12)
    expected = small().fit(x, y).predict_proba(x)
    np.testing.assert_allclose(small().fit(1e4 * x - 7, y).predict_proba(1e4 * x - 7), expected, atol=1e-3)


def test_a_seed_repeats_and_leaves_the_global_generators_alone():
    x, y = waves(12)
    before = torch.get_rng_state()
    first, second = (small(dropout=0.3).fit(x, y).predict_proba(x) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(first, second)
    other = small(dropout=0.3, random_state=1).fit(x, y).predict_proba(x)
    assert np.abs(other - first).max() > 1e-4


def test_works_in_cross_validation_and_grid_search():
    x, y = waves(16)
    predicted = cross_val_predict(small(epochs=3), list(x), y, cv=2, method="predict_proba")
    assert predicted.shape == (16, 2)
    assert cross_val_predict(small(epochs=1), x[:, :, None], y, cv=2).shape == (16,)
    search = GridSearchCV(small(epochs=2), {"model_dim": [4, 8], "learning_rate": [1e-2]}, cv=2).fit(x, y)
    assert search.best_params_["model_dim"] in (4, 8)
    assert search.best_estimator_.model_.config.model_dim == search.best_params_["model_dim"]


def linear_model(in_channels, max_length, num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(in_channels * max_length, num_classes))


def test_a_model_and_a_loss_of_ones_own_and_pickling():
    x, y = waves(12)
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    model = small(model=linear_model, loss=loss).fit(x, y)
    assert model.model_[1].weight.shape == (2, 40)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(x), model.predict_proba(x))
    assert clone(model).model is linear_model and not hasattr(clone(model), "model_")


@pytest.mark.parametrize(("length", "strides"), [(1, (1, 1)), (31, (1, 1)), (32, (2, 1)), (64, (2, 2)), (300, (2, 2))])
def test_short_signals_keep_enough_tokens(length, strides):
    x = np.random.default_rng(0).standard_normal((4, length))
    assert small(channels=(4, 4), epochs=1).fit(x, [0, 1, 0, 1]).model_.config.strides == strides


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_constant_signals_give_finite_probabilities(value):
    x = np.full((6, 20), value)
    assert np.isfinite(small(epochs=2).fit(x, [0, 1] * 3).predict_proba(x)).all()


X, Y = waves(6, 20)


@pytest.mark.parametrize(
    ("x", "y", "complaint"),
    [
        (X, ["a"] * 6, "y: expected at least two classes, got one class"),
        (X[:1], ["a"], "one class"),
        (X, Y[:5], "inconsistent numbers of samples"),
        (X, np.linspace(0, 1, 6), "Unknown label type"),
        (X, None, "requires y to be passed"),
        (list(X), None, "requires y to be passed|y cannot be None"),
        (np.where(X > 55, np.nan, X), Y, "contains NaN"),
        (np.where(X > 55, np.inf, X), Y, "contains infinity"),
        ([*X[:5], np.full(20, np.nan)], Y, "X: signals: expected finite values, got 20 NaN or infinite in signal 5"),
        ([*X[:5], np.zeros(0)], Y, "X: signals: expected at least one time step, got signal 5"),
        ([*X[:5], np.zeros((20, 2))], Y, "X: signals: expected one number of channels"),
        ([], Y[:0], "array"),
        (np.zeros((0, 20)), Y[:0], "minimum of 1 is required"),
        (np.zeros((0, 20, 2)), Y[:0], "expected at least one|minimum of 1"),
        (X[0], Y, "Expected 2D array, got 1D array"),
        (np.zeros((6, 5, 4, 3)), Y, "dim 4"),
        (X.astype(complex), Y, "Complex data not supported"),
    ],
)
def test_bad_data_is_named(x, y, complaint):
    with pytest.raises((ValueError, TypeError), match=complaint):
        small().fit(x, y)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"num_heads": 3}, "num_heads: expected a divisor"),
        ({"epochs": 0}, "epochs: expected an integer of at least 1"),
        ({"max_length": 0}, "max_length: expected a whole number above 0, or None, got 0"),
        ({"device": "abacus"}, "abacus"),
    ],
)
def test_bad_parameters_are_named_in_fit(options, complaint):
    with pytest.raises((ValueError, RuntimeError), match=complaint):
        small(**options).fit(X, Y)


def test_a_rare_class_is_found_once_it_counts_the_same():
    """Two overlapping classes, one in ten of the rare one: unweighted, the frequent one wins; balanced, both count."""
    rng = np.random.default_rng(0)
    rare = np.arange(200) % 10 == 0
    x = rng.standard_normal((200, 16)) + 0.35 * rare[:, None]
    recall = {}
    for weight in (None, "balanced"):
        model = small(epochs=6, class_weight=weight).fit(x, rare)
        recall[weight] = (model.predict(x)[rare]).mean()
    assert recall["balanced"] > recall[None] + 0.2


@pytest.mark.parametrize("nan", ["interpolate", "mask"])
def test_missing_values(nan):
    """A gap in a slow wave moves the probability little; where a gap is masked, what it hid does not matter."""
    x, y = waves(24, 60)
    holes = x.copy()
    holes[np.arange(24), np.arange(24) + 10] = np.nan
    holes[:, -3:] = np.nan
    model = small(epochs=20, nan=nan).fit(holes, y)
    assert model.score(holes, y) == 1.0 and np.isfinite(model.predict_proba(list(holes))).all()
    np.testing.assert_allclose(model.predict_proba(holes), model.predict_proba(holes[:, :, None]), atol=1e-6)
    with pytest.raises(ValueError, match="contains NaN"):
        small(epochs=1).fit(holes, y)


def test_masked_steps_are_as_steps_that_are_not_there():
    x, y = waves(12)
    model = small(nan="mask").fit(x, y)
    tail = np.concatenate([x[0, :25], np.full(15, np.nan)])
    np.testing.assert_allclose(model.predict_proba([tail]), model.predict_proba([x[0, :25]]), atol=1e-6)


def test_interpolation_fills_on_a_line():
    x, y = waves(12)
    model = small(nan="interpolate").fit(x, y)
    line, holes = np.arange(40.0), np.arange(40.0)
    holes[[3, 4, 20]] = np.nan
    np.testing.assert_allclose(model.predict_proba([holes]), model.predict_proba([line]), atol=1e-6)


def test_the_validation_part_chooses_the_epoch_and_ends_the_training():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 20)), np.arange(40) % 2  # nothing to learn: validation soon gets worse
    model = small(epochs=40, validation=0.25, early_stopping=3).fit(x, y)
    losses = model.history_.table["validation_loss"]
    assert len(losses) < 40 and len(losses) == losses.argmin() + 1 + 3


def test_groups_are_never_divided():
    x, y = waves(24)
    groups = np.repeat(np.arange(6), 4)
    train, held = hold_out(np.arange(24) % 2, 0.3, groups, seed=0)
    assert not set(groups[train]) & set(groups[held]) and len(train) + len(held) == 24
    assert small(epochs=2, validation=0.3).fit(x, y, groups=groups).history_.table["validation_loss"].notna().all()


def test_a_signal_may_have_several_labels(tmp_path):
    rng = np.random.default_rng(0)
    there = rng.integers(0, 2, (80, 3))
    clock = np.arange(64) / 64
    waves = np.stack([np.sin(2 * np.pi * f * clock) for f in (3, 9, 20)])
    x = there @ waves + 0.1 * rng.standard_normal((80, 64))
    model = small(epochs=40).fit(x[:60], there[:60])
    assert model.predict_proba(x).shape == (80, 3)
    assert (model.predict(x[60:]) == there[60:]).mean() > 0.9
    model.save(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(SignalClassifier.load(tmp_path / "m.safetensors").predict(x), model.predict(x))


def test_a_model_of_ones_own_is_saved_without_its_code(tmp_path):
    x, y = waves(12)
    model = small(model=linear_model).fit(x, y)
    model.save(tmp_path / "m.safetensors")
    again = SignalClassifier.load(tmp_path / "m.safetensors", model=linear_model)
    np.testing.assert_array_equal(again.predict_proba(x), model.predict_proba(x))
    with pytest.raises(ValueError, match="model: expected the function that made the model"):
        SignalClassifier.load(tmp_path / "m.safetensors")


GAP = np.where(np.arange(20) == 3, np.nan, X)


@pytest.mark.parametrize(
    ("options", "x", "y", "complaint"),
    [
        ({"nan": "drop"}, X, Y, 'nan: expected "raise", "interpolate" or "mask"'),
        ({"nan": "mask", "model": linear_model}, X, Y, "a model of your own gets no mask"),
        ({"nan": "interpolate"}, [*GAP[:5], np.full(20, np.nan)], Y, "only NaN in signal 5"),
        ({"nan": "mask"}, [*GAP[:5], np.full(20, np.nan)], Y, "only NaN in signal 5"),
        (
            {"nan": "mask", "max_length": 4},
            [*X[:5], np.where(np.arange(20) < 9, np.nan, X[5])],
            Y,
            "first 4 of signal 5",
        ),
        ({"nan": "interpolate"}, np.where(np.arange(20) == 3, np.inf, X), Y, "infinity"),
        ({"nan": "interpolate"}, list(np.where(np.arange(20) == 3, np.inf, X)), Y, "X: signals: expected finite"),
        ({"class_weight": "equal"}, X, Y, "class_weight"),
        (
            {"class_weight": {"slow": 2}, "loss": nn.CrossEntropyLoss()},
            X,
            Y,
            "class_weight: expected None beside a loss",
        ),
        ({"class_weight": "balanced"}, X, np.eye(3, dtype=int)[[0, 1, 2] * 2], "class_weight: expected None where"),
        ({"validation": 1.0}, X, Y, "validation: expected a share from 0 to below 1"),
        ({"validation": -0.1}, X, Y, "validation: expected a share"),
        ({"validation": 0.1}, X, Y, "validation: a share of 0.1 cannot be held out"),
        ({"early_stopping": 3}, X, Y, "early_stopping: needs a part to watch"),
        ({"early_stopping": 0, "validation": 0.4}, X, Y, "early_stopping: expected an integer of at least 1"),
    ],
)
def test_bad_options_are_named(options, x, y, complaint):
    with pytest.raises(ValueError, match=complaint):
        small(epochs=1, **options).fit(x, y)


def test_bad_groups_are_named():
    with pytest.raises(ValueError, match="inconsistent numbers"):
        small(epochs=1, validation=0.4).fit(X, Y, groups=[1, 2])
    with pytest.raises(ValueError, match="groups: some class has all its signals in the held-out groups"):
        small(epochs=1, validation=0.4).fit(X, Y, groups=Y)
