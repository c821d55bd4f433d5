"""Sensors at different rates on one clock: values between readings, means of readings, gaps that stay gaps."""

import numpy as np
import pandas as pd
import pytest

from course_lib.data import SensorTable, load_sensor_table, on_one_clock


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
