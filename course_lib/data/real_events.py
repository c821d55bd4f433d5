"""Real events in time: the beats of an ECG, read from PhysioNet's format, and the steps of a walk, from two feet.

`load_gait_events` is a pattern for a reader of your own. It gives what `make_event_stream` gives: data (T, C), a sample
rate, and events [(type, sample), ...].
"""

from __future__ import annotations

import io
import os
import shutil
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np
import pandas as pd
import pooch
import requests

from course_lib import paths
from course_lib.data.audio_data import DataError
from course_lib.data.download import is_complete, read_manifest
from course_lib.data.recording import EventRecording
from course_lib.files import read_text, temporary_beside

ECG_MANIFEST = resources.files("course_lib.data") / "manifests" / "ecg.sha256"
GAIT_MANIFEST = resources.files("course_lib.data") / "manifests" / "gait.sha256"
COMMIT = "6850ad1aa0c1fcb2282b3625f767de98396cf740"
BASE_URL = f"https://raw.githubusercontent.com/MIT-LCP/wfdb-python/{COMMIT}/sample-data"
RECORD = "100"
_BEATS = set("NLRBAaJSVrFejnE/fQ?")  # PhysioNet's codes of beats
_WAVES = (
    (-0.16, 0.025, (0.12, 0.06)),
    (0.0, 0.012, (1.0, 0.6)),
    (0.035, 0.012, (-0.25, -0.5)),
    (0.28, 0.05, (0.25, 0.1)),
)
SAMPLE_RATE = 204.8  # Hz, of the walk
FEET = ("left", "right")
AXES = ("acc_x", "acc_y", "acc_z", "gyr_x", "gyr_y", "gyr_z")
EVENT_TYPES = ("initial contact", "terminal contact")
_COLUMNS = (("ic", "pre_ic"), ("tc",))  # of the events' table, in the order of EVENT_TYPES


def load_ecg(folder: str | os.PathLike | None = None, record: str = RECORD) -> EventRecording:
    """An ECG with its marked beats, from files in PhysioNet's format (.hea, .dat, .atr): types as marked, N, A, V, ….

    folder: None: the folder `ecg` in COURSE_DATA or data/, where `python -m course_lib data fetch ecg` puts record 100.
    Marks that are no beats (rhythm, noise) are left out.  Units: as in the header, millivolts in record 100.
    Raises FileNotFoundError where the record is not there, DataError where its files are damaged, ImportError without
    the package wfdb (the extra `ecg`).
    """
    import wfdb  # takes a second to import

    found = find_ecg() if folder is None else Path(folder).expanduser()
    if found is None or not (found / f"{record}.hea").is_file():
        where = "python -m course_lib data fetch ecg gets record 100" if folder is None else f"looked in {found}"
        raise FileNotFoundError(f"record {record} was not found: expected {record}.hea, .dat and .atr: {where}")
    try:
        signal = wfdb.rdrecord(str(found / record))
        marks = wfdb.rdann(str(found / record), "atr")
    except (ValueError, IndexError, KeyError, TypeError, OSError) as error:
        raise DataError(f"{found / record}: not a whole record in PhysioNet's format ({error})") from error
    events = [(kind, at / signal.fs) for kind, at in zip(marks.symbol, marks.sample, strict=True) if kind in _BEATS]
    return EventRecording(signal.p_signal, events, signal.fs, name=f"ECG {record}")


def make_beat_train(seconds: float = 1800.0, seed: int = 0, sample_rate: float = 360.0) -> EventRecording:
    """Generated beats, for places without an ECG: pulses like a heart's on two channels, in noise. No heart made them.

    Types: N, a pulse about 0.8 s after the last, with the slow rise and fall of breathing; A, one in seventy, which
    comes after 0.65 to 0.8 of that and has the same shape. Units: 1 is the height of a pulse on the first channel.
    """
    rng = np.random.default_rng(seed)
    events: list[tuple[str | int, float]] = []
    now = 0.5
    while now < seconds - 0.5:
        early = len(events) > 8 and events[-1][0] == "N" and rng.random() < 1 / 70
        events.append(("A" if early else "N", now - early * rng.uniform(0.16, 0.28)))
        now += 0.8 + 0.03 * np.sin(2 * np.pi * 0.25 * now) + 0.015 * rng.standard_normal()
    clock = np.arange(round(seconds * sample_rate)) / sample_rate
    data = 0.04 * rng.standard_normal((len(clock), 2)) + 0.15 * np.sin(2 * np.pi * 0.3 * clock)[:, None]
    reach = np.arange(round(-0.3 * sample_rate), round(0.5 * sample_rate))
    for _, time in events:
        at = round(time * sample_rate) + reach
        at = at[(at >= 0) & (at < len(clock))]
        for middle, width, heights in _WAVES:
            bump = np.exp(-(((clock[at] - time - middle) / width) ** 2) / 2)
            data[at] += bump[:, None] * heights
    return EventRecording(data, events, sample_rate, name="generated beats")


def find_ecg() -> Path | None:
    """The folder `ecg/` with record 100 under one of the data folders."""
    return _folder_with(f"ecg/{RECORD}.hea")


def find_gait() -> Path | None:
    """The folder `gait/` under one of the data folders."""
    return _folder_with("gait/imu_sample.csv")


def _folder_with(file: str) -> Path | None:
    return next(((root / file).parent for root in paths.data_roots() if (root / file).is_file()), None)


def fetch_ecg(
    target: str | os.PathLike | None = None, base_url: str = BASE_URL, manifest: Traversable = ECG_MANIFEST
) -> Path:
    """Fetch record 100 (2 MB, ODC-By) into `target`, by default `ecg/` in the first data folder; return that folder.

    Each file is checked against the manifest's SHA-256 in a temporary folder, which takes `target`'s place at the end.
    Nothing is downloaded where `target` already holds the checked files.
    Raises ConnectionError where a file cannot be had, DataError where it has another checksum, FileExistsError where
    `target` holds something else.
    """
    target = Path(target).expanduser() if target is not None else paths.data_roots()[0] / "ecg"
    members = read_manifest(manifest)
    if is_complete(target, members):
        return target
    with temporary_beside(target) as temporary:
        temporary.mkdir()
        for name, digest in members.items():
            try:
                pooch.retrieve(f"{base_url}/{name}", f"sha256:{digest}", name, temporary)
            except requests.RequestException as error:
                raise ConnectionError(f"could not download {base_url}/{name}: {error}") from error
            except ValueError as error:  # pooch's, for a checksum
                raise DataError(f"{base_url}/{name} is not what it was; nothing was kept ({error})") from error
        if target.exists():
            target.rmdir()
        shutil.move(temporary, target)
    return target


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
