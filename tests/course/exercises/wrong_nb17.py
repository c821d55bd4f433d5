"""Wrong answers to the exercises of notebook 17, each with a piece of the hint that it must get."""

import torch


def step(see=None, keep=None, scale=lambda d: d**-0.5, average=None, ask=lambda q, k: q):
    """A wrong `attention_step`: it sees, scales or keeps in its own way."""

    def answer(q, k, v, keys, values, past):
        every = torch.cat([keys, k[None]]), torch.cat([values, v[None]])
        seen = every if see is None else see(keys, values, *every, past)
        weights = torch.softmax(seen[0] @ ask(q, k) * scale(len(q)), dim=0)
        y = weights @ (seen[1] if average is None else average(*seen))
        cut = keep or (lambda all_, old, past: all_[max(len(all_) - past, 0) :])
        return y, cut(every[0], keys, past), cut(every[1], values, past)

    return answer


def keys_twice(q, k, v, keys, values, past):
    y, next_keys, _ = step()(q, k, v, keys, values, past)
    return y, next_keys, next_keys


def in_place(all_, old, past):
    """As a ring of `past` slots does, once they are full."""
    return all_ if len(all_) <= past else torch.cat([all_[-1:], all_[1:-1]]) if past else all_[:0]


def band(low=lambda d, p: d >= -p, high=lambda d, f: d <= f, join=torch.logical_and, unlimited=True):
    """A wrong `band_mask`."""

    def answer(T, past, future):
        d = torch.arange(T) - torch.arange(T)[:, None]
        every = torch.ones(T, T, dtype=torch.bool)
        left = every if unlimited and past == -1 else low(d, past)
        right = every if unlimited and future == -1 else high(d, future)
        return join(left, right)

    return answer


def timing(reach=lambda p, f: sum(p), late=lambda p, f: sum(f), kept=lambda p, f: sum(p) + sum(f)):
    """A wrong `stack_timing`."""

    def answer(horizons):
        p, f = [past for past, _ in horizons], [future for _, future in horizons]
        return reach(p, f), late(p, f), kept(p, f)

    return answer


def product(p, f):
    return int(torch.tensor(p).prod())


def weights(fill=-torch.inf, end=0.0, dim=1, visible=lambda v: v):
    """A wrong `visible_softmax`."""

    def answer(scores, mask):
        mask = visible(mask)
        y = torch.softmax(scores.masked_fill(~mask, fill), dim=dim)
        return y if end is None else y.masked_fill(~mask, end)

    return answer


def exponentials(scores, visible):
    e = torch.where(visible, scores.exp(), 0.0)
    return e / e.sum(dim=1, keepdim=True).clamp(min=1e-30)


WRONG = {
    "attention_step": {
        "not itself": (step(see=lambda k, v, ak, av, p: (k, v)), "does not see itself"),
        "no scale": (step(scale=lambda d: 1.0), "not scaled"),
        "divided by D": (step(scale=lambda d: 1 / d), "Divided by D"),
        "cut too early": (step(see=lambda k, v, ak, av, p: (ak[-p:], av[-p:])), "before it was looked at"),
        "keys averaged": (step(average=lambda k, v: k), "means of the keys"),
        "key asks": (step(ask=lambda q, k: k), "The new key asks"),
        "grows": (step(keep=lambda all_, old, past: all_), "Nothing falls out"),
        "stale": (step(keep=lambda all_, old, past: old), "as they went in"),
        "ring": (step(keep=in_place), "oldest one's place"),
        "newest in front": (
            step(keep=lambda all_, old, past: torch.cat([all_[-1:], old])[:past]),
            "stands in front",
        ),
        "one too few": (step(keep=lambda all_, old, past: all_[-past + 1 :]), "One step too few"),
        "keys twice": (keys_twice, "came back twice"),
        "always drops": (step(keep=lambda all_, old, past: all_[1:]), "not full yet"),
        "minus zero": (step(keep=lambda all_, old, past: all_[-past:]), "all of keys"),
        "output only": (lambda *a: step()(*a)[0], "Three results are expected"),
    },
    "band_mask": {
        "transposed": (lambda T, p, f: band()(T, p, f).T, "Rows and columns are swapped"),
        "hidden": (lambda T, p, f: ~band()(T, p, f), "turn it round"),
        "past short": (band(low=lambda d, p: d > -p), "The past is one short"),
        "future short": (band(high=lambda d, f: d < f), "The future is one short"),
        "both short": (band(low=lambda d, p: d > -p, high=lambda d, f: d < f), "Both ends"),
        "not itself": (lambda T, p, f: band()(T, p, f) & ~torch.eye(T, dtype=torch.bool), "does not see itself"),
        "no past limit": (band(low=lambda d, p: d < 99), "The past has no limit"),
        "causal": (band(high=lambda d, f: d <= 0), "The future is missing"),
        "or": (band(join=torch.logical_or), "both conditions must hold"),
        "floats": (lambda T, p, f: band()(T, p, f).float(), "booleans are wanted"),
        "minus one taken literally": (band(unlimited=False), "taken for a distance"),
        "minus one lifts both": (
            lambda T, p, f: torch.ones(T, T, dtype=torch.bool) if -1 in (p, f) else band()(T, p, f),
            "on the past only",
        ),
        "no return": (lambda T, p, f: None, "`return` missing"),
    },
    "stack_timing": {
        "largest": (
            timing(lambda p, f: max(p), lambda p, f: max(f), lambda p, f: max(map(sum, zip(p, f, strict=True)))),
            "the largest layer",
        ),
        "multiplied": (timing(product, lambda p, f: product(f, p), product), "Multiplied"),
        "slowest": (timing(late=lambda p, f: max(f)), "the slowest layer's"),
        "keys do not wait": (timing(kept=lambda p, f: sum(p)), "Keys wait too"),
        "plus one": (timing(kept=lambda p, f: sum(p) + sum(f) + len(p)), "without a + 1"),
        "itself": (timing(reach=lambda p, f: sum(p) + len(p)), "no step back"),
        "swapped": (timing(lambda p, f: sum(f), lambda p, f: sum(p)), "are swapped"),
        "future in the reach": (timing(reach=lambda p, f: sum(p) + sum(f)), "look the other way"),
        "two results": (lambda h: timing()(h)[:2], "Three results are expected"),
    },
    "visible_softmax": {
        "empty row NaN": (weights(end=None), "is NaN: 0/0"),
        "empty row uniform": (weights(fill=-1e9, end=None), "evenly among hidden"),
        "after the softmax": (lambda s, v: torch.softmax(s, dim=1) * v, "hide before the softmax"),
        "zero score": (lambda s, v: torch.softmax(s * v, dim=1), "e to the 0 is 1"),
        "mask not used": (lambda s, v: torch.softmax(s, dim=1), "the mask is not used"),
        "turned round": (
            lambda s, v: weights(visible=lambda v: ~v)(s, v).nan_to_num(0.0),
            "turned round: True means visible",
        ),
        "columns": (lambda s, v: weights(dim=0)(s, v).nan_to_num(0.0), "down the columns"),
        "NaN": (lambda s, v: torch.softmax(s - 1e9 * ~v, dim=1) * v, "NaN score at a hidden key"),
        "overflow": (exponentials, "torch.softmax takes the largest"),
        "no return": (lambda s, v: None, "`return` missing"),
    },
}
