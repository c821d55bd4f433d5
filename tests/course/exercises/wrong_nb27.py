"""Wrong answers to the exercises of notebook 27, each with a piece of the hint that it must get."""

import numpy as np


def leaks(related, apart=lambda folds: folds[:, None] != folds, pick=lambda table: table.any(axis=1)):
    def answer(folds, groups, sounds):
        return pick(related(groups, sounds) & apart(folds))

    return answer


def of_one_group(groups, sounds):
    return groups[:, None] == groups


def likeness(sounds):
    unit = sounds / np.sqrt((sounds**2).sum(1, keepdims=True))
    return unit @ unit.T


def either(groups, sounds):
    return of_one_group(groups, sounds) | (likeness(sounds) > 0.999)


def equal(groups, sounds):
    return of_one_group(groups, sounds) | (sounds[:, None] == sounds).all(axis=2)


def turned(groups, sounds):
    return of_one_group(groups, sounds) | (np.abs(likeness(sounds)) > 0.999)


def of_groups(right, groups):
    return np.array([right[groups == one].mean() for one in sorted(set(groups.tolist()))])


def pair(table):
    table = np.where(np.eye(len(table)) > 0, -1, table)
    return divmod(int(table.argmax()), len(table))


def by_row(counts):
    return counts / counts.sum(1)[:, None]


WRONG = {
    "find_leaks": {
        "exact copies": (leaks(equal), "at another volume"),
        "groups alone": (leaks(of_one_group), "Groups alone"),
        "copies alone": (leaks(lambda groups, sounds: likeness(sounds) > 0.999), "Copies alone"),
        "folds not compared": (leaks(either, lambda folds: ~np.eye(len(folds), dtype=bool)), "same fold"),
        "one end": (leaks(either, pick=lambda table: np.tril(table).any(axis=1)), "Both ends"),
        "turned": (leaks(turned), "opposite directions"),
        "inverted": (leaks(either, pick=lambda table: ~table.any(axis=1)), "other way round"),
    },
    "group_error": {
        "clips": (lambda r, g: (r.mean(), r.std(ddof=1) / np.sqrt(len(r))), "Each clip was counted"),
        "mean over clips": (
            lambda r, g: (r.mean(), of_groups(r, g).std(ddof=1) / np.sqrt(len(set(g.tolist())))),
            "each group counts once",
        ),
        "of a population": (
            lambda r, g: (of_groups(r, g).mean(), of_groups(r, g).std() / np.sqrt(len(set(g.tolist())))),
            "one less",
        ),
        "spread": (lambda r, g: (of_groups(r, g).mean(), of_groups(r, g).std(ddof=1)), "√groups"),
        "root of clips": (
            lambda r, g: (of_groups(r, g).mean(), of_groups(r, g).std(ddof=1) / np.sqrt(len(r))),
            "not of clips",
        ),
    },
    "read_confusion": {
        "swapped": (
            lambda c: (c.diagonal() / c.sum(0), c.diagonal() / c.sum(1), pair(by_row(c))),
            "swapped",
        ),
        "counts": (lambda c: (c.diagonal() / c.sum(1), c.diagonal() / c.sum(0), pair(c)), "frequent class"),
        "diagonal": (
            lambda c: (
                c.diagonal() / c.sum(1),
                c.diagonal() / c.sum(0),
                divmod(int(by_row(c).argmax()), len(c)),
            ),
            "leave it out",
        ),
        "turned pair": (
            lambda c: (c.diagonal() / c.sum(1), c.diagonal() / c.sum(0), pair(by_row(c))[::-1]),
            "row first",
        ),
        "all clips": (lambda c: (c.diagonal() / c.sum(), c.diagonal() / c.sum(), pair(by_row(c))), "not by all clips"),
    },
}
