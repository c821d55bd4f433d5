"""Checks of notebook 19."""

import numpy as np
import torch

from course_lib.course.exercises import Hint, exercise, expect
from course_lib.events import match_events
from course_lib.losses import refractory_loss


@exercise(notebook="19", title="Peaks", minutes=10)
def find_peaks(fn):
    """find_peaks(scores, threshold): scores (F,) -> frames that score at least `threshold` and top both neighbours.

    Of two equal neighbours the earlier counts as the higher; beyond the ends there is nothing.
    """
    scores = np.array([0.7, 0.2, 0.9, 0.9, 0.1, 0.3, 0.2, 0.0, 0.5, 0.8])
    answer = fn(scores, 0.5)
    given = None if answer is None else [int(frame) for frame in answer]
    expect(
        given,
        [0, 2, 9],
        mistakes=[
            ([0, 2, 3, 9], "Frames 2 and 3 are equal: only the earlier is a peak. One of the comparisons is strict."),
            ([0, 9], "Frames 2 and 3 are equal, and both were dropped: only one of the comparisons is strict."),
            ([0, 3, 9], "Of equal neighbours the earlier counts: strict towards the past, not towards the future."),
            ([2], "The first and the last frame can be peaks: beyond the ends there is nothing that is higher."),
            ([0, 2, 3, 8, 9], "These are all frames above the threshold: each must also top its neighbours."),
            ([0, 2, 5, 9], "Frame 5 tops its neighbours, but its score is below the threshold."),
        ],
        what="the peaks",
    )
    if [int(frame) for frame in fn(np.array([0.5]), 0.5)] != [0]:
        raise Hint("A single frame that scores exactly the threshold is a peak.")


@exercise(notebook="19", title="The refractory period", minutes=10)
def keep_strongest(fn):
    """keep_strongest(times, scores, period): times (M,) rising -> (M,) True where no stronger is less than period away.

    One type. Of equal scores the earlier counts as the stronger.
    """
    times = np.array([0.0, 3000.0, 6000.0, 20_000.0, 24_000.0, 40_000.0, 43_999.0])
    scores = np.array([0.9, 0.7, 0.6, 0.5, 0.8, 0.4, 0.4])
    answer = fn(times, scores, 4000)
    right = [True, False, False, True, True, True, False]
    expect(
        None if answer is None else [bool(keep) for keep in answer],
        right,
        mistakes=[
            (
                [True, False, True, True, True, True, False],
                "The event at 6000 has a stronger one at 3000. That this one falls too does not matter: a rival counts "
                "whether or not it is kept itself.",
            ),
            (
                [True, False, False, False, True, True, False],
                "Events exactly one period apart are both allowed: less than, not at most.",
            ),
            (
                [True, False, False, True, True, False, False],
                "Equal scores have dropped each other: of two equals the earlier stays.",
            ),
            (
                [True, False, False, True, True, True, True],
                "Two equal scores less than a period apart: only the earlier may stay.",
            ),
            (
                [True, False, False, True, True, False, True],
                "Of two equals the earlier stays, not the later.",
            ),
        ],
        what="what is kept",
    )
    later = fn(np.array([0.0, 1000.0]), np.array([0.3, 0.9]), 4000)
    if [bool(keep) for keep in later] != [False, True]:
        raise Hint(
            "A weak event, then a strong one: the strong one stays. Look at later events too, not only at earlier."
        )


@exercise(notebook="19", title="One to one", minutes=12)
def count_matches(fn):
    """count_matches(truth, found, tolerance): onsets of one type, (M,) and (K,), rising -> pairs that can be formed."""
    truth, found = np.array([100.0, 108.0, 300.0]), np.array([93.0, 101.0, 107.0, 290.0, 310.1])
    expect(
        fn(truth, found, 10),
        len(match_events([(0, t) for t in truth], [(0, t) for t in found], 10)),
        mistakes=[
            (4, "Four found onsets lie near a true one, but two of them near the same: each may be used once."),
            (2, "Two pairs are right, one is missed: an onset exactly `tolerance` away still counts."),
            (5, "An onset was used several times: count pairs, in which each occurs once."),
            (6, "These are all combinations that are near enough: count pairs, in which each occurs once."),
        ],
        what="the number of pairs",
    )
    if fn(np.array([100.0, 108.0]), np.array([96.0, 99.0]), 10) != 2:
        raise Hint(
            "100 with 96 and 108 with 99 are two pairs. If each takes its nearest, 99 goes to 100 and one is lost."
        )
    if fn(np.array([]), found, 10) != 0:
        raise Hint("Where there is no true onset there is no pair.")


@exercise(notebook="19", title="A refractory loss that acts", minutes=8)
def too_many(fn):
    """too_many(rates, width): rates (F,), expected events a frame -> mean over windows of what is above one event."""
    rates = torch.tensor([0.9, 0.0, 0.8, 0.1, 0.0, 0.7, 0.5])
    width = 3
    windows = rates.unfold(0, width, 1)
    sums = windows.sum(1)
    expect(
        fn(rates, width),
        refractory_loss(rates[None, :, None], width),
        mistakes=[
            ((sums - 1).mean(), "Windows with less than one event must count 0: they may not make up for others."),
            (torch.relu(sums).mean(), "One event in a window is allowed: take the part above one."),
            (torch.relu(sums - 1).sum(), "That is the sum over all windows: take the mean."),
            (
                torch.relu(sums - 1).sum() / len(rates),
                f"Divide by the number of windows, {len(sums)}, not of frames: mean() of the windows.",
            ),
            (torch.relu(sums - 1).max(), "That is the worst window: take the mean over all of them."),
            (
                torch.relu(windows.max(1).values - 1).mean(),
                "Add the rates of a window; its largest alone is never above 1.",
            ),
            (torch.relu(rates.sum() - 1), "That is one window over everything: slide a window of `width` frames."),
        ],
        what="the loss",
    )
