"""Exercises of notebook 26."""

import torch

from course_lib.course.exercises import Draw, exercise


def _parts(draw: Draw):
    yield [torch.tensor([1.0, 2.0]), torch.tensor([4.0, 8.0])], [2, 1]
    yield [torch.tensor([1.0, 0.0, -1.0]), torch.tensor([0.0, 2.0, 3.0]), torch.tensor([5.0, 1.0, 0.0])], [1, 5, 2]
    for count in (2, 3, 4, 4):
        P = draw.integer(3, 7)
        yield [draw.tensor(P) for _ in range(count)], draw.sizes(count, 1, 9)


@exercise(
    notebook="26",
    title="Average unequal parts",
    minutes=6,
    inputs=_parts,
    mistakes=[
        (
            lambda g, n: sum(g) / len(g),
            "A gradient over more signals counts more: weight each by its number of signals.",
        ),
        (lambda g, n: sum(g), "This is the sum of the gradients: the loss is a mean."),
        (
            lambda g, n: sum(k * one for one, k in zip(g, n, strict=True)),
            "Divide by the number of all signals: the weights must sum to 1.",
        ),
        (
            lambda g, n: sum(k * one for one, k in zip(g, n, strict=True)) / len(g),
            "Divide by the number of all signals, not by that of processes.",
        ),
        (
            lambda g, n: sum(one / k for one, k in zip(g, n, strict=True)) / sum(1 / k for k in n),
            "The weights are upside down: more signals, more weight.",
        ),
    ],
    example=([torch.tensor([1.0, 2.0]), torch.tensor([4.0, 8.0])], [2, 1]),
    hints=[
        "Of all signals, which share lies with the first process?",
        ("There are {} signals in all.", lambda g, n: sum(n)),
        "The sum of a process's losses is its mean times its number of signals. Add these, divide by all signals.",
        "Begin with `total = sum(sizes)`.",
    ],
)
def average_gradients(gradients, sizes):
    """average_gradients(gradients, sizes): N gradients (P,) of mean losses over so many signals -> (P,), over all."""
    total = sum(sizes)
    return sum(size / total * g for g, size in zip(gradients, sizes, strict=True))


def _rings(draw: Draw):
    yield 8.0, 2, 2.0, 1.0
    yield 12.0, 4, 1.0, 0.5
    yield 10.0, 1, 3.0, 0.2
    for _ in range(4):
        yield draw.number(3, 90), draw.integer(2, 9), draw.number(1, 9), draw.number(0.1, 2)


def _ring(rounds=lambda n: 2 * (n - 1), piece=lambda n: n, once=False):
    """The answer with another number of rounds, another size of a piece, or the latency counted once."""

    def answer(size, processes, bandwidth, latency):
        count = rounds(processes)
        return (latency if once else count * latency) + count * size / piece(processes) / bandwidth

    return answer


@exercise(
    notebook="26",
    title="The time of a ring",
    minutes=8,
    inputs=_rings,
    mistakes=[
        (
            _ring(rounds=lambda n: n - 1),
            "That is reduce-scatter alone: the sums must go round as well, in N − 1 more rounds.",
        ),
        (
            _ring(rounds=lambda n: 2 * n),
            "After N − 1 rounds each piece has met all processes: 2 (N − 1) rounds, not 2 N.",
        ),
        (_ring(piece=lambda n: 1), "A round moves one piece, an N-th of the list, not all of it."),
        (_ring(once=True), "Each round waits for its message: the latency counts in every round."),
        (lambda s, n, b, t: 2 * (n - 1) * s / n / b, "Each round also takes the latency, however small the piece is."),
        (lambda s, n, b, t: 2 * (n - 1) * t, "The pieces take time, too: their bytes over the bandwidth."),
    ],
    example=(12.0, 4, 1.0, 0.5),
    hints=[
        "How many rounds does the ring make for four processes, and how large is what moves in one of them?",
        ("There are {} rounds.", lambda s, n, b, t: 2 * (n - 1)),
        "A round takes the latency, and the bytes of one piece over the bandwidth.",
        "Begin with `rounds = 2 * (processes - 1)`.",
    ],
)
def ring_seconds(size, processes, bandwidth, latency):
    """ring_seconds(size, processes, bandwidth, latency): bytes, N, bytes a second, seconds a round -> seconds."""
    rounds = 2 * (processes - 1)
    return rounds * (latency + size / processes / bandwidth)


def _shards(draw: Draw):
    everything = ["weights", "gradients", "optimizer"]
    yield 8, 2, []
    yield 8, 2, ["optimizer"]
    yield 12, 4, ["gradients", "optimizer"]
    yield 30, 3, everything
    yield 20, 5, ["weights"]
    yield 40, 8, ["gradients"]
    yield draw.integer(2, 9) * 6, 6, [draw.choice(everything)]


def _bytes(width=4, running=2, gradients=1, ignore=False, every=False):
    """The answer with other bytes a number, running means or gradients; or with nothing, or all, divided."""

    def answer(weights, processes, sharded):
        total = 0
        for name, numbers in (("weights", 1), ("gradients", gradients), ("optimizer", running)):
            divided = (name in sharded or (every and sharded)) and not ignore
            total += width * numbers * weights // (processes if divided else 1)
        return total

    return answer


@exercise(
    notebook="26",
    title="Bytes of a process",
    minutes=8,
    inputs=_shards,
    mistakes=[
        (_bytes(width=1), "These are numbers: a float32 has four bytes."),
        (_bytes(running=1), "Adam keeps two running means for each weight."),
        (_bytes(gradients=0), "The gradients are held, too."),
        (_bytes(running=0), "Adam's running means are held, too: two for each weight."),
        (_bytes(ignore=True), "What is sharded is divided by the number of processes."),
        (_bytes(every=True), "Only what `sharded` names is divided; the rest is whole in every process."),
        (
            lambda w, n, s: n * _bytes()(w, n, s),
            "These are the bytes of all processes together: one of them is asked for.",
        ),
    ],
    example=(8, 2, ["optimizer"]),
    hints=[
        "How many numbers does training hold for each weight, and which of them does the list name?",
        ("Without sharding there are {} bytes.", lambda w, n, s: 16 * w),
        "Go through weights (one number), gradients (one) and optimizer (two); divide by the processes what is named.",
        "Begin with `total = 0`.",
    ],
)
def training_bytes(weights, processes, sharded):
    """training_bytes(weights, processes, sharded): float32 and Adam -> bytes in one process.

    sharded: some of "weights", "gradients", "optimizer": what is divided among the processes, without rest.
    """
    total = 0
    for name, numbers in (("weights", 1), ("gradients", 1), ("optimizer", 2)):
        total += 4 * numbers * weights // (processes if name in sharded else 1)
    return total
