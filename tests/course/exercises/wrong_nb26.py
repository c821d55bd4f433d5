"""Wrong answers to the exercises of notebook 26, each with a piece of the hint that it must get."""

import torch


def held(weights, processes, sharded, numbers=(1, 1, 2)):
    """Bytes of each of the three, with so many numbers a weight."""
    names = ("weights", "gradients", "optimizer")
    return sum(
        4 * count * weights // (processes if name in sharded else 1) for name, count in zip(names, numbers, strict=True)
    )


WRONG = {
    "average_gradients": {
        "a plain mean": (lambda g, n: torch.stack(g).mean(0), "counts more"),
        "the sum": (lambda g, n: torch.stack(g).sum(0), "the loss is a mean"),
        "not divided": (lambda g, n: torch.stack([k * a for a, k in zip(g, n, strict=True)]).sum(0), "sum to 1"),
        "by processes": (
            lambda g, n: torch.stack([k * a for a, k in zip(g, n, strict=True)]).mean(0),
            "not by that of processes",
        ),
    },
    "ring_seconds": {
        "half of the rounds": (lambda s, n, b, t: (n - 1) * (t + s / n / b), "reduce-scatter alone"),
        "2 N": (lambda s, n, b, t: 2 * n * (t + s / n / b), "not 2 N"),
        "whole lists": (lambda s, n, b, t: 2 * (n - 1) * (t + s / b), "an N-th"),
        "latency once": (lambda s, n, b, t: t + 2 * (n - 1) * s / n / b, "in every round"),
        "no latency": (lambda s, n, b, t: 2 * s * (n - 1) / (n * b), "also takes the latency"),
        "latency alone": (lambda s, n, b, t: 2 * t * (n - 1), "take time, too"),
    },
    "training_bytes": {
        "numbers": (lambda w, n, s: held(w, n, s) // 4, "four bytes"),
        "one mean": (lambda w, n, s: held(w, n, s, (1, 1, 1)), "two running means"),
        "no gradients": (lambda w, n, s: held(w, n, s, (1, 0, 2)), "gradients are held"),
        "no optimizer": (lambda w, n, s: held(w, n, s, (1, 1, 0)), "running means are held"),
        "never divided": (lambda w, n, s: 16 * w, "divided by the number"),
        "all divided": (lambda w, n, s: 16 * w // n if s else 16 * w, "Only what"),
        "together": (lambda w, n, s: n * held(w, n, s), "of all processes"),
    },
}
