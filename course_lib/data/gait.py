"""Steps of a walk, read from inertial sensors on two feet: real events in time, and a pattern for a reader of your own.

A reader gives what `make_event_stream` gives: data (T, C), a sample rate, and events [(type, sample), ...].
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from course_lib.data.audio_data import DataError
from course_lib.files import read_text

SAMPLE_RATE = 204.8  # Hz
FEET = ("left", "right")
AXES = ("acc_x", "acc_y", "acc_z", "gyr_x", "gyr_y", "gyr_z")
EVENT_TYPES = ("initial contact", "terminal contact")
_COLUMNS = (("ic", "pre_ic"), ("tc",))  # of the events' table, in the order of EVENT_TYPES


@dataclass(frozen=True)
class GaitRecording:
    """One foot.  data: (T, 6) float32, acceleration in m/s² and angular velocity in degrees/s, in the order of `axes`.

    events: [(type, sample), ...] in time order, types as in `classes`.  sample_rate: Hz.  foot: "left" or "right".
    """

    data: np.ndarray
    events: list[tuple[int, float]]
    foot: str
    sample_rate: float = SAMPLE_RATE
    classes: tuple[str, ...] = EVENT_TYPES
    axes: tuple[str, ...] = AXES

    def part(self, start: int, stop: int) -> GaitRecording:
        """Samples start to stop, with the events in it on a clock that begins at 0 there."""
        events = [(kind, sample - start) for kind, sample in self.events if start <= sample < stop]
        return GaitRecording(self.data[start:stop], events, self.foot, self.sample_rate, self.classes, self.axes)


def load_gait_events(folder: Path | str) -> dict[str, GaitRecording]:
    """Both feet of the walk in `folder`: {"left": GaitRecording, "right": …}.

    folder: holds imu_sample.csv (two header rows: sensor and axis; an index; one row a sample at 204.8 Hz) and
    stride_events_sample.csv (one row a stride and foot, with the columns foot, ic, pre_ic and tc: samples of the
    stride's initial contact, the one before it and the terminal contact).  What two strides share counts once.
    Both may be in UTF-8 or UTF-16, with a byte-order mark or not.
    Raises DataError naming the file: missing, not a table of that form, not finite, events outside the recording.
    """
    folder = Path(folder)
    signals = _read(folder / "imu_sample.csv", header=[0, 1], index_col=0)
    strides = _read(folder / "stride_events_sample.csv")
    missing = {"foot", "ic", "pre_ic", "tc"} - set(strides.columns)
    if missing:
        raise DataError(f"{folder / 'stride_events_sample.csv'}: missing the columns {sorted(missing)}")
    return {foot: _recording(folder, signals, strides, foot) for foot in FEET}


def _recording(folder: Path, signals: pd.DataFrame, strides: pd.DataFrame, foot: str) -> GaitRecording:
    file = folder / "imu_sample.csv"
    columns = [(f"{foot}_sensor", axis) for axis in AXES]
    missing = [column for column in columns if column not in signals.columns]
    if missing:
        raise DataError(f"{file}: expected columns (sensor, axis) such as {columns[0]}; missing {missing}")
    data = _numbers(file, signals[columns], np.float32)
    if not np.isfinite(data).all():
        raise DataError(f"{file}: expected finite values, got {np.count_nonzero(~np.isfinite(data))} that are not")
    events = []
    for kind, names in enumerate(_COLUMNS):
        columns_of_kind = strides.loc[strides["foot"] == foot, list(names)]
        times = np.unique(_numbers(folder / "stride_events_sample.csv", columns_of_kind, float))
        events += [(kind, float(time)) for time in times[~np.isnan(times)]]
    outside = [event for event in events if not 0 <= event[1] < len(data)]
    if outside:
        raise DataError(
            f"{folder / 'stride_events_sample.csv'}: expected samples from 0 to {len(data) - 1}, got {outside[:3]}"
        )
    return GaitRecording(data, sorted(events, key=lambda event: event[1]), foot)


def _numbers(file: Path, table: pd.DataFrame, dtype: type) -> np.ndarray:
    try:
        return table.to_numpy(dtype)
    except ValueError as error:
        raise DataError(f"{file}: expected numbers ({error})") from error


def _read(file: Path, **options) -> pd.DataFrame:
    if not file.is_file():
        raise DataError(f"{file}: no such file; the folder of the gait recordings is expected")
    try:
        return pd.read_csv(io.StringIO(read_text(file)), **options)
    except ValueError as error:  # pandas' own and those of encodings among them
        raise DataError(f"{file}: not a table of the expected form ({error})") from error
