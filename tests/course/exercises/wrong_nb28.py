"""Wrong answers to the exercises of notebook 28, each with a piece of the hint that it must get."""

import math

import numpy as np


def nearest(first, second):
    return np.sort([min(abs(b - a) for b in second) for a in first])


def overlap(starts, length, test, touch=False, against=None, signed=False):
    found = []
    for i, start in enumerate(starts):
        others = [s for j, s in enumerate(starts) if j != i and (against is None or against[j])]
        distances = [start - s if signed else abs(start - s) for s in others]
        found.append(any((0 < d or not signed) and (d <= length if touch else d < length) for d in distances))
    return np.array(found)


def three(counts, true, found):
    right = counts.diagonal()[:-1]
    return right / found, right / true, 2 * right / (true + found)


WRONG = {
    "smallest_tolerance": {
        "between two": (lambda a, b, share: np.quantile(nearest(a, b), share), "between two distances"),
        "turned": (
            lambda a, b, share: nearest(b, a)[math.ceil(share * len(b) - 1e-9) - 1],
            "direction is turned",
        ),
        "all": (lambda a, b, share: nearest(a, b)[-1], "enough for all"),
        "mean": (lambda a, b, share: nearest(a, b).mean(), "The mean distance"),
        "down": (lambda a, b, share: nearest(a, b)[math.floor(share * len(a)) - 1], "round up"),
        "one too many": (
            lambda a, b, share: nearest(a, b)[min(math.ceil(share * len(a)), len(a) - 1)],
            "index k − 1",
        ),
    },
    "seen_before": {
        "touching": (lambda s, n, t: overlap(s, n, t, touch=True, against=~t) & t, "touch share no sample"),
        "same start": (lambda s, n, t: overlap(s, 1, t, against=~t) & t, "begin together"),
        "training too": (
            lambda s, n, t: (overlap(s, n, t, against=~t) & t) | (overlap(s, n, t, against=t) & ~t),
            "never marked",
        ),
        "one side": (lambda s, n, t: overlap(s, n, t, against=~t, signed=True) & t, "before or after"),
        "any window": (lambda s, n, t: overlap(s, n, t) & t, "training windows alone"),
    },
    "scores_of_types": {
        "no misses": (lambda c: three(c, c[:-1, :-1].sum(1), c[:, :-1].sum(0)), "missed events"),
        "no false alarms": (lambda c: three(c, c[:-1].sum(1), c[:-1, :-1].sum(0)), "The false alarms stand"),
        "neither": (lambda c: three(c, c[:-1, :-1].sum(1), c[:-1, :-1].sum(0)), "types alone"),
        "swapped": (lambda c: three(c, c[:, :-1].sum(0), c[:-1].sum(1)), "swapped"),
        "plain mean": (
            lambda c: (
                *three(c, c[:-1].sum(1), c[:, :-1].sum(0))[:2],
                np.mean(three(c, c[:-1].sum(1), c[:, :-1].sum(0))[:2], axis=0),
            ),
            "harmonic",
        ),
    },
}
