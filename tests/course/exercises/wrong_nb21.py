"""Wrong answers to the exercises of notebook 21, each with a piece of the hint that it must get."""

import torch
import torch.nn.functional as F


def moved(place, outside=lambda t, length: (t < 0) | (t >= length)):
    """A wrong `move_onsets`: `place(t, m, length, late, factor)`, NaN where `outside`."""

    def answer(timings, length, late, factor):
        t = place(timings, (length - 1) / 2, length, late, factor)
        return torch.where(outside(t, length), torch.nan, t)

    return answer


def right(t, m, length, late, factor):
    return m + factor * (t - m) + late


def product(s, k):
    return (s * k).sum((1, 2))


def entropy(scale=lambda c, t: c / t, normal=True, hidden=-torch.inf, rows=None, reduction="mean"):
    """A wrong `nt_xent`."""

    def answer(first, second, temperature):
        views, count = torch.cat([first, second]), len(first)
        views = F.normalize(views, dim=1) if normal else views
        scores = scale(views @ views.T, temperature)
        if hidden is not None:
            scores = scores.masked_fill(torch.eye(2 * count, dtype=torch.bool), hidden)
        partner = torch.arange(2 * count).roll(count)
        asking = slice(count) if rows == "first" else slice(None)
        return F.cross_entropy(scores[asking], partner[asking], reduction=reduction)

    return answer


def across(first, second, temperature):
    scores = F.normalize(first, dim=1) @ F.normalize(second, dim=1).T / temperature
    return F.cross_entropy(scores, torch.arange(len(first)))


WRONG = {
    "move_onsets": {
        "about sample 0": (moved(lambda t, m, n, late, f: f * t + late), "Warped about sample 0"),
        "half a sample off": (moved(lambda t, m, n, late, f: n / 2 + f * (t - n / 2) + late), "(length − 1) / 2"),
        "backwards": (moved(lambda t, m, n, late, f: m + (t - m) / f + late), "Divided by the factor"),
        "earlier": (moved(lambda t, m, n, late, f: m + f * (t - m) - late), "Shifted the wrong way"),
        "shift warped": (moved(lambda t, m, n, late, f: m + f * (t + late - m)), "warp first, then shift"),
        "no warp": (moved(lambda t, m, n, late, f: t + late), "The warp is missing"),
        "kept outside": (lambda t, n, late, f: right(t, (n - 1) / 2, n, late, f), "outside the window is gone"),
        "nothing absent": (
            lambda t, n, late, f: moved(right)(t.nan_to_num(3.0), n, late, f),
            "has got an onset",
        ),
        "too strict": (moved(right, lambda t, n: (t < 2) | (t >= n)), "still inside has become NaN"),
    },
    "amplitudes": {
        "plain product": (product, "plain product"),
        "norm": (lambda s, k: product(s, k) / k.norm(), "gives its square"),
        "cosine": (lambda s, k: product(s, k) / s.flatten(1).norm(dim=1) / k.norm(), "That is the cosine"),
        "norms": (lambda s, k: s.flatten(1).norm(dim=1) / k.norm(), "ratio of norms"),
        "snippet's energy": (lambda s, k: product(s, k) / s.square().sum((1, 2)), "the snippet's energy"),
        "ratios": (lambda s, k: (s / k).mean((1, 2)), "blow up"),
        "largest": (lambda s, k: s.abs().amax((1, 2)) / k.abs().max(), "One sample decides"),
        "by channel": (lambda s, k: ((s * k).sum(2) / k.square().sum(1)).mean(1), "A factor for each channel"),
    },
    "nt_xent": {
        "itself": (entropy(hidden=None), "may choose itself"),
        "hidden by 0": (entropy(hidden=0.0), "hide with −inf"),
        "no cosine": (entropy(normal=False), "length one"),
        "times temperature": (entropy(lambda c, t: c * t), "it divides"),
        "no temperature": (entropy(lambda c, t: c), "temperature is missing"),
        "first views only": (entropy(rows="first"), "Only the first views ask"),
        "sum": (entropy(reduction="sum"), "take the mean"),
        "one way": (across, "Only views of the other side"),
        "both ways": (lambda a, b, t: (across(a, b, t) + across(b, a, t)) / 2, "same side are missing"),
    },
}
