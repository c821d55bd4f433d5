"""The generated signals: shape, balance, repeatability, and that no linear model on samples can tell the kinds."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from course_lib.data import SIGNAL_KINDS, synthetic_signals


def test_shape_balance_and_scale():
    signals, labels = synthetic_signals(7, 256, seed=3)
    assert signals.shape == (70, 256) and signals.dtype == np.float32
    assert labels.dtype == np.int64 and (np.bincount(labels) == 7).all() and len(SIGNAL_KINDS) == 10
    np.testing.assert_allclose(signals.std(axis=1), 1, rtol=1e-4)
    assert (np.diff(labels) != 0).sum() > 40  # the kinds are mixed


def test_equal_arguments_give_equal_signals():
    first, again, other = (synthetic_signals(2, 128, seed=seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_logistic_regression_on_samples_stays_under_forty_per_cent():
    signals, labels = synthetic_signals(120, 256, seed=0)
    linear = LogisticRegression(max_iter=200).fit(signals, labels)
    assert linear.score(*synthetic_signals(50, 256, seed=1_000)) < 0.4


def test_every_sample_has_a_mean_near_zero_in_every_kind():
    signals, labels = synthetic_signals(300, 128, seed=5)
    means = np.stack([signals[labels == kind].mean(axis=0) for kind in range(10)])  # (10, 128)
    assert np.abs(means).max() < 5 / np.sqrt(300)


def test_a_pair_is_told_by_its_distance():
    signals, labels = synthetic_signals(40, 512, seed=0, snr=(40.0, 40.0))
    t = np.arange(512) / 512
    energy = signals**2 / (signals**2).sum(axis=1, keepdims=True)
    spread = np.sqrt((energy * t**2).sum(1) - (energy * t).sum(1) ** 2)  # half of the distance of two equal bursts
    near, far = (spread[labels == SIGNAL_KINDS.index(kind)] for kind in ("near pair", "far pair"))
    assert near.max() < 0.2 < far.min()


@pytest.mark.parametrize("arguments", [(0, 256), (3, 127)])
def test_refuses_no_signals_and_short_ones(arguments):
    with pytest.raises(ValueError, match="signals_per_class, length"):
        synthetic_signals(*arguments)
