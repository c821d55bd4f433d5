"""Checks of notebook 10."""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib import losses
from course_lib.course.exercises import Hint, exercise, expect


def _random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@exercise(notebook="10", title="Focal loss for a batch", minutes=10)
def focal_loss(fn):
    """my_focal_loss(logits, targets, gamma): logits (B, C), targets (B,) -> the mean over the batch."""
    logits, targets, gamma = 2 * _random(7, 3, seed=0), torch.tensor([0, 2, 1, 1, 0, 2, 2]), 3.0
    log_p = F.log_softmax(logits, 1)
    picked = log_p.gather(1, targets[:, None])[:, 0]  # (B,)
    p = picked.exp()
    each = -((1 - p) ** gamma) * picked
    mean_p = F.cross_entropy(logits, targets)
    along_batch = F.log_softmax(logits, 0).gather(1, targets[:, None])[:, 0]
    expect(
        fn(logits, targets, gamma),
        each.mean(),
        mistakes=[
            (mean_p, "This is cross-entropy: the factor (1 - p)^gamma is missing."),
            (each.sum(), "This is the sum over the batch: take the mean."),
            (each, "One loss for each item: take the mean over the batch."),
            (-each.mean(), "The sign is flipped: log p is negative, a loss is not."),
            (
                (-(p**gamma) * picked).mean(),
                "The factor is p^gamma: it must be small where p is near 1, (1 - p)^gamma.",
            ),
            (
                (1 - (-mean_p).exp()) ** gamma * mean_p,
                "The factor comes from the mean loss: each item needs its own p, before the mean is taken.",
            ),
            (
                (-((1 - log_p.exp()) ** gamma) * log_p).sum(1).mean(),
                "The sum runs over all classes: only the target's probability counts.",
            ),
            (
                (-((1 - along_batch.exp()) ** gamma) * along_batch).mean(),
                "The softmax runs over the batch (dim 0): the classes are dim 1.",
            ),
            (gamma * mean_p, "gamma is a power of 1 - p, not a factor."),
        ],
        what="the loss",
    )
    large = torch.tensor([[800.0, 0.0, -5.0], [0.0, 300.0, 0.0]])
    value = fn(large, torch.tensor([1, 1]), gamma)
    if not torch.as_tensor(value).isfinite():
        raise Hint("With logits of 800 the loss is not finite: exp overflows. Start from log_softmax.")
    expect(value, losses.focal_loss(large, torch.tensor([1, 1]), gamma), what="the loss for logits of several hundred")


@exercise(notebook="10", title="The slope", minutes=6)
def focal_slope(fn):
    """focal_slope(p, gamma): p (N,), of the right answer -> (N,), the loss's derivative by the right answer's logit."""
    p, gamma = torch.tensor([0.05, 0.3, 0.6, 0.9]), 3.0
    z = (p / (1 - p)).log().requires_grad_()
    loss = -((1 - z.sigmoid()) ** gamma) * F.logsigmoid(z)
    (right,) = torch.autograd.grad(loss.sum(), z)
    power, log = (1 - p) ** gamma, p.log()
    expect(
        fn(p, gamma),
        right,
        mistakes=[
            (-right, "The sign is flipped: a larger logit of the right answer lowers the loss."),
            (-(1 - p), "This is cross-entropy's slope: gamma does not enter."),
            (-power * (1 - p), "The factor's own slope is missing: p occurs in (1 - p)^gamma, too."),
            (-power * ((1 - p) + gamma * p * log), "A sign inside the bracket: it is minus gamma · p · ln p."),
            (-power * ((1 - p) - gamma * log), "A p is missing in the second term: gamma · p · ln p."),
            (
                right / (p * (1 - p)),
                "This is the derivative by p. By the logit it is p (1 - p) times as large.",
            ),
            (-power * ((1 - p) - p * log), "gamma is missing in the second term: it comes down from the exponent."),
            (-power * log, "This is the loss itself, not its slope."),
        ],
        what="the slope",
    )


@exercise(notebook="10", title="Undo the weights", minutes=6)
def undo_weight(fn):
    """undo_weight(p, w): p (N,) from training with weight w on the rare class -> (N,), the share behind it."""
    q, w = torch.tensor([0.001, 0.02, 0.3, 0.9]), 20.0
    p = w * q / (w * q + 1 - q)
    expect(
        fn(p, w),
        q,
        mistakes=[
            (w * p / (w * p + 1 - p), "This weights once more: the odds must be divided by w."),
            (p / w, "The probability is divided by w: divide the odds, p / (1 - p)."),
            (p / (1 - p) / w, "These are the odds of q: turn them back into a probability, odds / (1 + odds)."),
            (1 - q, "This is the share of the common class: one minus it."),
            (p / (w * p + 1 - p), "w stands at the wrong term: q = p / (p + w (1 - p))."),
        ],
        what="the share q",
    )
