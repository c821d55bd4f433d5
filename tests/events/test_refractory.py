"""The refractory filter and the enforcer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.events import Detections, RefractoryPeriodEnforcer, refractory_filter, violations


def detections(events):
    return Detections(*(np.array([event[i] for event in events]) for i in range(3)))


@pytest.mark.parametrize(("apart", "count"), [(3999, 1), (4000, 2), (4001, 2)])
def test_the_filter_to_the_sample(apart, count):
    assert len(refractory_filter(detections([(0, 10, 0.5), (0, 10 + apart, 0.5)]))) == count


def test_a_weak_event_gives_way_to_a_strong_one_before_or_behind_it():
    assert list(refractory_filter(detections([(0, 0, 0.5), (0, 1000, 0.9), (0, 2000, 0.6)]))) == [(0, 1000.0, 0.9)]


def test_an_event_that_is_removed_still_removes_a_weaker_one():
    """0.7 falls to 0.9, and 0.6 to 0.7: whether 0.6 stays must not need to know of what is farther than the period."""
    found = refractory_filter(detections([(0, 0, 0.9), (0, 3000, 0.7), (0, 6000, 0.6)]))
    assert found.times.tolist() == [0.0]


def test_of_equals_the_earlier_stays_also_at_one_sample():
    assert len(refractory_filter(detections([(0, 5, 0.5), (0, 5, 0.5)]))) == 1


def test_other_types_do_not_matter():
    assert len(refractory_filter(detections([(0, 0, 0.5), (1, 10, 0.9)]))) == 2


EVENTS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 20_000), st.sampled_from([0.2, 0.4, 0.6, 0.8])), min_size=1, max_size=30
)


@given(EVENTS)
def test_the_filter_is_its_own_definition(events):
    found = detections(events)
    expected = []
    for i, (kind, time, score) in enumerate(found):
        rivals = [(s, j) for j, (k, t, s) in enumerate(found) if j != i and k == kind and abs(t - time) < 4000]
        if not any(s > score or (s == score and j < i) for s, j in rivals):
            expected.append((kind, time, score))
    kept = refractory_filter(found)
    assert list(kept) == expected
    assert violations(kept) == 0


@given(EVENTS, st.sampled_from([0.3, 0.5, 0.7]))
def test_filter_and_threshold_may_be_exchanged(events, threshold):
    found = detections(events)
    assert list(refractory_filter(found.above(threshold))) == list(refractory_filter(found).above(threshold))


def test_violations_are_counted():
    assert violations([(0, 0), (1, 10), (0, 3999), (0, 8000)]) == 1
    assert violations([]) == 0


def test_the_enforcer_is_first_come_first_served():
    events, times = RefractoryPeriodEnforcer(16).enforce([3, 3, 5], [1500, 100, 200])
    assert events.tolist() == [3, 5] and times.tolist() == [100.0, 200.0]


@pytest.mark.parametrize(("apart", "count"), [(3999, 0), (4000, 1), (4001, 1)])
def test_the_enforcer_across_windows(apart, count):
    enforcer = RefractoryPeriodEnforcer(16, 4000)
    enforcer.enforce([3], [1900], global_offset=0)
    assert len(enforcer.enforce([3], [apart - 100], global_offset=2000)[0]) == count


def test_streams_have_their_own_clocks():
    enforcer = RefractoryPeriodEnforcer(16)
    assert len(enforcer.enforce([3], [100], 8000, stream="a")[0]) == 1
    assert len(enforcer.enforce([3], [100], 0, stream="b")[0]) == 1
    assert len(enforcer.enforce([3], [100], 2000, stream="b")[0]) == 0
    enforcer.reset("b")
    assert len(enforcer.enforce([3], [100], 0, stream="b")[0]) == 1
    assert len(enforcer.enforce([3], [100], 8100, stream="a")[0]) == 0  # "a" is remembered


def test_rejected_events_do_not_prolong_the_period():
    enforcer = RefractoryPeriodEnforcer(1)
    accepted = [len(enforcer.enforce([0], [0], offset)[0]) for offset in (0, 3000, 4000)]
    assert accepted == [1, 0, 1]


def test_no_events_are_no_events():
    events, times = RefractoryPeriodEnforcer(16).enforce([], [])
    assert len(events) == len(times) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 2], [5]), "events, times"),
        (([16], [5]), "from 0 to 15"),
        (([-1], [5]), "from 0 to 15"),
        (([1], [np.nan]), "finite"),
    ],
)
def test_the_enforcer_names_what_does_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        RefractoryPeriodEnforcer(16).enforce(*arguments)


def test_time_that_runs_backwards_is_refused():
    enforcer = RefractoryPeriodEnforcer(16)
    enforcer.enforce([], [], 2000)
    enforcer.enforce([], [], 2000)
    with pytest.raises(ValueError, match="time runs backwards, got 0 after 2000"):
        enforcer.enforce([], [], 0)


@pytest.mark.parametrize("rate", [1, 100, 2000, 8000, 22_050, 44_100, 48_000, 204.8])
@pytest.mark.parametrize("seconds", [0.1, 0.7, 1 / 3, 2.0])
def test_filter_count_and_enforcer_agree_at_exactly_one_period(rate, seconds):
    period = seconds * rate
    for start in np.random.default_rng(0).integers(0, 100_000, 100) / 1000:
        exact = Detections([3, 3], [start * rate, (start + seconds) * rate], [0.9, 0.8])
        assert len(refractory_filter(exact, period)) == 2
        assert violations(exact, period) == 0
        assert len(RefractoryPeriodEnforcer(16, period).enforce(exact.types, exact.times)[0]) == 2
        near = Detections([3, 3], [start * rate, (start + seconds * (1 - 1e-6)) * rate], [0.9, 0.8])
        assert len(refractory_filter(near, period)) == 1
        assert violations(near, period) == 1
        assert len(RefractoryPeriodEnforcer(16, period).enforce(near.types, near.times)[0]) == 1


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float32, np.float64])
def test_integer_and_float_times_alike(dtype):
    times = np.array([0, 4000, 7999, 12_000, 16_000], dtype)
    found = Detections(np.zeros(5), times, np.ones(5))
    assert violations(zip([0] * 5, times, strict=True)) == violations(found) == 1
    assert refractory_filter(found).times.tolist() == [0, 4000, 12_000, 16_000]
