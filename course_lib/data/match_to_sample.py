"""A burst, and later three others, one of them of its kind: which one? The answer is in no place, nor in any order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.random import default_rng

from course_lib.data.burst_order import BURST_LENGTHS, noisy_bursts

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
    longest = 4 * BURST_LENGTHS[1] + 3 * gap[1] + 2 * margin
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
    if longest > length:
        raise ValueError(f"length: expected at least {longest} for bursts, gaps up to {gap[1]}, margins, got {length}")
    rng = default_rng([seed, 33])
    labels = rng.permutation(np.arange(count) % 3)
    sample = rng.integers(sampled, size=count)  # (N,)
    others = rng.permuted(np.tile(np.arange(1, kinds), (count, 1)), axis=1)[:, :2]  # (N, 2), counted from the sample's
    later = (np.concatenate([np.zeros((count, 1), int), others], axis=1) + sample[:, None]) % kinds  # (N, 3)
    at = np.arange(3) == labels[:, None]  # (N, 3), where the sample's kind comes again
    places = np.where(at, 0, np.cumsum(~at, axis=1))  # (N, 3), and where the two others
    kind = np.concatenate([sample[:, None], np.take_along_axis(later, places, axis=1)], axis=1)  # (N, 4)
    lengths = rng.integers(BURST_LENGTHS[0], BURST_LENGTHS[1] + 1, kind.shape)
    gaps = rng.integers(gap[0], gap[1] + 1, later.shape)
    first = rng.integers(margin, length - margin - lengths.sum(1) - gaps.sum(1) + 1)  # (N,)
    before = np.cumsum(lengths[:, :3] + gaps, axis=1)  # (N, 3), from the first start to the others
    starts = first[:, None] + np.concatenate([np.zeros_like(first)[:, None], before], axis=1)  # (N, 4)
    spacing = np.log(LONGEST / SHORTEST) / (kinds - 1)
    periods = SHORTEST * np.exp(spacing * (kind + rng.uniform(-1 / 8, 1 / 8, kind.shape)))  # (N, 4)
    signals = noisy_bursts(length, starts, lengths, periods, noise, rng)
    return Matches(signals, labels, kind, starts, starts + lengths)
