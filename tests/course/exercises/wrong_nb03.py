"""Wrong answers to the exercises of notebook 03, each with a piece of the hint that it must get."""

import torch


def attention(scale=lambda q, k, v: q.shape[1] ** -0.5, dim=1, after=1.0, soft=True):
    """A wrong `scaled_attention`."""

    def answer(q, k, v):
        scores = q @ k.T * scale(q, k, v)
        weights = torch.softmax(scores, dim=dim) * after if soft else scores
        return weights @ v

    return answer


def count(log=torch.log, power=torch.exp, reduce=torch.sum, sign=-1.0, dim=1, small=1e-12):
    """A wrong `effective_keys`."""
    return lambda w: power(sign * reduce(w * log(w.clamp(min=small)), dim=dim))


def mask(near=lambda d, f: d <= f, keys=lambda v: v[:, None, :], join=torch.logical_and, end=lambda m: m, extra=0):
    """A wrong `batch_mask`."""

    def answer(lengths, T, future):
        steps = torch.arange(T)
        within = near(steps - steps[:, None], future)
        return end(join(within, keys(steps < lengths[:, None] + extra)))

    return answer


def everything(v):
    return torch.ones_like(v)[:, None, :]


def blind_both(lengths, T, future):
    valid = torch.arange(T) < lengths[:, None]
    return mask()(lengths, T, future) & valid[:, :, None]


WRONG = {
    "scaled_attention": {
        "not scaled": (attention(lambda q, k, v: 1.0), "not scaled"),
        "by D": (attention(lambda q, k, v: 1 / q.shape[1]), "Divided by D"),
        "by keys": (attention(lambda q, k, v: len(k) ** -0.5), "number of keys"),
        "by E": (attention(lambda q, k, v: v.shape[1] ** -0.5), "root of E"),
        "multiplied": (attention(lambda q, k, v: q.shape[1] ** 0.5), "Multiplied"),
        "columns": (attention(dim=0), "down the columns"),
        "after": (
            lambda q, k, v: attention(lambda q, k, v: 1.0, after=q.shape[1] ** -0.5)(q, k, v),
            "after the softmax",
        ),
        "no softmax": (attention(soft=False), "no softmax"),
        "no return": (lambda q, k, v: None, "`return` missing"),
    },
    "effective_keys": {
        "entropy": (count(power=lambda e: e), "the entropy itself"),
        "sign": (count(sign=1.0), "A sign is wrong"),
        "bits": (count(log=torch.log2), "one base for both"),
        "mean": (count(reduce=torch.mean), "The mean over keys"),
        "largest": (lambda w: 1 / w.amax(dim=1), "largest weight only"),
        "squares": (lambda w: 1 / w.square().sum(dim=1), "inverse sum of squares"),
        "all queries": (lambda w: count()(w).log().sum().exp(), "One number for all queries"),
        "queries": (count(dim=0), "Summed over queries"),
        "NaN": (lambda w: (-(w * w.log()).sum(dim=1)).exp(), "0 · ln 0"),
    },
    "batch_mask": {
        "hidden": (mask(end=torch.logical_not), "turn it round"),
        "transposed": (mask(near=lambda d, f: -d <= f), "The past is limited"),
        "one short": (mask(near=lambda d, f: d < f), "one short"),
        "causal": (mask(near=lambda d, f: d <= 0), "`future` is not used"),
        "rows": (mask(keys=lambda v: v[:, :, None]), "mask columns"),
        "both": (blind_both, "Hide keys only"),
        "no padding": (mask(keys=everything), "Padding is visible"),
        "no limit": (mask(near=lambda d, f: d <= 99), "The future has no limit"),
        "one too many": (mask(extra=1), "One step of padding"),
        "or": (mask(join=torch.logical_or), "& and not |"),
        "floats": (mask(end=lambda m: m.float()), "booleans are wanted"),
        "size fixed": (lambda lengths, T, future: mask()(torch.tensor([5, 2]), 5, 2), "has shape (2, 5, 5)"),
    },
    "split_heads": {
        "view": (lambda x, h: x.reshape(x.shape[0], h, x.shape[1], -1), "channels of several time steps"),
        "not swapped": (lambda x, h: x.unflatten(2, (h, -1)), "Heads stand behind time"),
        "interleaved": (lambda x, h: x.unflatten(2, (-1, h)).permute(0, 3, 1, 2), "neighbours belong together"),
        "heads first": (lambda x, h: x.unflatten(2, (h, -1)).permute(2, 0, 1, 3), "before the batch"),
        "channels first": (lambda x, h: x.unflatten(2, (h, -1)).permute(0, 2, 3, 1), "Channels stand before time"),
        "D heads": (lambda x, h: x.unflatten(2, (-1, h)).transpose(1, 2), "D heads of H channels"),
        "view of a view": (
            lambda x, h: (
                x.view(x.shape[0], x.shape[1], h, -1).transpose(1, 2)
                if x.is_contiguous()
                else x.reshape(x.shape[0], h, x.shape[1], -1)
            ),
            "transposed tensor",
        ),
    },
}
