"""Ranges for an augmentation, estimated from labelled windows whose events were drawn by known ones."""

import numpy as np
import pytest

from course_lib.data import TemporalAugmentation, make_events
from course_lib.models import augmentation_ranges
from course_lib.models.template_learning import sizes_and_warps

LENGTH = 80


@pytest.fixture(scope="module")
def windows():
    return make_events(150, 400, 2, seed=0, snr_db=30.0, event_rate=6.0, distractor_rate=0.0)


def test_clean_events_give_the_ranges_that_they_were_drawn_from(windows):
    ranges = augmentation_ranges(*windows, LENGTH)
    np.testing.assert_allclose(ranges["scale"], (0.73, 1.27), atol=0.08)  # the middle 90 % of 0.7 to 1.3
    np.testing.assert_allclose(ranges["warp"], (0.91, 1.09), atol=0.03)
    assert 12 <= ranges["time_mask"] <= 24  # half of 1.5 decays of 8 to 16 ms
    TemporalAugmentation(**ranges)


def test_how_large_a_type_is_does_not_count(windows):
    data, labels, timings = windows
    sizes, warps = sizes_and_warps(data, labels, timings, LENGTH)
    larger, same = sizes_and_warps(3 * data, labels, timings, LENGTH)
    np.testing.assert_allclose(larger, sizes, rtol=1e-6)
    assert np.array_equal(same, warps) and len(sizes) == labels.sum()


def test_shift_lets_one_event_in_twenty_leave(windows):
    data, labels, timings = windows
    at = timings[labels > 0]
    leaves = np.minimum(at, 400 - LENGTH - at) < augmentation_ranges(*windows, LENGTH)["shift"]
    assert leaves.mean() == pytest.approx(0.05, abs=0.02)


def test_noise_is_what_quiet_windows_lack():
    rng = np.random.default_rng(0)
    _, labels, timings = make_events(100, 400, 2, seed=0, event_rate=6.0)
    levels = np.repeat([1.0, 2.0], 50)[:, None, None]
    ranges = augmentation_ranges(levels * rng.normal(size=(100, 400, 3)), labels, timings, LENGTH)
    assert ranges["noise"] == pytest.approx(np.sqrt(2**2 - 1**2), rel=0.1)


def test_dead_channels_are_counted(windows):
    data, labels, timings = windows
    dead = data.copy()
    dead[..., :2] = 0
    assert augmentation_ranges(data, labels, timings, LENGTH)["channel_drop"] == 0.1
    assert augmentation_ranges(dead, labels, timings, LENGTH)["channel_drop"] == pytest.approx(2 / 6)


def test_too_few_labels_are_said(windows):
    data, labels, timings = (values[:1] for values in windows)
    with pytest.raises(ValueError, match="labels: expected a type with at least 3"):
        augmentation_ranges(data, labels, timings, LENGTH)
