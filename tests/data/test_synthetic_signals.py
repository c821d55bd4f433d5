"""The generated signals: shape, balance, repeatability, where bursts lie, and that less than all tells no answer."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from course_lib.data import BURST_ORDERS, SIGNAL_KINDS, burst_order, match_to_sample, synthetic_signals
from course_lib.data.synthetic_signals import BURST_PERIODS, LONGEST, SHORTEST


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


def test_shape_balance_scale_and_repeatability():
    signals, labels, starts, ends = burst_order(24, seed=3)
    assert signals.shape == (24, 1536) and signals.dtype == np.float32
    assert len(BURST_ORDERS) == 6 and (np.bincount(labels) == 4).all()
    np.testing.assert_allclose(signals.std(axis=1), 1, rtol=1e-4)
    np.testing.assert_array_equal(burst_order(24, seed=3).signals, signals)
    assert not np.array_equal(burst_order(24, seed=4).signals, signals)
    assert starts.shape == ends.shape == (24, 3)


@pytest.mark.parametrize(
    "length, gap, margin", [(1536, (420, 480), 190), (864, (156, 180), 152), (216, (0, 8), 0), (192, (0, 0), 0)]
)
def test_gaps_and_margins_are_kept(length, gap, margin):
    _, _, starts, ends = burst_order(300, length, gap=gap, margin=margin)
    between = starts[:, 1:] - ends[:, :-1]
    assert gap[0] == between.min() and between.max() == gap[1]
    assert margin <= starts.min() and ends.max() <= length - margin


def test_outside_the_bursts_there_is_silence_and_inside_the_named_pitch():
    signals, labels, starts, ends = burst_order(60, 864, gap=(150, 180), margin=150, noise=(0.0, 0.0))
    t = np.arange(864)
    inside = ((t >= starts[:, :, None]) & (t < ends[:, :, None])).any(axis=1)  # (N, 864)
    assert not signals[~inside].any()
    for signal, label, begin, end in zip(signals, labels, starts, ends, strict=True):
        for name, a, b in zip(BURST_ORDERS[label].split(), begin, end, strict=True):
            spectrum = np.abs(np.fft.rfft(signal[a:b], 4096))
            period = 4096 / spectrum.argmax()
            low, high = BURST_PERIODS[name]
            assert 0.9 * low < period < 1.1 * high, (name, period)


def test_neither_samples_nor_the_spectrum_tell_the_order():
    x, y, *_ = burst_order(600, 864, gap=(150, 180), margin=150, seed=0)
    tested, truth, *_ = burst_order(600, 864, gap=(150, 180), margin=150, seed=1)
    for view in (lambda s: s, lambda s: np.abs(np.fft.rfft(s))):
        score = LogisticRegression(max_iter=50).fit(view(x), y).score(view(tested), truth)
        assert abs(score - 1 / 6) < 5 * np.sqrt(5 / 36 / 600)


@pytest.mark.parametrize(
    "changed, named",
    [
        ({"count": 0}, "count, gap, noise, margin"),
        ({"gap": (30, 20)}, "count, gap, noise, margin"),
        ({"margin": -1}, "count, gap, noise, margin"),
        ({"length": 1471}, "length: expected at least 1532"),
    ],
)
def test_refuses_what_does_not_fit(changed, named):
    with pytest.raises(ValueError, match=named):
        burst_order(**{"count": 6} | changed)


def test_one_of_the_later_bursts_is_of_the_samples_kind_and_the_three_differ():
    for kinds in (3, 5):
        signals, labels, kind, *_ = match_to_sample(300, kinds=kinds)
        assert signals.shape == (300, 520) and signals.dtype == np.float32
        np.testing.assert_array_equal(kind[np.arange(300), 1 + labels], kind[:, 0])
        assert all(len(set(row[1:])) == 3 for row in kind) and set(kind.ravel()) == set(range(kinds))
        assert (np.bincount(labels) == 100).all()


def test_equal_arguments_give_equal_signals_and_another_seed_others():
    signals = match_to_sample(6, seed=3).signals
    np.testing.assert_array_equal(match_to_sample(6, seed=3).signals, signals)
    assert not np.array_equal(match_to_sample(6, seed=4).signals, signals)


def test_neither_the_sample_nor_the_later_bursts_alone_tell_the_answer():
    _, labels, kind, *_ = match_to_sample(6_000)
    for shown in (kind[:, 0], kind[:, 1] * 9 + kind[:, 2] * 3 + kind[:, 3]):
        for value in np.unique(shown):
            shares = np.bincount(labels[shown == value], minlength=3) / (shown == value).sum()
            assert np.abs(shares - 1 / 3).max() < 0.07, value


def test_only_some_kinds_may_come_as_samples():
    kind = match_to_sample(90, sampled=2).kinds
    assert set(kind[:, 0]) == {0, 1} and set(kind[:, 1:].ravel()) == {0, 1, 2}


def test_gaps_margins_and_pitch_are_what_was_asked_for():
    signals, _, kind, starts, ends = match_to_sample(200, gap=(40, 60), margin=40, noise=(0.0, 0.0))
    between = starts[:, 1:] - ends[:, :-1]
    assert 40 == between.min() and between.max() == 60 and starts.min() >= 40 and ends.max() <= 480
    for signal, kinds, begin, end in zip(signals[:30], kind, starts, ends, strict=False):
        for k, a, b in zip(kinds, begin, end, strict=True):
            period = 4096 / np.abs(np.fft.rfft(signal[a:b], 4096)).argmax()
            assert abs(np.log(period / (SHORTEST * (LONGEST / SHORTEST) ** (k / 2)))) < 0.2


@pytest.mark.parametrize(
    "changed, named",
    [
        ({"count": 0}, "count, kinds, sampled"),
        ({"kinds": 2}, "at least 1 signal and 3 kinds"),
        ({"sampled": 4}, "1 to all kinds"),
        ({"gap": (30, 20)}, "rising ranges"),
        ({"length": 515}, "length: expected at least 516"),
    ],
)
def test_what_cannot_be_drawn_is_refused(changed, named):
    with pytest.raises(ValueError, match=named):
        match_to_sample(**{"count": 3} | changed)
