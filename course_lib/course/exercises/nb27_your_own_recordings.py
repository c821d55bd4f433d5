"""Exercises of notebook 27."""

import numpy as np

from course_lib.course.exercises import Draw, Edge, exercise


def _clips(draw: Draw):
    folds, groups = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 2, 3])
    sounds = np.array([[1.0, -1.0, 0.5], [0.3, 0.8, -0.2], [-0.7, 0.1, 0.4], [0.5, -0.5, 0.25], [0.2, 0.9, 0.9]])
    yield folds, groups, sounds
    yield np.array([0, 1, 1]), np.array([4, 5, 6]), np.array([[1.0, 2.0], [1.0, 2.0], [2.0, -1.0]])
    for N, T in ((8, 5), (11, 4), (13, 6)):
        folds, groups, sounds = draw.integers(0, 2, N), draw.integers(0, 2 * N, N), draw.array(N, T)
        one, other, third, fourth = draw.rng.choice(N, 4, replace=False)
        sounds[other], sounds[fourth] = draw.number(0.2, 0.8) * sounds[one], -sounds[third]
        yield folds, groups, sounds
    yield Edge(
        (np.array([0, 1]), np.array([0, 1]), np.array([[1.0, 0.0], [-2.0, 0.0]])),
        "A sound and its negative: a copy turned upside down is not asked for here, only one at another volume.",
    )


def _booleans(fn, *arguments):
    """True and False, of a list or an array."""
    answer = fn(*arguments)
    return [bool(one) for one in answer] if isinstance(answer, list | tuple | np.ndarray) else answer


def _leaks(by_group=True, copies="scaled", other_fold=True, earlier=False):
    """What shares a group or a sound; copies may be exact, turned, or not looked at, folds not compared."""

    def answer(folds, groups, sounds):
        unit = sounds / np.linalg.norm(sounds, axis=1, keepdims=True)
        likeness = np.abs(unit @ unit.T) if copies == "turned" else unit @ unit.T
        same = likeness > 0.999
        if copies != "scaled" and copies != "turned":
            same = (sounds[:, None] == sounds).all(2) if copies == "exact" else np.zeros_like(same)
        related = same | ((groups[:, None] == groups) & by_group)
        apart = folds[:, None] != folds if other_fold else ~np.eye(len(folds), dtype=bool)
        return (np.tril(related & apart) if earlier else related & apart).any(1)

    return answer


@exercise(
    notebook="27",
    title="Find the leak",
    minutes=15,
    inputs=_clips,
    call=_booleans,
    mistakes=[
        (
            _leaks(copies="exact"),
            "A copy at another volume is a copy: compare the directions of the sounds, each divided by its norm.",
        ),
        (_leaks(copies="none"), "Groups alone are not enough: the same sound may stand under two speakers."),
        (_leaks(by_group=False), "Copies alone are not enough: clips of one speaker in two folds leak as well."),
        (
            _leaks(other_fold=False),
            "Company in the same fold does no harm: that fold is trained on as a whole or tested as a whole.",
        ),
        (_leaks(earlier=True), "Both ends of a pair leak: each of them is tested while the other is trained on."),
        (_leaks(copies="turned"), "A sound and its negative point in opposite directions: here they are two sounds."),
        (
            lambda folds, groups, sounds: ~_leaks()(folds, groups, sounds),
            "True stands for a clip that leaks; yours is the other way round.",
        ),
    ],
    example=(
        np.array([0, 0, 1, 1]),
        np.array([7, 8, 8, 9]),
        np.array([[2.0, 0.0], [0.0, 1.0], [1.0, 1.0], [4.0, 0.0]]),
    ),
    hints=[
        "Ask it of each pair of clips: are they related, and do their folds differ? A table (N, N) holds all pairs.",
        (
            "Divided by their norms, the sounds are {}.",
            lambda folds, groups, sounds: sounds / np.linalg.norm(sounds, axis=1, keepdims=True),
        ),
        "Related are a pair of one group, and a pair whose unit vectors have a product above 0.999.",
        "Begin with `unit = sounds / np.linalg.norm(sounds, axis=1, keepdims=True)`.",
    ],
)
def find_leaks(folds, groups, sounds):
    """find_leaks(folds, groups, sounds): folds (N,), groups (N,), sounds (N, T), none silent -> (N,) True or False.

    True: another fold holds a clip of the same group, or the same sound at any volume (product of the two sounds, each
    divided by its norm, above 0.999).
    """
    unit = sounds / np.linalg.norm(sounds, axis=1, keepdims=True)
    related = (unit @ unit.T > 0.999) | (groups[:, None] == groups)
    return (related & (folds[:, None] != folds)).any(axis=1)


def _answers(draw: Draw):
    yield np.array([True, True, False, True, False, False]), np.array([0, 0, 0, 0, 1, 1])
    yield np.array([True, True, True, False, True]), np.array([2, 5, 5, 9, 9])
    for N, G in ((9, 3), (14, 4), (17, 5)):
        groups = np.concatenate([np.arange(G), draw.integers(0, G - 1, N - G)])
        yield draw.integers(0, 1, N).astype(bool), groups


def _mean_and_error(per_group=True, ddof=1, root=True, count="groups"):
    """Mean and standard error with another unit, divisor or root."""

    def answer(right, groups):
        shares = np.array([right[groups == one].mean() for one in np.unique(groups)]) if per_group else right * 1.0
        number = len(right) if count == "clips" else len(shares)
        return shares.mean(), shares.std(ddof=ddof) / (np.sqrt(number) if root else 1.0)

    return answer


@exercise(
    notebook="27",
    title="An error bar over speakers",
    minutes=8,
    inputs=_answers,
    parts=("the mean", "the standard error"),
    mistakes=[
        (
            _mean_and_error(per_group=False),
            "Each clip was counted as a draw of its own: take the accuracy of each group, then go on with these.",
        ),
        (
            lambda right, groups: (right.mean(), _mean_and_error()(right, groups)[1]),
            "The mean is that of the groups' accuracies: each group counts once, however many clips it has.",
        ),
        (_mean_and_error(ddof=0), "The standard deviation of a sample divides by one less than the number of groups."),
        (
            _mean_and_error(root=False),
            "This is the spread of the groups; the error of their mean is smaller by √groups.",
        ),
        (_mean_and_error(count="clips"), "Divide by the root of the number of groups, not of clips."),
    ],
    example=(np.array([True, True, False, True, True, False]), np.array([0, 0, 1, 1, 1, 1])),
    hints=[
        "What was drawn independently, the clips or the speakers? That is what is counted.",
        (
            "The accuracies of the groups are {}.",
            lambda right, groups: np.array([right[groups == one].mean() for one in np.unique(groups)]),
        ),
        "The standard error is the sample standard deviation of these, divided by the root of how many they are.",
        "Begin with `shares = np.array([right[groups == one].mean() for one in np.unique(groups)])`.",
    ],
)
def group_error(right, groups):
    """group_error(right, groups): right (N,) True or False, groups (N,) -> mean of the groups' accuracies, its error.

    Its error: the standard error, from the sample standard deviation over groups.
    """
    shares = np.array([right[groups == one].mean() for one in np.unique(groups)])
    return shares.mean(), shares.std(ddof=1) / np.sqrt(len(shares))


def _counts(draw: Draw):
    yield np.array([[8, 2], [3, 3]])
    yield np.array([[40, 9, 1], [0, 5, 5], [2, 1, 17]])
    for K in (3, 4, 5):
        while True:
            table = draw.integers(1, 9, K, K) + np.diag(draw.integers(3, 25, K))
            table[draw.integer(0, K - 1)] *= 4  # a frequent class: the largest count is not the largest share
            first, second = np.sort(np.where(np.eye(K, dtype=bool), 0, _shares(table)).ravel())[:-3:-1]
            if first > second + 1e-6:  # one pair is the answer
                break
        yield table


def _mixed_up(table):
    """The pair (true, predicted) off the diagonal with the largest value."""
    rest = np.where(np.eye(len(table), dtype=bool), -np.inf, table)
    return [int(i) for i in np.unravel_index(rest.argmax(), table.shape)]


def _pair_as_list(fn, counts):
    answer = fn(counts.copy())
    if not isinstance(answer, tuple | list) or len(answer) != 3:
        return answer
    recall, precision, pair = answer
    return recall, precision, [int(i) for i in pair] if isinstance(pair, tuple | list | np.ndarray) else pair


def _shares(counts):
    return counts / counts.sum(axis=1, keepdims=True)


@exercise(
    notebook="27",
    title="Read a confusion",
    minutes=12,
    inputs=_counts,
    call=_pair_as_list,
    parts=("the recall", "the precision", "the pair"),
    mistakes=[
        (
            lambda c: (np.diag(c) / c.sum(0), np.diag(c) / c.sum(1), _mixed_up(_shares(c))),
            "Recall and precision are swapped: recall divides by the row, all clips that truly are of the class.",
        ),
        (
            lambda c: (np.diag(c) / c.sum(1), np.diag(c) / c.sum(0), _mixed_up(c)),
            "The largest count belongs to a frequent class. Divide each row by its sum, and take the largest share.",
        ),
        (
            lambda c: (
                np.diag(c) / c.sum(1),
                np.diag(c) / c.sum(0),
                [int(i) for i in np.unravel_index(_shares(c).argmax(), c.shape)],
            ),
            "The diagonal holds what is right: leave it out when you look for the mistake.",
        ),
        (
            lambda c: (np.diag(c) / c.sum(1), np.diag(c) / c.sum(0), _mixed_up(_shares(c))[::-1]),
            "The pair is (true, predicted): row first, then column.",
        ),
        (
            lambda c: (np.diag(c) / c.sum(1), np.diag(c) / c.sum(0), _mixed_up(c / c.sum(0))),
            "The share is of the true class: divide by the rows' sums, not by the columns'.",
        ),
        (
            lambda c: (np.diag(c) / c.sum(), np.diag(c) / c.sum(), _mixed_up(_shares(c))),
            "Recall divides by the row's sum, precision by the column's: not by all clips.",
        ),
    ],
    example=(np.array([[30, 10, 0], [1, 4, 5], [0, 2, 8]]),),
    hints=[
        "A row is what happened to one true class, a column what one answer was given to.",
        ("Of each true class, these shares went to each answer: {}.", _shares),
        "The largest share off the diagonal: set the diagonal to 0 in a copy, then look for the largest entry.",
        "Begin with `recall = np.diag(counts) / counts.sum(axis=1)`.",
    ],
)
def read_confusion(counts):
    """read_confusion(counts): counts (K, K), rows true, columns predicted -> recall (K,), precision (K,), pair.

    pair: (true, predicted), the mistake that takes the largest share of its true class.
    """
    recall, precision = np.diag(counts) / counts.sum(axis=1), np.diag(counts) / counts.sum(axis=0)
    return recall, precision, _mixed_up(_shares(counts))
