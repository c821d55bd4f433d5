"""Whitening and matching pursuit: exact on sums of templates, right about gains, and at the edges."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from course_lib.data import coloured_noise, event_templates
from course_lib.events import MatchingPursuit, whiten, whitening_filter

ONSET = 12


@pytest.fixture(scope="module")
def kernels():
    true = event_templates()
    times = np.broadcast_to(np.arange(-ONSET, 92.0), (16, 104))
    return np.stack([true.render(np.arange(16), times, warp) for warp in (0.94, 1.0, 1.06)], axis=1)  # (16, 3, 6, 104)


@pytest.fixture(scope="module")
def pursuit(kernels):
    return MatchingPursuit(kernels, (0.94, 1.0, 1.06), ONSET)


def data_with(kernels, *events, length=600):
    """Events (type, warp number, onset, amplitude), nothing else."""
    padded = np.zeros((length + 240, 6))
    for kind, warp, onset, amplitude in events:
        padded[120 + onset - ONSET : 120 + onset - ONSET + 104] += amplitude * kernels[kind, warp].T
    return padded[120 : 120 + length]


def test_takes_a_sum_of_templates_apart(kernels, pursuit):
    events = [(3, 1, 200, 1.0), (9, 0, 226, 1.2), (3, 2, 420, 0.8), (12, 1, 300, 0.9)]
    (found,) = pursuit([data_with(kernels, *events)], threshold=10)
    assert len(found) == 4
    order = np.argsort(found.times)
    assert found.types[order].tolist() == [3, 9, 12, 3]
    np.testing.assert_allclose(found.times[order], [200, 226, 300, 420], atol=0.2)
    np.testing.assert_allclose(found.amplitudes[order], [1.0, 1.2, 0.9, 0.8], atol=0.05)
    assert found.warps[order].tolist() == [1.0, 0.94, 1.0, 1.06]
    assert np.square(found.residual).sum() < 0.02 * np.square(data_with(kernels, *events)).sum()


def test_the_gain_is_the_rise_in_log_likelihood(kernels, pursuit):
    x = data_with(kernels, (5, 1, 250, 1.0)) + np.random.default_rng(0).standard_normal((600, 6))
    (found,) = pursuit([x], threshold=40)
    best = found.gains.argmax()
    assert found.types[best] == 5
    without, left = np.square(x).sum() / 2, np.square(found.residual).sum() / 2
    if len(found) == 1:
        assert found.gains[0] == pytest.approx(without - left, rel=0.02)


def test_a_rival_never_beats_the_chosen_type_on_clean_data(kernels, pursuit):
    (found,) = pursuit([data_with(kernels, (7, 1, 200, 1.1), (2, 1, 380, 0.9))], threshold=10)
    own = found.rivals[np.arange(len(found)), found.types]
    assert (own == found.rivals.max(axis=1)).all()


@pytest.mark.parametrize("onset", [0, 570])  # later, too little of it is left to tell the type
def test_events_at_the_ends_are_found_once(kernels, pursuit, onset):
    (found,) = pursuit([data_with(kernels, (6, 1, onset, 1.3))], threshold=3.0)
    assert [kind for kind, time in zip(found.types, found.times, strict=True) if abs(time - onset) < 10] == [6]


def test_nothing_is_found_in_silence_or_in_no_data(pursuit):
    for length in (0, 1, 9, 300):
        (found,) = pursuit([np.zeros((length, 6))])
        assert len(found) == 0 and found.residual.shape == (length, 6) and len(found.detections()) == 0


@pytest.mark.parametrize("length", [1, 50, 393, 394, 1500])  # below, at and above what one block of the transform holds
def test_products_are_those_of_the_loop(pursuit, length):
    x = torch.tensor(np.random.default_rng(2).standard_normal((length, 6)), dtype=torch.float32)
    padded = F.pad(x.T, (ONSET, pursuit.length))
    products = pursuit.products(x)
    assert products.shape == (48, length)
    for t in range(0, length, 49):
        expected = (pursuit.atoms * padded[:, t : t + pursuit.length]).sum(dim=(1, 2))
        torch.testing.assert_close(products[:, t], expected, atol=1e-3, rtol=1e-4)


def test_each_event_is_worth_what_fitting_it_alone_gains(kernels, pursuit):
    """Rivals' own entry: the gain in data from which every other event has been taken out."""
    noise = 0.5 * np.random.default_rng(3).standard_normal((600, 6))
    x = data_with(kernels, (3, 1, 200, 1.0), (9, 0, 226, 1.2)) + noise
    (found,) = pursuit([x], threshold=10)
    for i in range(len(found)):
        atom = found.types[i] * 3 + np.flatnonzero(pursuit.warps == found.warps[i])[0]
        start = round(found.times[i] - 0.5) - ONSET
        starts = range(start, start + 2)  # the sample beside the fractional onset
        gains = []
        for start in starts:
            kernel = np.zeros((600, 6))
            kernel[start : start + 104] = pursuit.atoms[atom].T
            alone = found.residual + found.amplitudes[i] * kernel
            gains.append((np.square(alone).sum() - np.square(found.residual).sum()) / 2)
        own = found.rivals[i, found.types[i]]
        assert any(abs(own - gain) < 0.02 * own for gain in gains)


def test_windows_do_not_depend_on_each_other(kernels, pursuit):
    windows = [data_with(kernels, (1, 1, 100, 1.0), length=n) for n in (300, 450)]
    together, alone = pursuit(windows)[1], pursuit(windows[1:])[0]
    np.testing.assert_array_equal(together.times, alone.times)


def test_scores_rise_with_gains_and_stay_below_one(kernels, pursuit):
    (found,) = pursuit([data_with(kernels, (1, 1, 100, 1.3), (1, 1, 400, 0.7))])
    scores = found.detections().scores
    assert 0 < scores[1] < scores[0] <= 1


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_whitened_noise_has_no_memory_and_size_one(exponent):
    noise = coloured_noise((40, 2000, 3), np.random.default_rng(1), exponent)
    white = whiten(noise, whitening_filter(noise))[:, 50:]
    assert white.std() == pytest.approx(1, abs=0.03)
    for lag in (1, 2, 5):
        assert abs(np.mean(white[:, lag:] * white[:, :-lag])) < 0.05


def test_refuses_what_does_not_fit(kernels, pursuit):
    with pytest.raises(ValueError, match="windows \\(T, 6\\)"):
        pursuit([np.zeros((100, 5))])
    with pytest.raises(ValueError, match="finite"):
        pursuit([np.full((100, 6), np.nan)])
    with pytest.raises(ValueError, match="W = 2 warps"):
        MatchingPursuit(kernels, (0.9, 1.1))
    for data in (np.zeros((2, 10, 3)), np.full((2, 100, 3), np.nan), np.ones((2, 100, 3))):
        with pytest.raises(ValueError, match="data: expected"):
            whitening_filter(data)


@pytest.mark.parametrize("loud", [10.0, 30.0, 1e6])
def test_the_search_ends_on_data_that_are_louder_than_they_should_be(kernels, pursuit, loud):
    x = data_with(kernels, (5, 1, 250, 1.0)) + np.random.default_rng(0).standard_normal((600, 6))
    with pytest.warns(RuntimeWarning, match="search ended with 76 events in 600 samples"):
        (found,) = pursuit([loud * x], threshold=6)
    assert len(found) == 600 // 10 + 16 and np.isfinite(found.residual).all()
    assert np.square(found.residual).sum() < np.square(loud * x).sum()


@pytest.mark.parametrize("shape", ["noise", "one loud event", "tone"])
def test_every_event_lowers_the_squared_error_by_twice_its_gain(kernels, pursuit, shape):
    x = 4 * np.random.default_rng(1).standard_normal((600, 6))
    if shape == "one loud event":
        x = data_with(kernels, (5, 1, 250, 4.0))
    elif shape == "tone":
        x = 2 * np.sin(0.3 * np.arange(600))[:, None] * np.ones(6)
    alone = MatchingPursuit(kernels, (0.94, 1.0, 1.06), ONSET, refits=0)
    (found,) = alone([x], threshold=1)
    assert len(found) and (found.gains > 1).all()
    fall = np.square(x).sum() - np.square(found.residual).sum()
    inside = (found.times > 12) & (found.times < 500)  # all of it lies in the data
    assert fall >= 2 * found.gains[inside].sum() * 0.999


@pytest.mark.parametrize("threshold", [0.0, -5.0, np.nan])
def test_a_threshold_that_ends_nothing_is_refused(pursuit, threshold):
    with pytest.raises(ValueError, match="threshold: expected more than 0"):
        pursuit([np.zeros((300, 6))], threshold)


def test_values_that_float32_cannot_hold_are_refused(pursuit):
    with pytest.raises(ValueError, match="data: .*float32"):
        pursuit([np.full((300, 6), 1e39)])


@pytest.mark.parametrize("scale", [1e-150, 1e-3, 1.0, 1e6, 1e150])
@pytest.mark.parametrize(
    "signal",
    [
        np.sin(0.1 * np.arange(1000)),
        np.sign(np.sin(0.3 * np.arange(400))),
        np.arange(40.0),
        np.eye(1, 50, 20)[0],
        np.random.default_rng(1).standard_normal(17),
        np.random.default_rng(2).standard_normal(24),
        1e6 + np.random.default_rng(3).standard_normal(300),
    ],
    ids=["tone", "square", "ramp", "impulse", "17 samples", "24 samples", "offset"],
)
def test_whitening_of_anything_that_varies_is_finite(signal, scale):
    x = scale * signal[None, :, None]
    taps = whitening_filter(x)
    assert np.isfinite(taps).all()
    with np.errstate(over="ignore"):
        assert np.isfinite(whiten(x, taps)).all()


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, -1e6])
def test_a_constant_cannot_be_whitened(value):
    with pytest.raises(ValueError, match="varies"):
        whitening_filter(np.full((2, 100, 3), value))
