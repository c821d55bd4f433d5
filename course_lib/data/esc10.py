"""ESC-10: 400 environmental recordings, 10 classes, 5 official folds (K. J. Piczak, 2015, doi 10.1145/2733373.2806390).

Two layouts are read: that of its own repository (`001 - Dog bark/1-100032-A.ogg`), every file checked against the
committed SHA-256 manifest, and ESC-50's (`meta/esc50.csv` with an `esc10` column, `audio/*.wav`), checked by count,
duration and class name.
"""

import csv
import os
from pathlib import Path

import numpy as np
import soundfile

from course_lib import paths
from course_lib.data.audio_data import AudioData, DataError, Problem, check_format, listing
from course_lib.data.cache import Append, cached_array
from course_lib.data.decoding import decode, openable
from course_lib.data.download import check_members, fetch_esc10, read_manifest
from course_lib.data.folder import fingerprint
from course_lib.files import read_text

CLASSES = (
    "dog bark",
    "rain",
    "sea waves",
    "baby cry",
    "clock tick",
    "person sneeze",
    "helicopter",
    "chainsaw",
    "rooster",
    "fire crackling",
)
ESC50_NAMES = (
    "dog",
    "rain",
    "sea_waves",
    "crying_baby",
    "clock_tick",
    "sneezing",
    "helicopter",
    "chainsaw",
    "rooster",
    "crackling_fire",
)
FOLDER_NAMES = ("", "esc10", "ESC-10", "ESC-10-master", "esc50", "ESC-50", "ESC-50-master")
HOW_TO_GET = (
    "run `python -m course_lib data fetch esc10` (40 MB, CC BY 3.0), or unpack "
    "https://github.com/karolpiczak/ESC-10 or ESC-50 into data/ or the folder that COURSE_DATA names"
)


def load_esc10(
    root: str | os.PathLike | None = None,
    sample_rate: int = 44_100,
    duration: float = 5.0,
    download: bool = False,
    cache: bool = True,
    workers: int | None = None,
    progress: bool = True,
) -> AudioData:
    """The 400 clips of ESC-10: signals (400, 1, 220500) at 44.1 kHz, labels 0 to 9, official folds 1 to 5.

    root: a folder that holds the set or is it; by default $COURSE_DATA, then `data/`.  download: fetch it where absent.
    Labels follow the set's own numbers (001 - Dog bark is 0); groups are the Freesound recordings, several clips of one
    recording share a group and a fold.  Files are checked once; the result is cached for as long as they do not change.
    Raises FileNotFoundError where the set is not found, DataError where files are missing, changed or damaged.
    """
    check_format(sample_rate, duration)
    found = find_esc10(root)
    if found is None and download:
        fetch_esc10(None if root is None else Path(root) / "esc10", progress=progress)
        found = find_esc10(root)
    if found is None:
        looked = ", ".join(str(folder) for folder in _roots(root))
        raise FileNotFoundError(f"ESC-10 was not found under {looked}: {HOW_TO_GET}")
    folder, layout = found
    if layout == "ESC-50":
        (files, labels), manifest = _esc50_files(folder), {}
    else:
        manifest = read_manifest()
        files, labels = list(manifest), [CLASSES.index(_class_name(file)) for file in manifest]

    def build(append: Append) -> dict:
        _raise_for(folder, check_members(folder, manifest) if manifest else check_esc50(folder, files))
        durations = []
        for file, clip in zip(files, decode(folder, files, sample_rate, duration, workers, progress), strict=True):
            if isinstance(clip, str):
                raise DataError(f"{folder}: {file}: {clip}")
            append(clip.samples[None])
            durations.append(clip.seconds)
        return {"durations": durations}

    identity = {"set": "ESC-10", "at": str(folder), "sample_rate": int(sample_rate), "duration": float(duration)}
    signals, metadata = cached_array("esc10", identity, [fingerprint(folder, files), manifest, labels], build, cache)
    stems = [Path(file).stem.split("-") for file in files]  # fold, Freesound id, take, (ESC-50's class)
    return AudioData(
        signals=signals,
        labels=np.array(labels, dtype=np.int64),
        classes=CLASSES,
        sample_rate=int(sample_rate),
        name="ESC-10",
        folds=np.array([int(stem[0]) for stem in stems], dtype=np.int64),
        groups=np.array([stem[1] for stem in stems]),
        files=tuple(files),
        report=(),
        durations=np.array(metadata["durations"]),
    )


def find_esc10(root: str | os.PathLike | None = None) -> tuple[Path, str] | None:
    """Where the set is and in which layout ("ESC-10" or "ESC-50"); None where it is not.  Looks at names only."""
    for base in _roots(root):
        unpacked = sorted(base.glob("ESC-10-*")) + sorted(base.glob("ESC-50-*"))
        for folder in [base / name for name in FOLDER_NAMES] + unpacked:
            if (folder / "001 - Dog bark").is_dir():
                return folder.resolve(), "ESC-10"
            if (folder / "meta" / "esc50.csv").is_file() and (folder / "audio").is_dir():
                return folder.resolve(), "ESC-50"
    return None


def verify_esc10(root: str | os.PathLike | None = None) -> list[Problem]:
    """The files that are missing or differ, all read anew; empty where all is well.  FileNotFoundError where absent."""
    found = find_esc10(root)
    if found is None:
        raise FileNotFoundError(f"ESC-10 was not found: {HOW_TO_GET}")
    folder, layout = found
    if layout == "ESC-50":
        return check_esc50(folder, _esc50_files(folder)[0])
    return check_members(folder, read_manifest())


def check_esc50(folder: Path, files: list[str]) -> list[Problem]:
    """ESC-50's wav files: there, and five seconds long."""
    problems = []
    for name in files:
        try:
            info = soundfile.info(openable(folder / name))
        except (soundfile.SoundFileError, OSError, RuntimeError) as error:
            reason = f"unreadable: {error}" if (folder / name).exists() else "missing"
            problems.append(Problem(name, reason))
            continue
        if abs(info.duration - 5.0) > 0.01:
            problems.append(Problem(name, f"lasts {info.duration:.2f} s, expected 5 s"))
    return problems


def _roots(root: str | os.PathLike | None) -> list[Path]:
    return paths.data_roots() if root is None else [Path(root).expanduser()]


def _class_name(file: str) -> str:
    return file.partition("/")[0].partition(" - ")[2].lower()


def _esc50_files(folder: Path) -> tuple[list[str], list[int]]:
    """The ten classes' files and labels by ESC-50's table; DataError where it does not list 10 × 40 clips."""
    try:
        table = csv.DictReader(read_text(folder / "meta" / "esc50.csv").splitlines())
        rows = [row for row in table if (row.get("esc10") or "").strip().lower() in ("true", "1")]
        chosen = sorted((ESC50_NAMES.index(row["category"]), row["filename"], row["fold"]) for row in rows)
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise DataError(f"{folder}/meta/esc50.csv: not UTF-8, unknown class or missing column: {error}") from error
    counts = np.bincount([label for label, _, _ in chosen], minlength=10)
    if len(chosen) != 400 or (counts != 40).any():
        message = f"expected 10 classes of 40 clips marked esc10, got {len(chosen)} clips ({counts.tolist()} per class)"
        raise DataError(f"{folder}/meta/esc50.csv: {message}")
    wrong = [name for _, name, fold in chosen if name.partition("-")[0] != fold or fold not in set("12345")]
    if wrong:
        raise DataError(f"{folder}/meta/esc50.csv: fold and file name disagree for {', '.join(wrong[:3])}")
    return [f"audio/{name}" for _, name, _ in chosen], [label for label, _, _ in chosen]


def _raise_for(folder: Path, problems: list[Problem]) -> None:
    if problems:
        what = f"{len(problems)} files are missing or changed; move the folder away, then {HOW_TO_GET}"
        raise DataError(f"{folder}: {what}\n{listing(problems)}")
