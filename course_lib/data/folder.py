"""Any folder of recordings with one sub-folder per class, read into one array."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from tqdm import tqdm

from course_lib.data.audio import AudioData, DataError, Problem, check_format, listing, pad_or_cut
from course_lib.data.cache import cached_array

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
SILENCE = 1e-4  # peak-to-peak; -80 dB of full scale
MARGIN = 0.1  # seconds read beyond the cut, so that the resampling filter sees what follows


def load_audio_folder(
    path: str | os.PathLike,
    sample_rate: int = 44_100,
    duration: float = 5.0,
    on_error: str = "skip",
    cache: bool = True,
    workers: int | None = None,
    progress: bool = True,
) -> AudioData:
    """Read a folder in which each sub-folder is a class: wav, flac, ogg, mp3; mixed to mono, resampled, padded or cut.

    sample_rate: Hz.  duration: seconds of each clip; shorter recordings get zeros on the right, longer ones are cut.
    on_error: "skip" leaves bad files out and lists them in `report`; "raise" raises one DataError that lists them all.
    Bad are files that cannot be read, are empty, have no samples, are silent (peak to peak under 1e-4 in the clip),
    hold NaN or infinity, repeat an earlier file's samples, or lie where no class is.  Hidden files are passed over.
    cache: keep the result in the cache folder; it is made again when a file's path, size, time or a parameter changes.
    workers: files decoded at once, by default one per core up to 8.

    Returns AudioData with signals (N, 1, round(duration * sample_rate)), classes in alphabetical order, no folds.
    Raises FileNotFoundError where there is no such folder, DataError where it has no class or no usable recording.
    """
    check_format(sample_rate, duration)
    if on_error not in ("skip", "raise"):
        raise ValueError(f'on_error: expected "skip" or "raise", got {on_error!r}')
    root = Path(path).expanduser().resolve()
    files, strays = _scan(root)

    def build(append) -> dict:
        report, kept, durations, seen = list(strays), [], [], {}
        for file, clip in zip(files, decode(root, files, sample_rate, duration, workers, progress), strict=True):
            reason = clip.problem
            if reason is None and clip.digest in seen:
                reason = f"duplicate: same samples as {seen[clip.digest]}"
            if reason is not None:
                report.append(Problem(file, reason))
                continue
            seen[clip.digest] = file
            append(clip.samples[None])
            kept.append(file)
            durations.append(clip.seconds)
        if not kept:
            raise DataError(f"{root}: none of {len(files)} files can be used\n{listing(report)}")
        classes = sorted({_class_of(file) for file in kept})
        for name in sorted({_class_of(file) for file in files} - set(classes)):
            report.append(Problem(name, "class left out: none of its files can be used"))
        pairs = [(problem.file, problem.reason) for problem in report]
        return {"files": kept, "classes": classes, "durations": durations, "report": pairs}

    identity = {"folder": str(root), "sample_rate": int(sample_rate), "duration": float(duration)}
    made_from = [fingerprint(root, files), [(stray.file, stray.reason) for stray in strays]]
    signals, found = cached_array(root.name, identity, made_from, build, cache)
    report = tuple(Problem(*entry) for entry in found["report"])
    if on_error == "raise" and report:
        raise DataError(f"{root}: {len(report)} problems\n{listing(report, limit=len(report))}")
    index = {name: label for label, name in enumerate(found["classes"])}
    return AudioData(
        signals=signals,
        labels=np.array([index[_class_of(file)] for file in found["files"]], dtype=np.int64),
        classes=tuple(found["classes"]),
        sample_rate=int(sample_rate),
        name=root.name,
        folds=None,
        groups=None,
        files=tuple(found["files"]),
        report=report,
        durations=np.array(found["durations"]),
    )


@dataclass(frozen=True)
class Clip:
    """One decoded file: (samples,) float32 at the asked rate and length, or the reason why there is none."""

    samples: np.ndarray | None = None
    seconds: float = 0.0
    digest: str = ""
    problem: str | None = None


def decode(
    root: Path, files: Iterable[str], sample_rate: int, duration: float, workers: int | None, progress: bool
) -> Iterator[Clip]:
    """Read files (relative to `root`) several at once; give a Clip for each, in order, with its problem if any."""
    files = list(files)
    workers = workers or min(8, os.cpu_count() or 1)
    chunk = 8 * workers  # bounds the clips that wait in memory
    with ThreadPoolExecutor(workers) as pool, tqdm(total=len(files), desc=root.name, disable=not progress) as bar:
        for start in range(0, len(files), chunk):
            paths = [root / file for file in files[start : start + chunk]]
            for clip in pool.map(lambda path: read_clip(path, sample_rate, duration), paths):
                bar.update()
                yield clip


def read_clip(path: Path, sample_rate: int, duration: float) -> Clip:
    """Read one file as mono at `sample_rate`, `duration` seconds long."""
    try:
        if path.stat().st_size == 0:
            return Clip(problem="empty: the file has 0 bytes")
        with soundfile.SoundFile(path) as file:
            rate, frames = file.samplerate, file.frames
            samples = file.read(int(np.ceil((duration + MARGIN) * rate)), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError, RuntimeError) as error:
        return Clip(problem=f"unreadable: {getattr(error, 'error_string', None) or error}")
    if len(samples) == 0:
        return Clip(problem="zero length: the file has no samples")
    bad = int(np.count_nonzero(~np.isfinite(samples)))
    if bad:
        return Clip(problem=f"not finite: {bad} samples are NaN or infinite")
    mono = samples.mean(axis=1, dtype=np.float32)
    digest = hashlib.blake2b(mono, digest_size=16, salt=str(rate).encode()).hexdigest()
    length = round(duration * sample_rate)
    clip = pad_or_cut(mono if rate == sample_rate else soxr.resample(mono, rate, sample_rate), length)
    if np.ptp(clip) < SILENCE:
        return Clip(problem=f"silent: within {duration:g} s the signal stays inside {SILENCE:g} of full scale")
    return Clip(samples=clip, seconds=max(frames, len(samples)) / rate, digest=digest)


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
    files, strays = [], []
    for entry in sorted(root.iterdir()):
        if entry.name.startswith((".", "__")):
            continue
        if not entry.is_dir():
            if entry.suffix.lower() in SUFFIXES:
                strays.append(Problem(entry.name, "lies beside the class folders: which class?"))
            continue
        before = len(files)
        for inner in sorted(entry.iterdir()):
            relative = f"{entry.name}/{inner.name}"
            if inner.name.startswith("."):
                continue
            if inner.is_dir():
                strays.append(Problem(relative, "folder inside a class folder: expected files only"))
            elif inner.suffix.lower() in SUFFIXES:
                files.append(relative)
            else:
                strays.append(Problem(relative, f"not one of {', '.join(SUFFIXES)}"))
        if len(files) == before:
            strays.append(Problem(entry.name, "class left out: no audio file in this folder"))
    if not files:
        advice = f"expected one sub-folder per class with {', '.join(SUFFIXES)} files in it"
        raise DataError(f"{root}: {advice}, found none\n{listing(strays)}".rstrip())
    return files, strays


def _class_of(file: str) -> str:
    return file.partition("/")[0]
