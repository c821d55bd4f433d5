"""From sound files to samples: mono, resampled, to where a file ends, whatever its header says."""

import contextlib
import hashlib
import io
import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from tqdm import tqdm

from course_lib.data.audio_data import pad_or_cut

SILENCE = 1e-4  # peak-to-peak; -80 dB of full scale
BLOCK = 4096  # frames decoded at once: where a file is damaged, the block is lost
MARGIN = 0.1  # seconds read beyond the cut, so that the resampling filter sees what follows


@dataclass(frozen=True)
class Clip:
    """One decoded file.  samples: (samples,) float32 at the asked rate and length, or all.  seconds: of the whole file.

    digest: of the samples before they were resampled; of the whole file where the clip is silent.
    """

    samples: np.ndarray
    seconds: float
    digest: str


def decode(
    root: Path,
    files: Iterable[str],
    sample_rate: int,
    duration: float | None,
    workers: int | None,
    progress: bool,
    channel: int | None = None,
) -> Iterator[Clip | str]:
    """Read files (relative to `root`) several at once; give each one's Clip, in order, or why there is none."""
    files = list(files)
    workers = workers or min(8, os.cpu_count() or 1)
    chunk = 8 * workers  # bounds the clips that wait in memory
    with ThreadPoolExecutor(workers) as pool, tqdm(total=len(files), desc=root.name, disable=not progress) as bar:
        for start in range(0, len(files), chunk):
            paths = [root / file for file in files[start : start + chunk]]
            for clip in pool.map(lambda path: read_clip(path, sample_rate, duration, channel), paths):
                bar.update()
                yield clip


def read_clip(path: Path, sample_rate: int, duration: float | None, channel: int | None = None) -> Clip | str:
    """Read one file as mono at `sample_rate`, `duration` seconds long; where that cannot be done, say why not.

    duration: None: all of it.

    channel: which one, from 0; None: their mean, or the loudest where they cancel one another.

    The file is decoded to its end, once: headers are missing, wrong or estimated too often to tell how long it is, and
    a file that begins with silence is silent only where no sound follows.
    """
    rate, wanted, total, kept = 0, 1, 0, list[np.ndarray]()
    low, high = np.array(np.inf), np.array(-np.inf)  # of each channel, in the whole file
    whole = hashlib.blake2b(digest_size=16)
    try:
        if not path.is_file() and path.exists():
            return "not a regular file"
        if path.stat().st_size == 0:
            return "empty: the file has 0 bytes"
        for rate, block in _blocks(path):
            if channel is not None:
                if channel >= block.shape[1]:
                    return f"has no channel {channel}: it has {block.shape[1]}, counted from 0"
                block = np.ascontiguousarray(block[:, [channel]])
            wanted = sys.maxsize if duration is None else int(np.ceil((duration + MARGIN) * rate))
            if total < wanted:
                kept.append(block[: wanted - total])
            total += len(block)
            whole.update(block.data)
            low, high = np.fmin(low, block.min(axis=0)), np.fmax(high, block.max(axis=0))
    except (soundfile.SoundFileError, OSError, RuntimeError) as error:
        if total < wanted:  # else it is damaged only beyond what is asked for
            return f"unreadable: {getattr(error, 'error_string', None) or error}"
    if not kept:
        return "zero length: the file has no samples"
    samples = np.concatenate(kept)
    bad = int(np.count_nonzero(~np.isfinite(samples)))
    if bad:
        return f"not finite: {bad} samples are NaN or infinite"
    if (high - low).max() < SILENCE:
        return f"silent: the signal stays inside {SILENCE:g} of full scale"
    mono = _mono(samples)
    resampled = mono if rate == sample_rate else soxr.resample(mono, rate, sample_rate)
    if not len(resampled):
        return f"too short: {total} samples at {rate:,} Hz are less than one at {sample_rate:,} Hz"
    if not np.isfinite(resampled).all():
        return f"too loud: resampled, the signal of up to {np.abs(mono).max():.3g} leaves float32"
    clip = resampled if duration is None else pad_or_cut(resampled, round(duration * sample_rate))
    heard = np.ptp(clip) >= SILENCE
    digest = hashlib.blake2b(mono.data, digest_size=16, salt=str(rate).encode()) if heard else whole
    return Clip(clip, total / rate, digest.hexdigest())


class _Forward(soundfile.SoundFile):
    """A sound file read from start to end. After each block soundfile seeks, which fails where no length is stored."""

    def seekable(self) -> bool:
        return False


class _OpenEnd(io.FileIO):
    """A file that claims to be 64 times as long as it is.

    Where an MP3 does not say how long it is, libsndfile takes its first frame's bit rate for all, and stops there.
    """

    claimed = False

    def seek(self, offset: int, whence: int = 0) -> int:
        self.claimed = (offset, whence) == (0, io.SEEK_END)
        return super().seek(offset, whence)

    def tell(self) -> int:
        return super().tell() * (64 if self.claimed else 1)


def _blocks(path: Path) -> Iterator[tuple[int, np.ndarray]]:
    """(sample rate, (frames, channels) float32), block by block, to where the file ends, whatever its header says."""
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(_Forward(openable(path)))
        if file.format == "MP3" and not _says_how_long(path):
            file = stack.enter_context(_Forward(stack.enter_context(_OpenEnd(path))))
        if file.format == "WAV" and file.frames == 0:
            file = stack.enter_context(_Forward(_sized(path)))
        done, promised = 0, file.frames
        while True:
            size = min(BLOCK, promised - done) if done < promised else BLOCK  # to what is promised, then beyond
            try:
                block = file.read(size, dtype="float32", always_2d=True)
            except (soundfile.SoundFileError, RuntimeError):
                if done != promised:
                    raise
                return  # all samples are there; what follows them, such as a tag, is no sound
            if not len(block):
                return
            done += len(block)
            yield file.samplerate, block


def _sized(path: Path) -> io.BytesIO:
    """A WAV that says that it has no samples, with the length of what follows: a recorder was stopped too early."""
    content = bytearray(path.read_bytes())
    place = content.find(b"data\0\0\0\0", 12) + 4
    if place >= 16:
        content[place : place + 4] = min(len(content) - place - 4, 2**32 - 1).to_bytes(4, "little")
    return io.BytesIO(content)


def _says_how_long(path: Path) -> bool:
    """Whether an MP3's first frame states the number of frames."""
    with open(path, "rb") as file:
        tag = file.read(10)  # "ID3", version, flags, and a length in four bytes of seven bits
        length = sum((byte & 127) << shift for byte, shift in zip(tag[6:], (21, 14, 7, 0), strict=False))
        file.seek(10 + length if tag.startswith(b"ID3") else 0)
        first = file.read(2048)
    return any(mark in first for mark in (b"Xing", b"Info", b"VBRI"))


def _mono(samples: np.ndarray) -> np.ndarray:
    """(frames, channels) to (frames,): the channels' mean; where they cancel one another, the loudest channel.

    They do where the mean has less than a tenth of the power that it would have of unrelated channels.
    """
    mono = samples.mean(axis=1, dtype=np.float32)
    powers = np.square(samples, dtype=np.float64).mean(axis=0)  # (channels,)
    if np.square(mono, dtype=np.float64).mean() < 0.1 * powers.sum() / len(powers) ** 2:
        return np.ascontiguousarray(samples[:, powers.argmax()])
    return mono


def openable(path: Path) -> Path | bytes:
    """The path as soundfile takes it, also where a folder's name is no UTF-8."""
    return os.fsencode(path) if os.name == "posix" else path
