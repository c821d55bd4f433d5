"""Exercises of notebook 19."""

import numpy as np
import torch

from course_lib.course.exercises import Draw, Edge, exercise
from course_lib.events import match_events


def _curves(draw: Draw):
    yield np.array([0.2, 0.9, 0.1]), 0.5
    yield np.array([0.7, 0.2, 0.9, 0.9, 0.1, 0.3, 0.2, 0.0, 0.5, 0.8]), 0.5
    for F in (6, 12, 20, 20):
        yield draw.integers(0, 9, F) / 10, draw.integer(2, 6) / 10
    yield Edge((np.array([0.5]), 0.5), "A single frame that scores exactly the threshold is a peak.")
    yield Edge((np.array([0.8, 0.8, 0.8]), 0.3), "A plateau is one peak, at its first frame.")


def _indices(fn, scores, threshold):
    """The frames as whole numbers, of a list or an array."""
    answer = fn(scores, threshold)
    return [int(frame) for frame in answer] if isinstance(answer, list | tuple | np.ndarray) else answer


def _peaks(before=np.greater, after=np.greater_equal, ends=True, threshold=True):
    """Frames that compare so with both neighbours; the ends may be left out, the threshold not looked at."""

    def answer(scores, limit):
        last = len(scores) - 1
        return [
            t
            for t, s in enumerate(scores)
            if (not threshold or s >= limit)
            and (before(s, scores[t - 1]) if t else ends)
            and (after(s, scores[t + 1]) if t < last else ends)
        ]

    return answer


@exercise(
    notebook="19",
    title="Peaks",
    minutes=10,
    inputs=_curves,
    call=_indices,
    mistakes=[
        (
            _peaks(np.greater_equal, np.greater_equal),
            "Two neighbours are equal: only the earlier is a peak. One of the comparisons is strict.",
        ),
        (
            _peaks(np.greater, np.greater),
            "Two neighbours are equal, and both were dropped: only one of the comparisons is strict.",
        ),
        (
            _peaks(np.greater_equal, np.greater),
            "Of equal neighbours the earlier counts: strict towards the past, not towards the future.",
        ),
        (
            _peaks(ends=False),
            "The first and the last frame can be peaks: beyond the ends there is nothing that is higher.",
        ),
        (
            lambda scores, limit: np.flatnonzero(scores >= limit),
            "These are all frames above the threshold: each must also top its neighbours.",
        ),
        (_peaks(threshold=False), "A frame tops its neighbours, but its score is below the threshold."),
        (
            lambda scores, limit: [t for t in _peaks()(scores, limit) if scores[t] > limit],
            "A score that reaches the threshold exactly counts: at least, not more than.",
        ),
    ],
    example=(np.array([0.7, 0.2, 0.9, 0.9, 0.1]), 0.5),
    hints=[
        "Three questions to each frame: high enough, above the one before, above the one after. Which of the last two "
        "allows "
        "equality?",
        ("High enough are the frames {}.", lambda scores, threshold: np.flatnonzero(scores >= threshold)),
        "Loop over the frames. The first has nothing before it and the last nothing after it: there the question is "
        "answered "
        "with yes.",
        "Begin with `peaks = []` and loop over `enumerate(scores)`.",
    ],
)
def find_peaks(scores, threshold):
    """find_peaks(scores, threshold): scores (F,) -> frames that score at least `threshold` and top both neighbours.

    Of two equal neighbours the earlier counts as the higher; beyond the ends there is nothing.
    """
    peaks = []
    for t, score in enumerate(scores):
        above_past = t == 0 or score > scores[t - 1]
        above_future = t == len(scores) - 1 or score >= scores[t + 1]
        if score >= threshold and above_past and above_future:
            peaks.append(t)
    return peaks


def _candidates(draw: Draw):
    yield np.array([0.0, 1000.0]), np.array([0.3, 0.9]), 4000
    yield np.array([0.0, 3000.0, 6000.0]), np.array([0.9, 0.7, 0.6]), 4000
    yield (
        np.array([0.0, 3000.0, 6000.0, 20_000.0, 24_000.0, 40_000.0, 43_999.0]),
        np.array([0.9, 0.7, 0.6, 0.5, 0.8, 0.4, 0.4]),
        4000,
    )
    for M in (3, 8, 12):
        times = np.sort(draw.rng.choice(40, M, replace=False)) * 500.0
        yield times, draw.integers(1, 5, M) / 10, draw.choice([1500, 2000, 3000])


def _booleans(fn, times, scores, period):
    """True and False, of a list or an array."""
    answer = fn(times, scores, period)
    return [bool(keep) for keep in answer] if isinstance(answer, list | tuple | np.ndarray) else answer


def _kept(near=lambda distance, period: distance < period, tie=lambda i, j: j < i, greedy=False, later=True):
    """What no rival beats: near by another measure, ties decided otherwise, only kept or only earlier rivals."""

    def answer(times, scores, period):
        keep = np.ones(len(times), bool)
        for i in np.argsort(-scores, kind="stable") if greedy else range(len(times)):
            for j in range(len(times) if later else i):
                stronger = scores[j] > scores[i] or (scores[j] == scores[i] and tie(i, j))
                if j != i and near(abs(times[j] - times[i]), period) and stronger:
                    keep[i] &= not (keep[j] if greedy else True)
        return keep

    return answer


@exercise(
    notebook="19",
    title="The refractory period",
    minutes=10,
    inputs=_candidates,
    call=_booleans,
    mistakes=[
        (
            _kept(greedy=True),
            "The event at 6000 has a stronger one at 3000. That this one falls too does not matter: a rival counts "
            "whether or not it is kept itself.",
        ),
        (
            _kept(near=lambda distance, period: distance <= period),
            "Events exactly one period apart are both allowed: less than, not at most.",
        ),
        (_kept(tie=lambda i, j: True), "Equal scores have dropped each other: of two equals the earlier stays."),
        (_kept(tie=lambda i, j: False), "Two equal scores less than a period apart: only the earlier may stay."),
        (_kept(tie=lambda i, j: j > i), "Of two equals the earlier stays, not the later."),
        (
            _kept(later=False),
            "A weak event, then a strong one: the strong one stays. Look at later events too, not only at earlier.",
        ),
    ],
    example=(np.array([0.0, 3000.0, 6000.0]), np.array([0.9, 0.7, 0.8]), 4000),
    hints=[
        "Each candidate is asked alone: is there a stronger one near it? It does not matter what became of that one.",
        (
            "The distances of the candidate in the middle to all are {}.",
            lambda times, scores, period: np.abs(times - times[1]),
        ),
        "Two loops, over candidates and over rivals. Near is less than `period`; stronger is a higher score, or the "
        "same score "
        "and an earlier place.",
        "Begin with `keep = np.ones(len(times), bool)`.",
    ],
)
def keep_strongest(times, scores, period):
    """keep_strongest(times, scores, period): times (M,) rising -> (M,) True where no stronger is less than period away.

    One type. Of equal scores the earlier counts as the stronger.
    """
    keep = np.ones(len(times), bool)
    for i in range(len(times)):
        for j in range(len(times)):
            near = abs(times[j] - times[i]) < period
            stronger = scores[j] > scores[i] or (scores[j] == scores[i] and j < i)
            if j != i and near and stronger:
                keep[i] = False
    return keep


def _onsets(draw: Draw):
    yield np.array([100.0]), np.array([300.0]), 10
    yield np.array([100.0, 300.0]), np.array([93.0, 101.0]), 10
    yield np.array([100.0, 108.0, 300.0]), np.array([93.0, 101.0, 107.0, 290.0, 310.1]), 10
    for M, K in [(6, 4), (5, 9), (12, 10), (10, 12)]:
        yield _rising(draw, M), _rising(draw, K), draw.integer(2, 5)
    yield Edge(
        (np.array([100.0, 108.0]), np.array([96.0, 99.0]), 10),
        "100 with 96 and 108 with 99 are two pairs. If each takes its nearest, 99 goes to 100 and one is lost.",
    )
    yield Edge((np.array([]), np.array([93.0, 101.0]), 10), "Where there is no true onset there is no pair.")
    yield Edge((np.array([93.0, 101.0]), np.array([]), 10), "Where nothing was found there is no pair.")


def _rising(draw, count):
    return np.sort(draw.rng.choice(50, count, replace=False)) * 1.0


def _two_pointers(truth, found, near):
    i = j = pairs = 0
    while i < len(truth) and j < len(found):
        if near(abs(found[j] - truth[i])):
            i, j, pairs = i + 1, j + 1, pairs + 1
        elif found[j] > truth[i]:
            i += 1
        else:
            j += 1
    return pairs


def _nearest(truth, found, tolerance):
    """Each true onset, in order, takes the nearest free one."""
    free, pairs = list(found), 0
    for t in truth:
        near = [f for f in free if abs(f - t) <= tolerance]
        if near:
            free.remove(min(near, key=lambda f: abs(f - t)))
            pairs += 1
    return pairs


@exercise(
    notebook="19",
    title="One to one",
    minutes=12,
    inputs=_onsets,
    mistakes=[
        (
            lambda truth, found, tolerance: sum(any(abs(f - t) <= tolerance for t in truth) for f in found),
            "These found onsets lie near a true one, but two of them near the same: each may be used once.",
        ),
        (
            lambda truth, found, tolerance: sum(any(abs(f - t) <= tolerance for f in found) for t in truth),
            "These true onsets have a found one near, but two of them the same: each may be used once.",
        ),
        (
            lambda truth, found, tolerance: _two_pointers(truth, found, lambda d: d < tolerance),
            "A pair is missed: an onset exactly `tolerance` away still counts.",
        ),
        (
            lambda truth, found, tolerance: len(found),
            "An onset was used several times: count pairs, in which each occurs once.",
        ),
        (
            lambda truth, found, tolerance: int((abs(truth[:, None] - found) <= tolerance).sum()),
            "These are all combinations that are near enough: count pairs, in which each occurs once.",
        ),
        (
            _nearest,
            "100 with 96 and 108 with 99 are two pairs. If each takes its nearest, 99 goes to 100 and one is lost.",
        ),
    ],
    example=(np.array([100.0, 108.0, 300.0]), np.array([93.0, 101.0, 320.0]), 10),
    hints=[
        "Both lists are rising. Compare the first of each: what do you know of the earlier one, if they are too far "
        "apart?",
        ("The first two of each are {} apart.", lambda truth, found, tolerance: np.abs(truth[:2] - found[:2])),
        "Two indices that start at 0. Near enough: a pair, and both move on. Else the one that points at the earlier "
        "onset moves "
        "on. It ends where one list ends.",
        "Begin with `i = j = pairs = 0`.",
    ],
)
def count_matches(truth, found, tolerance):
    """count_matches(truth, found, tolerance): onsets of one type, (M,) and (K,), rising -> pairs that can be formed."""
    return len(match_events([(0, t) for t in truth], [(0, t) for t in found], tolerance))


def _rates(draw: Draw):
    yield torch.tensor([0.9, 0.6, 0.2]), 2
    yield torch.tensor([0.9, 0.0, 0.8, 0.1, 0.0, 0.7, 0.5]), 3
    for F in (5, 8, 12):
        yield torch.sigmoid(draw.tensor(F)), draw.integer(2, 4)
    yield torch.sigmoid(draw.tensor(4) + 1), 4


def _above(rates, width):
    return torch.relu(rates.unfold(0, width, 1).sum(1) - 1)


@exercise(
    notebook="19",
    title="A refractory loss that acts",
    minutes=8,
    inputs=_rates,
    mistakes=[
        (
            lambda rates, width: (rates.unfold(0, width, 1).sum(1) - 1).mean(),
            "Windows with less than one event must count 0: they may not make up for others.",
        ),
        (
            lambda rates, width: rates.unfold(0, width, 1).sum(1).mean(),
            "One event in a window is allowed: take the part above one.",
        ),
        (lambda rates, width: _above(rates, width).sum(), "That is the sum over all windows: take the mean."),
        (
            lambda rates, width: _above(rates, width).sum() / len(rates),
            "Divide by the number of windows, F - width + 1, not of frames: mean() of the windows.",
        ),
        (lambda rates, width: _above(rates, width).max(), "That is the worst window: take the mean over all of them."),
        (
            lambda rates, width: torch.relu(rates.unfold(0, width, 1).amax(1) - 1).mean(),
            "Add the rates of a window; its largest alone is never above 1.",
        ),
        (
            lambda rates, width: torch.relu(rates.sum() - 1),
            "That is one window over everything: slide a window of `width` frames.",
        ),
    ],
    example=(torch.tensor([0.9, 0.6, 0.2]), 2),
    hints=[
        "How many windows of `width` frames are there, if each must lie within the frames?",
        ("The sums of the windows are {}.", lambda rates, width: rates.unfold(0, width, 1).sum(1)),
        "Take 1 away from each sum, cut off what is below 0, and average over the windows, those with 0 too.",
        "Begin with `sums = rates.unfold(0, width, 1).sum(1)`, of shape (F − width + 1,).",
    ],
)
def too_many(rates, width):
    """too_many(rates, width): rates (F,), expected events a frame -> mean over windows of what is above one event."""
    sums = rates.unfold(0, width, 1).sum(1)  # (F - width + 1,)
    return torch.relu(sums - 1).mean()
