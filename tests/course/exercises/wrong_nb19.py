"""Wrong answers to the exercises of notebook 19, each with a piece of the hint that it must get."""

import numpy as np
import torch


def peaks(before, after, first=True, last=True, threshold=True):
    """A wrong `find_peaks`: `before(s, neighbour)` and `after(s, neighbour)` decide, the ends may be left out."""

    def answer(scores, limit):
        found = []
        for t, s in enumerate(scores):
            if (t == 0 and not first) or (t == len(scores) - 1 and not last) or (threshold and s < limit):
                continue
            if (t == 0 or before(s, scores[t - 1])) and (t == len(scores) - 1 or after(s, scores[t + 1])):
                found.append(t)
        return found

    return answer


def keep(near, stronger, greedy=False, later=True):
    """A wrong `keep_strongest`: `near(distance, period)`, `stronger(i, j, scores)`: does j beat i?"""

    def answer(times, scores, period):
        kept = np.ones(len(times), bool)
        for i in np.argsort(-scores, kind="stable") if greedy else range(len(times)):
            for j in range(len(times) if later else i):
                if j != i and near(abs(times[j] - times[i]), period) and stronger(i, j, scores):
                    kept[i] &= not (kept[j] if greedy else True)
        return kept

    return answer


def less(distance, period):
    return distance < period


def beats(i, j, scores):
    return scores[j] > scores[i] or (scores[j] == scores[i] and j < i)


def nearest(truth, found, tolerance):
    """Each true onset, in order, takes the nearest free one."""
    free, pairs = list(found), 0
    for t in truth:
        near = [f for f in free if abs(f - t) <= tolerance]
        if near:
            free.remove(min(near, key=lambda f: abs(f - t)))
            pairs += 1
    return pairs


def two_pointers(truth, found, near):
    i = j = pairs = 0
    while i < len(truth) and j < len(found):
        if near(abs(found[j] - truth[i])):
            i, j, pairs = i + 1, j + 1, pairs + 1
        elif found[j] > truth[i]:
            i += 1
        else:
            j += 1
    return pairs


def above(rates, width):
    return torch.relu(rates.unfold(0, width, 1).sum(1) - 1)


WRONG = {
    "find_peaks": {
        "both comparisons loose": (peaks(np.greater_equal, np.greater_equal), "One of the comparisons is strict"),
        "both comparisons strict": (peaks(np.greater, np.greater), "both were dropped"),
        "strict towards the future": (peaks(np.greater_equal, np.greater), "strict towards the past"),
        "without the ends": (peaks(np.greater, np.greater_equal, first=False, last=False), "first and the last frame"),
        "all above the threshold": (lambda s, limit: np.flatnonzero(s >= limit), "must also top its neighbours"),
        "without a threshold": (peaks(np.greater, np.greater_equal, threshold=False), "below the threshold"),
    },
    "keep_strongest": {
        "only kept ones count": (keep(less, beats, greedy=True), "does not matter"),
        "at most": (keep(lambda d, p: d <= p, beats), "less than, not at most"),
        "equals drop each other": (keep(less, lambda i, j, s: s[j] >= s[i]), "dropped each other"),
        "equals both stay": (keep(less, lambda i, j, s: s[j] > s[i]), "only the earlier may stay"),
        "the later of equals": (
            keep(less, lambda i, j, s: s[j] > s[i] or (s[j] == s[i] and j > i)),
            "the earlier stays, not the later",
        ),
        "only looks back": (keep(less, beats, later=False), "Look at later events too"),
    },
    "count_matches": {
        "found onsets near any": (
            lambda truth, found, tolerance: sum(any(abs(f - t) <= tolerance for t in truth) for f in found),
            "two of them near the same",
        ),
        "below the tolerance": (
            lambda truth, found, tolerance: two_pointers(truth, found, lambda d: d < tolerance),
            "exactly `tolerance` away",
        ),
        "all combinations": (
            lambda truth, found, tolerance: int((abs(truth[:, None] - found) <= tolerance).sum()),
            "all combinations",
        ),
        "each takes its nearest": (nearest, "one is lost"),
    },
    "too_many": {
        "no ReLU": (lambda r, w: (r.unfold(0, w, 1).sum(1) - 1).mean(), "may not make up"),
        "one is not allowed": (lambda r, w: r.unfold(0, w, 1).sum(1).mean(), "take the part above one"),
        "sum": (lambda r, w: above(r, w).sum(), "sum over all windows"),
        "mean over frames": (lambda r, w: above(r, w).sum() / len(r), "not of frames"),
        "worst": (lambda r, w: above(r, w).max(), "worst window"),
        "largest rate": (lambda r, w: torch.relu(r.unfold(0, w, 1).max(1).values - 1).mean(), "Add the rates"),
        "no sliding": (lambda r, w: torch.relu(r.sum() - 1), "one window over everything"),
    },
}
