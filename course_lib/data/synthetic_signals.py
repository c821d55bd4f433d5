"""Generated signals that no linear model on samples can tell apart: the answer is in no one place.

Ten kinds that differ in shape; three bursts, whose order is asked for; a burst that one of three later ones repeats.
"""

from __future__ import annotations

from itertools import permutations
from typing import NamedTuple

import numpy as np
from numpy.random import Generator, default_rng

SIGNAL_KINDS = (
    "steady tone",
    "trembling tone",
    "square wave",
    "sawtooth",
    "rising chirp",
    "falling chirp",
    "low then high",
    "high then low",
    "near pair",
    "far pair",
)
BURST_PERIODS = {"low": (22.0, 26.0), "middle": (12.0, 14.0), "high": (6.5, 7.5)}  # samples a period
BURST_LENGTHS = (56, 64)  # samples
BURST_ORDERS = tuple(" ".join(names) for names in permutations(BURST_PERIODS))


def synthetic_signals(
    signals_per_class: int = 100, length: int = 512, seed: int = 0, snr: tuple[float, float] = (0.0, 12.0)
) -> tuple[np.ndarray, np.ndarray]:
    """Signals (N, length) float32 and labels (N,) int64, indices into `SIGNAL_KINDS`, in random order.

    Pitch (5 to 15 periods a signal in the first four), phase, place, sign and duration are drawn anew for each signal,
    so that every kind has a mean near zero at every sample: what a kind is made of is a waveform (square or not), a
    direction (rising or falling), an order (low then high) or a distance (two bursts near or far).  White noise is
    added at a ratio drawn evenly from `snr`, in dB, and each signal is scaled to a standard deviation of 1.
    Equal arguments give equal signals.  Raises ValueError for a length under 128 or no signals.
    """
    if signals_per_class < 1 or length < 128:
        raise ValueError(
            "signals_per_class, length: expected at least 1 signal of at least 128 steps, got "
            f"{signals_per_class} of {length}"
        )
    rng = default_rng([seed, 12])
    labels = rng.permutation(np.repeat(np.arange(len(SIGNAL_KINDS)), signals_per_class))
    t = np.arange(length) / length  # the whole signal is one unit of time
    clean = np.stack([_SHAPES[label](t, rng) for label in labels])
    clean *= rng.choice([-1.0, 1.0], (len(labels), 1))
    ratio = 10 ** (-rng.uniform(*snr, (len(labels), 1)) / 20)
    signals = clean / clean.std(axis=1, keepdims=True) + ratio * rng.standard_normal(clean.shape)
    signals /= signals.std(axis=1, keepdims=True)
    return signals.astype(np.float32), labels.astype(np.int64)


def _phase(t: np.ndarray, rng: Generator) -> np.ndarray:
    """Phase in periods of a tone of steady pitch."""
    return rng.uniform(5, 15) * t + rng.uniform()


def _tone(t: np.ndarray, rng: Generator) -> np.ndarray:
    return np.sin(2 * np.pi * _phase(t, rng))


def _trembling(t: np.ndarray, rng: Generator) -> np.ndarray:
    depth = 1 + 0.9 * np.sin(2 * np.pi * (rng.uniform(2, 4) * t + rng.uniform()))
    return depth * _tone(t, rng)


def _square(t: np.ndarray, rng: Generator) -> np.ndarray:
    return np.sign(np.sin(2 * np.pi * _phase(t, rng)))


def _sawtooth(t: np.ndarray, rng: Generator) -> np.ndarray:
    return 2 * (_phase(t, rng) % 1) - 1


def _chirp(t: np.ndarray, rng: Generator, direction: int) -> np.ndarray:
    middle, change = rng.uniform(12, 18), direction * rng.uniform(6, 10)
    return np.sin(2 * np.pi * ((middle - change) * t + change * t**2 + rng.uniform()))


def _burst(t: np.ndarray, rng: Generator, centre: float, pitch: float) -> np.ndarray:
    width = rng.uniform(0.025, 0.05)
    return np.exp(-0.5 * ((t - centre) / width) ** 2) * np.sin(2 * np.pi * (pitch * (t - centre) + rng.uniform()))


def _two_pitches(t: np.ndarray, rng: Generator, rising: bool) -> np.ndarray:
    first = rng.uniform(0.1, 0.4)
    second = first + rng.uniform(0.2, 0.5)
    low, high = rng.uniform(14, 22), rng.uniform(36, 50)
    pitches = (low, high) if rising else (high, low)
    return _burst(t, rng, first, pitches[0]) + rng.choice([-1, 1]) * _burst(t, rng, second, pitches[1])


def _pair(t: np.ndarray, rng: Generator, nearest: float, farthest: float) -> np.ndarray:
    distance = rng.uniform(nearest, farthest)
    first = rng.uniform(0.08, 0.92 - distance)
    pitch = rng.uniform(14, 50)
    return _burst(t, rng, first, pitch) + rng.choice([-1, 1]) * _burst(t, rng, first + distance, pitch)


_SHAPES = (
    _tone,
    _trembling,
    _square,
    _sawtooth,
    lambda t, rng: _chirp(t, rng, 1),
    lambda t, rng: _chirp(t, rng, -1),
    lambda t, rng: _two_pitches(t, rng, rising=True),
    lambda t, rng: _two_pitches(t, rng, rising=False),
    lambda t, rng: _pair(t, rng, 0.2, 0.35),
    lambda t, rng: _pair(t, rng, 0.5, 0.8),
)


class BurstOrders(NamedTuple):
    """signals (N, length) float32.  labels (N,) int64, indices into `BURST_ORDERS`.

    starts, ends (N, 3) int64: the first sample of each burst, and the first one after it, in order of time.
    """

    signals: np.ndarray
    labels: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


def burst_order(
    count: int,
    length: int = 1536,
    *,
    gap: tuple[int, int] = (420, 480),
    margin: int = 190,
    noise: tuple[float, float] = (0.1, 0.3),
    seed: int = 0,
) -> BurstOrders:
    """Signals with a low, a middle and a high burst in one of six orders, each order as often as the others.

    A burst is a sine wave of 56 to 64 samples under a Hann window, its phase and pitch drawn anew.
    gap: fewest and most samples between the end of one burst and the start of the next, drawn for each pair alone.
    margin: fewest samples before the first and after the last burst.  What is left moves all three together.
    noise: standard deviation of the white noise, drawn evenly for each signal; the bursts' peaks are 1.
    Each signal is scaled to a standard deviation of 1.  Equal arguments give equal signals.
    Raises ValueError for no signals, an empty range, and where the longest bursts, gaps and margins do not fit.
    """
    if count < 1 or not 0 <= gap[0] <= gap[1] or not 0 <= noise[0] <= noise[1] or margin < 0:
        raise ValueError(
            f"count, gap, noise, margin: expected at least 1 signal, rising ranges and no number below 0, "
            f"got {count}, {gap}, {noise}, {margin}"
        )
    rng = default_rng([seed, 420])
    labels = rng.permutation(np.arange(count) % len(BURST_ORDERS))
    starts, lengths = _placed((count, 3), length, gap, margin, rng)
    periods = np.array([[BURST_PERIODS[name] for name in order.split()] for order in BURST_ORDERS])  # (6, 3, 2)
    periods = rng.uniform(*np.moveaxis(periods[labels], 2, 0))  # (N, 3)
    return BurstOrders(_noisy_bursts(length, starts, lengths, periods, noise, rng), labels, starts, starts + lengths)


def _placed(
    shape: tuple[int, int], length: int, gap: tuple[int, int], margin: int, rng: Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Starts and lengths of bursts, (N, bursts) each, within signals of `length`; ValueError where they may not fit."""
    count, bursts = shape
    longest = bursts * BURST_LENGTHS[1] + (bursts - 1) * gap[1] + 2 * margin
    if longest > length:
        raise ValueError(
            f"length: expected at least {longest} for bursts, gaps up to {gap[1]} and margins, got {length}"
        )
    lengths = rng.integers(BURST_LENGTHS[0], BURST_LENGTHS[1] + 1, shape)
    gaps = rng.integers(gap[0], gap[1] + 1, (count, bursts - 1))
    first = rng.integers(margin, length - margin - lengths.sum(1) - gaps.sum(1) + 1)  # (N,)
    before = np.cumsum(lengths[:, :-1] + gaps, axis=1)  # (N, bursts - 1), from the first start to the others
    return first[:, None] + np.concatenate([np.zeros_like(first)[:, None], before], axis=1), lengths


def _noisy_bursts(
    length: int,
    starts: np.ndarray,
    lengths: np.ndarray,
    periods: np.ndarray,
    noise: tuple[float, float],
    rng: Generator,
) -> np.ndarray:
    """Signals (N, length) float32 of standard deviation 1: sine waves under Hann windows in white noise.

    starts, lengths, periods (N, bursts): samples; phases are drawn.  noise: as in `burst_order`.
    """
    phases = rng.uniform(size=starts.shape)
    signals = rng.uniform(*noise, (len(starts), 1)) * rng.standard_normal((len(starts), length))
    for n in range(starts.shape[1]):
        t = np.arange(length) - starts[:, n, None]  # (N, length), samples since the burst began
        inside = (t >= 0) & (t < lengths[:, n, None])
        window = np.sin(np.pi * (t + 0.5) / lengths[:, n, None]) ** 2  # Hann
        signals += inside * window * np.sin(2 * np.pi * (t / periods[:, n, None] + phases[:, n, None]))
    signals /= signals.std(axis=1, keepdims=True)
    return signals.astype(np.float32)


SHORTEST, LONGEST = 6.5, 26.0  # samples a period, of the first kind and of the last


class Matches(NamedTuple):
    """signals (N, length) float32.  labels (N,) int64: which of the three later bursts repeats the first, 0, 1 or 2.

    kinds (N, 4) int64, of the bursts in order of time.  starts, ends (N, 4) int64: of each burst, as in `BurstOrders`.
    """

    signals: np.ndarray
    labels: np.ndarray
    kinds: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


def match_to_sample(
    count: int,
    length: int = 520,
    *,
    kinds: int = 3,
    sampled: int | None = None,
    gap: tuple[int, int] = (40, 60),
    margin: int = 40,
    noise: tuple[float, float] = (0.1, 0.3),
    seed: int = 0,
) -> Matches:
    """Signals with a sample burst and three later ones of different kinds, one of which is that of the sample.

    kinds: of bursts, at least 3; their periods are spaced evenly on a logarithmic scale from 6.5 to 26 samples. Each
    burst's period is drawn anew, up to an eighth of this spacing from its kind's, and so is its phase.
    sampled: only the first so many kinds come as samples, None: all.  With 1 it is enough to find this kind again.
    gap, margin, noise: as in `burst_order`.  Every answer is as frequent as the others; equal arguments give equal
    signals.  Raises ValueError for no signals, fewer than 3 kinds, an empty range, and where the bursts may not fit.
    """
    sampled = kinds if sampled is None else sampled
    if (
        count < 1
        or not 1 <= sampled <= kinds
        or kinds < 3
        or not 0 <= gap[0] <= gap[1]
        or not 0 <= noise[0] <= noise[1]
        or margin < 0
    ):
        raise ValueError(
            f"count, kinds, sampled, gap, noise, margin: expected at least 1 signal and 3 kinds, 1 to all kinds as "
            f"samples, rising ranges and no number below 0, got {count}, {kinds}, {sampled}, {gap}, {noise}, {margin}"
        )
    rng = default_rng([seed, 33])
    labels = rng.permutation(np.arange(count) % 3)
    sample = rng.integers(sampled, size=count)  # (N,)
    others = rng.permuted(np.tile(np.arange(1, kinds), (count, 1)), axis=1)[:, :2]  # (N, 2), counted from the sample's
    later = (np.concatenate([np.zeros((count, 1), int), others], axis=1) + sample[:, None]) % kinds  # (N, 3)
    at = np.arange(3) == labels[:, None]  # (N, 3), where the sample's kind comes again
    places = np.where(at, 0, np.cumsum(~at, axis=1))  # (N, 3), and where the two others
    kind = np.concatenate([sample[:, None], np.take_along_axis(later, places, axis=1)], axis=1)  # (N, 4)
    starts, lengths = _placed((count, 4), length, gap, margin, rng)
    spacing = np.log(LONGEST / SHORTEST) / (kinds - 1)
    periods = SHORTEST * np.exp(spacing * (kind + rng.uniform(-1 / 8, 1 / 8, kind.shape)))  # (N, 4)
    signals = _noisy_bursts(length, starts, lengths, periods, noise, rng)
    return Matches(signals, labels, kind, starts, starts + lengths)
