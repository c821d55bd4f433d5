"""What a user's own signals may get wrong: every call names the argument, what came and what was expected."""

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.linear_model import LogisticRegression

from course_lib import estimator as es
from course_lib import events as ev
from course_lib.data import (
    EventRecording,
    SensorTable,
    load_audio_folder,
    load_audio_table,
    load_event_table,
    load_sensor_table,
    on_one_clock,
    recording_windows,
)
from course_lib.models import EventDetector

SENSOR = SensorTable(np.zeros((100, 2), np.float32), 10.0, ("x", "y"), "0", (), 0.0)
FAST = SensorTable(np.zeros((100, 2), np.float32), 20.0, ("x", "y"), "0", (), 0.0)
OTHER = SensorTable(np.zeros((100, 1), np.float32), 10.0, ("z",), "0", (), 0.0)
LATER = SensorTable(np.zeros((100, 2), np.float32), 10.0, ("x", "y"), "0", (), 0.0, origin=900.0)
HOLES = SensorTable(np.full((100, 2), np.nan, np.float32), 10.0, ("x", "y"), "0", (), 0.0)
FLAT = np.zeros(100)
MARKS = [("a", 1.0)]
WAVE = np.random.default_rng(0).standard_normal((12, 64))
TWO = np.arange(12) % 2
LINEAR = LogisticRegression().fit(WAVE, TWO)
QUIET = {"cache": False, "progress": False, "sample_rate": 1000}
TRUTH, FOUND = [[(0, 5.0)]], [ev.Detections([0], [5.0], [0.9])]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two classes of noise, tables of clips, readings and events."""
    folder = tmp_path_factory.mktemp("own")
    for name in ("a/1.wav", "b/2.wav", "flat/3.wav"):
        (folder / name).parent.mkdir(exist_ok=True)
        soundfile.write(folder / name, np.random.default_rng(len(name)).uniform(-0.5, 0.5, 800), 1000)
    tables = {
        "clips": {"file": ["a/1.wav", "b/2.wav"], "label": ["x", "y"], "part": ["one", "two"]},
        "blank": {"file": ["a/1.wav"], "label": [" "]},
        "readings": {"time": [0, 1, 2, 3], "x": [1, 2, 3, 4]},
        "words": {"time": [0, 1, 2, 3], "x": [1, "two", 3, 4]},
        "back": {"time": [0, 2, 1, 3], "x": [1, 2, 3, 4]},
        "short": {"time": [0, 1], "x": [1, 2]},
        "alone": {"time": [0, 1, 2]},
        "events": {"time": [1, "soon"], "type": ["a", "b"]},
        "untyped": {"time": [1], "type": [" "]},
    }
    for name, table in tables.items():
        pd.DataFrame(table).to_csv(folder / f"{name}.csv", index=False)
    (folder / "empty.csv").write_text("file,label\n", encoding="utf-8")
    return folder


CASES = {
    # reading sound
    "window 0": (lambda f: load_audio_folder(f, window=0, **QUIET), "window: expected seconds.*got 0"),
    "window below 0": (lambda f: load_audio_folder(f, window=-1.0, **QUIET), "window: expected seconds"),
    "window nan": (lambda f: load_audio_folder(f, window=np.nan, **QUIET), "window: expected seconds.*got nan"),
    "window text": (lambda f: load_audio_folder(f, window="2 s", **QUIET), "window: expected seconds.*got '2 s'"),
    "window True": (lambda f: load_audio_folder(f, window=True, **QUIET), "window: expected seconds"),
    "window of a sample": (lambda f: load_audio_folder(f, window=0.001, **QUIET), "hold at least two samples"),
    "table's window": (lambda f: load_audio_table(f / "clips.csv", window=-1, **QUIET), "window: expected"),
    "rate text": (lambda f: load_audio_folder(f, sample_rate="8k"), "sample_rate: expected.*'8k'"),
    "rate 0": (lambda f: load_audio_folder(f, sample_rate=0), "sample_rate: expected.*got 0"),
    "duration 0": (lambda f: load_audio_folder(f, **QUIET, duration=0), "duration: expected seconds"),
    "duration text": (lambda f: load_audio_folder(f, **QUIET, duration="2"), "duration: expected seconds.*'2'"),
    "channel -1": (lambda f: load_audio_folder(f, **QUIET, channel=-1), "channel: expected a number from 0"),
    "channel text": (lambda f: load_audio_folder(f, **QUIET, channel="left"), "channel: expected.*'left'"),
    "on_error": (lambda f: load_audio_folder(f, **QUIET, on_error="stop"), 'on_error: expected "skip" or "raise"'),
    "pattern": (lambda f: load_audio_folder(f, **QUIET, group="("), "group: expected a regular expression"),
    "pattern not text": (lambda f: load_audio_folder(f, **QUIET, group=3), "group: expected a regular expression"),
    "pattern finds nothing": (lambda f: load_audio_folder(f, **QUIET, group="zzz"), "group: 'zzz' finds nothing"),
    "no folder": (lambda f: load_audio_folder(f / "none", **QUIET), "path: expected a folder"),
    "no table": (lambda f: load_audio_table(f / "none.csv", **QUIET), "path: expected a CSV file"),
    "no column": (lambda f: load_audio_table(f / "clips.csv", label="kind", **QUIET), "label: expected one of"),
    "another separator": (lambda f: load_audio_table(f / "clips.csv", sep=";", **QUIET), "is sep=';' right"),
    "separator of none": (lambda f: load_audio_table(f / "clips.csv", sep="", **QUIET), "sep: expected"),
    "no label": (lambda f: load_audio_table(f / "blank.csv", **QUIET), "expected rows with a file and a label"),
    "empty table": (lambda f: load_audio_table(f / "empty.csv", **QUIET), "at least one row"),
    "folds of words": (lambda f: load_audio_table(f / "clips.csv", split="part", **QUIET), "split: expected whole"),
    # readings
    "no readings": (lambda f: load_sensor_table(f / "none.csv"), "path: expected a CSV file"),
    "no time": (lambda f: load_sensor_table(f / "readings.csv", time="t"), "time: expected one of"),
    "no such channel": (lambda f: load_sensor_table(f / "readings.csv", columns=["y"]), r"columns\[0\]: expected"),
    "channels of none": (lambda f: load_sensor_table(f / "alone.csv"), "expected a channel beside 'time'"),
    "a word among numbers": (lambda f: load_sensor_table(f / "words.csv"), "row 3, column x.*got 'two'"),
    "time runs back": (lambda f: load_sensor_table(f / "back.csv"), "runs backwards from row 3"),
    "two rows": (lambda f: load_sensor_table(f / "short.csv"), "at least three rows, got 2"),
    "unit 0": (lambda f: load_sensor_table(f / "readings.csv", unit=0), "unit: expected seconds above 0, got 0"),
    "unit text": (lambda f: load_sensor_table(f / "readings.csv", unit="ms"), "unit: expected seconds.*'ms'"),
    "readings' rate -1": (lambda f: load_sensor_table(f / "readings.csv", sample_rate=-1), "sample_rate: expected Hz"),
    "readings' rate text": (lambda f: load_sensor_table(f / "readings.csv", sample_rate="x"), "sample_rate: expected"),
    "too long": (lambda f: SENSOR.windows(60), "seconds: expected up to 10 s, got 60"),
    "seconds 0": (lambda f: SENSOR.windows(0), "seconds: expected"),
    "seconds nan": (lambda f: SENSOR.windows(np.nan), "seconds: expected"),
    "seconds text": (lambda f: SENSOR.windows("1"), "seconds: expected.*'1'"),
    "step 0": (lambda f: SENSOR.windows(1, step=0), "step: expected at least one step"),
    "step nan": (lambda f: SENSOR.windows(1, step=np.nan), "step: expected"),
    "gaps": (lambda f: SENSOR.windows(1, gaps="fill"), 'gaps: expected "drop" or "keep"'),
    "nothing but gaps": (lambda f: HOLES.windows(1), "gaps: every window"),
    "no recordings": (lambda f: recording_windows({}, 1), "tables: expected at least one"),
    "an array as table": (lambda f: recording_windows({"a": FLAT}, 1), "tables: expected SensorTable, got ndarray"),
    "a list of tables": (lambda f: recording_windows([SENSOR], 1), "tables: expected a mapping"),
    "two rates": (lambda f: recording_windows({"a": SENSOR, "b": FAST}, 1), "one rate, got 10 Hz in 'a', 20 Hz in 'b'"),
    "other columns": (lambda f: recording_windows({"a": SENSOR, "b": OTHER}, 1), "expected the columns"),
    "one too short": (lambda f: recording_windows({"a": SENSOR}, 20), "seconds: expected.*'a'"),
    "no sensors": (lambda f: on_one_clock({}), "tables: expected at least one"),
    "a list of sensors": (lambda f: on_one_clock([SENSOR]), "tables: expected a mapping"),
    "clocks apart": (lambda f: on_one_clock({"a": SENSOR, "b": LATER}), "clocks that overlap"),
    "clock's rate": (lambda f: on_one_clock({"a": SENSOR}, 0), "sample_rate: expected Hz above 0, got 0"),
    # events
    "no events file": (lambda f: load_event_table(f / "none.csv"), "path: expected a CSV file"),
    "a word as time": (lambda f: load_event_table(f / "events.csv"), "row 3: expected a time and a type, got 'soon'"),
    "an event without type": (lambda f: load_event_table(f / "untyped.csv"), "row 2: expected a time and a type"),
    "event unit": (lambda f: load_event_table(f / "events.csv", unit="ms"), "unit: expected seconds"),
    "recording's rate 0": (lambda f: EventRecording(FLAT, MARKS, 0), "sample_rate: expected Hz above 0, got 0"),
    "recording's rate text": (lambda f: EventRecording(FLAT, MARKS, "9"), "sample_rate: expected Hz above 0, got '9'"),
    "recording in 3-D": (lambda f: EventRecording(np.zeros((2, 3, 4)), MARKS, 1), r"data: expected \(T, C\)"),
    "recording of nothing": (lambda f: EventRecording([], [], 10), "data: expected"),
    "events as dictionary": (lambda f: EventRecording(FLAT, {"a": 1.0}, 10), "events: expected pairs"),
    "events of None": (lambda f: EventRecording(FLAT, None, 10), "events: expected pairs"),
    "events turned round": (lambda f: EventRecording(FLAT, [(1.0, "a")], 10), "events: expected types"),
    "events in samples": (lambda f: EventRecording(FLAT, [("a", 50)], 10), "are these samples"),
    "event at nan": (lambda f: EventRecording(FLAT, [("a", np.nan)], 10), "events: expected seconds"),
    "labelled backwards": (lambda f: EventRecording(FLAT, MARKS, 10, labelled=(5, 2)), "labelled: expected seconds"),
    "labelled as number": (lambda f: EventRecording(FLAT, MARKS, 10, labelled=5), "labelled: expected"),
    "part of nothing": (lambda f: EventRecording(FLAT, MARKS, 10).part(5, 5), "start, stop: expected a part"),
    "part nan": (lambda f: EventRecording(FLAT, MARKS, 10).part(np.nan, 5), "start, stop: expected"),
    "score at rate 0": (lambda f: ev.event_scores(TRUTH, FOUND, 5, 0), "sample_rate: expected Hz above 0, got 0"),
    "score at rate nan": (lambda f: ev.event_scores(TRUTH, FOUND, 5, np.nan), "sample_rate: expected"),
    "score at no rate": (lambda f: ev.event_scores(TRUTH, FOUND, 5, None), "sample_rate: expected Hz.*got None"),
    "tolerance text": (lambda f: ev.event_scores(TRUTH, FOUND, "5 ms", 10), "tolerance_ms: expected.*'5 ms'"),
    "tolerance -1": (lambda f: ev.best_threshold(TRUTH, FOUND, -1, 10), "tolerance_ms: expected"),
    "recordings unequal": (lambda f: ev.event_scores(TRUTH, [], 5, 10), "truths, founds: expected one each"),
    "detector's rate": (lambda f: EventDetector(sample_rate="360"), "sample_rate: expected Hz above 0, got '360'"),
    "live rate": (lambda f: ev.LiveDetector(EventDetector(), sample_rate=-5), "sample_rate: expected Hz"),
    "live window": (lambda f: ev.LiveDetector(EventDetector(), window=4003), "window, margin, history: expected"),
    # one answer a recording
    "too few names": (lambda f: es.by_recording(LINEAR, WAVE, ["a"]), r"recordings: expected \(12,\)"),
    "no classifier": (lambda f: es.by_recording("model", WAVE, TWO), "model: expected a classifier.*got str"),
    "no windows": (lambda f: es.by_recording(LINEAR, WAVE[:0], []), "X: expected at least one window"),
    # classifiers
    "nan option": (lambda f: es.SignalClassifier(nan="zero").fit(WAVE, TWO), "nan: expected.*'zero'"),
    "weights option": (lambda f: es.SignalClassifier(class_weight="x").fit(WAVE, TWO), "class_weight"),
    "share of 2": (lambda f: es.SignalClassifier(validation=2).fit(WAVE, TWO), "validation: expected a share"),
    "stop without a part": (lambda f: es.SignalClassifier(early_stopping=3).fit(WAVE, TWO), "early_stopping: needs"),
    "one class": (lambda f: es.SignalClassifier().fit(WAVE, TWO * 0), "y: expected at least two classes"),
    "audio rate": (lambda f: es.AudioClassifier("8000").fit(WAVE, TWO), "sample_rate: expected.*'8000'"),
    "audio hop": (lambda f: es.AudioClassifier(1000, hop="1").fit(WAVE, TWO), "hop: expected seconds.*'1'"),
    "false alarms of 5": (lambda f: es.AnomalyDetector(5).fit(WAVE), "false_alarms: expected a share.*got 5"),
    "false alarms text": (lambda f: es.AnomalyDetector("5 %").fit(WAVE), "false_alarms: expected.*'5 %'"),
    "files of none": (lambda f: es.AnomalyDetector.load(f / "clips.csv"), "path: .*no saved estimator"),
    "not fitted": (lambda f: es.EventClassifier().stream(), "not fitted"),
    "arrays as recordings": (lambda f: es.EventClassifier().fit([FLAT]), "recordings: expected EventRecording"),
    "no list": (lambda f: es.EventClassifier().fit(5), "recordings: expected"),
    "absent text": (
        lambda f: es.EventClassifier(absent="x").fit([EventRecording(FLAT, MARKS, 10)]),
        "absent: expected",
    ),
    "share text": (
        lambda f: es.EventClassifier(validation="x").fit([EventRecording(FLAT, MARKS, 10)]),
        "validation: expected a share",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_input_is_named(folder, name):
    call, complaint = CASES[name]
    with pytest.raises((ValueError, FileNotFoundError), match=complaint):
        call(folder)


def test_there_are_enough_of_them():
    assert len(CASES) >= 60
