"""Three bursts with silence between them, and the question in which order they come: no one place has the answer."""

from __future__ import annotations

from itertools import permutations
from typing import NamedTuple

import numpy as np
from numpy.random import Generator, default_rng

BURST_PERIODS = {"low": (22.0, 26.0), "middle": (12.0, 14.0), "high": (6.5, 7.5)}  # samples a period
BURST_LENGTHS = (56, 64)  # samples
BURST_ORDERS = tuple(" ".join(names) for names in permutations(BURST_PERIODS))


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
    longest = 3 * BURST_LENGTHS[1] + 2 * gap[1] + 2 * margin
    if count < 1 or not 0 <= gap[0] <= gap[1] or not 0 <= noise[0] <= noise[1] or margin < 0:
        raise ValueError(
            f"count, gap, noise, margin: expected at least 1 signal, rising ranges and no number below 0, "
            f"got {count}, {gap}, {noise}, {margin}"
        )
    if longest > length:
        raise ValueError(
            f"length: expected at least {longest} for bursts, gaps up to {gap[1]} and margins, got {length}"
        )
    rng = default_rng([seed, 420])
    labels = rng.permutation(np.arange(count) % len(BURST_ORDERS))
    lengths = rng.integers(BURST_LENGTHS[0], BURST_LENGTHS[1] + 1, (count, 3))
    gaps = rng.integers(gap[0], gap[1] + 1, (count, 2))
    first = rng.integers(margin, length - margin - lengths.sum(1) - gaps.sum(1) + 1)  # (N,)
    before = np.cumsum(lengths[:, :2] + gaps, axis=1)  # (N, 2), from the first start to the second and third
    starts = first[:, None] + np.concatenate([np.zeros_like(first)[:, None], before], axis=1)  # (N, 3)
    periods = np.array([[BURST_PERIODS[name] for name in order.split()] for order in BURST_ORDERS])  # (6, 3, 2)
    periods = rng.uniform(*np.moveaxis(periods[labels], 2, 0))  # (N, 3)
    return BurstOrders(noisy_bursts(length, starts, lengths, periods, noise, rng), labels, starts, starts + lengths)


def noisy_bursts(
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
