"""Onset metrics against mir_eval and scikit-learn, and by hand."""

import mir_eval
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from course_lib.events import (
    Detections,
    best_threshold,
    event_scores,
    match_by_score,
    match_events,
    precision_recall,
    window_events,
)

EVENTS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 400)), max_size=25)


@given(EVENTS, EVENTS, st.sampled_from([0, 4, 10, 20]))
def test_matching_pairs_as_many_as_mir_eval(truth, found, tolerance):
    pairs = match_events(truth, found, tolerance)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)  # one-to-one
    for i, j in pairs:
        assert truth[i][0] == found[j][0] and abs(truth[i][1] - found[j][1]) <= tolerance
    expected = 0
    for kind in range(3):
        times = [np.array(sorted(t for k, t in events if k == kind), float) for events in (truth, found)]
        expected += len(mir_eval.util.match_events(*times, tolerance))
    assert len(pairs) == expected


@given(EVENTS, EVENTS)
def test_f1_is_that_of_mir_eval_for_one_type(truth, found):
    truth, found = ([(0, t) for t in sorted({t for _, t in events})] for events in (truth, found))
    reference, estimated = (np.array([t / 2000 for _, t in events]) for events in (truth, found))
    expected, precision, recall = mir_eval.onset.f_measure(reference, estimated, window=0.0050001)
    scores = event_scores([truth], [found], tolerance_ms=5, sample_rate=2000)
    if truth and found:
        assert (scores.f1, scores.precision, scores.recall) == pytest.approx((expected, precision, recall))


def test_errors_and_counts_by_hand():
    truth = [[(0, 100.0), (1, 200.0)], [(0, 50.0)]]
    found = [[(0, 103.0), (0, 104.0), (1, 260.0)], []]
    scores = event_scores(truth, found, tolerance_ms=5, sample_rate=2000)
    assert (scores.true_events, scores.found_events, scores.matched) == (3, 3, 1)
    assert scores.f1 == pytest.approx(1 / 3)
    assert scores.errors_ms.tolist() == [1.5] and scores.median_error_ms == 1.5
    wide = event_scores(truth, found, tolerance_ms=50, sample_rate=2000)
    assert wide.matched == 2 and wide.within(5) == 0.5


def test_recordings_and_types_do_not_mix():
    assert event_scores([[(0, 5)], []], [[], [(0, 5)]], 5, 2000).matched == 0
    assert event_scores([[(0, 5)]], [[(1, 5)]], 5, 2000).matched == 0


def test_no_events_and_an_absent_type():
    assert event_scores([[]], [[]], 5, 2000).f1 == 1.0
    assert event_scores([[]], [[(0, 5)]], 5, 2000).f1 == 0.0
    assert np.isnan(event_scores([[(0, 5)]], [[]], 5, 2000).precision)
    assert np.isnan(event_scores([[(0, 5)]], [[]], 5, 2000).median_error_ms)


def test_the_strongest_chooses_first_and_takes_the_nearest():
    truth = [(0, 100.0), (0, 108.0)]
    found = Detections([0, 0, 0], [104.5, 107.0, 99.0], [0.9, 0.8, 0.1])
    scores, right = match_by_score(truth, found, tolerance=10)
    assert scores.tolist() == [0.9, 0.8, 0.1] and right.tolist() == [True, True, False]


def _example(seed):
    rng = np.random.default_rng(seed)
    truths = [
        [(int(k), float(t)) for k, t in zip(rng.integers(0, 3, 6), np.arange(6) * 100, strict=True)] for _ in range(5)
    ]
    founds = []
    for truth in truths:
        times = np.array([t for _, t in truth]) + rng.choice([0, 3, 30], 6)
        founds.append(Detections([k for k, _ in truth], times, rng.random(6).round(1)))
    return truths, founds


@pytest.mark.parametrize("seed", range(3))
def test_average_precision_is_that_of_scikit_learn(seed):
    truths, founds = _example(seed)
    parts = [match_by_score(truth, found, 10) for truth, found in zip(truths, founds, strict=True)]
    scores, right = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    count = sum(map(len, truths))
    expected = average_precision_score(right, scores) * right.sum() / count  # its recall is of what was found
    assert precision_recall(truths, founds, 5, 2000).average_precision == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_no_threshold_beats_the_best(seed):
    truths, founds = _example(seed)
    best = best_threshold(truths, founds, 5, 2000)
    f1 = [event_scores(truths, [found.above(t) for found in founds], 5, 2000).f1 for t in np.linspace(0, 1, 101)]
    assert event_scores(truths, [found.above(best) for found in founds], 5, 2000).f1 == pytest.approx(max(f1))


def test_where_nothing_scores_lower_the_threshold_lies_halfway_to_where_the_search_began():
    truths, founds = [[(0, 5)]], [Detections(np.array([0]), np.array([5.0]), np.array([0.9]))]
    assert best_threshold(truths, founds, 5, 2000, lowest=0.1) == pytest.approx(0.5)
    assert best_threshold(truths, founds, 5, 2000) == pytest.approx(0.9)


def test_nothing_found_and_nothing_to_find():
    assert best_threshold([[(0, 5)]], [Detections.none()], 5, 2000) == 0.5
    assert precision_recall([[(0, 5)]], [Detections.none()], 5, 2000).average_precision == 0.0
    with pytest.raises(ValueError, match="at least one event"):
        precision_recall([[]], [Detections.none()], 5, 2000)
    with pytest.raises(ValueError, match="got 2 and 1"):
        event_scores([[], []], [[]], 5, 2000)


def test_window_events_in_time_order():
    labels, timings = np.array([[1, 0, 1], [0, 0, 0]]), np.array([[9.5, np.nan, 2.0], [np.nan] * 3])
    assert window_events(labels, timings) == [[(2, 2.0), (0, 9.5)], []]


RATES = [1, 100, 360, 2000, 8000, 11_025, 22_050, 44_100, 48_000, 204.8]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("tolerance_ms", [0.1, 1.0, 2.0, 5.0, 7.3, 10.0])
def test_exactly_the_tolerance_counts_at_any_rate(rate, tolerance_ms):
    """Times in seconds, as annotations have them, times a rate; and a little farther does not count."""
    seconds = np.random.default_rng(0).integers(0, 100_000, 100) / 1000
    for start in seconds:
        for sign in (-1, 1):
            exact = [(0, (start + sign * tolerance_ms / 1000) * rate, 1.0)]
            far = [(0, (start + sign * tolerance_ms / 1000 * (1 + 1e-6)) * rate, 1.0)]
            truth = [(0, start * rate)]
            scores = event_scores([truth], [exact], tolerance_ms, rate)
            assert scores.matched == 1 and scores.within(tolerance_ms) == 1
            assert precision_recall([truth], [Detections([0], [exact[0][1]], [1.0])], tolerance_ms, rate).recall[0] == 1
            assert event_scores([truth], [far], tolerance_ms, rate).matched == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_times_that_are_no_times_are_refused(bad):
    good = [(0, 10.0, 0.9)]
    with pytest.raises(ValueError, match="truth: expected finite times"):
        event_scores([[(0, bad)]], [good], 5, 2000)
    with pytest.raises(ValueError, match="found: expected finite times"):
        event_scores([[(0, 10.0)]], [[(0, bad, 0.9)]], 5, 2000)
    with pytest.raises(ValueError, match="truth: expected finite times"):
        precision_recall([[(1, 5.0), (0, bad)]], [Detections.none()], 5, 2000)
    with pytest.raises(ValueError, match="expected finite"):
        Detections([0], [bad], [0.5])
    with pytest.raises(ValueError, match="timings: expected finite"):
        window_events(np.array([[0, 1]]), np.array([[5.0, bad]]))
    assert window_events(np.array([[1, 0]]), np.array([[5.0, bad]])) == [[(0, 5.0)]]
    with pytest.raises(ValueError, match="tolerance"):
        event_scores([[(0, 1.0)]], [good], np.nan, 2000)


def test_the_rate_has_to_be_said():
    """5 ms at 2000 Hz are ten samples; at 360 Hz they are 1.8, and the same call would have meant 27.8 ms."""
    truth, found = [[(0, 100.0)]], [[(0, 105.0)]]
    assert event_scores(truth, found, 5, 2000).f1 == 1 and event_scores(truth, found, 5, 360).f1 == 0
    for call in (event_scores, precision_recall, best_threshold):
        with pytest.raises(TypeError, match="sample_rate"):
            call(truth, found, 5)
    for tolerance, rate, complaint in ((5, 0, "sample_rate"), (5, "360", "sample_rate"), (-1, 360, "tolerance_ms")):
        with pytest.raises(ValueError, match=f"{complaint}: expected"):
            event_scores(truth, found, tolerance, rate)
