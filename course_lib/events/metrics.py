"""How well found events agree with the true ones: which is which, F1 at a tolerance, timing errors, curves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from course_lib.events.detections import Detections, by_type, checked_rate, within


def match_events(truth: Iterable, found: Iterable, tolerance: float) -> list[tuple[int, int]]:
    """Pairs (index in truth, index in found) of one recording: as many as can be paired.

    truth, found: events (type, sample, ...), such as lists of tuples or `Detections`, in any order.
    tolerance: largest distance in samples; exactly so far is near enough.  Types never mix, and no event is used twice.
    Within a type, going through both in time order and pairing whenever the two next ones are close enough gives the
    largest number of pairs, since an event that is passed over is too early for all that follow.
    Raises ValueError for times that are NaN or infinite, and for a tolerance below 0 or NaN.
    """
    _check_tolerance(tolerance)
    pairs = []
    true_types, found_types = by_type(truth, "truth"), by_type(found, "found")
    for kind in true_types.keys() & found_types.keys():
        waiting, candidates = true_types[kind], found_types[kind]
        i = j = 0
        while i < len(waiting) and j < len(candidates):
            if within(candidates[j][0], waiting[i][0], tolerance):
                pairs.append((waiting[i][1], candidates[j][1]))
                i, j = i + 1, j + 1
            elif candidates[j][0] > waiting[i][0]:
                i += 1
            else:
                j += 1
    return sorted(pairs)


def match_by_score(truth: Iterable, found: Iterable, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores (M,) of the found events, falling, and whether each is right (M,): the strongest chooses first.

    Each takes the nearest true event of its type within `tolerance` samples that is still free. Leaving out the
    weakest changes nothing for the others, which makes a whole precision-recall curve out of one pass.
    Raises ValueError for times that are NaN or infinite, scores that are missing or NaN, and no tolerance from 0 on.
    """
    _check_tolerance(tolerance)
    free, events = by_type(truth, "truth"), list(found)
    if not all(len(event) == 3 and event[2] == event[2] for event in events):
        raise ValueError("found: expected (type, sample, score) with scores that are not NaN")
    ordered = sorted(events, key=lambda event: -event[2])
    by_type(ordered, "found")
    right = np.zeros(len(ordered), bool)
    for i, (kind, time, _) in enumerate(ordered):
        near = [event for event in free.get(kind, []) if within(event[0], time, tolerance)]
        if near:
            free[kind].remove(min(near, key=lambda event: abs(event[0] - time)))
            right[i] = True
    return np.array([score for *_, score in ordered], float), right


@dataclass(frozen=True)
class EventScores:
    """Counts and errors over several recordings.

    true_events, found_events, matched: counts at `tolerance_ms`.  errors_ms: (matched,) found minus true.
    A ratio with nothing to divide by is NaN, except that finding nothing where there is nothing is an F1 of 1.
    """

    tolerance_ms: float
    true_events: int
    found_events: int
    matched: int
    errors_ms: np.ndarray

    @property
    def precision(self) -> float:
        return self.matched / self.found_events if self.found_events else np.nan

    @property
    def recall(self) -> float:
        return self.matched / self.true_events if self.true_events else np.nan

    @property
    def f1(self) -> float:
        total = self.true_events + self.found_events
        return 2 * self.matched / total if total else 1.0

    @property
    def median_error_ms(self) -> float:
        """Median absolute error of the matched events."""
        return float(np.median(np.abs(self.errors_ms))) if self.matched else np.nan

    def within(self, milliseconds: float = 5.0) -> float:
        """Share of the matched events whose error is at most so large. Says more where the tolerance is larger.

        A nanosecond more, which rounding may add, counts as well.
        """
        return float((np.abs(self.errors_ms) <= milliseconds + 1e-6).mean()) if self.matched else np.nan

    def __str__(self) -> str:
        return (
            f"F1 {self.f1:.3f} at {self.tolerance_ms:g} ms (precision {self.precision:.3f}, recall {self.recall:.3f}), "
            f"median error {self.median_error_ms:.2f} ms"
        )


def event_scores(truths: Sequence, founds: Sequence, tolerance_ms: float, sample_rate: float) -> EventScores:
    """Compare recordings: one-to-one pairs within each recording and type.

    truths: one list of (type, sample) a recording.  founds: one `Detections`, or list of (type, sample, ...), each.
    sample_rate: Hz of the times; 1 where they are seconds. It has no default: a wrong one changes what 5 ms means.
    Raises ValueError naming the argument.
    """
    _check_recordings(truths, founds)
    tolerance = tolerance_in_samples(tolerance_ms, sample_rate)
    errors, true_events, found_events = [], 0, 0
    for truth, found in zip(truths, founds, strict=True):
        truth, found = list(truth), list(found)
        pairs = match_events(truth, found, tolerance)
        errors += [found[j][1] - truth[i][1] for i, j in pairs]
        true_events, found_events = true_events + len(truth), found_events + len(found)
    errors_ms = np.array(errors, float) * 1000 / sample_rate
    return EventScores(tolerance_ms, true_events, found_events, len(errors), errors_ms)


@dataclass(frozen=True)
class PrecisionRecall:
    """precision, recall: (K,), of keeping all events that score at least `thresholds` (K,), which fall."""

    precision: np.ndarray
    recall: np.ndarray
    thresholds: np.ndarray

    @property
    def f1(self) -> np.ndarray:
        total = self.precision + self.recall
        return np.divide(2 * self.precision * self.recall, total, out=np.zeros_like(total), where=total > 0)

    @property
    def average_precision(self) -> float:
        """Σ (rise in recall) × precision, as in scikit-learn: 0 where nothing is found."""
        return float((np.diff(self.recall, prepend=0.0) * self.precision).sum())


def precision_recall(
    truths: Sequence, founds: Sequence[Detections], tolerance_ms: float, sample_rate: float
) -> PrecisionRecall:
    """The curve over all thresholds, of all recordings and types together. Arguments as for `event_scores`.

    Raises ValueError where there is no true event: recall is then undefined.
    """
    _check_recordings(truths, founds)
    count = sum(len(truth) for truth in truths)
    if count == 0:
        raise ValueError("truths: expected at least one event, got none")
    tolerance = tolerance_in_samples(tolerance_ms, sample_rate)
    parts = [match_by_score(truth, found, tolerance) for truth, found in zip(truths, founds, strict=True)]
    scores, right = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.argsort(-scores, kind="stable")
    scores, hits = scores[order], np.cumsum(right[order])
    last = np.append(np.diff(scores) != 0, True)[: len(scores)]  # equal scores are kept or dropped together
    kept = np.arange(1, len(scores) + 1)
    return PrecisionRecall((hits / kept)[last], (hits / count)[last], scores[last])


def best_threshold(
    truths: Sequence,
    founds: Sequence[Detections],
    tolerance_ms: float,
    sample_rate: float,
    lowest: float | None = None,
) -> float:
    """The score threshold with the highest F1, halfway to the next lower score. Take it from validation data only.

    lowest: the score from which on `founds` were looked for: the next lower one where none of them is lower.
    0.5 where nothing was found.
    """
    if lowest is not None and not lowest <= np.inf:
        raise ValueError(f"lowest: expected a score, got {lowest}")
    curve = precision_recall(truths, founds, tolerance_ms, sample_rate)
    if len(curve.thresholds) == 0:
        return 0.5
    best = int(np.argmax(curve.f1))
    least = curve.thresholds[best] if lowest is None else lowest
    below = curve.thresholds[best + 1] if best + 1 < len(curve.thresholds) else least
    return float((curve.thresholds[best] + below) / 2)


def _check_tolerance(tolerance: float) -> None:
    if not tolerance >= 0:
        raise ValueError(f"tolerance: expected at least 0 samples, got {tolerance}")


def tolerance_in_samples(tolerance_ms: float, sample_rate: float) -> float:
    """Milliseconds at `sample_rate` Hz.  ValueError naming the one that is no such number."""
    number = isinstance(tolerance_ms, int | float | np.number) and not isinstance(tolerance_ms, bool)
    if not (number and 0 <= tolerance_ms < np.inf):
        raise ValueError(f"tolerance_ms: expected milliseconds from 0 on, got {tolerance_ms!r}")
    return tolerance_ms * checked_rate(sample_rate) / 1000


def _check_recordings(truths: Sequence, founds: Sequence) -> None:
    if len(truths) != len(founds):
        raise ValueError(f"truths, founds: expected one each a recording, got {len(truths)} and {len(founds)}")
