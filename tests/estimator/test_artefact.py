"""Saved estimators: equal to the last bit in a fresh process, and clear errors for files that are not as written."""

import subprocess
import sys

import numpy as np
import pytest

from course_lib import __version__
from course_lib.data import EventRecording
from course_lib.estimator import AnomalyDetector, AudioClassifier, EventClassifier, SignalClassifier
from course_lib.training import checkpoint

rng = np.random.default_rng(0)
SIGNALS = [rng.standard_normal((length, 2)) for length in rng.integers(20, 60, 16)]
LABELS = np.array(["left", "right"])[np.arange(16) % 2]
OPTIONS = {"model_dim": 8, "num_heads": 2, "num_layers": 1, "channels": (8,), "epochs": 2, "random_state": 0}


@pytest.fixture(scope="module")
def fitted():
    return SignalClassifier(**OPTIONS).fit(SIGNALS, LABELS)


@pytest.fixture
def saved(fitted, tmp_path):
    fitted.save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_a_fresh_process_predicts_the_same_to_the_last_bit(fitted, saved, tmp_path):
    np.savez(tmp_path / "signals.npz", *SIGNALS)
    code = (
        "import sys, numpy as np; from course_lib.estimator import SignalClassifier as S\n"
        "model = S.load(sys.argv[1]); signals = list(np.load(sys.argv[2]).values())\n"
        "np.save(sys.argv[3], model.predict_proba(signals)); print(*model.predict(signals), model.channels)"
    )
    command = [sys.executable, "-c", code, saved, tmp_path / "signals.npz", tmp_path / "found.npy"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    np.testing.assert_array_equal(np.load(tmp_path / "found.npy"), fitted.predict_proba(SIGNALS))
    assert printed.split() == [*fitted.predict(SIGNALS), "(8,)"]


SOUNDS = 0.1 * rng.standard_normal((12, 1, 400)).astype(np.float32)
STEPS = EventRecording(
    np.cumsum(rng.standard_normal(800)) + np.repeat([0, 9] * 4, 100),
    [("up", i / 50) for i in (100, 300, 500, 700)],
    50.0,
)


@pytest.mark.filterwarnings("ignore:training has", "ignore:.*held-out normal signals")
def test_so_do_those_of_sounds_events_and_anomalies(tmp_path):
    kinds = {
        "AudioClassifier": AudioClassifier(4000, epochs=1, random_state=0).fit(SOUNDS, np.arange(12) % 2),
        "EventClassifier": EventClassifier(steps=20, width=8, random_state=0).fit(STEPS),
        "AnomalyDetector": AnomalyDetector(random_state=0).fit(SOUNDS),
    }
    for kind, model in kinds.items():
        model.save(tmp_path / kind)
    kinds["EventClassifier"].thresholds_["up"] = 0.01  # many are found, also by a model that has learnt little
    np.savez(tmp_path / "data.npz", sounds=SOUNDS, steps=STEPS.data)
    code = (
        "import sys, numpy as np; from course_lib.estimator import *; data = np.load(sys.argv[1] + '/data.npz')\n"
        "kinds = (AudioClassifier, EventClassifier, AnomalyDetector); sounds = data['sounds']\n"
        "a, e, n = (kind.load(sys.argv[1] + '/' + kind.__name__) for kind in kinds)\n"
        "e.thresholds_['up'] = 0.01; events = [tuple(event)[1:] for event in e.detect(data['steps'])]\n"
        "np.savez(sys.argv[1] + '/found.npz', a=a.predict_proba(sounds), e=events, n=n.score_samples(sounds))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    found = np.load(tmp_path / "found.npz")
    np.testing.assert_array_equal(found["a"], kinds["AudioClassifier"].predict_proba(SOUNDS))
    np.testing.assert_array_equal(found["n"], kinds["AnomalyDetector"].score_samples(SOUNDS))
    events = [tuple(event)[1:] for event in kinds["EventClassifier"].detect(STEPS.data)]
    assert len(events) > 2
    np.testing.assert_array_equal(found["e"], events)


@pytest.mark.parametrize("labels", [np.arange(16) % 3, np.arange(16) % 2 == 1, (np.arange(16) % 2) / 1.0])
def test_classes_keep_their_type(labels, tmp_path):
    model = SignalClassifier(**OPTIONS | {"epochs": 1}).fit(SIGNALS, labels)
    model.save(tmp_path / "m.safetensors")
    again = SignalClassifier.load(tmp_path / "m.safetensors")
    assert again.classes_.dtype == model.classes_.dtype and again.classes_.tolist() == model.classes_.tolist()
    assert {k: v for k, v in again.get_params().items() if k != "device"} == {
        k: v for k, v in model.get_params().items() if k != "device"
    }


@pytest.mark.parametrize("place", [3, 40, 400, 0.5, 0.9, -1])
def test_one_changed_byte_is_noticed(saved, place):
    content = bytearray(saved.read_bytes())
    content[int(place * len(content)) if isinstance(place, float) else place] ^= 1
    saved.write_bytes(content)
    with pytest.raises(ValueError, match="path: .*damaged"):
        SignalClassifier.load(saved)


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.3, 0.99])
def test_a_file_cut_short_is_noticed(saved, kept):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ValueError, match="path: .*damaged, cut short"):
        SignalClassifier.load(saved)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"format": 2, "version": "9.0"}, f"written by course_lib 9.0 in format 2; this is {__version__}"),
        ({"estimator": "EventClassifier"}, "expected a saved SignalClassifier, got a saved EventClassifier"),
        ({"state": {}}, "not what SignalClassifier.save writes"),
        ({"format": None}, "expected a saved SignalClassifier"),
    ],
)
def test_other_files_are_named(saved, changes, complaint):
    checkpoint.save(saved, checkpoint.load(saved) | changes)
    with pytest.raises(ValueError, match=complaint):
        SignalClassifier.load(saved)


def test_weights_of_another_model_do_not_fit(saved):
    tree = checkpoint.load(saved)
    tree["state"]["weights"].popitem()
    checkpoint.save(saved, tree)
    with pytest.raises(ValueError, match="missing"):
        SignalClassifier.load(saved)


def test_no_file_and_no_fit(tmp_path):
    with pytest.raises(FileNotFoundError):
        SignalClassifier.load(tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match="not fitted"):
        SignalClassifier().save(tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())
