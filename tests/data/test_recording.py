"""Recordings with events in seconds: their parts, and the CSV of events."""

import numpy as np
import pandas as pd
import pytest

from course_lib.data import DataError, EventRecording, load_event_table, load_sensor_table

DATA = np.random.default_rng(0).standard_normal((300, 2))


def test_a_part_has_its_own_clock_and_its_own_labelled_part():
    whole = EventRecording(DATA, [("b", 2.0), ("a", 0.5), (3, 1.25)], 100, labelled=(0.25, 2.5))
    assert whole.events == [("a", 0.5), (3, 1.25), ("b", 2.0)] and whole.seconds == 3 and whole.data.dtype == np.float32
    part = whole.part(1.0, 2.25)
    assert part.events == [(3, 0.25), ("b", 1.0)] and part.labelled == (0.0, 1.25)
    np.testing.assert_array_equal(part.data, whole.data[100:225])
    assert whole.counts == {"a": 1, 3: 1, "b": 1} and whole.merged({"b": "a"}).counts == {"a": 2, 3: 1}


def test_one_channel_may_be_one_row_of_numbers():
    assert EventRecording(DATA[:, 0], [], 100).data.shape == (300, 1)


@pytest.mark.parametrize(
    ("data", "events", "rate", "labelled", "complaint"),
    [
        (np.zeros((0, 2)), [], 100, None, "data: expected"),
        (np.zeros((2, 3, 4)), [], 100, None, "data: expected"),
        (np.where(DATA > 1, np.inf, DATA), [], 100, None, "data: expected finite values"),
        (DATA + 1j, [], 100, None, "data: expected real numbers"),
        (DATA, [], 0, None, "sample_rate: expected Hz above 0"),
        (DATA, [], -100, None, "sample_rate: expected"),
        (DATA, [], np.inf, None, "sample_rate: expected"),
        (DATA, [], "100", None, "sample_rate: expected"),
        (DATA, [("a", 3.0)], 100, None, "events: expected seconds from 0 to below 3.*are these samples"),
        (DATA, [("a", -0.1)], 100, None, "events: expected seconds"),
        (DATA, [("a", np.nan)], 100, None, "events: expected seconds"),
        (DATA, [("a", "soon")], 100, None, "events: expected seconds, got 'soon'"),
        (DATA, [("a", 1.0, 0.9)], 100, None, "events: expected pairs"),
        (DATA, [1.0], 100, None, "events: expected pairs"),
        (DATA, [(0.5, 1.0)], 100, None, "events: expected types"),
        (DATA, [], 100, (2, 1), "labelled: expected seconds"),
        (DATA, [], 100, (0, 4), "labelled: expected seconds"),
    ],
)
def test_what_is_no_recording_is_named(data, events, rate, labelled, complaint):
    with pytest.raises(ValueError, match=complaint):
        EventRecording(data, events, rate, labelled=labelled)


@pytest.mark.parametrize(("start", "stop"), [(1.0, 1.0), (2.0, 1.0), (5.0, 6.0)])
def test_a_part_that_is_none_is_named(start, stop):
    with pytest.raises(ValueError, match="start, stop: expected a part"):
        EventRecording(DATA, [], 100).part(start, stop)


def test_events_of_a_table(tmp_path):
    (tmp_path / "e.csv").write_text("kind; ms\nknock; 1500\nhum;250\n", encoding="utf-16")
    events = load_event_table(tmp_path / "e.csv", time="ms", type="kind", sep=";", unit=0.001)
    assert events == [("hum", 0.25), ("knock", 1.5)]


@pytest.mark.parametrize("form", ["numbers", "dates"])
def test_events_and_signals_keep_one_clock(form, tmp_path):
    """Stamps that begin at 1800 s or half past eight, an event 2.5 s later: it is at 2.5 s of the recording."""
    clock = 1800 + np.arange(500) / 100
    stamps = clock if form == "numbers" else pd.Timestamp("2026-03-01T08:00Z") + pd.to_timedelta(clock, unit="s")
    pd.DataFrame({"time": stamps, "x": clock}).to_csv(tmp_path / "s.csv", index=False)
    pd.DataFrame({"time": stamps[[250]], "type": "P wave"}).to_csv(tmp_path / "e.csv", index=False)
    table = load_sensor_table(tmp_path / "s.csv")
    ((kind, second),) = load_event_table(tmp_path / "e.csv", origin=table.origin)
    assert kind == "P wave" and second == pytest.approx(2.5, abs=1e-6)
    with pytest.raises(ValueError, match="events: expected seconds from 0 to below 5"):
        EventRecording(table.data, load_event_table(tmp_path / "e.csv"), table.sample_rate)


def test_decimals_may_begin_with_a_comma(tmp_path):
    (tmp_path / "s.csv").write_text("time;x\n0,5;1,25\n1,0;-,5e1\n1,5;\n")
    (tmp_path / "e.csv").write_text("time;type\n0,75;a,b\n")
    table = load_sensor_table(tmp_path / "s.csv", sep=";", decimal=",")
    np.testing.assert_array_equal(table.data, np.array([[1.25], [-5], [np.nan]], np.float32))
    events = load_event_table(tmp_path / "e.csv", sep=";", decimal=",", origin=table.origin)
    assert table.sample_rate == 2 and "1 empty cells" in str(table) and events == [("a,b", 0.25)]
    for decimal in ("x", None):
        with pytest.raises(ValueError, match="decimal: expected"):
            load_sensor_table(tmp_path / "s.csv", sep=";", decimal=decimal)
    with pytest.raises(ValueError, match="decimal: expected"):
        load_event_table(tmp_path / "e.csv", decimal=",")
    with pytest.raises(ValueError, match="origin: expected seconds"):
        load_event_table(tmp_path / "e.csv", sep=";", origin="8:00")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("time,kind\n1,a\n", "type: expected one of time, kind, got 'type'"),
        ("time;type\n1;a\n", "is sep=',' right"),
        ("time,type\n", "at least one row"),
        ("time,type\n1,a\nsoon,b\n", "row 3: expected a time and a type"),
        ("time,type\n1,a\n2,\n", "row 3: expected a time and a type"),
        ("time,type\nnan,a\n", "row 2"),
        ("", "not a table"),
    ],
)
def test_a_table_that_holds_no_events_is_named(tmp_path, text, complaint):
    (tmp_path / "e.csv").write_text(text)
    with pytest.raises(DataError, match=complaint):
        load_event_table(tmp_path / "e.csv")


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_event_table(tmp_path / "e.csv")
