"""Wrong answers to the exercises of notebook 16, each with a piece of the hint that it must get."""

import torch
import torch.nn.functional as F


def step(join=None, keep=None, weights=lambda w: w):
    """A wrong `conv_step` that joins buffer and block, or keeps samples, in its own way."""

    def answer(block, buffer, w):
        joined = torch.cat([buffer, block])
        x = joined if join is None else join(block, buffer)
        y = x.unfold(0, len(w), 1) @ weights(w)
        return y, joined[len(block) :] if keep is None else keep(block, buffer, joined, y)

    return answer


def in_place(block, buffer, w):
    y, after = step()(block, buffer, w)
    buffer.copy_(after)
    return y, after


def field(add=lambda k, d: (k - 1) * d, jump_first=False, start=1, layers=lambda all_: all_, use_stride=True):
    """A wrong `inputs_seen`."""

    def answer(sizes):
        total, jump = start, 1
        for k, s, d in layers(sizes):
            jump *= s if jump_first else 1
            total += add(k, d) * (jump if use_stride else 1)
            jump *= 1 if jump_first else s
        return total

    return answer


def latency(out=lambda f, s: f // s, back=lambda o, f, s: o * s, extent=lambda k, d: (k - 1) * d + 1, ahead=None):
    """A wrong `latencies`."""

    def true_ahead(e, padding):
        return e - 1 - {"causal": e - 1, "same": (e - 1) // 2, "reverse_causal": 0}[padding]

    def answer(k, s, d, padding):
        f = (ahead or true_ahead)(extent(k, d), padding)
        return out(f, s), back(out(f, s), f, s)

    return answer


def maxima(fill=-torch.inf, empty=0.0, reduce=torch.amax, multiply=False):
    """A wrong `masked_max`."""

    def answer(x, mask, k):
        windows, valid = x.unflatten(1, (-1, k)), mask.unflatten(1, (-1, k))
        y = reduce(windows * valid if multiply else torch.where(valid, windows, fill), -1)
        return y if empty is None else torch.where(valid.any(-1), y, empty)

    return answer


def multiplied(x, mask, k):
    """A wrong `masked_max` that is right as long as the padding is finite."""
    y = (x * mask - 1e9 * ~mask).unflatten(1, (-1, k)).amax(-1)
    return torch.where(mask.unflatten(1, (-1, k)).any(-1), y, 0.0)


WRONG = {
    "conv_step": {
        "forgetful": (step(join=lambda b, old: F.pad(b, (len(old), 0))), "past is forgotten"),
        "buffer behind": (step(join=lambda b, old: torch.cat([b, old])), "in front, not behind"),
        "inside only": (step(join=lambda b, old: b), "windows inside the block"),
        "flipped": (step(weights=lambda w: w.flip(0)), "kernel is flipped"),
        "buffer turned": (step(join=lambda b, old: torch.cat([old.flip(0), b])), "its last is the newest"),
        "stale": (step(keep=lambda b, old, j, y: old), "as it went in"),
        "first samples": (step(keep=lambda b, old, j, y: b[: len(old)]), "first samples of the block"),
        "one too many": (step(keep=lambda b, old, j, y: j[-len(old) - 1 :]), "One sample too many"),
        "turned round": (step(keep=lambda b, old, j, y: j[-len(old) :].flip(0)), "oldest sample first"),
        "outputs kept": (step(keep=lambda b, old, j, y: y[-len(old) :]), "keeps inputs"),
        "short block": (step(keep=lambda b, old, j, y: b[-len(old) :]), "shorter than K - 1"),
        "zeros for a short block": (
            step(keep=lambda b, old, j, y: F.pad(b, (len(old), 0))[-len(old) :]),
            "old samples are still needed",
        ),
        "in place": (in_place, "changed in place"),
        "outputs only": (lambda b, old, w: step()(b, old, w)[0], "Two results are expected"),
    },
    "inputs_seen": {
        "kernel sizes added": (lambda layers: sum(k for k, s, d in layers), "kernel sizes added up"),
        "multiplied": (lambda layers: torch.tensor([k for k, s, d in layers]).prod(), "are multiplied"),
        "extents added": (lambda layers: sum((k - 1) * d + 1 for k, s, d in layers), "extents added up"),
        "no dilation": (field(add=lambda k, d: k - 1), "dilation is missing"),
        "no stride": (field(use_stride=False), "strides are missing"),
        "own stride": (field(jump_first=True), "own stride"),
        "K taps": (field(add=lambda k, d: k * d if d > 1 else k), "K - 1 taps, not K"),
        "no one": (field(start=0), "One is missing"),
        "from the end": (field(layers=lambda all_: all_[::-1]), "wrong end"),
        "last layer": (lambda layers: (layers[-1][0] - 1) * layers[-1][2] + 1 if layers else 1, "last layer alone"),
        "no return": (lambda layers: None, "`return` missing"),
    },
    "latencies": {
        "f itself": (latency(out=lambda f, s: f), "look-ahead f itself"),
        "rounded up": (latency(out=lambda f, s: -(-f // s)), "Rounded up"),
        "f to feed": (latency(back=lambda o, f, s: f), "in whole blocks"),
        "outputs to feed": (latency(back=lambda o, f, s: o), "counted in input steps"),
        "swapped": (lambda *a: latency()(*a)[::-1], "swapped"),
        "always zero": (lambda *a: (0, 0), "reverse_causal looks ahead"),
        "no dilation": (latency(extent=lambda k, d: k), "dilation is missing"),
        "extent": (
            latency(ahead=lambda e, p: {"causal": 0, "same": e // 2}.get(p, e)),
            "not at the extent",
        ),
        "even kernel": (
            latency(ahead=lambda e, p: {"causal": 0, "same": (e - 1) // 2}.get(p, e - 1)),
            "halves differ",
        ),
        "same like reverse_causal": (latency(ahead=lambda e, p: 0 if p == "causal" else e - 1), "same is centred"),
        "causal waits": (
            latency(ahead=lambda e, p: e // 2 if p == "same" else e - 1),
            "waits for nothing",
        ),
        "one number": (lambda *a: latency()(*a)[0], "Two results are expected"),
    },
    "masked_max": {
        "padding wins": (lambda x, mask, k: x.unflatten(1, (-1, k)).amax(-1), "Padding wins"),
        "zero fill": (maxima(fill=0.0), "the neutral value"),
        "minus infinity": (maxima(empty=None), "left at minus infinity"),
        "zero in every window": (lambda x, mask, k: maxima()(x, mask, k).clamp(min=0), "0 must not take part"),
        "smallest": (maxima(fill=torch.inf, reduce=torch.amin), "This is the smallest"),
        "fill shows": (maxima(fill=-1e9, empty=None), "shows your fill"),
        "NaN": (multiplied, "NaN times 0 is NaN"),
        "no return": (lambda x, mask, k: None, "`return` missing"),
    },
}
