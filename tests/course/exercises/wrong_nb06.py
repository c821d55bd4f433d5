"""Wrong answers to the exercises of notebook 06, each with a piece of the hint that it must get."""

import torch
import torch.nn.functional as F


def rms(mean=lambda s: s.mean(dim=2, keepdim=True), root=lambda m, eps: (m + eps).sqrt(), weighted=True):
    """A wrong `rms_norm`."""

    def answer(x, weight, eps):
        y = x / root(mean(x.square()), eps)
        return y * weight if weighted else y

    return answer


def update(
    shares=lambda old, new, momentum: (1 - momentum) * old + momentum * new,
    average=lambda x: x.flatten(0, 1).mean(0),
    spread=lambda x: x.flatten(0, 1).var(0),
    shares_of_variance=None,
):
    """A wrong `running_update`."""

    def answer(mean, var, x, momentum):
        return shares(mean, average(x), momentum), (shares_of_variance or shares)(var, spread(x), momentum)

    return answer


def shares(old, new, momentum):
    return (1 - momentum) * old + momentum * new


def swapped(old, new, momentum):
    return momentum * old + (1 - momentum) * new


def in_place(mean, var, x, momentum):
    mean.lerp_(x.flatten(0, 1).mean(0), momentum)
    var.lerp_(x.flatten(0, 1).var(0), momentum)
    return mean, var


def round_the_running_mean(mean, var, x, momentum):
    mean = shares(mean, x.flatten(0, 1).mean(0), momentum)
    rows = x.flatten(0, 1)
    return mean, shares(var, (rows - mean).square().sum(0) / (len(rows) - 1), momentum)


def gated(join=lambda a, b: F.silu(a) * b, halves=lambda h: h.chunk(2, dim=1), out=True):
    """A wrong `swiglu`."""

    def answer(x, w_in, w_out):
        h = join(*halves(x @ w_in.T))
        return h @ w_out.T if out else h

    return answer


WRONG = {
    "rms_norm": {
        "eps outside": (rms(root=lambda m, eps: m.sqrt() + eps), "eps stands outside"),
        "no eps": (rms(root=lambda m, eps: m.sqrt()), "eps is missing"),
        "centred": (lambda x, w, eps: rms()(x - x.mean(2, keepdim=True), w, eps), "that is LayerNorm"),
        "sum": (rms(lambda s: s.sum(dim=2, keepdim=True)), "not their sum"),
        "no root": (rms(root=lambda m, eps: m + eps), "The root is missing"),
        "over time": (rms(lambda s: s.mean(dim=1, keepdim=True)), "runs over time"),
        "over the item": (rms(lambda s: s.mean(dim=(1, 2), keepdim=True)), "for a whole item"),
        "over everything": (rms(lambda s: s.mean()), "for everything"),
        "no weight": (rms(weighted=False), "weight is missing"),
    },
    "running_update": {
        "swapped": (update(swapped), "momentum is the share of the new batch"),
        "batch only": (update(lambda old, new, momentum: new), "This is the batch's mean"),
        "unmoved": (lambda mean, var, x, momentum: (mean, var), "mean has not moved"),
        "old in full": (update(lambda old, new, momentum: old + momentum * new), "keeps its full weight"),
        "over the batch": (update(average=lambda x: x.mean(0)), "over the batch only"),
        "one mean": (lambda mean, var, x, m: (shares(mean[0], x.mean(), m), var), "One number for all channels"),
        "biased": (update(spread=lambda x: x.flatten(0, 1).var(0, unbiased=False)), "the biased one"),
        "deviation": (update(spread=lambda x: x.flatten(0, 1).std(0)), "standard deviation went in"),
        "mean square": (update(spread=lambda x: x.flatten(0, 1).square().mean(0)), "mean square went in"),
        "variance swapped": (update(shares_of_variance=swapped), "variance's shares"),
        "running mean": (round_the_running_mean, "round its own mean"),
        "variance unmoved": (update(shares_of_variance=lambda old, new, m: old), "variance has not moved"),
        "in place": (in_place, "changed in place"),
        "mean alone": (lambda mean, var, x, momentum: mean, "Two results are expected"),
    },
    "swiglu": {
        "second": (gated(lambda a, b: a * F.silu(b)), "second half was gated"),
        "glu": (gated(lambda a, b: torch.sigmoid(a) * b), "that is GLU"),
        "geglu": (gated(lambda a, b: F.gelu(a) * b), "that is GEGLU"),
        "added": (gated(lambda a, b: F.silu(a) + b), "a gate multiplies"),
        "both": (gated(lambda a, b: F.silu(a) * F.silu(b)), "second stays linear"),
        "linear": (gated(lambda a, b: a * b), "no nonlinearity"),
        "relu": (gated(lambda a, b: F.relu(a) * b), "ReLU gates"),
        "hidden": (gated(out=False), "hidden numbers come back"),
        "neighbours": (gated(halves=lambda h: (h[:, 0::2], h[:, 1::2])), "Neighbours were paired"),
    },
    "gated_hidden_size": {
        "same": (lambda h: h, "half as many weights again"),
        "halved": (lambda h: h // 2, "Halved"),
        "three halves": (lambda h: 3 * h // 2, "must hold what two held."),
        "doubled": (lambda h: 2 * h, "so H shrinks."),
        "down": (lambda h: 2 * h // 3, "Rounded down"),
        "third": (lambda h: h // 3, "A third"),
        "three quarters": (lambda h: 3 * h // 4, "Three quarters"),
        "fraction": (lambda h: 2 * h / 3, "whole number"),
        "tensor": (lambda h: torch.tensor(round(2 * h / 3)), "of type Tensor"),
    },
}
