"""Sensor readings with time stamps, brought onto an even clock, one sensor or several: rate found, gaps said."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from course_lib.data.audio_data import DataError, is_number
from course_lib.data.tables import read_table


@dataclass(frozen=True, eq=False)
class SensorTable:
    """data: (T, C) float32 on an even clock, NaN where no reading is.  sample_rate: Hz, found from the time stamps.

    columns: C names.  start: the first time stamp, as it was written.  gaps: (second, readings missing) of each.
    jitter: the largest distance of a time stamp from the even clock, in steps of it.  origin: seconds of the first time
    stamp, from 0 of its numbers, or from 1970 for dates: what `load_event_table` needs for events on the same clock.
    """

    data: np.ndarray
    sample_rate: float
    columns: tuple[str, ...]
    start: str
    gaps: tuple[tuple[float, int], ...]
    jitter: float
    origin: float = 0.0

    def __str__(self) -> str:
        missing = sum(count for _, count in self.gaps)
        seconds = len(self.data) / self.sample_rate
        parts = [f"{len(self.data):,} steps of {len(self.columns)} channels at {self.sample_rate:g} Hz ({seconds:g} s)"]
        parts.append(f"{missing} readings missing in {len(self.gaps)} gaps" if self.gaps else "no gaps")
        if empty := int(np.isnan(self.data).sum()) - missing * len(self.columns):
            parts.append(f"{empty} empty cells")
        return "; ".join([*parts, f"jitter up to {self.jitter:.2g} steps"])

    def windows(self, seconds: float, step: float | None = None, gaps: str = "drop") -> tuple[np.ndarray, np.ndarray]:
        """Windows (N, L, C) and the second at which each begins (N,).

        step: seconds from one to the next; None: no overlap.  gaps: "drop" leaves out windows with a missing value and
        warns how many, "keep" leaves NaN in them, as `SignalClassifier(nan="mask")` takes it.
        Raises ValueError where no window fits or remains.
        """
        length = round(seconds * self.sample_rate) if is_number(seconds) else 0
        hop = length if step is None else round(step * self.sample_rate) if is_number(step) else 0
        if not 1 <= length <= len(self.data):
            raise ValueError(f"seconds: expected up to {len(self.data) / self.sample_rate:g} s, got {seconds!r}")
        if hop < 1:
            raise ValueError(f"step: expected at least one step of {1 / self.sample_rate:g} s, got {step!r}")
        if gaps not in ("drop", "keep"):
            raise ValueError(f'gaps: expected "drop" or "keep", got {gaps!r}')
        starts = np.arange(0, len(self.data) - length + 1, hop)
        cut = np.stack([self.data[start : start + length] for start in starts])
        whole = ~np.isnan(cut).any(axis=(1, 2)) if gaps == "drop" else np.ones(len(cut), bool)
        if not whole.any():
            raise ValueError(f'gaps: every window of {seconds:g} s holds a missing value: shorter ones, or gaps="keep"')
        if not whole.all():
            lost = f"{(~whole).sum()} of {len(whole)} windows hold a missing value and are left out"
            warnings.warn(f'gaps: {lost}; gaps="keep" keeps them', stacklevel=2)
        return cut[whole], starts[whole] / self.sample_rate


def recording_windows(
    tables: Mapping[str, SensorTable], seconds: float, step: float | None = None, gaps: str = "drop"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows of several recordings of one rate and the same columns, for a split and a vote by recording.

    tables: name of the recording → its readings.  seconds, step, gaps: as in `SensorTable.windows`.
    Returns windows (N, L, C), the recording that each is cut from (N,), and the second at which it begins there (N,).
    Raises ValueError naming the argument, and the recording that does not fit.
    """
    _check(tables, "recording")
    parts = []
    first, expected = next(iter(tables.items()))
    for name, table in tables.items():
        if not np.isclose(table.sample_rate, expected.sample_rate, rtol=0.01):
            rates = f"{expected.sample_rate:g} Hz in {first!r}, {table.sample_rate:g} Hz in {name!r}"
            raise ValueError(f"tables: expected one rate, got {rates}: load them with one sample_rate")
        if table.columns != expected.columns:
            raise ValueError(f"tables: expected the columns {expected.columns}, got {table.columns} in {name!r}")
        try:
            windows, starts = table.windows(seconds, step, gaps)
        except ValueError as error:
            raise ValueError(f"{error} (recording {name!r})") from None
        parts.append((windows, np.full(len(windows), name), starts))
    length = min(windows.shape[1] for windows, _, _ in parts)  # rates that differ in the last digit round differently
    x = np.concatenate([windows[:, :length] for windows, _, _ in parts])
    return x, np.concatenate([names for _, names, _ in parts]), np.concatenate([starts for _, _, starts in parts])


def load_sensor_table(
    path: str | os.PathLike,
    time: str = "time",
    columns: Sequence[str] | None = None,
    sep: str = ",",
    unit: float = 1.0,
    sample_rate: float | None = None,
    decimal: str = ".",
) -> SensorTable:
    """Read a CSV with one reading a row, in time order.

    time: the column of time stamps: numbers in `unit` seconds (0.001: milliseconds), or dates as pandas reads them.
    columns: which channels; None: all others.  sample_rate: Hz; None: from the median distance of the time stamps.
    sep: between columns.  decimal: what begins the decimals of a number, "," in a table that separates by ";".
    Each reading goes to the nearest step of the clock; steps without one, and empty cells, are NaN.
    Raises FileNotFoundError, ValueError naming the argument, or DataError naming the file and what is wrong: no such
    column, no number, under three rows, time that stands still or runs backwards, two readings on one step.
    """
    wanted = {"time": time} | {f"columns[{i}]": name for i, name in enumerate(columns or ())}
    table = read_table(path, wanted, sep, decimal)
    names = [name for name in table.columns if name != time] if columns is None else list(columns)
    if not names:
        raise DataError(f"{path}: expected a channel beside {time!r}, got none")
    if len(table) < 3:
        raise DataError(f"{path}: expected at least three rows, got {len(table)}")
    if not (is_number(unit) and unit > 0):
        raise ValueError(f"unit: expected seconds above 0, got {unit!r}")
    seconds, origin = _seconds(path, table[time], unit)
    steps = np.diff(seconds)
    if not (steps > 0).all():
        row = int(np.argmax(steps <= 0))
        raise DataError(f"{path}: time stands still or runs backwards from row {row + 2} to row {row + 3}")
    if sample_rate is not None and not (is_number(sample_rate) and sample_rate > 0):
        raise ValueError(f"sample_rate: expected Hz above 0, got {sample_rate!r}")
    rate = 1 / float(np.median(steps)) if sample_rate is None else float(sample_rate)
    if sample_rate is None:  # a median of rounded stamps is a little off: the mean over the even steps is not
        even = np.abs(steps * rate - 1) < 0.5
        rate = float(f"{1 / steps[even].mean():.6g}")
    place = (seconds - seconds[0]) * rate
    at = np.round(place).astype(np.int64)
    if at[-1] > 1000 * len(at):
        raise DataError(
            f"{path}: {at[-1] + 1:,} steps for {len(at):,} readings at {rate:g} Hz: is unit={unit:g} right?"
        )
    if (twice := np.flatnonzero(np.diff(at) == 0)).size:
        advice = f"rows {twice[0] + 2} and {twice[0] + 3} fall on one step of the clock of {rate:g} Hz"
        raise DataError(f"{path}: {advice}: give a higher sample_rate")
    data = np.full((at[-1] + 1, len(names)), np.nan, np.float32)
    for channel, name in enumerate(names):
        data[at, channel] = _numbers(path, table[name])
    missing = np.diff(at) - 1
    gaps = tuple((float((at[i] + 1) / rate), int(missing[i])) for i in np.flatnonzero(missing))
    return SensorTable(data, rate, tuple(names), table[time].iloc[0], gaps, float(np.abs(place - at).max()), origin)


def _seconds(path: str | os.PathLike, stamps: pd.Series, unit: float) -> tuple[np.ndarray, float]:
    """Seconds from the first stamp on, float64, and the first; DataError naming a row that is neither."""
    numbers = pd.to_numeric(stamps, errors="coerce")
    if np.isfinite(numbers).all():
        since = numbers - numbers.iloc[0]  # of whole numbers exactly: nanoseconds from 1970 are too long for float64
        return since.to_numpy(float) * unit, float(numbers.iloc[0]) * unit
    dates = pd.to_datetime(stamps, errors="coerce", format="ISO8601", utc=True)
    if dates.isna().any():
        row = int(np.argmax(~np.isfinite(numbers) if np.isfinite(numbers).mean() > 0.5 else dates.isna()))
        raise DataError(f"{path}, row {row + 2}: expected a number or a date as a time stamp, got {stamps.iloc[row]!r}")
    return (dates - dates.iloc[0]).dt.total_seconds().to_numpy(float), dates.iloc[0].timestamp()


def _numbers(path: str | os.PathLike, cells: pd.Series) -> np.ndarray:
    """float32, NaN for an empty cell; DataError naming the first row that is no number, or too large for float32."""
    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(float)
    with np.errstate(over="ignore"):
        numbers = numbers.astype(np.float32)  # what it cannot hold is infinite, and named below
    wrong = ~np.isfinite(numbers) & ~cells.str.lower().isin(["", "nan", "na", "null"]).to_numpy()
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(f"{path}, row {row + 2}, column {cells.name}: expected a number, got {cells.iloc[row]!r}")
    return numbers


def on_one_clock(tables: Mapping[str, SensorTable], sample_rate: float | None = None) -> SensorTable:
    """One table with the channels of all, such as "wrist x", from the first reading of any sensor to the last.

    tables: name of the sensor → its readings; time stamps that mean the same on all.
    sample_rate: Hz of the common clock; None: the highest of the sensors'.
    A slower sensor is filled in on a line between two readings that follow one another; of a faster one each step is
    the mean of the readings nearest to it. Within gaps, and before and after a sensor's own readings, its channels are
    NaN: `EventClassifier` and `SignalClassifier(nan="mask")` take that.
    Returns a SensorTable whose gaps are those of all sensors together: steps at which no sensor has a reading.
    Raises ValueError naming the argument: no table, a rate that is none, clocks that do not overlap.
    """
    _check(tables, "sensor")
    rate = max(table.sample_rate for table in tables.values()) if sample_rate is None else sample_rate
    if not (is_number(rate) and rate > 0):
        raise ValueError(f"sample_rate: expected Hz above 0, got {sample_rate!r}")
    starts = {name: table.origin for name, table in tables.items()}
    stops = {name: table.origin + (len(table.data) - 1) / table.sample_rate for name, table in tables.items()}
    late, early = max(starts, key=starts.__getitem__), min(stops, key=stops.__getitem__)
    if starts[late] > stops[early]:
        raise ValueError(
            f"tables: expected clocks that overlap, but {early!r} ends at {stops[early]:g} s, before {late!r} begins "
            f"at {starts[late]:g} s: do their time stamps mean the same?"
        )
    first = min(starts, key=starts.__getitem__)
    clock = starts[first] + np.arange(int((max(stops.values()) - starts[first]) * rate + 1e-6) + 1) / rate  # (T,)
    data = np.concatenate([_sampled(table, clock, rate) for table in tables.values()], axis=1)
    empty = np.isnan(data).all(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], empty, [0]])))
    gaps = tuple((float(a / rate), int(b - a)) for a, b in edges.reshape(-1, 2))
    columns = tuple(f"{name} {column}" for name, table in tables.items() for column in table.columns)
    jitter = max(table.jitter * float(rate) / table.sample_rate for table in tables.values())
    return SensorTable(data, float(rate), columns, tables[first].start, gaps, jitter, starts[first])


def _check(tables: Mapping[str, SensorTable], what: str) -> None:
    """ValueError unless each of at least one name has a SensorTable."""
    if not isinstance(tables, Mapping):
        raise ValueError(f"tables: expected a mapping from names to SensorTable, got {type(tables).__name__}")
    if not tables:
        raise ValueError(f"tables: expected at least one {what}, got none")
    for name, table in tables.items():
        if not isinstance(table, SensorTable):
            raise ValueError(f"tables: expected SensorTable, got {type(table).__name__} for {name!r}")


def _sampled(table: SensorTable, clock: np.ndarray, rate: float) -> np.ndarray:
    """The table's channels at the seconds `clock` (T,): (T, C) float32, NaN where it has no reading."""
    place = (clock - table.origin) * table.sample_rate  # (T,) in steps of the table
    out = np.full((len(clock), table.data.shape[1]), np.nan, np.float32)
    if table.sample_rate > rate * (1 + 1e-6):
        step = np.round((np.arange(len(table.data)) / table.sample_rate + table.origin - clock[0]) * rate).astype(int)
        inside = (step >= 0) & (step < len(clock))
        for channel, values in enumerate(table.data.T):
            there = inside & ~np.isnan(values)
            count = np.bincount(step[there], minlength=len(clock))
            total = np.bincount(step[there], values[there], len(clock))
            out[count > 0, channel] = total[count > 0] / count[count > 0]
        return out
    before = np.floor(place + 1e-6).astype(int)
    share = np.where(np.abs(place - before) < 1e-5, 0.0, place - before)[:, None]  # (T, 1)
    inside = (before >= 0) & (before + (share[:, 0] > 0) < len(table.data))
    left = table.data[before.clip(0, len(table.data) - 1)]  # (T, C)
    right = table.data[(before + 1).clip(0, len(table.data) - 1)]
    out[inside] = np.where(share == 0, left, left + share * (right - left))[inside]
    return out
