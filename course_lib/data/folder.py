"""Any folder of recordings with one sub-folder per class, read into one array; and one file by itself."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from course_lib.data.audio_data import (
    AudioData,
    DataError,
    Problem,
    check_format,
    is_number,
    is_whole,
    listing,
    pad_or_cut,
)
from course_lib.data.cache import Append, cached_array
from course_lib.data.decoding import SILENCE, Clip, decode, read_clip

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


def load_audio_folder(
    path: str | os.PathLike,
    sample_rate: int = 44_100,
    duration: float = 5.0,
    on_error: str = "skip",
    cache: bool = True,
    workers: int | None = None,
    progress: bool = True,
    channel: int | None = None,
    labelled: bool = True,
    group: str | None = None,
    window: float | None = None,
) -> AudioData:
    """Read a folder in which each sub-folder is a class: wav, flac, ogg, mp3; mixed to mono, resampled, padded or cut.

    sample_rate: Hz.  duration: seconds of each clip; shorter recordings get zeros on the right, longer ones are cut.
    on_error: "skip" leaves bad files out and lists them in `report`; "raise" raises one DataError that lists them all.
    Bad are files that cannot be read, are empty, have no samples, are silent throughout (peak to peak under 1e-4), hold
    NaN or infinity, repeat an earlier clip's samples, lie where no class is, or have a name that is not UTF-8.
    Hidden files are passed over.  Links to files and to class folders are followed, wherever they lead.
    channel: which one of each file, from 0; None: their mean, or the loudest where they cancel one another.
    labelled: False: the sound files of the folder itself, without classes: labels are -1 and `classes` is empty.
    group: a regular expression that finds in each file's name what belongs together (its first bracket, or all of it),
        such as r"speaker(\\d+)"; None: no groups.
    window: seconds: the whole of each recording in windows of that length, one after another, in place of its first
        `duration` seconds. A last one that is at least half full gets zeros, silent ones are left out; where `group` is
        None the file is the group, so that a split by group keeps its windows together.
    cache: keep the result in the cache folder; it is made again when a file's path, size, time or a parameter changes.
    workers: files decoded at once, by default one per core up to 8.

    Returns AudioData with signals (N, 1, round(duration * sample_rate)), classes in alphabetical order, no folds; with
    `window`, one row a window.
    Raises FileNotFoundError where there is no such folder, DataError where it has no class or no usable recording, or
    where its one sub-folder lies beside a table (then `load_audio_table` reads it), ValueError for other arguments.
    """
    check_format(sample_rate, duration)
    check_choices(on_error, channel, window, sample_rate)
    root = Path(path).expanduser().resolve()
    files, strays = _scan(root) if labelled else _scan_flat(root)
    classes = [_class_of(file) for file in files] if labelled else None
    groups = None if group is None else [_group_of(file, group) for file in files]
    options = (sample_rate, duration, window, channel, on_error, cache, workers, progress)
    return assemble(root, files, classes, groups, strays, *options)


def read_audio(
    path: str | os.PathLike, sample_rate: int, duration: float | None = None, channel: int | None = None
) -> np.ndarray:
    """(1, samples) float32: one file (wav, flac, ogg, mp3) as `load_audio_folder` reads it, resampled.

    sample_rate: Hz.  duration: seconds, zeros on the right of a shorter file; None: all of it.
    channel: which one, from 0; None: their mean, or the loudest where they cancel one another.
    Raises FileNotFoundError, ValueError naming the argument, or DataError saying why a file cannot be used.
    """
    check_format(sample_rate, 1.0 if duration is None else duration)
    check_choices("raise", channel, None, sample_rate)
    path = Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"path: expected a sound file, got {path}: no such file")
    clip = read_clip(path, sample_rate, duration, channel)
    if isinstance(clip, str):
        raise DataError(f"{path}: {clip}")
    return clip.samples[None].astype(np.float32)


def check_choices(on_error: str, channel: int | None, window: float | None, sample_rate: int) -> None:
    """ValueError unless all are what `load_audio_folder` takes."""
    if window is not None and not (is_number(window) and window * sample_rate >= 2):
        raise ValueError(f"window: expected seconds that hold at least two samples, or None, got {window!r}")
    if on_error not in ("skip", "raise"):
        raise ValueError(f'on_error: expected "skip" or "raise", got {on_error!r}')
    if channel is not None and not is_whole(channel, 0):
        raise ValueError(f"channel: expected a number from 0 on, or None for the mean, got {channel!r}")


def assemble(
    root: Path,
    files: list[str],
    names: list[str] | None,
    groups: list[str] | None,
    strays: list[Problem],
    sample_rate: int,
    duration: float,
    window: float | None,
    channel: int | None,
    on_error: str,
    cache: bool,
    workers: int | None,
    progress: bool,
) -> AudioData:
    """Read files (relative to `root`), each with its class and group by name; the rest as in `load_audio_folder`."""
    class_of = dict(zip(files, names or [""] * len(files), strict=True))
    reach = duration if window is None else None

    def build(append: Append) -> dict:
        report, kept, durations, starts = list(strays), [], [], []
        seen: dict[str, str] = {}
        for file, clip in zip(files, decode(root, files, sample_rate, reach, workers, progress, channel), strict=True):
            if isinstance(clip, Clip) and clip.digest in seen:
                clip = f"duplicate: same samples as {seen[clip.digest]}"
            if isinstance(clip, str):
                report.append(Problem(file, clip))
                continue
            seen[clip.digest] = file
            length = len(clip.samples) if window is None else round(window * sample_rate)
            for start, part in in_windows(clip.samples, length):
                append(part[None])
                kept.append(file)
                durations.append(clip.seconds)
                starts.append(start / sample_rate)
        if not kept:
            raise DataError(f"{root}: none of {len(files)} files can be used\n{listing(report)}")
        classes = sorted({class_of[file] for file in kept})
        for name in sorted(set(class_of.values()) - set(classes)):
            report.append(Problem(name, "class left out: none of its files can be used"))
        pairs = [(problem.file, problem.reason) for problem in report]
        return {"files": kept, "classes": classes, "durations": durations, "starts": starts, "report": pairs}

    identity = {"folder": str(root), "sample_rate": int(sample_rate), "duration": float(duration)}
    identity |= {} if channel is None else {"channel": channel}
    identity |= {} if window is None else {"window": float(window), "starts": True}  # kept windows had none once
    if groups is None and window is not None:
        groups = files
    made_from = [
        fingerprint(root, files),
        [(stray.file, stray.reason) for stray in strays],
        *([names] if names else []),
    ]
    signals, found = cached_array(root.name, identity, made_from, build, cache)
    report = tuple(Problem(*entry) for entry in found["report"])
    if on_error == "raise" and report:
        raise DataError(f"{root}: {len(report)} problems\n{listing(report, limit=len(report))}")
    index = {name: label for label, name in enumerate(found["classes"])} if names else {"": -1}
    group_of = None if groups is None else dict(zip(files, groups, strict=True))
    return AudioData(
        signals=signals,
        labels=np.array([index[class_of[file]] for file in found["files"]], dtype=np.int64),
        classes=tuple(found["classes"]) if names else (),
        sample_rate=int(sample_rate),
        name=_readable(root.name),
        folds=None,
        groups=None if group_of is None else np.array([group_of[file] for file in found["files"]]),
        files=tuple(found["files"]),
        report=report,
        durations=np.array(found["durations"]),
        starts=None if window is None else np.array(found["starts"]),
    )


def in_windows(samples: np.ndarray, length: int) -> list[tuple[int, np.ndarray]]:
    """(first sample, window (length,)), one after another, of samples (T,): a last one that is half full gets zeros.

    Silent ones are left out; of a shorter recording, or one that is silent in all of them, there is one.
    """
    starts = range(0, max(1, len(samples) - (length + 1) // 2 + 1), length)
    windows = [(start, pad_or_cut(samples[start : start + length], length)) for start in starts]
    return [(start, part) for start, part in windows if np.ptp(part) >= SILENCE] or windows[:1]


def fingerprint(root: Path, files: Iterable[str]) -> list[tuple[str, int, int]]:
    """(path, bytes, modification time in ns) of each file: changes when a file does, and costs no reading."""
    found = []
    for file in files:
        try:
            stat = os.stat(root / file)
            found.append((file, stat.st_size, stat.st_mtime_ns))
        except OSError:  # a broken link, or removed just now: reading it will say so
            found.append((file, -1, -1))
    return found


def _scan(root: Path) -> tuple[list[str], list[Problem]]:
    """The audio files `class/name`, sorted, and what lies where it should not."""
    if not root.is_dir():
        raise FileNotFoundError(f"path: expected a folder with one sub-folder per class, got {root}: no such folder")
    tables = [entry.name for entry in sorted(root.iterdir()) if entry.suffix.lower() in (".csv", ".tsv")]
    folders = [entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith((".", "__"))]
    if tables and len(folders) == 1:
        advice = f'load_audio_table("{tables[0]}", ...) reads the classes from it'
        raise DataError(f"{root}: one folder, {folders[0]}, beside the table {tables[0]}: is this one class? {advice}")
    files: list[str] = []
    strays: list[Problem] = []
    for entry in sorted(root.iterdir()):
        if entry.name.startswith((".", "__")):
            continue
        if not entry.is_dir():
            if entry.suffix.lower() in SUFFIXES:
                strays.append(Problem(_readable(entry.name), "lies beside the class folders: which class?"))
            continue
        before = len(files)
        for inner in sorted(entry.iterdir()):
            relative = f"{entry.name}/{inner.name}"
            if inner.name.startswith("."):
                continue
            if relative != _readable(relative):
                strays.append(Problem(_readable(relative), "the name is not UTF-8: rename it"))
            elif inner.is_dir():
                strays.append(Problem(relative, "folder inside a class folder: expected files only"))
            elif inner.suffix.lower() in SUFFIXES:
                files.append(relative)
            else:
                strays.append(Problem(relative, f"not one of {', '.join(SUFFIXES)}"))
        if len(files) == before:
            strays.append(Problem(_readable(entry.name), "class left out: no audio file in this folder"))
    if not files:
        advice = f"expected one sub-folder per class with {', '.join(SUFFIXES)} files in it"
        raise DataError(f"{root}: {advice}, found none\n{listing(strays)}".rstrip())
    return files, strays


def _scan_flat(root: Path) -> tuple[list[str], list[Problem]]:
    """The sound files of the folder itself, sorted."""
    if not root.is_dir():
        raise FileNotFoundError(f"path: expected a folder of sound files, got {root}: no such folder")
    names = sorted(entry.name for entry in root.iterdir() if entry.suffix.lower() in SUFFIXES and not entry.is_dir())
    files = [name for name in names if not name.startswith(".") and name == _readable(name)]
    if not files:
        raise DataError(f"{root}: expected {', '.join(SUFFIXES)} files, found none")
    return files, [
        Problem(_readable(name), "the name is not UTF-8: rename it") for name in names if name != _readable(name)
    ]


def _group_of(file: str, pattern: str) -> str:
    """What the pattern finds in a file's name.  ValueError where it finds nothing or is no regular expression."""
    try:
        found = re.search(pattern, file)
    except (re.error, TypeError) as error:
        raise ValueError(f"group: expected a regular expression, got {pattern!r} ({error})") from None
    if found is None:
        raise ValueError(f"group: {pattern!r} finds nothing in the name of {file}")
    return found[1] if found.re.groups else found[0]


def _readable(name: str) -> str:
    """The name with bytes that are no UTF-8 written out, so that it can be printed and stored."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _class_of(file: str) -> str:
    return file.partition("/")[0]
