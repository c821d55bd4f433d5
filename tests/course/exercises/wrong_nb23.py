"""Wrong answers to the exercises of notebook 23, each with a piece of the hint that it must get."""

import torch
import torch.nn.functional as F


def grouped(x, weights):
    return F.conv1d(x, weights.flatten(0, 1), padding=weights.shape[3] // 2, groups=len(weights))


def timing(dim=0, sign=-1, soften=True, divide=None, absent=False):
    """A wrong `present_timing_loss`."""

    def answer(logits, labels, frames):
        log_p = F.log_softmax(logits, dim=dim) if soften else logits
        types = torch.arange(len(labels)) if absent else torch.nonzero(labels)[:, 0]
        picked = log_p[frames[types], types]
        return sign * picked.sum() / (len(types) if divide is None else divide(len(types), len(labels)))

    return answer


def bumps(square=lambda sigma: 2 * sigma**2, replace=True, hide=True, rounding=lambda t: t, top=lambda sigma: 1.0):
    """A wrong `onset_bumps`."""

    def answer(timings, length, sigma):
        onsets = torch.where(timings.isnan(), 0.0, timings) if replace else timings
        away = torch.arange(length)[:, None] - rounding(onsets)
        y = torch.exp(-(away**2) / square(sigma)) / top(sigma)
        return y * ~timings.isnan() if hide else y

    return answer


WRONG = {
    "convolve_types": {
        "no groups": (
            lambda x, w: torch.stack([F.conv1d(x.sum(1), k, padding=w.shape[3] // 2) for k in w], dim=1),
            "without `groups`",
        ),
        "channel by channel": (
            lambda x, w: grouped(x.transpose(1, 2).flatten(1, 2), w).unflatten(1, w.shape[:2]),
            "flatten (E, C) in this order",
        ),
        "outputs mixed up": (
            lambda x, w: grouped(x.flatten(1, 2), w).unflatten(1, (w.shape[1], w.shape[0])).transpose(1, 2),
            "come out type by type",
        ),
        "no padding": (
            lambda x, w: F.conv1d(x.flatten(1, 2), w.flatten(0, 1), groups=len(w)).unflatten(1, w.shape[:2]),
            "ends are cut",
        ),
    },
    "present_timing_loss": {
        "absent asked": (timing(absent=True), "last frame"),
        "over all types": (timing(divide=lambda present, all_: all_), "Divided by all types"),
        "sum": (timing(divide=lambda present, all_: 1), "That is the sum"),
        "softmax over types": (timing(dim=1), "softmax goes over types"),
        "logits": (timing(soften=False), "These are logits"),
        "sign": (timing(sign=1), "The sign"),
        "nothing divided by nothing": (timing(), "0 / 0"),
    },
    "onset_bumps": {
        "NaN": (bumps(replace=False), "NaN came through"),
        "absent": (bumps(hide=False), "has a bump at sample 0"),
        "no factor 2": (bumps(square=lambda sigma: sigma**2), "Too narrow"),
        "σ not squared": (bumps(square=lambda sigma: 2 * sigma), "not squared"),
        "rounded": (bumps(rounding=torch.round), "rounded"),
        "density": (bumps(top=lambda sigma: sigma * (2 * torch.pi) ** 0.5), "density"),
    },
}
