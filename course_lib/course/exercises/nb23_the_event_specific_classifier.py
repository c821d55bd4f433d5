"""Exercises of notebook 23: one convolution for all types, the timing loss of present types, targets for the scores."""

import torch
import torch.nn.functional as F

from course_lib.course.exercises import Draw, Edge, exercise


def _types(draw: Draw):
    for B, E, C, O_, T, K in [(1, 2, 1, 1, 3, 1), (1, 2, 3, 4, 5, 3), (2, 4, 3, 5, 9, 5), (3, 2, 4, 6, 5, 7)]:
        yield draw.tensor(B, E, C, T), draw.tensor(E, O_, C, K)
    E, C, O_ = draw.sizes(3, 2, 6)
    yield draw.tensor(2, E, C, 8), draw.tensor(E, O_, C, 3)


def _grouped(x, weights):
    return F.conv1d(x, weights.flatten(0, 1), padding=weights.shape[3] // 2, groups=len(weights))


@exercise(
    notebook="23",
    title="Sixteen convolutions in one call",
    minutes=12,
    inputs=_types,
    mistakes=[
        (
            lambda x, w: torch.stack([F.conv1d(x.sum(1), kernel, padding=w.shape[3] // 2) for kernel in w], dim=1),
            "Every type sees the sum of all types: without `groups`, channels are not kept apart.",
        ),
        (
            lambda x, w: _grouped(x.transpose(1, 2).flatten(1, 2), w).unflatten(1, w.shape[:2]),
            "Laid out channel by channel; group e takes C neighbours, so flatten (E, C) in this order.",
        ),
        (
            lambda x, w: _grouped(x.flatten(1, 2), w).unflatten(1, (w.shape[1], w.shape[0])).transpose(1, 2),
            "The convolution is right; its channels come out type by type: unflatten to (E, O).",
        ),
        (
            lambda x, w: F.conv1d(x.flatten(1, 2), w.flatten(0, 1), groups=len(w)).unflatten(1, w.shape[:2]),
            "Right, but the ends are cut: pad by K // 2 to keep T.",
        ),
    ],
    example=(torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]]), torch.tensor([[[[0.0, 1.0, 0.0]]], [[[0.0, 2.0, 0.0]]]])),
    hints=[
        "With `groups`, which channels of the input does the first group see, and which weights does it use?",
        ("Type and channel in one axis: {}.", lambda x, weights: x.flatten(1, 2)),
        "Flatten (E, C) of x and (E, O) of the weights, type first in both; one group a type; half a kernel of "
        "padding; then give "
        "the types their axis back.",
        "Begin with `types, outputs, _, size = weights.shape`.",
    ],
)
def convolve_types(x, weights):
    """convolve_types(x, weights): (B, E, C, T), (E, O, C, K), K odd -> (B, E, O, T); each type has its own kernel"""
    types, outputs, _, size = weights.shape
    y = F.conv1d(x.flatten(1, 2), weights.flatten(0, 1), padding=size // 2, groups=types)  # (B, E O, T)
    return y.unflatten(1, (types, outputs))


def _events(draw: Draw):
    yield draw.tensor(3, 2), torch.tensor([1.0, 0.0]), torch.tensor([1, -1])
    yield draw.tensor(7, 4), torch.tensor([1.0, 0.0, 1.0, 0.0]), torch.tensor([2, -1, 5, -1])
    yield draw.tensor(4, 3), torch.tensor([1.0, 1.0, 0.0]), torch.tensor([0, 3, -1])  # the first and the last frame
    for _ in range(3):
        frames, types = draw.sizes(2, 3, 9)
        labels = torch.from_numpy(draw.rng.random(types) < 0.6).float()
        labels[draw.integer(0, types - 1)] = 1.0
        onsets = torch.from_numpy(draw.integers(0, frames - 1, types))
        yield draw.tensor(frames, types), labels, torch.where(labels > 0, onsets, -1)
    nothing = "With no event in the window the loss should be 0: 0 / 0?"
    yield Edge((draw.tensor(5, 3), torch.zeros(3), torch.full((3,), -1)), nothing)


def _timing(
    soften=lambda logits: F.log_softmax(logits, 0),
    who=lambda labels: torch.nonzero(labels > 0)[:, 0],
    divide=lambda present, types: max(present, 1),
    sign=-1,
):
    """The timing loss with another softmax, other types, another divisor or sign."""

    def answer(logits, labels, frames):
        types = who(labels)
        return sign * soften(logits)[frames[types], types].sum() / divide(len(types), len(labels))

    return answer


@exercise(
    notebook="23",
    title="When, asked only of what happened",
    minutes=12,
    inputs=_events,
    mistakes=[
        (
            _timing(who=lambda labels: torch.arange(len(labels))),
            "Frame -1 is the last frame: absent types were asked when they happened.",
        ),
        (_timing(divide=lambda present, types: types), "Divided by all types; the mean goes over the present ones."),
        (_timing(divide=lambda present, types: 1), "That is the sum; take the mean over the present types."),
        (
            _timing(lambda logits: F.log_softmax(logits, 1)),
            "The softmax goes over types. The question is when, so it goes over frames.",
        ),
        (_timing(lambda logits: logits), "These are logits; take the log of their softmax."),
        (_timing(sign=1), "The sign: a loss falls as the probability rises."),
        (
            lambda logits, labels, frames: _timing()(logits, (frames > 0).float(), frames),
            "An event at frame 0 was taken for absent: `labels` says who is present.",
        ),
    ],
    example=(torch.tensor([[0.0, 1.0], [0.0, 2.0], [0.0, 0.0]]), torch.tensor([1.0, 0.0]), torch.tensor([1, -1])),
    hints=[
        "The softmax goes over frames, for each type by itself. Which entries of it are looked at?",
        ("The types that are present: {}.", lambda logits, labels, frames: torch.nonzero(labels > 0)[:, 0]),
        "Take `log_softmax` along the frames, pick for each present type the row of its onset, and average with a "
        "minus. With no "
        "type present divide by 1: 0.",
        "Begin with `present = torch.nonzero(labels > 0)[:, 0]`, of shape (M,).",
    ],
)
def present_timing_loss(logits, labels, frames):
    """present_timing_loss(logits, labels, frames): (F, E), (E,), (E,), -1 absent -> mean of -log p over the present"""
    present = torch.nonzero(labels > 0)[:, 0]  # (M,)
    log_p = F.log_softmax(logits, dim=0)[frames[present], present]  # (M,)
    return -log_p.sum() / max(len(present), 1)


def _targets(draw: Draw):
    yield torch.tensor([1.4]), 3, 1.5
    yield torch.tensor([3.4, 0.0]), 6, 1.5
    yield torch.tensor([3.4, torch.nan, 0.0]), 9, 0.8
    for _ in range(3):
        length, types = draw.integer(6, 12), draw.integer(2, 4)
        timings = length * draw.tensor(types).sigmoid()
        timings[draw.integer(0, types - 1)] = torch.nan
        yield timings, length, draw.number(0.7, 3)


def _bump(width=lambda sigma: 2 * sigma**2, replace=0.0, hide=True, at=lambda onsets: onsets, top=lambda sigma: 1.0):
    """Bumps of another width, place or height, or with absent types treated otherwise."""

    def answer(timings, length, sigma):
        onsets = timings if replace is None else torch.where(timings.isnan(), replace, timings)
        y = torch.exp(-((torch.arange(length)[:, None] - at(onsets)) ** 2) / width(sigma)) / top(sigma)
        return y * ~timings.isnan() if hide else y

    return answer


@exercise(
    notebook="23",
    title="Bumps where the events are",
    minutes=8,
    inputs=_targets,
    mistakes=[
        (
            _bump(replace=None),
            "NaN came through: it must not enter the arithmetic, since NaN · 0 is NaN. Replace it first.",
        ),
        (_bump(hide=False), "The absent type has a bump at sample 0; its column should be 0."),
        (_bump(lambda sigma: sigma**2), "Too narrow: the square is divided by 2σ²."),
        (_bump(lambda sigma: 2 * sigma), "σ is not squared."),
        (_bump(at=torch.round), "The onset was rounded; fractions of a sample belong in the target."),
        (_bump(top=lambda sigma: sigma * (2 * torch.pi) ** 0.5), "That is a density; the bump's top should be 1."),
    ],
    example=(torch.tensor([1.0, torch.nan]), 3, 1.0),
    hints=[
        "Rows are samples, columns types. How far is each sample from each onset, and what is that for NaN?",
        (
            "From the first onset the samples are {} away.",
            lambda timings, length, sigma: torch.arange(length) - timings[0],
        ),
        "Replace NaN by any number before you compute, and set those columns to 0 afterwards: so gradients stay "
        "finite too.",
        "Begin with `present = ~timings.isnan()`, of shape (E,).",
    ],
)
def onset_bumps(timings, length, sigma):
    """onset_bumps(timings, length, sigma): (E,), NaN absent -> (length, E), exp(-(t - onset)² / 2σ²), 0 if absent"""
    present = ~timings.isnan()
    away = torch.arange(length)[:, None] - torch.where(present, timings, 0.0)  # (T, E)
    return torch.exp(-(away**2) / (2 * sigma**2)) * present
