"""Exercises of notebook 09."""

import torch

from course_lib.course.exercises import Draw, Edge, exercise

NAN = "NaN in the padding gets through: 0 times NaN is NaN. Choose with torch.where, don't multiply."


def _padded(draw: Draw):
    yield torch.tensor([[[-1.0], [-3.0], [9.0]]]), torch.tensor([[True, True, False]])
    for B, T, C in [(1, 3, 2), (2, 5, 3), draw.sizes(3, 2, 7), draw.sizes(3, 2, 7)]:
        mask = draw.mask(B, T)
        mask[0, T // 2 + 1 :] = False
        # mostly negative: a zero in the padding would be the maximum
        yield torch.where(mask[..., None], draw.tensor(B, T, C) - 2.0, 9.0), mask
    mask = torch.tensor([[False, True, False, True], [True, True, False, False]])
    yield draw.tensor(2, 4, 3), mask
    yield Edge((torch.where(mask[..., None], draw.tensor(2, 4, 3), torch.nan), mask), nan=NAN, hint=NAN)


def _two(mean_fill=0.0, max_fill=-torch.inf, divide=lambda mask: mask.sum(1, keepdim=True)):
    """Mean and maximum with other values in the padding (None: as it is), or divided by something else."""

    def answer(x, mask):
        kept, seen = (x if v is None else torch.where(mask[..., None], x, v) for v in (mean_fill, max_fill))
        return kept.sum(1) / divide(mask), seen.amax(1)

    return answer


def _all_steps(mask):
    return mask.shape[1]


@exercise(
    notebook="09",
    title="Mean and maximum beside padding",
    minutes=8,
    inputs=_padded,
    parts=("the mean", "the maximum"),
    mistakes=[
        (_two(None, None, _all_steps), "The mask is not used: the padding counts as signal."),
        (_two(None, divide=_all_steps), "The maximum is right, but the padding still enters the mean."),
        (_two(max_fill=None), "The mean is right, but the padding wins the maximum."),
        (
            _two(divide=_all_steps),
            "The sum is right, but you divide by T: divide by the number of valid steps of each item.",
        ),
        (
            _two(max_fill=0.0),
            "The maximum takes a zero from the padding where all valid values are negative: fill with -inf.",
        ),
        (
            _two(max_fill=0.0, divide=_all_steps),
            "Zeros in the padding are not enough: the mean divides by too much, the maximum may find the zero.",
        ),
        (lambda *a: _two()(*a)[::-1], "The two are swapped: the mean comes first."),
    ],
    example=(torch.tensor([[[-1.0], [-3.0], [9.0]]]), torch.tensor([[True, True, False]])),
    hints=[
        "The padding needs another filling for each result: one that adds nothing, and one that is never the largest.",
        (
            "For the mean, with zeros in the padding, the sum over time is {}.",
            lambda x, mask: torch.where(mask[..., None], x, 0.0).sum(1),
        ),
        ("It is divided by the number of valid steps, {}.", lambda x, mask: mask.sum(1)),
        "For the maximum fill with minus infinity. `torch.where` chooses, so that NaN stays out. "
        "Begin with `valid = mask[..., None]`.",
    ],
)
def masked_mean_and_max(x, mask):
    """masked_mean_and_max(x, mask): x (B, T, C), mask (B, T), True where valid -> mean (B, C), maximum (B, C)."""
    valid = mask[..., None]  # (B, T, 1)
    mean = torch.where(valid, x, 0.0).sum(dim=1) / mask.sum(dim=1, keepdim=True)  # (B, C)
    return mean, torch.where(valid, x, -torch.inf).amax(dim=1)


def _scored(draw: Draw):
    yield torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[0.5, 1.0, 2.0]]), torch.tensor([[True, True, False]])
    for B, T, C in [(1, 3, 2), (2, 5, 3), draw.sizes(3, 2, 7), draw.sizes(3, 2, 7)]:
        mask = draw.mask(B, T)
        mask[0, T // 2 + 1 :] = False
        yield draw.tensor(B, T, C), 2 * draw.tensor(B, T), mask
    yield (
        draw.tensor(2, 4, 3),
        draw.tensor(2, 4),
        torch.tensor([[False, True, False, True], [True, True, False, False]]),
    )


def _hidden(scores, mask):
    return scores.masked_fill(~mask, -torch.inf)


def _pooled(weights, gather=lambda weighted: weighted.sum(1), only=False):
    """Pooling with other weights (only those matter), or with something else done to the weighted steps."""

    def answer(x, scores, mask):
        w = weights(scores, mask)
        return ... if only else gather(w[..., None] * x), w

    return answer


def _right_weights(scores, mask):
    return torch.softmax(_hidden(scores, mask), 1)


@exercise(
    notebook="09",
    title="Attention pooling",
    minutes=10,
    inputs=_scored,
    parts=("the pooled vectors", "the weights"),
    mistakes=[
        (
            _pooled(lambda scores, mask: torch.softmax(scores, 1), only=True),
            "The mask is not used: padding gets weight.",
        ),
        (
            _pooled(lambda scores, mask: torch.softmax(_hidden(scores, mask), 0), only=True),
            "The softmax runs over the batch (dim 0): each item's weights must sum to 1.",
        ),
        (
            _pooled(lambda scores, mask: torch.softmax(scores, 1) * mask, only=True),
            "Padding has no weight, but the rest no longer sums to 1: hide the scores before the softmax.",
        ),
        (
            _pooled(lambda scores, mask: torch.softmax(scores * mask, 1), only=True),
            "A score of 0 is not 'hidden': softmax gives it weight. Hide with -inf.",
        ),
        (
            _pooled(lambda scores, mask: _hidden(scores, mask).sigmoid(), only=True),
            "These are sigmoids: weights must compete, so that they sum to 1. Use a softmax.",
        ),
        (
            _pooled(_right_weights, lambda weighted: weighted.mean(1)),
            "The weights sum to 1 already: sum over time, don't average again.",
        ),
        (_pooled(_right_weights, lambda weighted: weighted), "The steps are weighted, but not yet summed over time."),
    ],
    example=(
        torch.tensor([[[1.0], [3.0], [9.0]]]),
        torch.tensor([[0.0, 0.0, 5.0]]),
        torch.tensor([[True, True, False]]),
    ),
    hints=[
        "What score must a step have, so that the softmax gives it the weight 0? Set it before the softmax.",
        (
            "The softmax over time of the two valid scores is {}.",
            lambda x, scores, mask: torch.softmax(scores[:, :2], dim=1),
        ),
        "`masked_fill(~mask, value)` puts a value where the mask is False; then softmax over dim 1.",
        "Then the weighted sum of the steps over time. Begin with `hidden = scores.masked_fill(~mask, -torch.inf)`.",
    ],
)
def attention_pool(x, scores, mask):
    """attention_pool(x, scores, mask): x (B, T, C), scores (B, T), mask (B, T) -> pooled (B, C), weights (B, T)."""
    weights = torch.softmax(scores.masked_fill(~mask, -torch.inf), dim=1)  # (B, T)
    return torch.einsum("bt,btc->bc", weights, x), weights


def _weighed(draw: Draw):
    yield torch.tensor([[[1.0], [3.0]]]), torch.tensor([[0.25, 0.75]])
    for B, T, C in [(1, 3, 2), (2, 5, 3), draw.sizes(3, 2, 7), draw.sizes(3, 2, 7)]:
        yield draw.tensor(B, T, C) + 1.0, torch.softmax(2 * draw.tensor(B, T), 1)


def _statistics(mean=lambda x, w: (w * x).sum(1), deviation=None, join=lambda mean, deviation: [mean, deviation]):
    """Both statistics of x and w (B, T, 1), one of them in another way."""

    def answer(x, weights):
        w = weights[..., None]
        return torch.cat(join(mean(x, w), (deviation or _deviation)(x, w)), 1)

    return answer


def _squares(x, w):
    return (x - (w * x).sum(1, keepdim=True)).square()


def _deviation(x, w):
    return (w * _squares(x, w)).sum(1).sqrt()


@exercise(
    notebook="09",
    title="Mean and standard deviation under weights",
    minutes=10,
    inputs=_weighed,
    rtol=1e-3,
    mistakes=[
        (
            _statistics(deviation=lambda x, w: _deviation(x, w).square()),
            "This is the variance: the standard deviation is its square root.",
        ),
        (
            _statistics(deviation=lambda x, w: x.std(1, correction=0)),
            "The deviation is the plain one: it must use the weights, too.",
        ),
        (
            _statistics(deviation=lambda x, w: _squares(x, w).mean(1).sqrt()),
            "The distances are taken from the weighted mean, but then averaged without the weights.",
        ),
        (
            _statistics(deviation=lambda x, w: (w * x.square()).sum(1).sqrt()),
            "The weighted mean is not taken off before the squares.",
        ),
        (
            _statistics(join=lambda mean, deviation: [deviation, mean]),
            "The order is swapped: the mean comes first, then the deviation.",
        ),
        (_statistics(mean=lambda x, w: x.mean(1)), "The mean in the first half is the plain one."),
        (
            _statistics(deviation=lambda x, w: _deviation(x, w) * (x.shape[1] / (x.shape[1] - 1)) ** 0.5),
            "No correction by T / (T - 1) here: the weights say what the distribution is.",
        ),
    ],
    example=(torch.tensor([[[1.0], [3.0]]]), torch.tensor([[0.25, 0.75]])),
    hints=[
        "Give the weights a third axis, so that they multiply all channels; then everything is a sum over time.",
        ("The weighted mean is {}.", lambda x, weights: (weights[:, :, None] * x).sum(1)),
        (
            "The squared distances from it, before weighting, are {}.",
            lambda x, weights: (x - (weights[:, :, None] * x).sum(1, keepdim=True)) ** 2,
        ),
        "Their weighted sum is the variance; its root goes behind the mean. Begin with `w = weights[:, :, None]`.",
    ],
)
def weighted_statistics(x, weights):
    """weighted_statistics(x, weights): x (B, T, C), weights (B, T), rows of sum 1 -> (B, 2 C), mean, then deviation."""
    w = weights[:, :, None]  # (B, T, 1)
    mean = (w * x).sum(dim=1, keepdim=True)  # (B, 1, C)
    variance = (w * (x - mean).square()).sum(dim=1)  # (B, C)
    return torch.cat([mean[:, 0], variance.sqrt()], dim=1)
