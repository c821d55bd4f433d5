"""Wrong answers to the exercises of notebook 09, each with a piece of the hint that it must get."""

import torch


def mean_and_max(
    mean_fill=0.0, max_fill=-torch.inf, count=lambda mask: mask.sum(1, keepdim=True), swap=False, product=False
):
    """A wrong `masked_mean_and_max`. A fill of None leaves the padding as it is."""

    def fill(x, mask, value):
        return x if value is None else torch.where(mask[..., None], x, value)

    def answer(x, mask):
        kept = x * mask[..., None] if product else fill(x, mask, mean_fill)
        mean, largest = kept.sum(1) / count(mask), fill(x, mask, max_fill).amax(1)
        return (largest, mean) if swap else (mean, largest)

    return answer


def length(mask):
    return mask.shape[1]


def pool(weights, gather=lambda weighted: weighted.sum(1)):
    """A wrong `attention_pool`: weights of (scores, mask), and what is done with the weighted steps."""

    def answer(x, scores, mask):
        w = weights(scores, mask)
        return gather(w[:, :, None] * x), w

    return answer


def right_weights(scores, mask):
    return torch.softmax(scores.masked_fill(~mask, -torch.inf), 1)


def statistics(mean=None, deviation=None, join=lambda mean, deviation: torch.cat([mean, deviation], 1)):
    """A wrong `weighted_statistics`: its mean and deviation as functions of (x, w (B, T, 1))."""

    def answer(x, weights):
        w = weights[:, :, None]
        return join((mean or weighted_mean)(x, w), (deviation or weighted_deviation)(x, w))

    return answer


def weighted_mean(x, w):
    return (w * x).sum(1)


def squares(x, w):
    return (x - weighted_mean(x, w)[:, None]).square()


def weighted_deviation(x, w):
    return (w * squares(x, w)).sum(1).sqrt()


WRONG = {
    "masked_mean_and_max": {
        "no mask": (mean_and_max(None, None, length), "mask is not used"),
        "mean of all": (mean_and_max(None, count=length), "enters the mean"),
        "maximum of all": (mean_and_max(max_fill=None), "wins the maximum"),
        "divided by T": (mean_and_max(count=length), "divide by T"),
        "zero as maximum": (mean_and_max(max_fill=0.0), "fill with -inf"),
        "zeros": (mean_and_max(max_fill=0.0, count=length), "not enough"),
        "swapped": (mean_and_max(swap=True), "swapped"),
        "product": (mean_and_max(product=True), "0 times NaN"),
        "one": (lambda x, mask: x.mean(1), "Two results are expected"),
    },
    "attention_pool": {
        "no mask": (pool(lambda s, m: torch.softmax(s, 1)), "padding gets weight"),
        "over the batch": (pool(lambda s, m: torch.softmax(s.masked_fill(~m, -torch.inf), 0)), "dim 0"),
        "masked late": (pool(lambda s, m: torch.softmax(s, 1) * m), "no longer sums to 1"),
        "zero scores": (pool(lambda s, m: torch.softmax(s * m, 1)), "not 'hidden'"),
        "sigmoid": (pool(lambda s, m: s.masked_fill(~m, -torch.inf).sigmoid()), "must compete"),
        "averaged": (pool(right_weights, lambda weighted: weighted.mean(1)), "don't average again"),
        "not summed": (pool(right_weights, lambda weighted: weighted), "not yet summed"),
        "one": (lambda x, s, m: pool(right_weights)(x, s, m)[0], "Two results are expected"),
    },
    "weighted_statistics": {
        "variance": (statistics(deviation=lambda x, w: (w * squares(x, w)).sum(1)), "square root"),
        "plain deviation": (statistics(deviation=lambda x, w: x.std(1, correction=0)), "it must use the weights"),
        "plain average": (statistics(deviation=lambda x, w: squares(x, w).mean(1).sqrt()), "without the weights"),
        "mean left in": (statistics(deviation=lambda x, w: (w * x.square()).sum(1).sqrt()), "not taken off"),
        "swapped": (statistics(join=lambda mean, deviation: torch.cat([deviation, mean], 1)), "order is swapped"),
        "plain mean": (statistics(mean=lambda x, w: x.mean(1)), "first half is the plain one"),
        "T - 1": (
            statistics(deviation=lambda x, w: weighted_deviation(x, w) * (x.shape[1] / (x.shape[1] - 1)) ** 0.5),
            "No correction",
        ),
    },
}
