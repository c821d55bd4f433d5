"""A recording with marked events, in seconds: from an array, and from a CSV of times."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from course_lib.data.audio_data import DataError, is_number
from course_lib.data.datasets import as_float32
from course_lib.data.tables import read_table


@dataclass(frozen=True, eq=False)
class EventRecording:
    """Signals of several channels on one clock, and what happened when.

    data: (T, C), or (T,) of one channel; real numbers; NaN where there is no reading; kept as float32.
    events: [(type, second), ...] in any order; types are text or whole numbers, seconds from the first sample on.
    sample_rate: Hz.  name: such as the file's.
    labelled: (first, last) second of the part in which every event is marked; None: all of it. What lies outside is
        neither learned from nor scored.
    Raises ValueError naming the argument.
    """

    data: np.ndarray
    events: list[tuple[str | int, float]]
    sample_rate: float
    name: str = ""
    labelled: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        data = as_float32("data", self.data, "the recording", gaps=True)
        data = data[:, None] if data.ndim == 1 else data
        if data.ndim != 2 or data.size == 0:
            raise ValueError(f"data: expected (T, C) or (T,) with T > 0, got {data.shape}")
        rate = self.sample_rate
        if not (is_number(rate) and rate > 0):
            raise ValueError(f"sample_rate: expected Hz above 0, got {rate!r}")
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "sample_rate", float(rate))
        if isinstance(self.events, str) or not isinstance(self.events, Iterable):
            raise ValueError(f"events: expected pairs (type, second), got {self.events!r}")
        object.__setattr__(self, "events", [self._checked(event) for event in self.events])
        self.events.sort(key=lambda event: event[1])
        if self.labelled is not None:
            pair = isinstance(self.labelled, tuple | list) and len(self.labelled) == 2
            first, last = self.labelled if pair and all(map(is_number, self.labelled)) else (1, 0)
            if not 0 <= first < last <= self.seconds + 1e-9:
                raise ValueError(f"labelled: expected seconds from 0 to {self.seconds:g}, got {self.labelled}")

    def _checked(self, event: tuple) -> tuple[str | int, float]:
        if not isinstance(event, tuple | list) or len(event) != 2:
            raise ValueError(f"events: expected pairs (type, second), got {event!r}")
        kind, second = event
        if isinstance(kind, bool | float) or not isinstance(kind, str | int | np.integer):
            raise ValueError(f"events: expected types that are text or whole numbers, got {kind!r}")
        try:
            second = float(second)
        except (TypeError, ValueError):
            raise ValueError(f"events: expected seconds, got {second!r} for a {kind}") from None
        if not 0 <= second < self.seconds:
            raise ValueError(
                f"events: expected seconds from 0 to below {self.seconds:g}, where the data end at "
                f"{self.sample_rate:g} Hz, got {second:g} for a {kind}: are these samples?"
            )
        return kind if isinstance(kind, str) else int(kind), second

    @property
    def seconds(self) -> float:
        return len(self.data) / self.sample_rate

    @property
    def counts(self) -> dict[str | int, int]:
        """How often each type happened."""
        return dict(Counter(kind for kind, _ in self.events))

    def part(self, start: float, stop: float) -> EventRecording:
        """Seconds start to stop, with the events in it on a clock that begins at 0 there."""
        if not (is_number(start) and is_number(stop)):
            raise ValueError(f"start, stop: expected seconds, got {start!r} and {stop!r}")
        first, last = (round(np.clip(second, 0, self.seconds) * self.sample_rate) for second in (start, stop))
        if last <= first:
            raise ValueError(f"start, stop: expected a part of 0 to {self.seconds:g} s, got {start:g} to {stop:g}")
        start, stop = first / self.sample_rate, last / self.sample_rate
        labelled = self.labelled
        if labelled is not None:
            labelled = (max(labelled[0], start) - start, min(labelled[1], stop) - start)
        events = [(kind, second - start) for kind, second in self.events if start <= second < stop]
        return replace(self, data=self.data[first:last], events=events, labelled=labelled)

    def merged(self, names: dict[str | int, str | int]) -> EventRecording:
        """The same with types renamed by `names`, such as {"A": "beat", "N": "beat"}; others stay."""
        return replace(self, events=[(names.get(kind, kind), second) for kind, second in self.events])


def load_event_table(
    path: str | os.PathLike,
    time: str = "time",
    type: str = "type",
    sep: str = ",",
    unit: float = 1.0,
    origin: float = 0.0,
    decimal: str = ".",
) -> list[tuple[str, float]]:
    """Events of a CSV, one row each: [(type, second), ...] in time order, for `EventRecording`.

    time, type: names of the columns.  unit: seconds of one unit of the time column: 0.001 for milliseconds,
    1 / sample_rate for samples.  sep, decimal: as in `load_sensor_table`.
    origin: seconds on the table's clock at which the recording begins, such as `SensorTable.origin`. Dates are seconds
        from 1970, so they need it.
    Raises FileNotFoundError, ValueError for a unit that is none, or DataError naming file and row: no such column, a
    time that is no number, no type.
    """
    if not (is_number(unit) and unit > 0):
        raise ValueError(f"unit: expected seconds above 0, got {unit!r}")
    if not is_number(origin):
        raise ValueError(f"origin: expected seconds, got {origin!r}")
    table = read_table(path, {"time": time, "type": type}, sep, decimal)
    seconds = pd.to_numeric(table[time], errors="coerce").to_numpy(float) * unit
    if not np.isfinite(seconds).any():
        dates = pd.to_datetime(table[time], errors="coerce", format="ISO8601", utc=True)
        seconds = (dates - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy(float)
    events = []
    for row, (second, kind) in enumerate(zip(seconds, table[type], strict=True)):
        if not np.isfinite(second) or not kind:
            got = f"{table[time].iloc[row]!r} and {kind!r}"
            raise DataError(f"{path}, row {row + 2}: expected a time and a type, got {got}")
        events.append((kind, float(second - origin)))
    return sorted(events, key=lambda event: event[1])
