"""AudioClassifier: clips of sound to classes, files to a table, what it refuses."""

import numpy as np
import pytest
import soundfile
from sklearn.base import clone

from course_lib.estimator import AudioClassifier

RATE = 8000
QUICK = {"sample_rate": RATE, "epochs": 6, "device": "cpu", "random_state": 0}


def sounds(count, seed=0, seconds=0.5):
    """Tones of 300 or 900 Hz, give or take, and which."""
    rng = np.random.default_rng(seed)
    high = np.arange(count) % 2
    clock = np.arange(round(seconds * RATE)) / RATE
    hertz = np.where(high, 900, 300) + 20 * rng.standard_normal(count)
    x = rng.uniform(0.1, 0.5, (count, 1)) * np.sin(2 * np.pi * hertz[:, None] * clock)
    return (x + 0.01 * rng.standard_normal(x.shape)).astype(np.float32), np.where(high, "high", "low")


X, Y = sounds(32)
pytestmark = pytest.mark.filterwarnings("ignore:training has")


@pytest.fixture(scope="module")
def fitted():
    return AudioClassifier(**QUICK).fit(X, Y)


def test_learns_two_tones_in_any_layout(fitted):
    fresh, names = sounds(16, seed=1)
    assert fitted.classes_.tolist() == ["high", "low"] and fitted.score(fresh, names) > 0.9
    expected = fitted.predict_proba(fresh)
    np.testing.assert_allclose(expected.sum(axis=1), 1)
    for layout in (fresh[:, None], list(fresh), [row[None] for row in fresh], fresh.astype(np.float64)):
        np.testing.assert_allclose(fitted.predict_proba(layout), expected, atol=1e-6)


def test_a_transformer_in_place_of_the_cnn(tmp_path):
    fresh, names = sounds(16, seed=1)
    model = AudioClassifier(**QUICK, model="transformer", num_mels=32).fit(X, Y)
    assert type(model.model_).__name__ == "TransformerClassifier" and model.score(fresh, names) > 0.9
    model.save(tmp_path / "t.safetensors")
    again = AudioClassifier.load(tmp_path / "t.safetensors", device="cpu")
    np.testing.assert_array_equal(again.predict_proba(fresh), model.predict_proba(fresh))


def test_clips_are_brought_to_one_length(fitted):
    longer = np.concatenate([X, np.ones_like(X)], axis=1)
    np.testing.assert_allclose(fitted.predict_proba(longer), fitted.predict_proba(X), atol=1e-6)
    shorter = [clip[:2000] for clip in X[:4]]
    padded = [np.pad(clip, (0, 2000)) for clip in shorter]
    np.testing.assert_allclose(fitted.predict_proba(shorter), fitted.predict_proba(padded), atol=1e-6)


def test_a_clip_may_have_several_labels(tmp_path):
    """Two tones, each there or not: four kinds of clip, two labels."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, (96, 2))
    clock = np.arange(4000) / RATE
    tones = np.sin(2 * np.pi * np.array([[300.0], [900.0]]) * clock)  # (2, T)
    x = (0.2 * y @ tones + 0.02 * rng.standard_normal((96, 4000))).astype(np.float32)
    model = AudioClassifier(**QUICK | {"epochs": 12}, validation=0.1).fit(x[:72], y[:72])
    assert (model.predict(x[72:]) == y[72:]).mean() > 0.9 and model.predict(x[72:]).shape == (24, 2)
    assert model.predict_proba(x).sum(axis=1).max() > 1.5
    model.save(tmp_path / "m.safetensors")
    again = AudioClassifier.load(tmp_path / "m.safetensors", device="cpu")
    np.testing.assert_array_equal(again.predict_proba(x), model.predict_proba(x))
    both = np.flatnonzero((model.predict(x) == 1).all(axis=1))[0]
    soundfile.write(tmp_path / "both.wav", x[both], RATE, subtype="FLOAT")
    assert again.predict_files([tmp_path / "both.wav"])["label"][0] == (0, 1)
    with pytest.raises(ValueError, match="class_weight: expected None where an item of X may have several"):
        AudioClassifier(**QUICK, class_weight="balanced").fit(x, y)


@pytest.mark.parametrize(("rate", "seconds"), [(4000, 0.3), (16_000, 1.0), (44_100, 5.0)])
def test_the_front_end_is_set_in_seconds(rate, seconds):
    model = AudioClassifier(rate)
    model.samples_ = round(rate * seconds)
    front_end = model._front_end()
    assert 60 <= seconds * rate / front_end["hop_length"] <= 130
    assert front_end["n_fft"] == pytest.approx(2.3 * front_end["hop_length"], rel=0.1) and front_end["n_mels"] <= 64


def test_saved_loaded_and_used_on_files(fitted, tmp_path):
    fitted.save(tmp_path / "m.safetensors")
    again = AudioClassifier.load(tmp_path / "m.safetensors", device="cpu")
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    soundfile.write(tmp_path / "one.wav", X[0], RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "fast.wav", sounds(2, seconds=0.5)[0][1].repeat(2), 2 * RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "silent.wav", np.zeros(4000), RATE)
    (tmp_path / "text.wav").write_text("no sound")
    table = again.predict_files(
        [tmp_path / name for name in ("one.wav", "fast.wav", "silent.wav", "text.wav", "no.wav")]
    )
    assert table["label"].tolist() == ["low", "high", None, None, None]
    assert table["probability"].between(0.5, 1).tolist() == [True, True, False, False, False]
    assert table["probability"].iloc[0] == pytest.approx(fitted.predict_proba(X[:1]).max())
    assert "silent" in table["problem"].iloc[2] and "unreadable" in table["problem"].iloc[3]


def test_a_validation_part_by_group_and_class_weights():
    model = AudioClassifier(**QUICK, validation=0.25, early_stopping=2, class_weight="balanced")
    model.fit(X, Y, groups=np.arange(32) // 4)
    assert model.history_.table["validation_loss"].notna().all()
    assert clone(model).validation == 0.25


def test_few_steps_are_said():
    with pytest.warns(UserWarning, match="training has 8 steps: 32 clips in batches of 4, 1 epochs"):
        AudioClassifier(**QUICK | {"epochs": 1}).fit(X, Y)


@pytest.mark.parametrize(
    ("options", "x", "y", "complaint"),
    [
        ({"sample_rate": 0}, X, Y, "sample_rate: expected"),
        ({"sample_rate": 8000.5}, X, Y, "sample_rate: expected"),
        ({"model": "lstm"}, X, Y, 'model: expected "cnn" or "transformer"'),
        ({"duration": 0}, X, Y, "duration: expected"),
        ({"hop": 0}, X, Y, "hop: expected seconds above 0"),
        ({"hop": 2.0}, X, Y, "hop: expected seconds above 0, up to the clip's 0.5"),
        ({"window": -1}, X, Y, "window: expected"),
        ({"num_mels": 0}, X, Y, "n_mels: expected at least 1"),
        ({"epochs": 0}, X, Y, "epochs: expected"),
        ({"class_weight": "rare"}, X, Y, "class_weight"),
        ({"validation": 2}, X, Y, "validation: expected a share"),
        ({"early_stopping": 3}, X, Y, "early_stopping: needs a part"),
        ({}, X, Y[:5], "inconsistent numbers"),
        ({}, X, ["a"] * 32, "y: expected at least two classes"),
        ({}, X, np.linspace(0, 1, 32), "Unknown label type"),
        ({}, np.full_like(X, np.nan), Y, "X: signals: expected finite"),
        ({}, [], [], "X: signals: expected at least one"),
        ({}, np.zeros((32, 100, 2)), Y, "X: expected clips of one channel"),
    ],
)
def test_bad_inputs_are_named(options, x, y, complaint):
    with pytest.raises(ValueError, match=complaint):
        AudioClassifier(**QUICK | options).fit(x, y)
