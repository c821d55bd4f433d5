"""EventClassifier: types and times in seconds, several of a type in a crop, streams as offline, what it refuses."""

import os
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from course_lib import paths
from course_lib.data import EventRecording, load_ecg
from course_lib.estimator import Event, EventClassifier

RATE = 100.0


def recording(seed, seconds=40, rate=RATE):
    """Sharp and round bumps half a second apart or more, in noise; the round ones are rare."""
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(0.5, 0.9, int(2 * seconds)))
    times = times[times < seconds - 0.3]
    kinds = np.where(rng.random(len(times)) < 0.15, "round", "sharp")
    clock = np.arange(int(seconds * rate)) / rate
    x = 0.05 * rng.standard_normal(len(clock))
    for time, kind in zip(times, kinds, strict=True):
        x += np.exp(-(((clock - time) / (0.02 if kind == "sharp" else 0.08)) ** 2))
    return EventRecording(100 + 7 * x, list(zip(kinds.tolist(), times.tolist(), strict=True)), rate)


TRAIN, TEST = [recording(0), recording(1)], recording(2)
QUICK = {"steps": 120, "width": 16, "device": "cpu", "random_state": 0}


@pytest.fixture(scope="module")
def fitted():
    return EventClassifier(tolerance=0.04, **QUICK).fit(TRAIN)


def test_types_and_times_are_found_and_reported(fitted):
    assert fitted.types_ == ["round", "sharp"]
    assert fitted.score([TEST]) > 0.95
    report = fitted.report([TEST])
    assert report.index.tolist() == ["round", "sharp", "all"]
    assert report.loc["all", "f1"] == pytest.approx(fitted.score([TEST]))
    assert report.loc["all", "true"] == len(TEST.events) == report.loc["round", "true"] + report.loc["sharp", "true"]
    inside = (report["precision, low"] <= report["precision"]) & (report["precision"] <= report["precision, high"])
    assert inside.all()
    assert report.loc["all", "median error, s"] < 0.02


def test_the_confusion_counts_every_event_once(fitted):
    table = fitted.confusion([TEST])
    assert table.drop(index="nothing").to_numpy().sum() == len(TEST.events)
    assert table.drop(columns="nothing").to_numpy().sum() == len(fitted.detect(TEST))


def test_a_stream_finds_what_is_found_offline_and_keeps_its_latency(fitted):
    found = fitted.detect(TEST.data)
    assert found == fitted.detect(TEST) and all(isinstance(event, Event) for event in found)
    live, got, clock = fitted.stream(), [], 0
    assert live.latency <= fitted.latency
    for block in np.array_split(TEST.data, 313):
        clock += len(block)
        new = live.push(block)
        assert all(clock / RATE - event.time <= live.latency + len(block) / RATE for event in new)
        got += new
    assert got + live.flush() == found
    together = fitted.detect(TEST, at_once=16)
    assert [e.type for e in together] == [e.type for e in found]
    np.testing.assert_allclose([e[1:] for e in together], [e[1:] for e in found], atol=1e-5)


def test_saved_and_loaded_it_finds_the_same(fitted, tmp_path):
    fitted.save(tmp_path / "e.safetensors")
    again = EventClassifier.load(tmp_path / "e.safetensors", device="cpu")
    assert again.detect(TEST) == fitted.detect(TEST)
    assert again.get_params() == fitted.get_params() and again.thresholds_ == fitted.thresholds_


@pytest.fixture(scope="module")
def far():
    """Of a station that is a hundred times as loud as another."""
    soft, loud = (EventRecording(r.data * scale, r.events, RATE) for r, scale in ((TRAIN[0], 0.1), (TRAIN[1], 10.0)))
    return EventClassifier(tolerance=0.04, **QUICK).fit([soft, loud])


def test_recordings_of_far_levels_are_each_measured_by_their_own(far):
    assert far.own_level_
    for scale in (0.1, 10.0):
        assert far.score([EventRecording(TEST.data * scale, TEST.events, RATE)]) > 0.9


@pytest.mark.parametrize("which", ["fitted", "far"])
def test_as_a_file_of_onnx_it_finds_the_same(which, request, tmp_path):
    """Thresholds and refractory periods of each type, the windows and the standardisation travel with it."""
    pytest.importorskip("onnxruntime")
    from course_lib.events import LiveDetector
    from course_lib.export import Model, export

    fitted = request.getfixturevalue(which)
    with pytest.raises(ValueError, match="streaming: expected no such argument, since EventClassifier is exported as"):
        export(fitted, tmp_path / "events.onnx", streaming=True)
    about = export(fitted, tmp_path / "events.onnx")
    assert about.classes == tuple(fitted.types_) and about.sample_rate == RATE
    data = recording(7).data
    model = Model(tmp_path / "events.onnx")
    live = LiveDetector(model, model.metadata.threshold, **model.metadata.live)
    theirs = [event for part in (live.push(data), live.flush()) for event in part]
    ours = fitted.detect(data)
    assert len(ours) > 5
    assert [model.metadata.classes[event[0]] for event in theirs] == [event.type for event in ours]
    np.testing.assert_allclose([event[1] / RATE for event in theirs], [event.time for event in ours], atol=1e-4)


def test_a_file_from_before_windows_had_a_history_is_read(fitted, tmp_path):
    state = fitted._state()
    state["grid"], state["fitted"] = state["grid"][:3], {k: v for k, v in state["fitted"].items() if k != "own_level_"}
    state["grid"][2] = fitted.grid_.history
    old = type(fitted)._from_state(state)
    assert old.grid_.history == old.grid_.margin == fitted.grid_.history and old.own_level_ is False


def test_level_and_unit_are_in_the_saved_statistics(fitted):
    """A model trained on one unit sees another one only through its own mean and deviation."""
    assert fitted.statistics_[0] == pytest.approx(np.concatenate([r.data for r in TRAIN]).mean(), rel=0.01)
    assert fitted.score([EventRecording(TEST.data - 100, TEST.events, RATE)]) < 0.5


def test_waits_hold_within_a_type_and_across_types(fitted):
    assert 0.2 <= fitted.separation_ <= 0.25 and set(fitted.refractory_) == {"round", "sharp"}
    loose = clone(fitted).set_params(refractory={"sharp": 0.4}, separation=0.3, latency=1.2, steps=5).fit(TRAIN)
    loose.thresholds_ = dict.fromkeys(loose.types_, 0.0)  # everything that peaks
    times = {kind: [e.time for e in loose.detect(TEST) if e.type == kind] for kind in loose.types_}
    assert np.diff(times["sharp"]).min() >= 0.4
    assert np.diff(sorted(times["sharp"] + times["round"])).min() >= 0.3


def test_the_context_is_seen_by_the_convolutions_and_is_a_part_of_the_latency(fitted):
    far = clone(fitted).set_params(context=1.0, latency=1.8, steps=1).fit(TRAIN)
    for model, seconds, blocks in ((fitted, 0.2, 3), (far, 1.0, 5)):
        dilations = [block.convolution.dilation[0] for block in model.model_.blocks]
        assert model.grid_.margin / RATE >= seconds and len(dilations) == blocks
        assert 2 * sum(dilations) * model.grid_.frame >= model.grid_.margin
    assert far.stream().latency <= 1.8
    with pytest.raises(ValueError, match="latency: expected at least 1.3.* with these waits and this context, got 1"):
        clone(far).set_params(latency=1.0).fit(TRAIN)


def test_the_unlabelled_part_is_neither_learned_nor_scored(fitted):
    half = [event for event in TEST.events if event[1] < 20]
    part = EventRecording(TEST.data, half, RATE, labelled=(0, half[-1][1] + 0.1))
    assert fitted.report([part]).loc["all", "precision"] > 0.95
    unsaid = EventRecording(TEST.data, half, RATE)
    assert fitted.report([unsaid]).loc["all", "precision"] < 0.7


def test_types_that_training_did_not_have_are_missed(fitted):
    other = EventRecording(TEST.data, [*TEST.events, ("crack", 1.0)], RATE)
    assert fitted.report([other]).loc["crack", ["recall", "f1"]].tolist() == [0, 0]
    assert fitted.score([other]) < fitted.score([TEST])


def test_a_seed_repeats():
    first, second = (EventClassifier(**QUICK | {"steps": 5}).fit(TRAIN) for _ in range(2))
    assert first.thresholds_ == second.thresholds_ and first.detect(TEST) == second.detect(TEST)


def two_sensors(seed, lost=None, gap=False):
    """The bumps on two sensors with noise of their own; one may be lost, the other have gaps of half a second."""
    one = recording(seed)
    rng = np.random.default_rng(seed)
    data = np.hstack([one.data, 30 - 0.5 * one.data]) + 0.3 * rng.standard_normal((len(one.data), 2))
    if lost is not None:
        data[:, lost] = np.nan
    for start in rng.integers(0, len(data) - 50, 6) if gap else ():
        data[start : start + 50, 0] = np.nan
    return EventRecording(data, one.events, RATE)


def test_a_sensor_may_be_absent_in_use_and_have_gaps(tmp_path):
    model = EventClassifier(tolerance=0.04, absent=0.4, **QUICK).fit([two_sensors(0, gap=True), two_sensors(1)])
    scores = [model.score([two_sensors(2, lost=lost)]) for lost in (None, 0, 1)]
    assert min(scores) > 0.8
    assert model.score([two_sensors(2, gap=True)]) > 0.8
    model.save(tmp_path / "m.safetensors")
    from course_lib.export import export

    with pytest.raises(NotImplementedError, match="learnt from gaps or absent sensors has no ONNX form"):
        export(model, tmp_path / "m.onnx")
    test = two_sensors(2, lost=1)
    assert EventClassifier.load(tmp_path / "m.safetensors").detect(test) == model.detect(test)
    live = model.stream()
    assert [e for block in np.array_split(test.data, 41) for e in live.push(block)] + live.flush() == model.detect(test)


NOTHING = EventRecording(TEST.data, [], RATE)
GAP = EventRecording(np.hstack([TEST.data, np.full_like(TEST.data, np.nan)]), TEST.events, RATE)


@pytest.mark.parametrize(
    ("options", "recordings", "complaint"),
    [
        ({"tolerance": 0}, TRAIN, "tolerance: expected a number above 0"),
        ({"tolerance": "5 ms"}, TRAIN, "tolerance: expected"),
        ({"latency": -1}, TRAIN, "latency: expected a number above 0"),
        ({"latency": 0.3}, TRAIN, "latency: expected at least"),
        ({"context": 0}, TRAIN, "context: expected a number above 0"),
        ({"history": -1}, TRAIN, "history: expected seconds above 0"),
        ({"level": "loud"}, TRAIN, "level: expected"),
        ({"refractory": 2.0}, TRAIN, "latency: expected at least 2"),
        ({"refractory": -1}, TRAIN, "refractory: expected seconds from 0 on"),
        ({"refractory": {"sharp": "long"}}, TRAIN, "refractory: expected seconds"),
        ({"refractory": {"flat": 0.1}}, TRAIN, "refractory: expected types of"),
        ({"separation": np.nan}, TRAIN, "separation: expected seconds"),
        ({"steps": 0}, TRAIN, "steps: expected a whole number above 0"),
        ({"batch_size": 1.5}, TRAIN, "batch_size: expected"),
        ({"width": -3}, TRAIN, "width: expected"),
        ({"learning_rate": 0}, TRAIN, "learning_rate: expected"),
        ({"validation": 0}, TRAIN, "validation: expected a share"),
        ({"validation": 1}, TRAIN, "validation: expected a share"),
        ({"absent": 1}, TRAIN, "absent: expected a share from 0 to below 1"),
        ({"absent": True}, TRAIN, "absent: expected a share"),
        ({}, [GAP], "expected readings of every channel, got none of channel 1"),
        ({}, [], "recordings: expected at least one"),
        ({}, [NOTHING], "recordings: expected events in the training part"),
        ({}, [TEST.data], "recordings: expected EventRecording"),
        ({}, [TEST, recording(3, rate=50.0)], "sample_rate: expected 100 Hz.*got 50 in recording 1"),
        ({}, [TEST, EventRecording(np.zeros((500, 2)), [("sharp", 1.0)], RATE)], "expected 1 channels, got 2"),
    ],
)
def test_bad_inputs_are_named(options, recordings, complaint):
    with pytest.raises((ValueError, AttributeError), match=complaint):
        EventClassifier(**QUICK | options).fit(recordings)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (recording(3, rate=50.0), "sample_rate: expected 100 Hz, as in training, got 50"),
        (np.zeros((100, 2)), r"expected \(n, 1\), got \(100, 2\)"),
        (np.full(100, np.nan), "data: expected finite values, got NaN, and training had no gaps"),
        (np.full(100, np.inf), "data: expected finite values"),
        (np.zeros(100) + 1j, "data: expected real numbers"),
    ],
)
def test_other_data_are_refused(fitted, data, complaint):
    with pytest.raises(ValueError, match=complaint):
        fitted.detect(data)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_beats_of_an_ecg_with_the_defaults(seed):
    """First 20 minutes to last 10, at 50 ms, live within 1.1 s."""
    roots = [os.environ.get("COURSE_DATA"), paths.PROJECT_ROOT / "data", paths.PROJECT_ROOT.parent / "shared" / "data"]
    folder = next((Path(root) / "ecg" for root in filter(None, roots) if (Path(root) / "ecg").is_dir()), None)
    if folder is None:
        pytest.skip("the ECG is not on disk (python -m course_lib data fetch ecg)")
    record = load_ecg(folder).merged({"N": "beat", "A": "beat", "V": "beat"})
    model = EventClassifier(random_state=seed).fit([record.part(0, 1200)])
    assert model.score([record.part(1200, record.seconds)]) >= 0.995 and model.stream().latency <= 1.1
