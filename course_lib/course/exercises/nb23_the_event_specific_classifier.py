"""Checks for notebook 23: one convolution for all types, the timing loss of present types, targets for the scores."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from course_lib.course.exercises import Hint, exercise, expect


@exercise(notebook="23", title="Sixteen convolutions in one call", minutes=12)
def convolve_types(fn):
    """convolve_types(x, weights): (B, E, C, T), (E, O, C, K), K odd -> (B, E, O, T); each type has its own kernel"""
    generator = torch.Generator().manual_seed(23)
    x, weights = torch.randn(2, 4, 3, 9, generator=generator), torch.randn(4, 3, 3, 5, generator=generator)
    right = torch.stack([F.conv1d(x[:, e], weights[e], padding=2) for e in range(4)], dim=1)
    mixed = weights.flatten(0, 1)  # (E O, C, K)
    expect(
        fn(x, weights),
        right,
        mistakes=[
            (
                torch.stack([F.conv1d(x.sum(1), weights[e], padding=2) for e in range(4)], dim=1),
                "Every type sees the sum of all types: without `groups`, channels are not kept apart.",
            ),
            (
                F.conv1d(x.transpose(1, 2).flatten(1, 2), mixed, padding=2, groups=4).unflatten(1, (4, 3)),
                "Laid out channel by channel; group e takes C neighbours, so flatten (E, C) in this order.",
            ),
            (
                F.conv1d(x.flatten(1, 2), mixed, padding=2, groups=4).unflatten(1, (3, 4)).transpose(1, 2),
                "The convolution is right; its channels come out type by type: unflatten to (E, O).",
            ),
            (right[..., 2:-2], "Right, but the ends are cut: pad by K // 2 to keep T."),
        ],
        what="the features",
    )


@exercise(notebook="23", title="When, asked only of what happened", minutes=12)
def present_timing_loss(fn):
    """present_timing_loss(logits, labels, frames): (F, E), (E,), (E,), -1 absent -> mean of -log p over the present"""
    generator = torch.Generator().manual_seed(24)
    logits = torch.randn(7, 4, generator=generator)
    labels, frames = torch.tensor([1.0, 0.0, 1.0, 0.0]), torch.tensor([2, -1, 5, -1])
    log_p = F.log_softmax(logits, dim=0)
    picked = torch.stack([log_p[2, 0], log_p[5, 2]])
    over_types = F.log_softmax(logits, dim=1)
    with_absent = torch.stack([log_p[2, 0], log_p[-1, 1], log_p[5, 2], log_p[-1, 3]])
    expect(
        fn(logits, labels, frames),
        -picked.mean(),
        mistakes=[
            (-with_absent.mean(), "Frame -1 is the last frame: absent types were asked when they happened."),
            (-picked.sum() / 4, "Divided by all types; the mean goes over the present ones."),
            (-picked.sum(), "That is the sum; take the mean over the present types."),
            (
                -(over_types[2, 0] + over_types[5, 2]) / 2,
                "The softmax goes over types. The question is when, so it goes over frames.",
            ),
            (
                -torch.stack([logits[2, 0], logits[5, 2]]).mean(),
                "These are logits; take the log of their softmax.",
            ),
            (picked.mean(), "The sign: a loss falls as the probability rises."),
        ],
        what="the loss",
    )
    nothing = fn(logits, torch.zeros(4), torch.full((4,), -1))
    if not torch.isfinite(torch.as_tensor(nothing)).all() or float(nothing) != 0:
        raise Hint(f"With no event in the window the loss should be 0, got {float(nothing)}: 0 / 0?")


@exercise(notebook="23", title="Bumps where the events are", minutes=8)
def onset_bumps(fn):
    """onset_bumps(timings, length, sigma): (E,), NaN absent -> (length, E), exp(-(t - onset)² / 2σ²), 0 if absent"""
    timings = torch.tensor([3.4, float("nan"), 0.0])
    t = torch.arange(9.0)[:, None]
    away = t - torch.tensor([3.4, 0.0, 0.0])
    here = torch.tensor([1.0, 0.0, 1.0])
    right = torch.exp(-(away**2) / (2 * 1.5**2)) * here
    expect(
        fn(timings, 9, 1.5),
        right,
        mistakes=[
            (
                torch.exp(-(away**2) / (2 * 1.5**2)) * torch.tensor([1.0, torch.nan, 1.0]),
                "NaN came through: it must not enter the arithmetic, since NaN · 0 is NaN. Replace it first.",
            ),
            (torch.exp(-(away**2) / (2 * 1.5**2)), "The absent type has a bump at sample 0; its column should be 0."),
            (torch.exp(-(away**2) / 1.5**2) * here, "Too narrow: the square is divided by 2σ²."),
            (torch.exp(-(away**2) / (2 * 1.5)) * here, "σ is not squared."),
            (
                torch.exp(-((t - torch.tensor([3.0, 0.0, 0.0])) ** 2) / (2 * 1.5**2)) * here,
                "The onset was rounded; fractions of a sample belong in the target.",
            ),
            (right / (1.5 * (2 * torch.pi) ** 0.5), "That is a density; the bump's top should be 1."),
        ],
        what="the targets",
    )
