"""What every audio loader returns: clips of one length as an array, with labels, folds and where they come from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import soxr

from course_lib.data.cache import Append, cached_array, content_key


class DataError(ValueError):
    """Data on disk that is not what it should be: missing, damaged or changed files."""


@dataclass(frozen=True)
class Problem:
    """A file that was left out or does not fit, and why."""

    file: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


@dataclass(frozen=True, eq=False)
class AudioData:
    """Labelled clips of one length and sample rate.

    signals: (N, 1, samples) float32, perhaps a read-only memmap.  labels: (N,) int64, the index into `classes`;
        where a clip may have several classes (N, K), 1 for those that it has and else 0.
    folds: (N,) int64, the official folds from 1, or None.  groups: (N,) str, the clips' source recordings, or None.
    files: N names, a file or a generated clip.  report: the files that were left out, with reasons.
    durations: (N,) float64, seconds of each recording before it was padded or cut, or None where nothing was.
    starts: (N,) float64, second of its recording at which each window begins, or None where clips are no windows.
    """

    signals: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    sample_rate: int
    name: str
    folds: np.ndarray | None
    groups: np.ndarray | None
    files: tuple[str, ...]
    report: tuple[Problem, ...]
    durations: np.ndarray | None = None
    starts: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.signals)

    def resample(self, sample_rate: int) -> "AudioData":
        """The same clips at another sample rate (Hz), by soxr at its high quality; computed once, then cached."""
        check_format(sample_rate, 1.0)
        if sample_rate == self.sample_rate:
            return self
        length = round(self.signals.shape[-1] * sample_rate / self.sample_rate)

        def build(append: Append) -> dict:
            for signal in self.signals:
                append(pad_or_cut(soxr.resample(signal[0], self.sample_rate, sample_rate), length)[None])
            return {}

        identity = {"resampled": content_key(self.signals), "from": self.sample_rate, "to": sample_rate}
        signals, _ = cached_array(f"{self.name} resampled", identity, None, build)
        return replace(self, signals=signals, sample_rate=sample_rate)

    def crop(self, seconds: float, start: float = 0.0) -> "AudioData":
        """The part of every clip that begins at `start` and lasts `seconds`.  ValueError where clips are too short."""
        first, length = round(start * self.sample_rate), round(seconds * self.sample_rate)
        available = self.signals.shape[-1]
        if first < 0 or length < 1 or first + length > available:
            span = f"{start:g} s to {start + seconds:g} s"
            raise ValueError(f"crop: expected a part of 0 s to {available / self.sample_rate:g} s, got {span}")
        return replace(self, signals=self.signals[..., first : first + length])

    def describe(self) -> str:
        """One line: what this is and how much of it."""
        seconds = self.signals.shape[-1] / self.sample_rate
        what = "clips" if self.starts is None else f"windows of {len(set(self.files))} recordings"
        parts = [f"{len(self)} {what} of {seconds:g} s at {self.sample_rate:,} Hz", f"{len(self.classes)} classes"]
        if self.folds is not None:
            parts.append(f"{len(np.unique(self.folds))} folds")
        if self.report:
            parts.append(f"{len(self.report)} files in the report")
        return f"{self.name}: " + ", ".join(parts)


def listing(problems: Sequence[Problem], limit: int = 20) -> str:
    """Problems as indented lines, for the end of a message; what is beyond `limit` is only counted."""
    lines = [f"  {problem}" for problem in problems[:limit]]
    if len(problems) > limit:
        lines.append(f"  … and {len(problems) - limit} more")
    return "\n".join(lines)


def pad_or_cut(signal: np.ndarray, length: int) -> np.ndarray:
    """Bring the last axis to `length` samples: zeros on the right, or cut on the right.  (..., T) to (..., length)."""
    missing = length - signal.shape[-1]
    if missing <= 0:
        return signal[..., :length]
    return np.pad(signal, [(0, 0)] * (signal.ndim - 1) + [(0, missing)])


def is_number(value: object) -> bool:
    """Whether `value` is a finite real number, and no truth value or text."""
    return (
        isinstance(value, int | float | np.integer | np.floating)
        and not isinstance(value, bool)
        and bool(np.isfinite(value))
    )


def is_whole(value: object, least: int) -> bool:
    """Whether `value` is a whole number from `least` on, and no truth value."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= least)


def check_format(sample_rate: int, duration: float) -> None:
    """ValueError unless `sample_rate` is a positive whole number of Hz and `duration` holds at least one sample."""
    if not is_whole(sample_rate, 1):
        raise ValueError(f"sample_rate: expected a positive whole number of Hz, got {sample_rate!r}")
    if not (is_number(duration) and duration * sample_rate >= 1):
        raise ValueError(f"duration: expected seconds that hold at least one sample, got {duration!r}")
