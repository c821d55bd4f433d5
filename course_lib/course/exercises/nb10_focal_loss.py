"""Exercises of notebook 10."""

import torch
import torch.nn.functional as F

from course_lib.course.exercises import Draw, Edge, exercise


def _logits(draw: Draw):
    for B, C in [(1, 2), (2, 3), (7, 3), draw.sizes(2, 2, 9), draw.sizes(2, 2, 9)]:
        yield 2 * draw.tensor(B, C), torch.from_numpy(draw.integers(0, C - 1, B)), draw.choice([0.5, 1.0, 2.0, 3.0])
    yield 2 * draw.tensor(4, 3), torch.tensor([0, 2, 1, 1]), 0.0
    large = torch.tensor([[800.0, 0.0, -5.0], [0.0, 300.0, 0.0]])
    yield Edge(
        (large, torch.tensor([1, 1]), 3.0),
        nan="With logits of 800 the loss is not finite: exp overflows. Start from log_softmax.",
        hint="With logits of several hundred the loss is wrong: start from log_softmax.",
    )


def _focal(factor=lambda p, gamma: (1 - p) ** gamma, dim=1, reduce=torch.mean):
    """A focal loss with another factor, softmax axis or reduction."""

    def answer(logits, targets, gamma):
        log_p = F.log_softmax(logits, dim).gather(1, targets[:, None])[:, 0]
        return reduce(-factor(log_p.exp(), gamma) * log_p)

    return answer


def _from_the_mean(logits, targets, gamma):
    loss = F.cross_entropy(logits, targets)
    return (1 - (-loss).exp()) ** gamma * loss


def _all_classes(logits, targets, gamma):
    log_p = F.log_softmax(logits, 1)
    return (-((1 - log_p.exp()) ** gamma) * log_p).sum(1).mean()


@exercise(
    notebook="10",
    title="Focal loss for a batch",
    minutes=10,
    inputs=_logits,
    mistakes=[
        (
            lambda logits, targets, gamma: F.cross_entropy(logits, targets),
            "This is cross-entropy: the factor (1 - p)^gamma is missing.",
        ),
        (_focal(reduce=torch.sum), "This is the sum over the batch: take the mean."),
        (_focal(reduce=lambda each: each), "One loss for each item: take the mean over the batch."),
        (lambda *a: -focal_loss(*a), "The sign is flipped: log p is negative, a loss is not."),
        (
            _focal(lambda p, gamma: p**gamma),
            "The factor is p^gamma: it must be small where p is near 1, (1 - p)^gamma.",
        ),
        (_from_the_mean, "The factor comes from the mean loss: each item needs its own p, before the mean is taken."),
        (_all_classes, "The sum runs over all classes: only the target's probability counts."),
        (_focal(dim=0), "The softmax runs over the batch (dim 0): the classes are dim 1."),
        (_focal(lambda p, gamma: gamma), "gamma is a power of 1 - p, not a factor."),
    ],
    example=(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0]), 2.0),
    hints=[
        "Of each row only one probability counts, that of its target. First get its logarithm, then everything else.",
        ("log_softmax over the classes, dim 1, gives {}.", lambda logits, *_: F.log_softmax(logits, 1)),
        (
            "`gather(1, targets[:, None])` picks one number a row, and the targets' probabilities are {}.",
            lambda logits, targets, _: F.log_softmax(logits, 1).gather(1, targets[:, None])[:, 0].exp(),
        ),
        "Each item's loss is its factor (1 - p) to the power gamma times -log p; then the mean. "
        "Begin with `log_p = F.log_softmax(logits, dim=1)`.",
    ],
)
def focal_loss(logits, targets, gamma):
    """my_focal_loss(logits, targets, gamma): logits (B, C), targets (B,) -> the mean over the batch."""
    log_p = F.log_softmax(logits, dim=1).gather(1, targets[:, None])[:, 0]  # (B,)
    return (-((1 - log_p.exp()) ** gamma) * log_p).mean()


def _probabilities(draw: Draw):
    yield torch.tensor([0.3]), 2.0
    yield torch.tensor([0.05, 0.3, 0.6, 0.9]), 3.0
    for gamma in (0.5, 1.0, 0.0, draw.number(1, 4)):
        yield torch.sigmoid(2 * draw.tensor(draw.integer(2, 6))), gamma


def _slope(bracket):
    """A slope with another bracket behind -(1 - p)^gamma."""
    return lambda p, gamma: -((1 - p) ** gamma) * bracket(p, gamma)


@exercise(
    notebook="10",
    title="The slope",
    minutes=8,
    inputs=_probabilities,
    mistakes=[
        (lambda *a: -focal_slope(*a), "The sign is flipped: a larger logit of the right answer lowers the loss."),
        (lambda p, gamma: p - 1, "This is cross-entropy's slope: gamma does not enter."),
        (_slope(lambda p, gamma: 1 - p), "The factor's own slope is missing: p occurs in (1 - p)^gamma, too."),
        (
            _slope(lambda p, gamma: (1 - p) + gamma * p * p.log()),
            "A sign inside the bracket: it is minus gamma · p · ln p.",
        ),
        (_slope(lambda p, gamma: (1 - p) - gamma * p.log()), "A p is missing in the second term: gamma · p · ln p."),
        (
            lambda p, gamma: focal_slope(p, gamma) / (p * (1 - p)),
            "This is the derivative by p. By the logit it is p (1 - p) times as large.",
        ),
        (
            _slope(lambda p, gamma: (1 - p) - p * p.log()),
            "gamma is missing in the second term: it comes down from the exponent.",
        ),
        (_slope(lambda p, gamma: p.log()), "This is the loss itself, not its slope."),
    ],
    example=(torch.tensor([0.5]), 1.0),
    hints=[
        "Two factors hold a p: u = (1 - p) to the power gamma, and v = ln p. The product rule gives -(u'v + uv').",
        ("The first factor's slope by p, -gamma (1 - p) to the power gamma - 1, is {} here.", lambda p, g: -g + 0 * p),
        ("The second factor's slope by p, 1/p, is {}.", lambda p, gamma: 1 / p),
        "The chain rule multiplies both terms by dp/dz = p (1 - p). "
        "Begin with `by_p = gamma * (1 - p) ** (gamma - 1) * p.log() - (1 - p) ** gamma / p`.",
    ],
)
def focal_slope(p, gamma):
    """focal_slope(p, gamma): p (N,), of the right answer -> (N,), the loss's derivative by the right answer's logit."""
    return -((1 - p) ** gamma) * ((1 - p) - gamma * p * p.log())


def _shares(draw: Draw):
    yield torch.tensor([0.5]), 3.0
    for w in (20.0, 0.25, draw.number(2, 60), draw.number(2, 9)):
        yield torch.cat([torch.tensor([0.02, 0.4]), torch.sigmoid(2 * draw.tensor(draw.integer(1, 4)))]), w


@exercise(
    notebook="10",
    title="Undo the weights",
    minutes=6,
    inputs=_shares,
    mistakes=[
        (lambda p, w: w * p / (w * p + 1 - p), "This weights once more: the odds must be divided by w."),
        (lambda p, w: p / w, "The probability is divided by w: divide the odds, p / (1 - p)."),
        (
            lambda p, w: p / (1 - p) / w,
            "These are the odds of q: turn them back into a probability, odds / (1 + odds).",
        ),
        (lambda p, w: 1 - undo_weight(p, w), "This is the share of the common class: one minus it."),
        (lambda p, w: p / (w * p + 1 - p), "w stands at the wrong term: q = p / (p + w (1 - p))."),
    ],
    example=(torch.tensor([0.5, 0.75]), 3.0),
    hints=[
        "The weight multiplied the odds, the probability over its complement. Undo that, and nothing else.",
        ("The odds behind these probabilities are {}.", lambda p, w: p / (1 - p)),
        ("The true odds are {}.", lambda p, w: p / (1 - p) / w),
        "Odds o belong to the probability o / (1 + o). Begin with `odds = p / (1 - p) / w`.",
    ],
)
def undo_weight(p, w):
    """undo_weight(p, w): p (N,) from training with weight w on the rare class -> (N,), the share behind it."""
    return p / (p + w * (1 - p))
