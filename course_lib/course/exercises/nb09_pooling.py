"""Checks of notebook 09."""

import torch
from torch import Tensor

from course_lib.course.exercises import Hint, exercise, expect


def _random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@exercise(notebook="09", title="Mean and maximum beside padding", minutes=8)
def masked_mean_and_max(fn):
    """masked_mean_and_max(x, mask): x (B, T, C), mask (B, T), True where valid -> mean (B, C), maximum (B, C)."""
    B, T, C = 2, 5, 3
    x = _random(B, T, C, seed=0) - 2.0  # mostly negative: a zero in the padding would be the maximum
    mask = torch.arange(T) < torch.tensor([[3], [5]])
    x = torch.where(mask[..., None], x, 9.0)
    zeros = torch.where(mask[..., None], x, 0.0)
    mean = zeros.sum(1) / mask.sum(1, keepdim=True)
    largest = torch.where(mask[..., None], x, -torch.inf).amax(1)
    answer = fn(x, mask)
    if answer is not None and (isinstance(answer, Tensor) or len(answer) != 2):
        raise Hint("Return two tensors, the mean and the maximum: `return mean, maximum`.")
    expect(
        answer if answer is None else torch.stack(tuple(answer)),
        torch.stack([mean, largest]),
        mistakes=[
            (torch.stack([x.mean(1), x.amax(1)]), "The mask is not used: the padding, 9.0 here, counts as signal."),
            (torch.stack([x.mean(1), largest]), "The maximum is right, but the padding still enters the mean."),
            (torch.stack([mean, x.amax(1)]), "The mean is right, but the padding, 9.0 here, wins the maximum."),
            (
                torch.stack([zeros.mean(1), largest]),
                "The sum is right, but you divide by T: divide by the number of valid steps of each item.",
            ),
            (
                torch.stack([mean, zeros.amax(1)]),
                "The maximum takes a zero from the padding where all valid values are negative: fill with -inf.",
            ),
            (
                torch.stack([zeros.mean(1), zeros.amax(1)]),
                "Zeros in the padding are not enough: the mean divides by too much, the maximum may find the zero.",
            ),
            (torch.stack([largest, mean]), "The two are swapped: the mean comes first."),
        ],
        what="the pair (mean, maximum)",
    )
    spoiled = torch.where(mask[..., None], x, torch.nan)
    again = torch.stack(tuple(fn(spoiled, mask)))
    if again.isnan().any():
        raise Hint("NaN in the padding gets through: 0 times NaN is NaN. Choose with torch.where, don't multiply.")


@exercise(notebook="09", title="Attention pooling", minutes=10)
def attention_pool(fn):
    """attention_pool(x, scores, mask): x (B, T, C), scores (B, T), mask (B, T) -> pooled (B, C), weights (B, T)."""
    B, T, C = 2, 5, 3
    x, scores = _random(B, T, C, seed=0), 2 * _random(B, T, seed=1)
    mask = torch.arange(T) < torch.tensor([[3], [5]])
    hidden = scores.masked_fill(~mask, -torch.inf)
    answer = fn(x, scores, mask)
    if answer is not None and (isinstance(answer, Tensor) or len(answer) != 2):
        raise Hint("Return two tensors, the pooled vector and the weights: `return pooled, weights`.")
    if answer is not None:
        pooled, weights = answer
        expect(
            weights,
            torch.softmax(hidden, 1),
            mistakes=[
                (torch.softmax(scores, 1), "The mask is not used: padding gets weight."),
                (
                    torch.softmax(hidden, 0),
                    "The softmax runs over the batch (dim 0): each item's weights must sum to 1.",
                ),
                (
                    torch.softmax(scores, 1) * mask,
                    "Padding has no weight, but the rest no longer sums to 1: hide the scores before the softmax.",
                ),
                (
                    torch.softmax(scores * mask, 1),
                    "A score of 0 is not 'hidden': softmax gives it weight. Hide with -inf.",
                ),
                (hidden.sigmoid(), "These are sigmoids: weights must compete, so that they sum to 1. Use a softmax."),
            ],
            what="the weights",
        )
    weights = torch.softmax(hidden, 1)
    expect(
        None if answer is None else pooled,
        (weights[:, :, None] * x).sum(1),
        mistakes=[
            ((weights[:, :, None] * x).mean(1), "The weights sum to 1 already: sum over time, don't average again."),
            (weights[:, :, None] * x, "The steps are weighted, but not yet summed over time."),
        ],
        what="the pooled vector",
    )


@exercise(notebook="09", title="Mean and standard deviation under weights", minutes=10)
def weighted_statistics(fn):
    """weighted_statistics(x, weights): x (B, T, C), weights (B, T), rows of sum 1 -> (B, 2 C), mean, then deviation."""
    B, T, C = 2, 5, 3
    x, weights = _random(B, T, C, seed=0) + 1.0, torch.softmax(2 * _random(B, T, seed=1), 1)
    w = weights[:, :, None]
    mean = (w * x).sum(1)
    variance = (w * (x - mean[:, None]).square()).sum(1)
    plain = (x - x.mean(1, keepdim=True)).square().mean(1)
    beside = (x - mean[:, None]).square().mean(1)
    raw = (w * x.square()).sum(1)
    expect(
        fn(x, weights),
        torch.cat([mean, variance.sqrt()], 1),
        mistakes=[
            (torch.cat([mean, variance], 1), "This is the variance: the standard deviation is its square root."),
            (torch.cat([mean, plain.sqrt()], 1), "The deviation is the plain one: it must use the weights, too."),
            (
                torch.cat([mean, beside.sqrt()], 1),
                "The distances are taken from the weighted mean, but then averaged without the weights.",
            ),
            (torch.cat([mean, raw.sqrt()], 1), "The weighted mean is not taken off before the squares."),
            (torch.cat([variance.sqrt(), mean], 1), "The order is swapped: the mean comes first, then the deviation."),
            (torch.cat([x.mean(1), variance.sqrt()], 1), "The mean in the first half is the plain one."),
            (
                torch.cat([mean, (variance * T / (T - 1)).sqrt()], 1),
                "No correction by T / (T - 1) here: the weights say what the distribution is.",
            ),
        ],
        what="the statistics",
        atol=2e-4,
    )
