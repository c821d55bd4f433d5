"""Events whose numbers are NaN, infinite, of another kind or of another precision: an answer, or an error by name."""

import contextlib

import numpy as np
import pytest
import torch

from course_lib.events import (
    Detections,
    LiveDetector,
    MatchingPursuit,
    RefractoryPeriodEnforcer,
    best_threshold,
    decode_peaks,
    event_scores,
    match_by_score,
    match_events,
    refractory_filter,
    violations,
    whiten,
    whitening_filter,
    window_events,
)

NAN, INF = np.nan, np.inf
PAIR = Detections([0, 3], [1.0, 2.0], [0.1, 0.2])
KERNELS = np.random.default_rng(1).standard_normal((3, 1, 2, 20))
DATA = np.random.default_rng(2).standard_normal((600, 2))
SQUARE = np.eye(4)

CASES = {
    "violations, time nan": (lambda: violations([(0, 1.0), (0, NAN), (0, 2.0)]), "events: expected finite times"),
    "violations, time inf": (lambda: violations([(0, INF)]), "events: expected finite times"),
    "violations, period nan": (lambda: violations([(0, 1.0)], NAN), "period: expected samples from 0"),
    "violations, period -1": (lambda: violations([(0, 1.0)], -1), "period: expected samples from 0"),
    "filter, period nan": (lambda: refractory_filter(PAIR, NAN), "period: expected samples"),
    "filter, one period nan": (lambda: refractory_filter(PAIR, np.array([1, 1, NAN, 1])), "period: expected samples"),
    "filter, too few periods": (
        lambda: refractory_filter(PAIR, np.ones(2)),
        "period: expected one for each type, got 2",
    ),
    "filter, separation nan": (lambda: refractory_filter(PAIR, 1, NAN), "separation: expected samples"),
    "enforcer, period nan": (lambda: RefractoryPeriodEnforcer(2, NAN), "refractory_period_samples: expected"),
    "enforcer, offset nan": (lambda: RefractoryPeriodEnforcer(2).enforce([0], [1.0], NAN), "global_offset: expected"),
    "enforcer, offset inf": (lambda: RefractoryPeriodEnforcer(2).enforce([0], [1.0], INF), "global_offset: expected"),
    "a type of 1.7": (lambda: Detections([1.7], [1.0], [0.5]), r"types: expected whole numbers, got \[1.7\]"),
    "a type of nan": (lambda: Detections([NAN], [1.0], [0.5]), "types: expected whole numbers"),
    "a type of text": (lambda: Detections(["a"], [1.0], [0.5]), "types: expected whole numbers"),
    "match, type 1.7": (lambda: match_events([(1.7, 1.0)], [(1, 1.0)], 1), "truth: expected types that are whole"),
    "match, type nan": (lambda: match_events([(1, 1.0)], [(NAN, 1.0)], 1), "found: expected types that are whole"),
    "match, type text": (lambda: match_events([("a", 1.0)], [(0, 1.0)], 1), "truth: expected types that are whole"),
    "match, no time": (lambda: match_events([(0, None)], [(0, 1.0)], 1), "truth: expected finite times, got None"),
    "by score, nan": (lambda: match_by_score([(0, 1.0)], [(0, 1.0, NAN)], 1), "found: expected .* scores"),
    "by score, none": (lambda: match_by_score([(0, 1.0)], [(0, 1.0)], 1), "found: expected .* scores"),
    "by score, tolerance nan": (lambda: match_by_score([(0, 1.0)], [(0, 1.0, 0.5)], NAN), "tolerance: expected"),
    "lowest nan": (lambda: best_threshold([[(0, 1.0)]], [PAIR], 5, 1000, NAN), "lowest: expected a score"),
    "windows, label nan": (lambda: window_events([[NAN, 1]], [[1.0, 2.0]]), "labels, timings: expected"),
    "windows, other shape": (
        lambda: window_events([[1, 1, 1]], [[1.0, 2.0]]),
        r"got \(1, 3\) and \(1, 2\)|got \(1, 3\)",
    ),
    "peaks, threshold nan": (lambda: decode_peaks(SQUARE, threshold=NAN), "resolution, threshold: expected"),
    "peaks, no samples": (lambda: decode_peaks(SQUARE, resolution=0), "resolution, threshold: expected"),
    "peaks, offsets": (lambda: decode_peaks(SQUARE, np.zeros((2, 2))), r"offsets: expected \(4, 4\)"),
    "whitening, complex": (lambda: whitening_filter(DATA[None] + 1j), "data, order: expected real numbers"),
    "whitening, order 2.5": (lambda: whitening_filter(DATA[None], 2.5), "data, order: expected"),
    "taps nan": (lambda: whiten(DATA, np.full(3, NAN)), "taps: expected finite"),
    "taps of none": (lambda: whiten(DATA, np.zeros(0)), "taps: expected finite"),
    "pursuit, taps nan": (lambda: MatchingPursuit(KERNELS, taps=np.full(3, NAN)), "taps: expected finite"),
    "kernels nan": (lambda: MatchingPursuit(KERNELS * NAN), "kernels: expected values whose squares"),
    "kernels 1e25": (lambda: MatchingPursuit(KERNELS * 1e25), "kernels: expected values whose squares"),
    "no kernels": (lambda: MatchingPursuit(KERNELS[:0]), r"kernels: expected \(E, W, C, L\)"),
    "amplitudes turned round": (lambda: MatchingPursuit(KERNELS, amplitudes=(1.3, 0.7)), "amplitudes: expected"),
    "amplitudes nan": (lambda: MatchingPursuit(KERNELS, amplitudes=(NAN, 1.0)), "amplitudes: expected"),
    "onset outside": (lambda: MatchingPursuit(KERNELS, onset=20), "onset: expected a sample of the kernels, 0 to 19"),
    "refits -1": (lambda: MatchingPursuit(KERNELS, refits=-1), "refits: expected"),
    "pursuit of 1e37": (lambda: MatchingPursuit(KERNELS)([DATA * 1e37]), "data: expected values that float32 holds"),
    "pursuit, complex": (lambda: MatchingPursuit(KERNELS)([DATA * 1j]), "data: expected finite real values"),
}


class Detector:
    """No scores at all."""

    input_size, num_events, timing_resolution_samples, refractory_period_samples = 2, 3, 10, 100

    def frame_scores(self, x):
        return torch.zeros(1, -(-x.shape[1] // 10), 3), torch.zeros(1, -(-x.shape[1] // 10), 3)


LIVE = {
    "std 0": ({"statistics": (np.zeros(2), np.zeros(2))}, "statistics: expected finite mean and positive std"),
    "std nan": ({"statistics": (np.zeros(2), np.full(2, NAN))}, "statistics: expected finite"),
    "another number of channels": ({"statistics": (np.zeros(3), np.ones(3))}, r"statistics: expected .* \(2,\) each"),
    "statistics turned": ({"statistics": (np.zeros((2, 1)), np.ones((2, 1)))}, "statistics: expected"),
    "threshold nan": ({"threshold": NAN}, "threshold: expected a score"),
    "too few thresholds": ({"threshold": np.ones(2)}, r"threshold: expected a score, or \(3,\)"),
    "a period below 0": ({"refractory": np.array([-1.0, 1, 1])}, "refractory: expected samples from 0 on"),
    "a period of nan": ({"refractory": np.full(3, NAN)}, "refractory: expected samples"),
    "too few periods": ({"refractory": np.ones(2)}, r"refractory, separation: expected .* \(3,\)"),
    "an endless period": ({"refractory": np.full(3, INF)}, "refractory, separation: expected finite"),
    "separation nan": ({"separation": NAN}, "separation: expected samples"),
    "separation inf": ({"separation": INF}, "separation: expected finite"),
    "window in seconds": ({"window": 4000.0}, "window, margin, history: expected samples, got 4000.0"),
}


@pytest.mark.parametrize("name", LIVE)
def test_what_a_live_detector_cannot_use_is_named_before_the_stream_begins(name):
    options, message = LIVE[name]
    with pytest.raises(ValueError, match=message):
        LiveDetector(Detector(), **options)


def test_a_live_detector_takes_real_numbers_of_any_width():
    for chunk in (np.ones((3, 2), np.int16), torch.ones(3, 2).bfloat16(), [[1, 2], [3, 4]]):
        LiveDetector(Detector()).push(chunk)
    with pytest.raises(ValueError, match="chunk: expected real numbers, got complex128"):
        LiveDetector(Detector()).push(np.ones((3, 2)) * 1j)


@pytest.mark.parametrize("name", CASES)
def test_what_is_no_number_is_named(name):
    call, message = CASES[name]
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("narrow", [np.float32, lambda t: torch.tensor(t, dtype=torch.float32)])
@pytest.mark.parametrize(("rate", "tolerance"), [(44_100, 2.0), (8000, 0.7), (360, 13.9)])
@pytest.mark.parametrize("seconds", [10, 3600])
def test_a_distance_of_exactly_the_tolerance_counts_in_float32_too(narrow, rate, tolerance, seconds):
    rng = np.random.default_rng(0)
    starts = rng.integers(0, 10 * seconds * rate, 100) / 10
    for both in (narrow, float):  # a truth in float32, and a found event in float32 or float64
        pairs = [([(0, narrow(t))], [(0, both(t + tolerance * rate / 1000))]) for t in starts]
        scores = event_scores(*zip(*pairs, strict=True), tolerance, rate)
        assert scores.matched == len(starts)
    assert violations([(0, narrow(t)) for t in starts[0] + np.arange(9) * 0.1 * rate], 0.1 * rate) == 0


def test_times_in_float64_keep_their_precision():
    for far in (1.001, 1.00001):
        assert not event_scores([[(0, 1e6)]], [[(0, 1e6 + 10 * far)]], 10, 1000).matched


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1.0, 1e12, 1e30])
def test_a_pursuit_ends_whatever_the_scale(scale):
    with pytest.warns(RuntimeWarning, match="the search ended") if scale > 1 else contextlib.nullcontext():
        (found,) = MatchingPursuit(KERNELS)([DATA * scale])
    assert len(found) <= 63 and np.isfinite(found.gains).all() and np.isfinite(found.residual).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_tensors_of_any_width_go_in(dtype):
    data = torch.tensor(DATA).to(dtype)
    as_array = data.double().numpy()
    (got,), (expected,) = (MatchingPursuit(KERNELS)(x[None]) for x in (data, as_array))
    np.testing.assert_array_equal(got.times, expected.times)
    np.testing.assert_allclose(whitening_filter(data[None]), whitening_filter(as_array[None]))
    assert list(decode_peaks(torch.eye(4).to(dtype))) == list(decode_peaks(SQUARE))
