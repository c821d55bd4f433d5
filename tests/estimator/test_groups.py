"""One answer a recording: votes of windows, of sound files and of sensor tables, beside those of single windows."""

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score

from course_lib.data import load_sensor_table, recording_windows
from course_lib.estimator import AudioClassifier, SignalClassifier, by_recording

RATE = 100


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Twelve runs of 20 s: worn machines hum a little faster, under noise that hides it from most single windows."""
    folder, rng = tmp_path_factory.mktemp("machines"), np.random.default_rng(0)
    clock = np.arange(20 * RATE) / RATE
    for run in range(12):
        hum = np.sin(2 * np.pi * (11 if run % 2 else 14) * clock + rng.uniform(0, 6))
        data = 0.6 * hum[:, None] * [1, 0.5] + rng.standard_normal((len(clock), 2))
        pd.DataFrame({"time": clock, "x": data[:, 0], "y": data[:, 1]}).to_csv(folder / f"{run}.csv", index=False)
    return {f"run {run}": load_sensor_table(folder / f"{run}.csv") for run in range(12)}


def test_a_vote_is_right_more_often_than_a_window(tables):
    x, names, starts = recording_windows(tables, 0.5)
    assert x.shape == (480, 50, 2) and starts[:3].tolist() == [0, 0.5, 1] and (names[:40] == "run 0").all()
    worn = np.array([int(name.split()[1]) % 2 for name in names])
    spectra = np.log(np.abs(np.fft.rfft(x, axis=1)).reshape(len(x), -1))
    train = np.isin(names, [f"run {i}" for i in range(8)])
    model = LogisticRegression(C=0.01, max_iter=500).fit(spectra[train], worn[train])
    voted = by_recording(model, spectra[~train], names[~train])
    assert voted.index.tolist() == ["run 8", "run 9", "run 10", "run 11"] and (voted["windows"] == 40).all()
    assert voted["label"].tolist() == [0, 1, 0, 1]
    single = model.score(spectra[~train], worn[~train])
    assert 0.6 < single < 1 and voted["agree"].mean() == pytest.approx(single)
    assert len(cross_val_score(model, spectra, worn, groups=names, cv=GroupKFold(3))) == 3


def test_the_mean_of_the_probabilities_counts_and_not_the_number_of_windows():
    class Sure:
        classes_ = np.array(["no", "yes"])

        def predict_proba(self, X):
            return np.array(X, float)

    found = by_recording(Sure(), [[0.6, 0.4], [0.6, 0.4], [0.1, 0.9], [0.2, 0.8]], ["b", "b", "b", "a"])
    assert found.index.tolist() == ["b", "a"] and found["label"].tolist() == ["yes", "yes"]
    assert found["probability"].tolist() == pytest.approx([1.7 / 3, 0.8])
    assert found["agree"].tolist() == pytest.approx([1 / 3, 1])


def test_signals_of_a_sensor_table(tables):
    x, names, _ = recording_windows({name: tables[name] for name in list(tables)[:4]}, 1.0)
    labels = [int(name.split()[1]) % 2 for name in names]
    model = SignalClassifier(epochs=1, model_dim=8, num_layers=1, channels=(8,), random_state=0).fit(x, labels)
    assert by_recording(model, x, names).shape == (4, 4)


@pytest.mark.filterwarnings("ignore:training has")
def test_a_sound_file_longer_than_a_clip_gets_the_mean_over_its_windows(tmp_path):
    rng = np.random.default_rng(0)
    clock = np.arange(2000) / 4000
    x = np.stack([np.sin(2 * np.pi * (300, 900)[i % 2] * clock) * rng.uniform(0.1, 0.5) for i in range(16)])
    model = AudioClassifier(4000, epochs=4, device="cpu", random_state=0).fit(x, np.arange(16) % 2)
    mixed = np.concatenate([x[0], x[1], x[1], x[1][:500]])  # the last quarter of a window is left out
    soundfile.write(tmp_path / "long.wav", mixed, 4000, subtype="FLOAT")
    (row,) = model.predict_files([tmp_path / "long.wav"]).itertuples()
    means = model.predict_proba(mixed[:6000].reshape(3, 2000).astype(np.float32)).mean(axis=0)
    assert row.probability == pytest.approx(means.max(), abs=1e-4) and row.label == means.argmax()
