"""Tables of sensor readings: the rate is found, gaps are said, what is no such table is named."""

import numpy as np
import pandas as pd
import pytest

from course_lib.data import DataError, load_sensor_table

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
