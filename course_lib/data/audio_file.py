"""One sound file as an array."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from course_lib.data.audio import DataError, check_format
from course_lib.data.decoding import read_clip
from course_lib.data.folder import check_choices


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
