"""AnomalyDetector: its threshold, what it sees, and how it stands beside simpler scores on machines it never heard."""

import warnings

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from course_lib.estimator import AnomalyDetector


def machine(seed, count, fault=0.0, length=600, rate=1000):
    """A machine of its own speed and loudness; a fault adds a faint high tone that comes and goes."""
    rng = np.random.default_rng(seed)
    speed, loud = rng.uniform(20, 30), rng.uniform(0.7, 1.4)
    signals = []
    for _ in range(count):
        clock = np.arange(length) / rate + rng.uniform(0, 9)
        hum = sum(np.sin(2 * np.pi * k * speed * rng.normal(1, 0.01) * clock) / k for k in (1, 2, 3))
        whine = np.sin(2 * np.pi * 180 * clock) * (np.sin(2 * np.pi * 3 * clock) > 0)
        signals.append(loud * rng.uniform(0.8, 1.2) * (hum + fault * whine + 0.1 * rng.standard_normal(length)))
    return signals


NORMAL = [signal for seed in range(8) for signal in machine(seed, 30)]
MACHINES = np.repeat(np.arange(8), 30)
FRESH = [signal for seed in range(20, 24) for signal in machine(seed, 25)]
FAULTY = [signal for seed in range(20, 24) for signal in machine(seed + 100, 25, fault=0.25)]


@pytest.fixture(scope="module")
def fitted():
    return AnomalyDetector(random_state=0).fit(NORMAL, groups=MACHINES)


def test_faults_of_machines_that_it_never_heard(fitted):
    """Beside it the loudness alone, which says little, as machines differ in it."""
    labels = np.r_[np.zeros(len(FRESH)), np.ones(len(FAULTY))]
    area = roc_auc_score(labels, -fitted.score_samples(FRESH + FAULTY))
    loudness = roc_auc_score(labels, [np.std(signal) for signal in FRESH + FAULTY])
    assert area > 0.95 and area > max(loudness, 1 - loudness) + 0.1
    assert (fitted.predict(FAULTY) == -1).mean() > 0.9


def test_the_share_of_false_alarms_is_about_as_asked():
    """Over signals of the machines in training, one in ten."""
    again = [signal for seed in range(8) for signal in machine(seed, 60)[30:]]
    detector = AnomalyDetector(false_alarms=0.1, random_state=0).fit(NORMAL)
    assert 0.03 < (detector.predict(again) == -1).mean() < 0.2
    np.testing.assert_array_equal(detector.decision_function(again) < 0, detector.predict(again) == -1)


def test_saved_and_loaded(fitted, tmp_path):
    fitted.save(tmp_path / "a.safetensors")
    again = AnomalyDetector.load(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(again.score_samples(FAULTY), fitted.score_samples(FAULTY))
    assert again.offset_ == fitted.offset_


def test_channels_and_lengths_may_be_several():
    rng = np.random.default_rng(0)
    signals = [rng.standard_normal((length, 3)) * [1, 50, 0.01] for length in rng.integers(300, 600, 40)]
    detector = AnomalyDetector(random_state=0, false_alarms=0.2).fit(signals)
    odd = [signal + [0, 0, 0.05] * np.sin(np.arange(len(signal)))[:, None] for signal in signals]
    assert (detector.predict(odd) == -1).all() and (detector.predict(signals) == 1).mean() > 0.6


def test_another_rate_is_asked_for(fitted, tmp_path):
    """Windows of one second at twice the rate have twice the steps; a file from before knows no lengths."""
    with pytest.warns(UserWarning, match="signals of 1200 steps, those of training had 600: is the rate the same"):
        fitted.predict(machine(20, 2, length=1200, rate=2000))
    state = fitted._state()
    del state["fitted"]["lengths_"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted.predict(FRESH)
        AnomalyDetector._from_state(state).predict(machine(20, 2, length=1200))


def test_too_few_signals_for_the_share_are_said():
    with pytest.warns(UserWarning, match="10 held-out normal signals cannot tell a share of 0.05"):
        AnomalyDetector(random_state=0).fit(NORMAL[:40])


@pytest.mark.parametrize(
    ("options", "signals", "complaint"),
    [
        ({"false_alarms": 0}, NORMAL, "false_alarms: expected a share"),
        ({"false_alarms": 1.5}, NORMAL, "false_alarms: expected"),
        ({"validation": 0}, NORMAL, "validation: expected a share"),
        ({"bands": 0}, NORMAL, "bands: expected a whole number"),
        ({"bands": 2.5}, NORMAL, "bands: expected"),
        ({}, NORMAL[:3], "X: expected at least 4 normal signals"),
        ({}, [], "X: signals: expected at least one"),
        ({}, [np.full(600, np.nan)] * 8, "X: signals: expected finite"),
        ({}, [np.zeros(5)] * 8, "at least 8 steps"),
    ],
)
def test_bad_inputs_are_named(options, signals, complaint):
    with pytest.raises(ValueError, match=complaint):
        AnomalyDetector(**options).fit(signals)


@pytest.mark.parametrize(
    ("signals", "complaint"),
    [([np.zeros((600, 2))], "X: expected signals of 1 channels, got 2"), ([np.zeros(100)], "X: expected at least 256")],
)
def test_signals_that_do_not_fit_are_named(fitted, signals, complaint):
    with pytest.raises(ValueError, match=complaint):
        fitted.score_samples(signals)
    with pytest.raises(ValueError, match="not fitted"):
        AnomalyDetector().predict(signals)


@pytest.mark.parametrize("unit", [1e-13, 1e-17, 1e12])
def test_signals_of_any_unit_are_told_apart_alike(fitted, unit):
    """Magnetometers count in femtoteslas: a floor in units of its own would hide all of it."""
    other = AnomalyDetector(random_state=0).fit([unit * signal for signal in NORMAL], groups=MACHINES)
    scores = other.score_samples([unit * signal for signal in FAULTY])
    np.testing.assert_allclose(scores, fitted.score_samples(FAULTY), rtol=1e-3)
