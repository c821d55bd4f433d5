"""A generated set with ESC-10's shape, the embedded default where no recordings are on disk: ten kinds of sound.

Every kind is a function of two generators: `source` holds what one source recording keeps from clip to clip (pitch,
timbre, rate), `clip` what changes within it (times, accents, noise).  It returns `n` samples at `rate` Hz of any level.
Carrier frequencies are drawn from ranges that overlap between the kinds; how they move in time tells them apart.
"""

import numpy as np
from numpy.random import Generator, default_rng
from scipy import fft, special
from tqdm import tqdm

from course_lib.data.audio_data import AudioData, check_format
from course_lib.data.cache import Append, cached_array

RATE = 44_100  # clips are made at this rate; others are resampled from it
FOLDS = 5
VERSION = 5  # raise it where the sound changes, so that caches are made anew


def bark(source: Generator, clip: Generator, n: int, rate: int) -> np.ndarray:
    """One to six short voiced bursts whose pitch falls, at irregular times."""
    pitch, edge, breath = _log_uniform(source, 220, 600), source.uniform(4, 16), source.uniform(0.1, 0.5)
    length = source.uniform(0.12, 0.3)
    out = np.zeros(n)
    for start in _irregular_times(clip, n / rate, int(clip.integers(1, 7)), length):
        u, m = _unit_time(length * clip.uniform(0.8, 1.2), rate)
        f0 = pitch * clip.uniform(0.9, 1.1) * (1.25 - 0.55 * u + 0.3 * np.exp(-(((u - 0.2) / 0.12) ** 2)))
        sound = _voice(f0, edge, rate) + breath * clip.standard_normal(m)
        _add(out, sound * np.minimum(u / 0.08, 1) * np.exp(-3.5 * u) * clip.uniform(0.5, 1), start, rate)
    return out


def cry(source: Generator, clip: Generator, n: int, rate: int) -> np.ndarray:
    """Long voiced wails with an arched pitch and vibrato, and short breaths between them."""
    pitch, edge = _log_uniform(source, 300, 550), source.uniform(4, 16)
    length, arch, vibrato = source.uniform(0.6, 1.4), source.uniform(0.1, 0.35), source.uniform(5, 8)
    out = np.zeros(n)
    start = -clip.uniform(0, length)
    while start < n / rate:
        u, m = _unit_time(length * clip.uniform(0.75, 1.25), rate)
        seconds = m / rate
        sway = 1 + 0.025 * np.sin(2 * np.pi * vibrato * u * seconds + clip.uniform(0, 6))
        sound = _voice(pitch * (0.9 + arch * np.sin(np.pi * u)) * sway, edge, rate)
        _add(out, sound * np.sin(np.pi * u) ** 0.5 * clip.uniform(0.6, 1), start, rate)
        start += seconds + clip.uniform(0.15, 0.6)
    return out


def crow(source: Generator, clip: Generator, n: int, rate: int) -> np.ndarray:
    """A call of three short syllables that step up and a long one that glides down; one or two calls."""
    pitch, edge = _log_uniform(source, 450, 900), source.uniform(4, 16)
    stretch = source.uniform(0.8, 1.25)
    out = np.zeros(n)
    for start in _irregular_times(clip, n / rate, int(clip.integers(1, 3)), 2.0 * stretch):
        for length, gap, first, last in (
            (0.16, 0.06, 1, 1.1),
            (0.14, 0.06, 1.15, 1.2),
            (0.3, 0.05, 1.3, 1.5),
            (0.85, 0, 1.55, 0.85),
        ):
            u, m = _unit_time(length * stretch * clip.uniform(0.9, 1.1), rate)
            sound = _voice(pitch * (first + (last - first) * u**2), edge, rate)
            _add(out, sound * np.sin(np.pi * u) ** 0.4, start, rate)
            start += m / rate + gap
    return out


def sneeze(source: Generator, clip: Generator, n: int, rate: int) -> np.ndarray:
    """A breath that swells, a sudden burst and a falling voiced tail; one or two times."""
    centre, pitch = _log_uniform(source, 800, 5000), _log_uniform(source, 200, 500)
    inhale, tail = source.uniform(0.3, 0.8), source.uniform(0.2, 0.45)
    out = np.zeros(n)
    for start in _irregular_times(clip, n / rate, int(clip.integers(1, 3)), inhale + tail + 0.3):
        u, m = _unit_time(inhale * clip.uniform(0.9, 1.1), rate)
        _add(out, 0.35 * _noise_band(clip, m, rate, centre, 1.0) * u**2, start, rate)
        start += m / rate + clip.uniform(0.02, 0.1)
        u, m = _unit_time(tail * clip.uniform(0.9, 1.1), rate)
        burst = 2 * _noise_band(clip, m, rate, centre, 1.0) * np.exp(-6 * u)
        voice = _voice(pitch * (1.3 - 0.6 * u), 8, rate) * np.exp(-3 * u)
        _add(out, (burst + voice) * np.minimum(u / 0.03, 1), start, rate)
    return out


def tick(source: Generator, clip: Generator, n: int, rate: int) -> np.ndarray:
    """Clicks at even times, every second one a little different."""
    interval, contrast = 1 / _log_uniform(source, 1.2, 5), source.uniform(0.3, 1)
    clicks = [_click(source, rate), _click(source, rate)]
    out = np.zeros(n)
    start = clip.uniform(0, interval)
    for i, time in enumerate(np.arange(start, n / rate, interval).tolist()):
        _add(out, clicks[i % 2] * (1 if i % 2 else contrast) * clip.uniform(0.85, 1), time, rate)
    return out


def crackle(source: Generator, clip: Generator, n: int, rate: int) -> np.ndarray:
    """Clicks at random times, a few loud ones among many soft ones, over a low rumble."""
    density, clicks = _log_uniform(source, 10, 80), [_click(source, rate) for _ in range(6)]
    out = np.zeros(n)
    count = clip.poisson(density * n / rate)
    for time, size in zip(clip.uniform(0, n / rate, count), clip.pareto(1.6, count) + 0.15, strict=True):
        _add(out, clicks[clip.integers(6)] * min(size, 6), time, rate)
    return out + source.uniform(0.05, 0.25) * out.std() * _noise_band(clip, n, rate, 150, 0.8)


def rain(source: Generator, clip: Generator, n: int, rate: int) -> np.ndarray:
    """A steady hiss made of countless drops."""
    centre, width, drops = _log_uniform(source, 1000, 6000), source.uniform(0.7, 1.6), source.uniform(0, 3)
    sparse = np.where(clip.random(n) < 150 / rate, drops * 8 * clip.standard_normal(n), 0)
    return _noise_band(clip, n, rate, centre, width, extra=sparse)


def waves(source: Generator, clip: Generator, n: int, rate: int) -> np.ndarray:
    """Swells of noise, seconds apart, brighter where they are louder."""
    centre, width = _log_uniform(source, 250, 1600), source.uniform(0.7, 1.6)
    period, depth = source.uniform(2.2, 5.0), source.uniform(0.75, 0.97)
    u = np.arange(n) / rate / period + clip.uniform()
    swell = 1 - depth + depth * (0.5 + 0.5 * np.sin(2 * np.pi * u + 0.6 * np.sin(2 * np.pi * u))) ** 2
    dark = _noise_band(clip, n, rate, centre * 0.6, width)
    bright = _noise_band(clip, n, rate, centre * 2, width)
    return dark * swell**0.8 + bright * swell**2


def rotor(source: Generator, clip: Generator, n: int, rate: int) -> np.ndarray:
    """Beats of noise at an even rate of 8 to 20 a second."""
    centre, width = _log_uniform(source, 120, 1000), source.uniform(0.7, 1.6)
    beats, sharpness, depth = _log_uniform(source, 8, 20), source.uniform(1, 5), source.uniform(0.6, 0.95)
    drift = 1 + 0.02 * np.sin(2 * np.pi * clip.uniform(0.1, 0.4) * np.arange(n) / rate + clip.uniform(0, 6))
    phase = 2 * np.pi * (np.cumsum(beats * drift) / rate + clip.uniform())
    return _noise_band(clip, n, rate, centre, width) * (1 - depth + depth * np.exp(sharpness * (np.cos(phase) - 1)))


def saw(source: Generator, clip: Generator, n: int, rate: int) -> np.ndarray:
    """A motor: a low, rough, unbroken tone whose pitch revs up and falls back."""
    pitch, edge, noise = _log_uniform(source, 70, 180), source.uniform(20, 80), source.uniform(0.05, 0.3)
    knots = np.cumsum(clip.uniform(0.3, 1.5, 24))
    revs = np.interp(np.arange(n) / rate, knots - knots[0], clip.uniform(0.75, 1.5, 24))
    jitter = 1 + 0.01 * np.repeat(clip.standard_normal(n // 256 + 1), 256)[:n]
    sound = _voice(pitch * revs * jitter, edge, rate) / 0.25
    return (sound + noise * clip.standard_normal(n)) * (0.5 + 0.5 * revs)


KINDS = (bark, rain, waves, cry, tick, sneeze, rotor, saw, crow, crackle)


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

    def build(append: Append) -> dict:
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
    low, high = np.log2(_log_uniform(rng, 50, 200) / 1000), np.log2(_log_uniform(rng, 6000, 18000) / 1000)
    decibels = np.clip(decibels, -40, 25) - 24 * np.maximum(low - octave, 0) - 24 * np.maximum(octave - high, 0)
    return (10 ** (decibels / 20)).astype(np.float32)


def _log_uniform(rng: Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _unit_time(seconds: float, rate: int) -> tuple[np.ndarray, int]:
    """A ramp from 0 to 1 over `seconds`, and its number of samples."""
    m = max(int(seconds * rate), 2)
    return np.linspace(0, 1, m), m


def _voice(f0: np.ndarray, edge: float, rate: int) -> np.ndarray:
    """A pulse train at the pitch f0 (Hz): exp(edge (cos φ - 1)), whose harmonics are Bessel functions of `edge`."""
    phase = 2 * np.pi * np.cumsum(f0) / rate
    return np.exp(edge * (np.cos(phase) - 1)) - special.ive(0, edge)


def _noise_band(
    rng: Generator, n: int, rate: int, centre: float, octaves: float, extra: np.ndarray | float = 0
) -> np.ndarray:
    """Gaussian noise (plus `extra`) through a bell over log-frequency; unit variance without `extra`."""
    size = fft.next_fast_len(n, real=True)
    spectrum = fft.rfft((rng.standard_normal(n, dtype=np.float32) + extra).astype(np.float32), size)
    frequency = fft.rfftfreq(size, 1 / rate).astype(np.float32)
    frequency[0] = frequency[1]
    gain = np.exp(-0.5 * (np.log2(frequency / np.float32(centre)) / np.float32(octaves)) ** 2)
    return fft.irfft(spectrum * (gain / np.sqrt(np.mean(gain**2))), size)[:n]


def _click(rng: Generator, rate: int) -> np.ndarray:
    """A struck resonance of 5 to 40 ms with a random timbre."""
    t = np.arange(int(0.06 * rate)) / rate
    decay, frequency = _log_uniform(rng, 0.002, 0.012), _log_uniform(rng, 600, 5000)
    tone = np.sin(2 * np.pi * frequency * t) + 0.6 * np.sin(2 * np.pi * frequency * rng.uniform(1.3, 2.7) * t)
    return (tone + 0.7 * rng.standard_normal(len(t))) * np.exp(-t / decay)


def _irregular_times(rng: Generator, seconds: float, count: int, length: float) -> np.ndarray:
    """`count` start times in order: the first soon after the clip begins, as whoever cut it would have it."""
    times = rng.uniform(0, max(seconds - 0.7 * length, 0.05), count)
    times[0] = rng.uniform(-0.05, 0.35)
    return np.sort(times)


def _add(out: np.ndarray, sound: np.ndarray, start: float, rate: int) -> None:
    """Add a sound at `start` seconds; what falls outside is cut."""
    first = round(start * rate)
    begin, end = max(first, 0), min(first + len(sound), len(out))
    if begin < end:
        out[begin:end] += sound[begin - first : end - first]
