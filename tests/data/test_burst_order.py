"""Bursts in six orders: where they lie, what tells them apart, and that the order is not told by less than all."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from course_lib.data import BURST_ORDERS, burst_order
from course_lib.data.burst_order import BURST_PERIODS


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
