"""An ECG with its marked beats: record 100 of the MIT-BIH Arrhythmia Database, or another in PhysioNet's format."""

from __future__ import annotations

import os
import shutil
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np
import pooch
import requests

from course_lib import paths
from course_lib.data.audio_data import DataError
from course_lib.data.download import is_complete, read_manifest
from course_lib.data.recording import EventRecording
from course_lib.files import temporary_beside

MANIFEST = resources.files("course_lib.data") / "manifests" / "ecg.sha256"
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
    folders = (root / "ecg" for root in paths.data_roots())
    return next((folder for folder in folders if (folder / f"{RECORD}.hea").is_file()), None)


def fetch_ecg(
    target: str | os.PathLike | None = None, base_url: str = BASE_URL, manifest: Traversable = MANIFEST
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
