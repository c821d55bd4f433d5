"""Wrong answers to the exercises of notebook 10, each with a piece of the hint that it must get."""

import torch
import torch.nn.functional as F


def focal(factor=lambda p, gamma: (1 - p) ** gamma, dim=1, reduce=torch.mean, sign=-1.0):
    """A wrong `my_focal_loss`: another factor, softmax axis, reduction or sign."""

    def answer(logits, targets, gamma):
        log_p = F.log_softmax(logits, dim).gather(1, targets[:, None])[:, 0]
        return reduce(sign * factor(log_p.exp(), gamma) * log_p)

    return answer


def from_mean(logits, targets, gamma):
    loss = F.cross_entropy(logits, targets)
    return (1 - (-loss).exp()) ** gamma * loss


def all_classes(logits, targets, gamma):
    log_p = F.log_softmax(logits, 1)
    return (-((1 - log_p.exp()) ** gamma) * log_p).sum(1).mean()


def overflowing(logits, targets, gamma):
    p = (logits.exp() / logits.exp().sum(1, keepdim=True)).gather(1, targets[:, None])[:, 0]
    return (-((1 - p) ** gamma) * p.log()).mean()


def slope(bracket):
    return lambda p, gamma: -((1 - p) ** gamma) * bracket(p, gamma)


WRONG = {
    "focal_loss": {
        "cross-entropy": (lambda z, y, gamma: F.cross_entropy(z, y), "factor (1 - p)^gamma is missing"),
        "sum": (focal(reduce=torch.sum), "sum over the batch"),
        "no mean": (focal(reduce=lambda v: v), "One loss for each item"),
        "sign": (focal(sign=1.0), "sign is flipped"),
        "p": (focal(lambda p, gamma: p**gamma), "The factor is p^gamma"),
        "mean first": (from_mean, "its own p"),
        "all classes": (all_classes, "only the target's"),
        "over the batch": (focal(dim=0), "dim 0"),
        "factor": (focal(lambda p, gamma: gamma), "not a factor"),
        "overflow": (overflowing, "exp overflows"),
    },
    "focal_slope": {
        "sign": (lambda p, g: (1 - p) ** g * ((1 - p) - g * p * p.log()), "sign is flipped"),
        "cross-entropy": (lambda p, g: p - 1, "gamma does not enter"),
        "one term": (slope(lambda p, g: 1 - p), "own slope is missing"),
        "plus": (slope(lambda p, g: (1 - p) + g * p * p.log()), "sign inside the bracket"),
        "no p": (slope(lambda p, g: (1 - p) - g * p.log()), "A p is missing"),
        "no gamma": (slope(lambda p, g: (1 - p) - p * p.log()), "gamma is missing"),
        "by p": (lambda p, g: slope(lambda p, g: (1 - p) - g * p * p.log())(p, g) / (p * (1 - p)), "derivative by p"),
        "the loss": (slope(lambda p, g: p.log()), "loss itself"),
    },
    "undo_weight": {
        "again": (lambda p, w: w * p / (w * p + 1 - p), "once more"),
        "divided": (lambda p, w: p / w, "divide the odds"),
        "odds": (lambda p, w: p / (1 - p) / w, "turn them back"),
        "common class": (lambda p, w: 1 - p / (p + w * (1 - p)), "common class"),
        "wrong term": (lambda p, w: p / (w * p + 1 - p), "wrong term"),
    },
}
