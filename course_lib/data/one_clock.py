"""Several sensors at rates of their own, brought onto one clock; where a sensor has no reading, nothing is made up."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from course_lib.data.audio import is_number
from course_lib.data.sensor_table import SensorTable


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
    if not isinstance(tables, Mapping):
        raise ValueError(f"tables: expected a mapping from names to SensorTable, got {type(tables).__name__}")
    if not tables:
        raise ValueError("tables: expected at least one sensor, got none")
    for name, table in tables.items():
        if not isinstance(table, SensorTable):
            raise ValueError(f"tables: expected SensorTable, got {type(table).__name__} for {name!r}")
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
