"""Wrong answers to the exercises of notebook 11, each with a piece of the hint that it must get."""

import math

import torch


def schedule(begin=0, end=1, low=None, turns=1.0, half=0.5, first=1):
    """A wrong `warmup_cosine`: begin of the cosine, end (steps before the last), floor, turns, height, first step."""

    def answer(n, rising, final):
        step, floor = torch.arange(n), final if low is None else low
        start = rising if begin == 0 else 0
        progress = (step - start) / (n - end - start)
        down = floor + (1 - floor) * half * (1 + torch.cos(turns * math.pi * progress))
        return torch.where(step < rising, (step + first) / max(rising, 1), down)

    return answer


def by_hand(down):
    """A `warmup_cosine` that falls as down(cosine from 1 to 0, progress, final) says."""

    def answer(n, rising, final):
        step = torch.arange(n)
        progress = (step - rising) / (n - 1 - rising)
        return torch.where(
            step < rising, (step + 1) / max(rising, 1), down(0.5 * (1 + torch.cos(math.pi * progress)), progress, final)
        )

    return answer


def divides_by_rising(n, rising, final):
    step = torch.arange(n)
    up = ((step + 1) / rising).clamp(max=1) if rising else torch.full((n,), math.nan)
    progress = ((step - rising) / (n - 1 - rising)).clamp(min=0)
    return up * (final + (1 - final) * 0.5 * (1 + torch.cos(math.pi * progress)))


def clip(factor):
    """A `clip_together` with one factor for all, from the norms of all tensors and the limit."""
    return lambda gradients, limit: [factor(torch.stack([g.norm() for g in gradients]), limit) * g for g in gradients]


def average(mix, counter=lambda old, new: new):
    """An `average_update` with another mixture of floating-point values, or of counters."""

    def answer(old, new, decay):
        floats = {k: mix(old[k], new[k], decay) for k in old if old[k].is_floating_point()}
        return floats | {k: counter(old[k], new[k]) for k in old if k not in floats}

    return answer


def right_mix(old, new, decay):
    return decay * old + (1 - decay) * new


def in_place(old, new, decay):
    for name, value in old.items():
        if value.is_floating_point():
            value.lerp_(new[name], 1 - decay)
        else:
            value.copy_(new[name])
    return dict(old)


def paired(mean=lambda d: d.mean(), error=lambda d: d.std() / len(d) ** 0.5):
    return lambda a, b: (mean(b - a), error(b - a))


def corrected(factors=lambda n: torch.arange(n, 0, -1), largest=False, running=True, cut=True, back=True):
    """A wrong `holm`: other factors or order, no running maximum, no cut at 1, or sorted results."""

    def answer(p):
        values, order = p.sort(descending=largest)
        values = values * factors(len(p))
        values = values.cummax(0).values if running else values
        values = values.clamp(max=1) if cut else values
        return values[order.argsort()] if back else values

    return answer


WRONG = {
    "warmup_cosine": {
        "starts at zero": (schedule(first=0), "moves nothing"),
        "cosine from step 0": (schedule(begin=1), "begins at step 0"),
        "one step short": (schedule(end=0), "misses `final`"),
        "no floor": (schedule(low=0.0), "falls to 0"),
        "floor added": (by_hand(lambda down, progress, final: final + down), "begins above 1"),
        "floor cut": (by_hand(lambda down, progress, final: down.clamp(min=final)), "Cut off"),
        "whole cosine": (schedule(turns=2.0), "comes back up"),
        "too high": (schedule(half=1.0), "begins at 2"),
        "straight": (by_hand(lambda down, progress, final: 1 - (1 - final) * progress), "straight line"),
        "nan without a rise": (divides_by_rising, "With rising = 0"),
    },
    "clip_together": {
        "each alone": (
            lambda gradients, limit: [g * min(1.0, float(limit / g.norm())) for g in gradients],
            "by its own norm",
        ),
        "values": (lambda gradients, limit: [g.clamp(-limit, limit) for g in gradients], "one by one"),
        "sum of norms": (clip(lambda norms, limit: limit / norms.sum()), "norms are summed"),
        "no root": (clip(lambda norms, limit: limit / norms.square().sum()), "root is missing"),
        "largest": (clip(lambda norms, limit: limit / norms.max()), "Only the largest"),
        "unit": (clip(lambda norms, limit: 1 / norms.norm()), "multiply by max_norm"),
        "nothing": (lambda gradients, limit: gradients, "Nothing was clipped"),
        "normalised": (clip(lambda norms, limit: limit / norms.norm()), "scaled up"),
        "one short": (lambda gradients, limit: gradients[:1], "one for each"),
    },
    "average_update": {
        "swapped": (average(lambda old, new, d: (1 - d) * old + d * new), "swapped"),
        "no factor": (average(lambda old, new, d: d * old + new), "grows without end"),
        "plain mean": (average(lambda old, new, d: (old + new) / 2), "plain mean"),
        "copy": (average(lambda old, new, d: new), "nothing is averaged"),
        "stays": (average(lambda old, new, d: old), "did not move"),
        "away": (average(lambda old, new, d: old - (1 - d) * (new - old)), "sign is flipped"),
        "counter as float": (average(right_mix, lambda old, new: 0.9 * old + 0.1 * new), "became a floating-point"),
        "old counter": (average(right_mix, lambda old, new: old), "kept its old value"),
        "rounded counter": (average(right_mix, lambda old, new: (0.9 * old + 0.1 * new).long()), "rounded"),
        "in place": (in_place, "changed in place"),
    },
    "paired_difference": {
        "sign": (lambda a, b: paired()(b, a), "sign is flipped"),
        "absolute": (paired(mean=lambda d: d.abs().mean()), "signs are lost"),
        "sum": (paired(mean=lambda d: d.sum()), "the sum of the differences"),
        "unpaired": (
            lambda a, b: ((b - a).mean(), (a.var() / len(a) + b.var() / len(b)).sqrt()),
            "two unrelated groups",
        ),
        "spread": (paired(error=lambda d: d.std()), "spread of one difference"),
        "by N": (paired(error=lambda d: d.std() / len(d)), "root of N"),
        "N": (paired(error=lambda d: d.std(correction=0) / len(d) ** 0.5), "N - 1"),
        "variance": (paired(error=lambda d: d.var() / len(d)), "squared error"),
        "one value": (lambda a, b: (b - a).mean(), "Two results are expected"),
    },
    "holm": {
        "as they are": (lambda p: p.clone(), "Nothing was corrected"),
        "Bonferroni": (lambda p: (len(p) * p).clamp(max=1), "Bonferroni"),
        "no maximum": (corrected(running=False), "running maximum"),
        "sorted": (corrected(back=False), "are sorted"),
        "above 1": (corrected(cut=False), "above 1"),
        "from one up": (corrected(lambda n: torch.arange(n) + 1), "wrong way"),
        "from the largest": (corrected(largest=True), "from the largest p"),
        "one too low": (corrected(lambda n: torch.arange(n - 1, -1, -1)), "one too low"),
    },
}
