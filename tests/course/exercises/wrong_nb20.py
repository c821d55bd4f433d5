"""Wrong answers to the exercises of notebook 20, each with a piece of the hint that it must get."""

import torch


def share(middle, over=None):
    """A wrong `share_explained`: `middle(x)` is what the spread is measured from."""

    def answer(drawn, x):
        dims = () if over is None else over
        error, spread = (drawn - x).square(), (x - middle(x)).square()
        return 1 - (error.sum(dims) / spread.sum(dims) if dims else error.sum() / spread.sum())

    return answer


def best(steps, k):
    return torch.linalg.svd(steps, full_matrices=False)[2][:k]


def centred(steps):
    return steps - steps.mean(0)


def through(rows):
    return rows.T @ rows


def channels(x):
    return x.mean((0, 1))


WRONG = {
    "share_explained": {
        "one mean": (share(lambda x: x.mean()), "One mean for all channels"),
        "a mean for each window": (share(lambda x: x.mean(1, keepdim=True)), "A mean for each window"),
        "from zero": (share(lambda x: 0.0), "measured from 0"),
        "mean of channels": (lambda d, x: share(channels, (0, 1))(d, x).mean(), "mean of the channels' R²"),
        "each channel": (share(channels, (0, 1)), "One number a channel"),
        "the rest": (lambda d, x: 1 - share(channels)(d, x), "left unexplained"),
        "spread of the drawing": (
            lambda d, x: 1 - (d - x).square().sum() / (d - channels(d)).square().sum(),
            "spread is that of the drawing",
        ),
    },
    "squeeze": {
        "no mean": (lambda s, k: s @ through(best(s, k)), "uses up the best direction"),
        "mean not added": (lambda s, k: centred(s) @ through(best(centred(s), k)), "added again in the end"),
        "mean not taken away": (lambda s, k: s @ through(best(centred(s), k)), "before multiplying, too"),
        "the worst": (
            lambda s, k: centred(s) @ through(best(centred(s), len(s[0]))[-k:]) + s.mean(0),
            "k worst directions",
        ),
        "columns": (
            lambda s, k: centred(s) @ through(best(centred(s), len(s[0]))[:, :k].T) + s.mean(0),
            "not columns",
        ),
        "latents": (lambda s, k: centred(s) @ best(centred(s), k).T, "These are the latents"),
    },
    "latent_price": {
        "no half": (lambda m, v: m**2 + v.exp() - v - 1, "divided by 2"),
        "summed": (lambda m, v: ((m**2 + v.exp() - v - 1) / 2).sum(), "Added up over all latents"),
        "negative": (lambda m, v: (1 + v - m**2 - v.exp()) / 2, "The sign is turned"),
        "log added": (lambda m, v: (m**2 + v.exp() + v - 1) / 2, "subtracted, not added"),
        "no one": (lambda m, v: (m**2 + v.exp() - v) / 2, "The 1 is missing"),
        "mean not squared": (lambda m, v: (m + v.exp() - v - 1) / 2, "The mean counts squared"),
        "standard deviation": (lambda m, v: (m**2 + (v / 2).exp() - v - 1) / 2, "is the standard deviation"),
    },
    "draw_latents": {
        "variance": (lambda m, v, n: m + v.exp() * n, "noise is stretched by its root"),
        "logarithm": (lambda m, v, n: m + v * n, "is no size"),
        "not stretched": (lambda m, v, n: m + n, "keeps variance 1"),
        "mean stretched": (lambda m, v, n: (v / 2).exp() * (m + n), "The mean is stretched too"),
        "no noise": (lambda m, v, n: m + (v / 2).exp(), "The noise is missing"),
        "detached": (lambda m, v, n: (m + (v / 2).exp() * n).detach(), "no gradient passes"),
        "half detached": (lambda m, v, n: m + (v / 2).exp().detach() * n, "only one of mean and log_variance"),
    },
}
