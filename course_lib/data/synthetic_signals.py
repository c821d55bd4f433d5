"""Ten kinds of generated signal that no linear model on samples can tell apart: they differ in shape, not in place."""

from __future__ import annotations

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
