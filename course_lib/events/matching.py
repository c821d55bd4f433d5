"""Which found event is which true one: one-to-one, within each type, within a tolerance."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

SAMPLE_RATE = 2000  # Hz, of the course's events


def match_events(truth: Iterable, found: Iterable, tolerance: float) -> list[tuple[int, int]]:
    """Pairs (index in truth, index in found) of one recording: as many as can be paired.

    truth, found: events (type, sample, ...), such as lists of tuples or `Detections`, in any order.
    tolerance: largest distance in samples.  Types never mix, and no event is used twice.
    Within a type, going through both in time order and pairing whenever the two next ones are close enough gives the
    largest number of pairs, since an event that is passed over is too early for all that follow.
    """
    if tolerance < 0:
        raise ValueError(f"tolerance: expected at least 0 samples, got {tolerance}")
    pairs = []
    truth, found = by_type(truth), by_type(found)
    for kind in truth.keys() & found.keys():
        waiting, candidates = truth[kind], found[kind]
        i = j = 0
        while i < len(waiting) and j < len(candidates):
            distance = candidates[j][0] - waiting[i][0]
            if abs(distance) <= tolerance:
                pairs.append((waiting[i][1], candidates[j][1]))
                i, j = i + 1, j + 1
            elif distance > 0:
                i += 1
            else:
                j += 1
    return sorted(pairs)


def match_by_score(truth: Iterable, found: Iterable, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores (M,) of the found events, falling, and whether each is right (M,): the strongest chooses first.

    Each takes the nearest true event of its type within `tolerance` samples that is still free. Leaving out the
    weakest changes nothing for the others, which makes a whole precision-recall curve out of one pass.
    """
    free = by_type(truth)
    ordered = sorted(found, key=lambda event: -event[2])
    right = np.zeros(len(ordered), bool)
    for i, (kind, time, _) in enumerate(ordered):
        near = [event for event in free.get(kind, []) if abs(event[0] - time) <= tolerance]
        if near:
            free[kind].remove(min(near, key=lambda event: abs(event[0] - time)))
            right[i] = True
    return np.array([score for *_, score in ordered], float), right


def by_type(events: Iterable) -> dict[int, list[tuple[float, int]]]:
    """Type → [(time, index), ...] in time order."""
    groups: dict[int, list[tuple[float, int]]] = {}
    for index, (kind, time, *_) in enumerate(events):
        groups.setdefault(int(kind), []).append((float(time), index))
    return {kind: sorted(group) for kind, group in groups.items()}
