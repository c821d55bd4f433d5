"""A generated set with ESC-10's shape: the embedded default where no recordings are on disk."""

import numpy as np
from numpy.random import Generator, default_rng
from scipy import fft
from tqdm import tqdm

from course_lib.data.audio import AudioData, check_format
from course_lib.data.cache import cached_array
from course_lib.data.soundscape import KINDS, log_uniform

RATE = 44_100  # clips are made at this rate; others are resampled from it
FOLDS = 5
VERSION = 5  # raise it where the sound changes, so that caches are made anew


def synthetic_soundscape(
    clips_per_class: int = 40,
    sample_rate: int = RATE,
    duration: float = 5.0,
    seed: int = 0,
    cache: bool = True,
    progress: bool = True,
) -> AudioData:
    """Ten kinds of generated sound in ESC-10's shape: by default (400, 1, 220500) at 44.1 kHz in 5 folds of 80 clips.

    Each clip is a "take" of a made-up source recording: its sound, room and microphone (a random frequency response),
    background noise and level.  Takes of one source share a group and lie in one fold, as in ESC-10.  Levels, noise and
    colouring are drawn alike for every kind, so that loudness and zero crossings say little.
    clips_per_class: a multiple of 5.  The same arguments give the same samples.  Raises ValueError for other sizes.
    """
    check_format(sample_rate, duration)
    if clips_per_class < FOLDS or clips_per_class % FOLDS:
        raise ValueError(f"clips_per_class: expected a multiple of {FOLDS}, one share per fold, got {clips_per_class}")
    plan = _plan(clips_per_class, seed)
    n = round(duration * RATE)

    def build(append) -> dict:
        for label, _, source, take in tqdm(plan, desc="synthetic soundscape", disable=not progress):
            append(_record(label, source, take, n, seed)[None])
        return {}

    identity = {"set": "synthetic", "clips": clips_per_class, "duration": float(duration), "seed": seed}
    signals, _ = cached_array("soundscape", identity, VERSION, build, cache)
    data = AudioData(
        signals=signals,
        labels=np.array([label for label, *_ in plan], dtype=np.int64),
        classes=tuple(kind.__name__ for kind in KINDS),
        sample_rate=RATE,
        name="synthetic soundscape",
        folds=np.array([fold for _, fold, _, _ in plan], dtype=np.int64),
        groups=np.array([f"{KINDS[label].__name__}-{source:02d}" for label, _, source, _ in plan]),
        files=tuple(f"{fold}-{KINDS[label].__name__}-{source:02d}-{'ABC'[take]}" for label, fold, source, take in plan),
        report=(),
    )
    return data.resample(sample_rate)


def _plan(clips_per_class: int, seed: int) -> list[tuple[int, int, int, int]]:
    """(label, fold, source, take) of every clip: each source gives one to three takes, all in one fold."""
    rng = default_rng([seed, 1])
    plan = []
    for label in range(len(KINDS)):
        source = 0
        for fold in range(1, FOLDS + 1):
            left = clips_per_class // FOLDS
            while left:
                takes = min(int(rng.choice([1, 2, 3], p=[0.76, 0.16, 0.08])), left)
                plan += [(label, fold, source, take) for take in range(takes)]
                source, left = source + 1, left - takes
    return plan


def _record(label: int, source: int, take: int, n: int, seed: int) -> np.ndarray:
    """One clip of (n,) float32: a foreground through a room and a microphone, with noise, at a random level."""
    room = default_rng([seed, 2, label, source])  # what takes of one source share
    clip = default_rng([seed, 3, label, source, take])
    foreground = KINDS[label](default_rng([seed, 4, label, source]), clip, n, RATE)
    frequency = fft.rfftfreq(n, 1 / RATE).astype(np.float32)
    frequency[0] = frequency[1]
    octave = np.log2(frequency / 1000)
    response = _response(room, octave)
    colour = room.uniform(-1.2, 0.2)  # amplitude of the background falls as frequency to this power
    background = clip.standard_normal(n, dtype=np.float32)
    background = fft.irfft(fft.rfft(background) * 2 ** (np.maximum(octave, -4) * colour), n)
    heard = fft.irfft(fft.rfft(foreground.astype(np.float32)) * response, n)
    ratio = 10 ** (-clip.uniform(5, 30) / 20)
    mixed = heard / max(heard.std(), 1e-9) + background * (ratio / background.std())
    level = 10 ** (clip.uniform(-29, -15) / 20) / mixed.std()
    return (mixed * min(level, 0.99 / np.abs(mixed).max())).astype(np.float32)


def _response(rng: Generator, octave: np.ndarray) -> np.ndarray:
    """A frequency response: a tilt, bells of boost or cut, deeper in the treble, and the limits of a microphone."""
    decibels = rng.uniform(-2, 2) * octave
    for depth, lowest, highest in ((6, -2, 1), (15, 1, 4), (15, 1, 4)):
        bell = np.exp(-0.5 * ((octave - rng.uniform(lowest, highest)) / 0.6) ** 2)
        decibels = decibels + rng.uniform(-depth, depth) * bell
    low, high = np.log2(log_uniform(rng, 50, 200) / 1000), np.log2(log_uniform(rng, 6000, 18000) / 1000)
    decibels = np.clip(decibels, -40, 25) - 24 * np.maximum(low - octave, 0) - 24 * np.maximum(octave - high, 0)
    return (10 ** (decibels / 20)).astype(np.float32)
