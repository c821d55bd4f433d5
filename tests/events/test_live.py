"""Events in a stream: the same for any chunks, decided in time, each exactly once."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from course_lib.data import make_event_stream
from course_lib.events import Detections, LiveDetector, detect_events_from_sequence, refractory_filter
from course_lib.models import EventDetector, LSTMEventClassifier


def run(model, data, sizes, **options):
    live = LiveDetector(model, **options)
    parts, start = [], 0
    for size in sizes:
        parts.append(live.push(data[start : start + size], at=live.clock))
        start += size
    parts += [live.push(data[start:]), live.flush()]
    return Detections.concatenate(parts)


@pytest.mark.parametrize("length", [12_345, 12_340, 4000, 3700, 400, 10, 7, 1])
def test_an_onset_at_either_end_is_found_exactly_once(spike_model, spikes, length):
    data = spikes(length, [(0, 0, 0.9), (1, length - 1, 0.8)])
    for sizes in ([], [1] * min(length, 20), [3999], [4000, 1]):
        found = run(spike_model, data, sizes)
        assert list(found) == [(0, 0.0, pytest.approx(0.9)), (1, length - 1.0, pytest.approx(0.8))]


@pytest.mark.parametrize("sample", [999, 1000, 1001, 3399, 3400, 3699, 3700, 3999, 4000, 7099])
def test_an_onset_at_a_border_is_found_exactly_once(spike_model, spikes, sample):
    """Chunks end at 1000, windows begin every 3400 samples, and what is used of them changes at 3700, 7100."""
    found = run(spike_model, spikes(9000, [(2, sample, 0.7)]), [1000] * 9)
    assert list(found) == [(2, float(sample), pytest.approx(0.7))]


@pytest.mark.parametrize(("apart", "count"), [(3999, 1), (4000, 2), (4001, 2)])
@pytest.mark.parametrize("first", [0, 100, 3395])
@pytest.mark.parametrize("chunk", [1999, 10_000])
def test_the_refractory_period_to_the_sample(spike_model, spikes, apart, count, first, chunk):
    data = spikes(9000, [(1, first, 0.8), (1, first + apart, 0.8)])
    found = run(spike_model, data, [chunk] * (9000 // chunk))
    assert found.times.tolist() == [float(first), float(first + apart)][:count]  # of equals, the earlier


def test_a_weak_event_gives_way_to_a_strong_one_behind_it(spike_model, spikes):
    found = run(spike_model, spikes(9000, [(1, 500, 0.6), (1, 3500, 0.9)]), [1000] * 9)
    assert found.times.tolist() == [3500.0]


def test_two_types_at_one_sample(spike_model, spikes):
    found = run(spike_model, spikes(5000, [(0, 1234, 0.9), (2, 1234, 0.8)]), [1000] * 5)
    assert [(kind, time) for kind, time, _ in found] == [(0, 1234.0), (2, 1234.0)]


EVENTS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 19_999), st.sampled_from([0.55, 0.7, 0.9])), max_size=25)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS, sizes=st.lists(st.integers(0, 6000), max_size=8))
def test_chunks_of_any_size_give_what_the_whole_gives(spike_model, events, sizes):
    data = np.zeros((20_000, 3), np.float32)
    for kind, sample, score in events:
        data[sample, kind] = score
    whole = run(spike_model, data, [])
    parts = run(spike_model, data, sizes)
    assert list(parts) == list(whole)
    candidates = run(spike_model, data, [], refractory=False)
    assert list(refractory_filter(candidates)) == list(whole)  # offline and in streams alike


@pytest.mark.parametrize("refractory", [True, False])
def test_latency_is_as_stated(spike_model, spikes, refractory):
    """Fed sample by sample in small chunks, no event is returned later than `latency_samples` after its onset."""
    events = [(k % 3, 150 + 1700 * k, 0.9) for k in range(9)]
    data = spikes(24_000, events)
    live = LiveDetector(spike_model, window=2000, margin=200, refractory=refractory)
    delays = []
    for start in range(0, 24_000, 50):
        for _, time, _ in live.push(data[start : start + 50]):
            delays.append(start + 50 - time)
    assert len(delays) == 9
    assert max(delays) <= live.latency_samples + 50  # a chunk is looked at when it is complete
    assert max(delays) > live.latency_samples - live.hop  # the bound is not an idle one


@pytest.mark.parametrize("at_once", [1, 4])
def test_a_real_model_gives_the_same_events_for_any_chunks(at_once, monkeypatch):
    """To the last bit where windows are run one by one, else but for rounding."""
    torch.manual_seed(0)
    model = EventDetector(width=16, dilations=(1, 2)).eval()
    batches, frame_scores = [], model.frame_scores
    monkeypatch.setattr(model, "frame_scores", lambda x: batches.append(len(x)) or frame_scores(x))
    data, _ = make_event_stream(7, seed=0)
    options = {"threshold": 0.0182, "window": 2000, "margin": 200, "at_once": at_once}
    whole = run(model, data, [], **options)
    assert len(whole) > 5 and max(batches) == at_once
    for sizes in ([1, 2, 3, 4000], [777] * 12):
        parts = run(model, data, sizes, **options)
        assert parts.types.tolist() == whole.types.tolist()
        np.testing.assert_allclose(parts.times, whole.times, rtol=0, atol=0 if at_once == 1 else 1e-3)
        np.testing.assert_allclose(parts.scores, whole.scores, rtol=0, atol=0 if at_once == 1 else 1e-6)


@pytest.mark.parametrize("model", [EventDetector(width=16), LSTMEventClassifier(hidden_size=8, front_end=True)])
def test_recordings_of_mixed_lengths_do_not_depend_on_each_other(model):
    recordings = [make_event_stream(seconds, seed=0)[0] for seconds in (2.5, 0.3, 1.0017)]
    together = detect_events_from_sequence(model, recordings, threshold=0.01)
    for recording, found in zip(recordings, together, strict=True):
        alone = detect_events_from_sequence(model, recording, threshold=0.01)
        for name in ("detected_events", "event_timings", "event_probs"):
            np.testing.assert_array_equal(alone[name], found[name])
    assert model.training  # as it was before


def test_a_batch_is_a_list_of_recordings(spike_model, spikes):
    batch = np.stack([spikes(500, [(0, 20, 0.9)]), spikes(500, [])])
    first, second = detect_events_from_sequence(spike_model, batch)
    assert first["detected_events"].tolist() == [0] and first["event_timings"].tolist() == [20.0]
    assert len(second["detected_events"]) == 0  # no events at all
    np.testing.assert_allclose(first["event_probs"], [0.9, 0, 0])


def test_padding_changes_no_event():
    """Lengths that are no multiple of ten, one of them 0, and NaN behind them."""
    torch.manual_seed(0)
    model = EventDetector(width=16, dilations=(1, 2)).eval()
    recordings = [make_event_stream(seconds, seed=1)[0] for seconds in (2.3, 0.6015, 1.0)]
    lengths = [len(recording) for recording in recordings[:2]] + [0]
    batch = np.full((3, 5000, 6), np.nan, np.float32)
    for row, recording, length in zip(batch, recordings, lengths, strict=True):
        row[:length] = recording[:length]
    for padded in (batch, torch.from_numpy(batch), list(batch)):
        together = detect_events_from_sequence(model, padded, threshold=0.0182, lengths=torch.tensor(lengths))
        for recording, found in zip(recordings[:2], together[:2], strict=True):
            alone = detect_events_from_sequence(model, recording, threshold=0.0182)
            assert len(found["event_timings"]) > 0
            np.testing.assert_array_equal(alone["event_timings"], found["event_timings"])
        assert len(together[2]["event_timings"]) == 0
    alone = detect_events_from_sequence(model, batch[1], threshold=0.0182, lengths=lengths[1])
    np.testing.assert_array_equal(alone["event_timings"], together[1]["event_timings"])


@pytest.mark.parametrize("lengths", [[100], [100, 501], [100, -1], [100.0, 500.0]])
def test_lengths_that_do_not_fit_are_refused(spike_model, lengths):
    with pytest.raises(ValueError, match="lengths"):
        detect_events_from_sequence(spike_model, np.zeros((2, 500, 3)), lengths=lengths)


def test_in_bfloat16_events_still_do_not_depend_on_chunks():
    torch.manual_seed(0)
    model = EventDetector(width=16, dilations=(1, 2)).eval()
    data, _ = make_event_stream(3, seed=0)
    options = {"threshold": 0.0182, "window": 2000, "margin": 200, "amp": True}
    whole = run(model, data, [], **options)
    assert len(whole) > 0 and list(run(model, data, [777] * 7, **options)) == list(whole)
    full = LiveDetector(model, amp=False)
    full.push(data)
    full.flush()
    half = LiveDetector(model, amp=True)
    half.push(data)
    half.flush()
    np.testing.assert_allclose(half.highest, full.highest, rtol=0.05)
    assert (half.highest != full.highest).any()  # it did something


def test_nothing_gives_nothing(spike_model):
    found = detect_events_from_sequence(spike_model, np.zeros((0, 3), np.float32))
    assert len(found["detected_events"]) == 0 and spike_model.lengths == []


@pytest.mark.parametrize("length", [1, 9, 11, 4001])
def test_any_length_runs(length):
    model = EventDetector(width=16, dilations=(1,)).eval()
    found = detect_events_from_sequence(model, np.zeros((length, 6), np.float32), threshold=0.0)
    assert (found["event_timings"] < length).all()


def test_float64_and_a_dead_channel(spike_model, spikes):
    data = spikes(500, [(0, 20, 0.9)]).astype(np.float64)
    assert detect_events_from_sequence(spike_model, data)["event_timings"].tolist() == [20.0]
    model = EventDetector(width=16).eval()
    recording, _ = make_event_stream(1, seed=0)
    recording[:, 3] = 0
    assert np.isfinite(detect_events_from_sequence(model, recording, 0.0)["event_timings"]).all()


def test_statistics_are_applied(spike_model, spikes):
    data = spikes(500, [(0, 20, 0.9)]) * 4 + 7
    statistics = (np.full(3, 7.0), np.full(3, 4.0))
    assert detect_events_from_sequence(spike_model, data, statistics=statistics)["event_timings"].tolist() == [20.0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_sample_that_is_no_number_is_refused(spike_model, bad):
    live = LiveDetector(spike_model)
    live.push(np.zeros((120, 3)))
    chunk = np.zeros((50, 3))
    chunk[3, 1] = bad
    with pytest.raises(ValueError, match="1 NaN or infinite in float32 after sample 120"):
        live.push(chunk)
    assert live.clock == 120  # nothing of it was taken


@pytest.mark.parametrize(
    ("shape", "message"), [((50, 2), r"\(n, 3\)"), ((50, 4), r"\(n, 3\)"), ((3, 50), "time axis last"), ((50,), "got")]
)
def test_other_shapes_are_refused(spike_model, shape, message):
    with pytest.raises(ValueError, match=message):
        LiveDetector(spike_model).push(np.zeros(shape))


def test_chunks_out_of_order_and_lost_are_noticed(spike_model):
    live = LiveDetector(spike_model)
    live.push(np.zeros((100, 3)), at=0)
    for at in (0, 50, 200):
        with pytest.raises(ValueError, match=f"begins at sample 100, got one that begins at {at}"):
            live.push(np.zeros((100, 3)), at=at)


def test_a_stream_that_has_ended_takes_no_more_until_reset(spike_model, spikes):
    live = LiveDetector(spike_model)
    live.push(np.zeros((100, 3)))
    live.flush()
    with pytest.raises(ValueError, match="reset"):
        live.push(np.zeros((100, 3)))
    live.reset()
    live.push(spikes(100, [(0, 50, 0.9)]))
    assert live.flush().times.tolist() == [50.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 4001}, "multiples.*timing_resolution_samples=10, got 4001"),
        ({"margin": 2000}, "margin, history: expected at least 0 and together below the window, 4000"),
        ({"margin": 0, "history": 4000}, "margin, history: expected"),
        ({"history": 5}, "multiples"),
        ({"sample_rate": 0}, "sample_rate: expected Hz"),
        ({"margin": 305}, "multiples"),
        ({"at_once": 0}, "at_once: expected a number of windows, 1 or more, got 0"),
        ({"at_once": 2.5}, "at_once: expected"),
    ],
)
def test_bad_windows_are_named(spike_model, options, message):
    with pytest.raises(ValueError, match=message):
        LiveDetector(spike_model, **options)


def test_memory_does_not_grow_with_the_stream(spike_model, spikes):
    live = LiveDetector(spike_model)
    for i in range(40):
        live.push(spikes(4000, [(i % 3, 100, 0.9)]))
    assert len(live._samples) < live.window and len(live._scores) < 20 and len(live._candidates) < 10


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_recordings_of_any_floating_dtype(spike_model, spikes, dtype):
    data = torch.from_numpy(spikes(4000, [(1, 500, 0.75)])).to(dtype)
    assert detect_events_from_sequence(spike_model, data)["event_timings"].tolist() == [500.0]
    assert detect_events_from_sequence(spike_model, [data])[0]["event_timings"].tolist() == [500.0]


def test_samples_that_float32_cannot_hold_are_refused(spike_model):
    with pytest.raises(ValueError, match="1 NaN or infinite in float32"):
        LiveDetector(spike_model).push(np.array([[0.0, 1e39, 0.0]]))


def test_raw_samples_are_said_where_the_model_was_trained_on_normalised_ones(spike_model, spikes, recwarn):
    rng = np.random.default_rng(0)
    model, normal = EventDetector(2, 1, width=8, dilations=(1,)).eval(), rng.standard_normal((5000, 2))
    statistics = (np.array([30.0, -0.3]), np.array([0.2, 0.05]))
    raw = normal * statistics[1] + statistics[0]
    detect_events_from_sequence(model, normal)
    detect_events_from_sequence(model, raw, statistics=statistics)
    detect_events_from_sequence(model, np.zeros((5000, 2)))
    detect_events_from_sequence(spike_model, spikes(5000, []) * 100)  # which says nothing of its training
    assert not recwarn.list
    with pytest.warns(UserWarning, match="statistics: None, but channel 0 of the first window has mean 30"):
        detect_events_from_sequence(model, raw)


def test_a_rate_sets_the_defaults_and_states_the_latency_in_seconds():
    """At 360 Hz two seconds are 720 samples, and not the 4000 of the course's events (11 s)."""
    model = EventDetector(2, 1, width=8, dilations=(1,), sample_rate=360)
    assert (model.timing_resolution_samples, model.refractory_period_samples) == (2, 720)
    live = LiveDetector(model, refractory=False)
    assert (live.sample_rate, live.window, live.margin) == (360, 720, 54)
    assert live.latency == live.latency_samples / 360 < 2
    with pytest.raises(ValueError, match="sample_rate: expected 360 Hz, the model's, got 2000"):
        LiveDetector(model, sample_rate=2000)
    unsaid = EventDetector(2, 1, width=8, dilations=(1,))
    assert LiveDetector(unsaid, sample_rate=100).window == LiveDetector(unsaid, sample_rate=np.int64(100)).window == 200
    with pytest.raises(ValueError, match="sample_rate: expected Hz"):
        _ = LiveDetector(unsaid).latency
    with pytest.raises(ValueError, match="sample_rate: expected Hz above 0, got -1"):
        EventDetector(sample_rate=-1)


def test_a_history_costs_no_latency_and_a_stream_is_still_a_whole(spike_model, spikes):
    """Windows see 1000 samples before what they decide and 100 behind it."""
    x = spikes(9000, [(0, 50, 0.9), (1, 2500, 0.8), (0, 5005, 0.7), (2, 8990, 0.9)])
    options = {"window": 2000, "margin": 100, "history": 1000}
    short = LiveDetector(spike_model, window=1100, margin=100, refractory=False)
    live = LiveDetector(spike_model, refractory=False, **options)
    assert live.hop == short.hop == 900 and live.latency_samples == short.latency_samples
    found = [Detections.concatenate([live.push(x), live.flush()])]
    live.reset()
    found.append(Detections.concatenate([*(live.push(x[i : i + 777]) for i in range(0, 9000, 777)), live.flush()]))
    assert list(found[0]) == list(found[1]) and found[0].types.tolist() == [0, 1, 0, 2]
    live.reset()
    first = [len(live.push(x[i : i + 10])) for i in range(0, 2000, 10)]
    assert 10 * (first.index(1) + 1) - 50 <= live.latency_samples  # nor does the first event wait for the history
