"""Exercises of notebook 28."""

import numpy as np

from course_lib.course.exercises import Draw, Edge, exercise


def _marks(draw: Draw):
    yield np.array([1.0, 2.0, 3.0]), np.array([1.1, 1.9, 3.4]), 0.6
    yield np.array([0.5, 1.5, 2.5, 4.0]), np.array([0.48, 1.6, 2.51]), 0.75
    for M in (5, 8, 11):
        times = np.cumsum(draw.rng.uniform(0.8, 1.6, M))
        kept = np.sort(draw.rng.permutation(M)[: M - 1])
        yield times, (times + 0.05 * draw.array(M))[kept], draw.number(0.5, 0.85)
    yield Edge(
        (np.array([1.0, 2.0]), np.array([1.0, 2.25]), 0.5), "One of two marks is half of them: at least `share`."
    )
    yield Edge(
        (np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.03, 2.01, 3.02, 4.5]), 0.75),
        "Three of four marks are a share of 0.75, which is enough.",
    )


def _distances(first, second):
    return np.abs(first[:, None] - second).min(axis=1)


def _quantile(values, share, method="inverted_cdf"):
    return np.quantile(values, share, method=method)


@exercise(
    notebook="28",
    title="Choose the tolerance",
    minutes=12,
    inputs=_marks,
    mistakes=[
        (
            lambda a, b, share: _quantile(_distances(a, b), share, "linear"),
            "This lies between two distances: too few marks may be within it. Take a distance that occurs.",
        ),
        (
            lambda a, b, share: _quantile(_distances(b, a), share),
            "The direction is turned: ask for each of the first marks how far the nearest of the second is.",
        ),
        (
            lambda a, b, share: _distances(a, b).max(),
            "That is enough for all marks: only `share` of them are asked for.",
        ),
        (lambda a, b, share: _distances(a, b).mean(), "The mean distance says nothing of a share."),
        (
            lambda a, b, share: _quantile((a[:, None] - b).min(axis=1), share),
            "A mark that comes later is a positive distance, too: take absolute values before the nearest.",
        ),
        (
            lambda a, b, share: np.sort(_distances(a, b))[int(share * len(a)) - 1],
            "Rounded down, the number of marks is too few: at least `share` of them, so round up.",
        ),
        (
            lambda a, b, share: np.sort(_distances(a, b))[min(int(np.ceil(share * len(a))), len(a) - 1)],
            "One mark too many: the k-th smallest distance has index k − 1.",
        ),
    ],
    example=(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.1, 2.0, 3.3]), 0.5),
    hints=[
        "For each mark of the first: how far is the nearest of the second?",
        ("The distances are {}.", lambda first, second, share: _distances(first, second)),
        "Sort them. How many must be within the tolerance for a share of them? Round that number up.",
        "Begin with `distances = np.sort(np.abs(first[:, None] - second).min(axis=1))`.",
    ],
)
def smallest_tolerance(first, second, share):
    """smallest_tolerance(first, second, share): seconds (M,), seconds (N,), 0 < share <= 1 -> seconds.

    The smallest tolerance at which at least `share` of the first marks have a second mark so near.
    """
    distances = np.sort(np.abs(first[:, None] - second).min(axis=1))
    return distances[int(np.ceil(share * len(distances))) - 1]


def _windows(draw: Draw):
    yield np.array([0, 4, 8, 12]), 4, np.array([False, True, True, False])
    yield np.array([0, 3, 5, 9, 20, 11]), 5, np.array([False, True, False, True, True, False])
    for N in (7, 10, 12):
        starts = draw.rng.choice(6 * N, N, replace=False)
        yield starts, draw.integer(3, 8), draw.integers(0, 1, N).astype(bool) | (np.arange(N) == 0)
    yield Edge(
        (np.array([0, 5]), 5, np.array([False, True])),
        "Windows that touch share no sample: 0 to 4 and 5 to 9 are apart.",
    )


def _booleans(fn, *arguments):
    """True and False, of a list or an array."""
    answer = fn(*arguments)
    return [bool(one) for one in answer] if isinstance(answer, list | tuple | np.ndarray) else answer


def _overlaps(near=lambda distance, length: distance < length, both=False, ordered=False, any_window=False):
    def answer(starts, length, test):
        distance = starts[:, None] - starts
        close = (distance > 0) & near(distance, length) if ordered else near(np.abs(distance), length)
        against = np.ones_like(test) if any_window else ~test
        close = close & ~np.eye(len(starts), dtype=bool)
        found = (close & against).any(1) & test
        return found | (close & test).any(1) & ~test if both else found

    return answer


@exercise(
    notebook="28",
    title="Windows that were seen before",
    minutes=10,
    inputs=_windows,
    call=_booleans,
    mistakes=[
        (
            _overlaps(lambda d, length: d <= length),
            "Windows that touch share no sample: the distance is below the length.",
        ),
        (
            _overlaps(lambda d, length: d == 0),
            "Windows need not begin together to overlap: how far apart may they begin?",
        ),
        (_overlaps(both=True), "Asked for are test windows; a training window is never marked."),
        (
            _overlaps(ordered=True),
            "A training window may begin before or after the test window: take the absolute distance.",
        ),
        (_overlaps(any_window=True), "Two test windows that overlap do not leak: compare with training windows alone."),
        (
            lambda starts, length, test: _overlaps()(starts, length, ~test),
            "Test and training are swapped: `test` is True for the windows that are tested.",
        ),
    ],
    example=(np.array([0, 3, 10, 13, 30]), 4, np.array([False, True, True, True, True])),
    hints=[
        "Two windows of one length share a sample if their starts are near enough. How near?",
        ("The distances between the starts are {}.", lambda starts, length, test: np.abs(starts[:, None] - starts)[:2]),
        "For each test window: is any training window's start less than `length` away?",
        "Begin with `near = np.abs(starts[:, None] - starts) < length`.",
    ],
)
def seen_before(starts, length, test):
    """seen_before(starts, length, test): starts (N,) samples, length in samples, test (N,) -> (N,) True or False.

    True: a test window that shares a sample with a training window (one that is no test window).
    """
    near = np.abs(starts[:, None] - starts) < length
    return test & (near & ~test).any(axis=1)


def _event_counts(draw: Draw):
    yield np.array([[8, 1, 3], [0, 5, 2], [4, 1, 0]])
    yield np.array([[20, 5], [10, 0]])
    for E in (2, 3, 4):
        table = draw.integers(1, 6, E + 1, E + 1) + np.diag(draw.integers(5, 20, E + 1))
        table[-1, -1] = 0
        yield table


def _scores(of_truth=lambda c: c.sum(1)[:-1], of_found=lambda c: c.sum(0)[:-1]):
    def answer(counts):
        right = np.diag(counts)[:-1]
        precision, recall = right / of_found(counts), right / of_truth(counts)
        return precision, recall, 2 * right / (of_found(counts) + of_truth(counts))

    return answer


@exercise(
    notebook="28",
    title="Read a confusion with nothing in it",
    minutes=12,
    inputs=_event_counts,
    parts=("the precision", "the recall", "F1"),
    mistakes=[
        (
            _scores(of_truth=lambda c: c[:-1, :-1].sum(1)),
            "The missed events stand in the last column: they belong to the true ones.",
        ),
        (
            _scores(of_found=lambda c: c[:-1, :-1].sum(0)),
            "The false alarms stand in the last row: they belong to the found ones.",
        ),
        (
            _scores(lambda c: c[:-1, :-1].sum(1), lambda c: c[:-1, :-1].sum(0)),
            "Misses (last column) and false alarms (last row) were left out: these look at types alone.",
        ),
        (
            _scores(lambda c: c.sum(0)[:-1], lambda c: c.sum(1)[:-1]),
            "Precision and recall are swapped: rows are true events, columns found ones.",
        ),
        (
            lambda c: (*_scores()(c)[:2], (_scores()(c)[0] + _scores()(c)[1]) / 2),
            "F1 is the harmonic mean of precision and recall, not their mean.",
        ),
        (
            lambda c: tuple(
                np.diag(c) / s for s in (np.maximum(c.sum(0), 1), np.maximum(c.sum(1), 1), c.sum(0) + c.sum(1))
            ),
            "“Nothing” is no type: return one number for each of the E types.",
        ),
    ],
    example=(np.array([[6, 2, 2], [0, 3, 1], [4, 1, 0]]),),
    hints=[
        "How many events of a type truly happened? All of its row, the misses in the last column among them.",
        ("Found of each type, rightly or not, were {}.", lambda counts: counts.sum(axis=0)[:-1]),
        "F1 is twice the right ones over true and found ones together.",
        "Begin with `right = np.diag(counts)[:-1]`.",
    ],
)
def scores_of_types(counts):
    """scores_of_types(counts): counts (E + 1, E + 1) -> precision (E,), recall (E,), F1 (E,).

    Rows are true types, columns found types; the last row and column are “nothing”: false alarms and misses.
    """
    right = np.diag(counts)[:-1]
    true, found = counts.sum(axis=1)[:-1], counts.sum(axis=0)[:-1]
    return right / found, right / true, 2 * right / (true + found)
