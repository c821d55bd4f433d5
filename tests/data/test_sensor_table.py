"""Sensor readings: the rate is found, gaps are said and stay gaps on a common clock, what is no such table is named."""

import numpy as np
import pandas as pd
import pytest

from course_lib.data import DataError, SensorTable, load_sensor_table, on_one_clock

rng = np.random.default_rng(0)
VALUES = rng.standard_normal((500, 2))


def write(path, stamps, values=VALUES):
    pd.DataFrame({"time": stamps, "x": values[: len(stamps), 0], "y": values[: len(stamps), 1]}).to_csv(
        path, index=False
    )
    return path


@pytest.mark.parametrize("rate", [0.1, 50, 204.8, 1000])
def test_rate_and_values_are_found(tmp_path, rate):
    table = load_sensor_table(write(tmp_path / "t.csv", np.round(np.arange(500) / rate, 6)))
    assert table.sample_rate == pytest.approx(rate, rel=1e-4) and table.columns == ("x", "y") and table.gaps == ()
    np.testing.assert_allclose(table.data, VALUES, rtol=1e-6)


def test_missing_rows_are_gaps_and_not_a_shorter_recording(tmp_path):
    """120 rows of 500 are gone: the clock keeps its length, and the gap says where and how many."""
    kept = np.r_[0:200, 320:500]
    stamps = pd.Timestamp("2026-01-05T10:00:00Z") + pd.to_timedelta(kept * 20, unit="ms")
    table = load_sensor_table(write(tmp_path / "t.csv", stamps, VALUES[kept]))
    assert table.sample_rate == pytest.approx(50) and table.gaps == ((4.0, 120),) and len(table.data) == 500
    np.testing.assert_allclose(table.data[320:], VALUES[320:], rtol=1e-6)
    assert np.isnan(table.data[200:320]).all() and "120 readings missing in 1 gaps" in str(table)
    with pytest.warns(UserWarning, match="gaps: 3 of 10 windows hold a missing value and are left out"):
        windows, starts = table.windows(1.0)
    assert windows.shape == (7, 50, 2) and starts.tolist() == [0, 1, 2, 3, 7, 8, 9]
    assert table.windows(1.0, step=0.5, gaps="keep")[0].shape == (19, 50, 2)


def test_stamps_that_jitter_fall_on_the_clock(tmp_path):
    stamps = np.arange(500) / 100 + rng.uniform(-0.002, 0.002, 500)
    table = load_sensor_table(write(tmp_path / "t.csv", stamps), sample_rate=100)
    assert len(table.data) in (500, 501) and 0.1 < table.jitter < 0.5


def test_units_empty_cells_and_chosen_columns(tmp_path):
    (tmp_path / "t.csv").write_text("t;a;b;note\n0;1;2;on\n10;;3;\n20;5;nan;off\n")
    table = load_sensor_table(tmp_path / "t.csv", time="t", columns=["b", "a"], sep=";", unit=0.001)
    assert table.sample_rate == pytest.approx(100) and table.columns == ("b", "a")
    np.testing.assert_array_equal(table.data, np.array([[2, 1], [3, np.nan], [np.nan, 5]], np.float32))


@pytest.mark.parametrize(
    ("text", "options", "complaint"),
    [
        ("t,x\n0,1\n1,2\n2,3\n", {}, "time: expected one of t, x, got 'time'"),
        ("time,x\n0,1\n1,2\n2,3\n", {"columns": ["z"]}, "columns.0.: expected one of"),
        ("time\n0\n1\n2\n", {}, "expected a channel beside 'time'"),
        ("time,x\n0,1\n1,2\n", {}, "at least three rows"),
        ("time,x\n0,1\n2,2\n1,3\n", {}, "runs backwards from row 3 to row 4"),
        ("time,x\n0,1\n0,2\n1,3\n", {}, "stands still"),
        ("time,x\n0,1\nnoon,2\n1,3\n", {}, "row 3: expected a number or a date"),
        ("time,x\n0,1\n1,two\n2,3\n", {}, "row 3, column x: expected a number, got 'two'"),
        ("time,x\n0,1\n1,inf\n2,3\n", {}, "row 3, column x"),
        ("time,x\n0,1\n1,2\n2,3\n", {"sample_rate": 0.4}, "fall on one step"),
        ("time,x\n0,1\n1,2\n2,3\n", {"sample_rate": -1}, "sample_rate: expected Hz above 0"),
        ("time,x\n0,1\n1,2\n2,3\n", {"unit": 0}, "unit: expected seconds above 0"),
        ("time,x\n0,1\n1,2\n9999999,3\n2e9,4\n", {"sample_rate": 1.0}, "steps for 4 readings"),
        ("time;x\n0;1\n1;2\n2;3\n", {}, "is sep=',' right"),
    ],
)
def test_bad_tables_are_named(tmp_path, text, options, complaint):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=complaint):
        load_sensor_table(tmp_path / "t.csv", **options)


@pytest.mark.parametrize(
    ("seconds", "options", "complaint"),
    [
        (20, {}, "seconds: expected up to 10 s"),
        (0, {}, "seconds: expected"),
        (np.nan, {}, "seconds: expected"),
        (1, {"step": 0}, "step: expected at least one step"),
        (1, {"gaps": "fill"}, 'gaps: expected "drop" or "keep"'),
        (9, {}, "gaps: every window"),
    ],
)
def test_windows_that_cannot_be_are_named(tmp_path, seconds, options, complaint):
    kept = np.r_[0:200, 320:500]
    table = load_sensor_table(write(tmp_path / "t.csv", kept / 50, VALUES[kept]))
    with pytest.raises(ValueError, match=complaint):
        table.windows(seconds, **options)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_sensor_table(tmp_path / "none.csv")
    with pytest.raises(DataError, match="not a table"):
        (tmp_path / "b.csv").write_bytes(b"\xff\x00\x81time,x\n")
        load_sensor_table(tmp_path / "b.csv")


def table(path, rate, seconds, start=0.0, drop=(), columns=("x",), dates=False):
    """A sensor that reads sin(2π t) at `rate`, but in the stretches `drop` of seconds from its start."""
    clock = start + np.arange(int(rate * seconds)) / rate
    kept = np.ones(len(clock), bool)
    for first, last in drop:
        kept &= (clock - start < first) | (clock - start >= last)
    stamps = pd.to_datetime("2026-03-01") + pd.to_timedelta(clock, unit="s") if dates else clock
    values = {name: np.sin(2 * np.pi * clock) for name in columns}
    pd.DataFrame({"time": stamps} | values)[kept].to_csv(path, index=False)
    return load_sensor_table(path)


def test_a_slow_sensor_is_filled_in_and_its_gap_stays(tmp_path):
    fast = table(tmp_path / "a.csv", 100, 4, columns=("x", "y"))
    slow = table(tmp_path / "b.csv", 25, 4, start=1.0, drop=[(1.0, 2.0)])
    both = on_one_clock({"wrist": fast, "foot": slow})
    assert both.columns == ("wrist x", "wrist y", "foot x") and both.sample_rate == 100 and both.gaps == ()
    clock = np.arange(len(both.data)) / 100
    foot = both.data[:, 2]
    here = (clock >= 1) & (clock <= 1.96) | (clock >= 3) & (clock <= 4.96)
    assert np.isnan(foot[~here]).all() and not np.isnan(foot[here]).any()
    np.testing.assert_allclose(foot[here], np.sin(2 * np.pi * clock[here]), atol=0.01)
    np.testing.assert_array_equal(both.data[:400, :2], fast.data)
    assert np.isnan(both.data[400:, :2]).all()


def test_a_fast_sensor_is_averaged(tmp_path):
    fast = table(tmp_path / "a.csv", 1000, 2)
    slow = table(tmp_path / "b.csv", 50, 2)
    both = on_one_clock({"fast": fast, "slow": slow}, sample_rate=50)
    assert both.data.shape == (100, 2)
    np.testing.assert_allclose(both.data[1:, 0], both.data[1:, 1], atol=0.01)
    near = np.round(np.arange(130, 151) / 20) == 7  # the readings whose nearest step is the seventh
    assert both.data[7, 0] == pytest.approx(fast.data[130:151][near].mean(), rel=1e-5)


def test_where_no_sensor_reads_is_a_gap_of_the_whole(tmp_path):
    tables = {name: table(tmp_path / f"{name}.csv", 20, 5, drop=[(2.0, 3.0)], dates=True) for name in "ab"}
    both = on_one_clock(tables)
    assert both.gaps == ((2.0, 20),) and "20 readings missing in 1 gaps" in str(both)
    assert both.start.startswith("2026-03-01")


@pytest.mark.parametrize(
    ("names", "rate", "complaint"),
    [
        ((), None, "tables: expected at least one sensor"),
        (("a", "late"), None, "tables: expected clocks that overlap.*'a' ends at 1.9"),
        (("a", "date"), None, "expected clocks that overlap.*do their time stamps mean the same"),
        (("a", "array"), None, "tables: expected SensorTable, got ndarray for 'array'"),
        (("a",), 0, "sample_rate: expected Hz above 0, got 0"),
        (("a",), -5.0, "sample_rate: expected Hz above 0"),
        (("a",), np.nan, "sample_rate: expected Hz above 0"),
        (("a",), "100", "sample_rate: expected Hz above 0, got '100'"),
        (("a",), True, "sample_rate: expected Hz above 0, got True"),
    ],
)
def test_what_cannot_be_brought_together_is_said(tmp_path, names, rate, complaint):
    known = {
        "a": table(tmp_path / "a.csv", 10, 2),
        "late": table(tmp_path / "l.csv", 10, 2, start=10),
        "date": table(tmp_path / "d.csv", 10, 2, dates=True),
        "array": np.zeros((20, 1)),
    }
    with pytest.raises(ValueError, match=complaint):
        on_one_clock({name: known[name] for name in names}, rate)


def test_origin_is_that_of_the_stamps(tmp_path):
    assert table(tmp_path / "a.csv", 10, 2, start=12.5).origin == 12.5
    assert table(tmp_path / "b.csv", 10, 2, dates=True).origin == pd.Timestamp("2026-03-01", tz="UTC").timestamp()
    assert isinstance(table(tmp_path / "c.csv", 10, 2), SensorTable)
