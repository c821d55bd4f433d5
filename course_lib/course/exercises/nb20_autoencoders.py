"""Checks for notebook 20: explained variance, the best linear bottleneck, and latents that are distributions."""

from __future__ import annotations

import torch

from course_lib.course.exercises import Hint, exercise, expect
from course_lib.losses import explained_variance, kl_to_standard_normal


@exercise(notebook="20", title="The share explained", minutes=6)
def share_explained(fn):
    """share_explained(drawn, x): both (B, T, C) -> R², a scalar; each channel's mean over windows and time"""
    generator = torch.Generator().manual_seed(20)
    x = torch.randn(4, 5, 3, generator=generator) * torch.tensor([1.0, 2.0, 0.5]) + torch.tensor([0.0, 3.0, -2.0])
    drawn = x + 0.4 * torch.randn(4, 5, 3, generator=generator)
    error = (drawn - x).square()

    def against(middle):
        return 1 - error.sum() / (x - middle).square().sum()

    by_channel = 1 - error.sum((0, 1)) / (x - x.mean((0, 1))).square().sum((0, 1))
    expect(
        fn(drawn, x),
        explained_variance(drawn, x),
        mistakes=[
            (against(x.mean()), "One mean for all channels: channels far apart then look easy. Each has its own mean."),
            (against(x.mean(1, keepdim=True)), "A mean for each window: take it over windows and time together."),
            (against(0.0), "The spread is measured from 0; measure it from each channel's mean."),
            (by_channel.mean(), "That is the mean of the channels' R². Add up over everything, then divide once."),
            (by_channel, "One number a channel. Add up over everything, then divide once."),
            (1 - against(x.mean((0, 1))), "That is the share left unexplained: subtract it from 1."),
            (
                1 - error.sum() / (drawn - drawn.mean((0, 1))).square().sum(),
                "The spread is that of the drawing; compare with the spread of x.",
            ),
        ],
        what="R²",
    )


@exercise(notebook="20", title="Squeeze and draw again", minutes=10)
def squeeze(fn):
    """squeeze(steps, k): (N, D) -> (N, D), drawn again from their products with the k best directions"""
    generator = torch.Generator().manual_seed(21)
    mixing = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    steps = torch.randn(12, 5, generator=generator, dtype=torch.float64) @ mixing + torch.arange(5) - 1.0
    middle = steps.mean(0)
    directions = torch.linalg.svd(steps - middle, full_matrices=False)[2]
    k = 2

    def drawn(rows, middle=middle, back=middle):
        return (steps - middle) @ rows.T @ rows + back

    through_origin = torch.linalg.svd(steps, full_matrices=False)[2][:k]
    answer = fn(steps, k)
    if answer is not None and torch.as_tensor(answer).shape == (12, k):
        raise Hint("These are the latents. Draw the steps again: multiply by the directions once more.")
    expect(
        answer,
        drawn(directions[:k]),
        mistakes=[
            (drawn(through_origin, 0.0, 0.0), "The mean step was not taken away, so it uses up the best direction."),
            (drawn(directions[:k], back=0.0), "The mean step has to be added again in the end."),
            (drawn(directions[:k], middle=0.0, back=0.0), "Take the mean step away before multiplying, too."),
            (drawn(directions[-k:]), "These are the k worst directions: svd names the best first."),
            (drawn(directions[:, :k].T), "Directions are rows of Vh, not columns."),
        ],
        rtol=1e-6,
        atol=1e-8,
        what="the steps drawn again",
    )


@exercise(notebook="20", title="The price of a latent", minutes=5)
def latent_price(fn):
    """latent_price(mean, log_variance): one shape -> that shape, the KL divergence from a standard normal in nats"""
    mean, log_variance = (
        torch.tensor([[0.0, 1.0, -2.0], [0.5, 3.0, 0.0]]),
        torch.tensor([[0.0, -0.7, 1.0], [-3.0, 0.2, 2.0]]),
    )
    right, variance = kl_to_standard_normal(mean, log_variance), log_variance.exp()
    square = mean.square()
    expect(
        fn(mean, log_variance),
        right,
        mistakes=[
            (2 * right, "Twice as much as it should be: the sum is divided by 2."),
            (right.sum(), "Added up over all latents; keep one number for each."),
            (right.mean(), "Averaged over all latents; keep one number for each."),
            (-right, "The sign is turned: a divergence is never below 0."),
            ((square + variance + log_variance - 1) / 2, "The logarithm of the variance is subtracted, not added."),
            ((square + variance - log_variance) / 2, "The 1 is missing: a standard normal has to cost 0."),
            ((mean + variance - log_variance - 1) / 2, "The mean counts squared: −2 is as far from 0 as 2."),
            (
                (square + log_variance - log_variance.abs().clamp(min=1e-9).log() - 1) / 2,
                "The second argument is the logarithm of the variance already; take its exponential for the variance.",
            ),
            (
                (square + (log_variance / 2).exp() - log_variance - 1) / 2,
                "exp(log_variance / 2) is the standard deviation; the formula has the variance.",
            ),
        ],
        what="the KL divergence",
    )


@exercise(notebook="20", title="A draw that gradients pass", minutes=5)
def draw_latents(fn):
    """draw_latents(mean, log_variance, noise): all of one shape -> that shape; noise from a standard normal"""
    generator = torch.Generator().manual_seed(22)
    mean, log_variance, noise = torch.randn(3, 4, 2, generator=generator)
    mean, log_variance = mean.requires_grad_(), log_variance.requires_grad_()
    answer = fn(mean, log_variance, noise)
    expect(
        answer,
        mean + torch.exp(log_variance / 2) * noise,
        mistakes=[
            (
                mean + torch.exp(log_variance) * noise,
                "exp(log_variance) is the variance; noise is stretched by its root.",
            ),
            (mean + log_variance * noise, "The logarithm of the variance is no size: take exp(log_variance / 2)."),
            (mean + noise, "The noise keeps variance 1; stretch it by the standard deviation."),
            (
                torch.exp(log_variance / 2) * (mean + noise),
                "The mean is stretched too; stretch the noise, then move it.",
            ),
            (mean + torch.exp(log_variance / 2), "The noise is missing: every draw would be the same."),
            (mean + torch.exp(2 * log_variance) * noise, "Half the logarithm is the root: divide by 2, not multiply."),
        ],
        what="the draw",
    )
    if not answer.requires_grad:
        raise Hint("Right values, but no gradient passes: leave out `detach`, `no_grad` and `.data`.")
    slopes = torch.autograd.grad(answer.sum(), (mean, log_variance), allow_unused=True)
    if any(slope is None for slope in slopes):
        raise Hint("Right values, but the gradient reaches only one of mean and log_variance.")
