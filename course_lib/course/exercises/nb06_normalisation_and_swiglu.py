"""Exercises of notebook 06: root-mean-square normalisation, running statistics, a gated network and its size."""

import numpy as np
import torch
import torch.nn.functional as F

from course_lib.course.exercises import Draw, exercise


def _batches(draw: Draw):
    for B, T, C in [(1, 1, 2), (1, 2, 3), (2, 5, 3), draw.sizes(3, 2, 6), draw.sizes(3, 2, 6)]:
        yield 0.3 * draw.tensor(B, T, C) + 0.2, draw.tensor(C), draw.number(0.05, 0.3)


def _normalised(
    mean=lambda square: square.mean(dim=2, keepdim=True),
    root=lambda m, eps: (m + eps).sqrt(),
    start=lambda x: x,
    weight=lambda w: w,
):
    """RMSNorm with another mean, another root, of something else than x, or without the weight."""
    return lambda x, w, eps: start(x) / root(mean(start(x).square()), eps) * weight(w)


@exercise(
    notebook="06",
    title="Root mean square",
    minutes=8,
    inputs=_batches,
    mistakes=[
        (
            _normalised(root=lambda m, eps: m.sqrt() + eps),
            "eps stands outside the root: it is added to the mean square, before the root.",
        ),
        (_normalised(root=lambda m, eps: m.sqrt()), "eps is missing: a silent step would give 0/0."),
        (
            _normalised(start=lambda x: x - x.mean(dim=2, keepdim=True)),
            "The mean was taken off: that is LayerNorm. RMSNorm leaves it in.",
        ),
        (
            _normalised(lambda square: square.sum(dim=2, keepdim=True)),
            "Divided by the length of the vector: take the mean of the squares, not their sum.",
        ),
        (_normalised(root=lambda m, eps: m + eps), "The root is missing: this is the mean square."),
        (
            _normalised(lambda square: square.mean(dim=1, keepdim=True)),
            "The mean runs over time: each step is normalised by itself, over its channels.",
        ),
        (
            _normalised(lambda square: square.mean(dim=(1, 2), keepdim=True)),
            "One number for a whole item: each step has its own root mean square.",
        ),
        (
            _normalised(lambda square: square.mean()),
            "One number for everything: each step has its own root mean square.",
        ),
        (_normalised(weight=torch.ones_like), "The weight is missing: each channel has a factor."),
    ],
    example=(torch.tensor([[[3.0, 4.0, 0.0, 0.0]]]), torch.tensor([1.0, 1.0, 1.0, 2.0]), 0.0),
    hints=[
        "Each step of each item is normalised by itself: the mean runs over the last dimension, the channels.",
        ("The mean of the squares is {}.", lambda x, weight, eps: x.square().mean(-1)),
        "eps is added to the mean square, under the root. The weight comes last, one number a channel.",
        "`keepdim=True` keeps (B, T, 1), so that it divides x. Begin with "
        "`mean_square = x.square().mean(dim=-1, keepdim=True)`.",
    ],
)
def rms_norm(x, weight, eps):
    """rms_norm(x, weight, eps): x (B, T, C), weight (C,) -> (B, T, C), each step by its root mean square"""
    mean_square = x.square().mean(dim=-1, keepdim=True)  # (B, T, 1)
    return x / torch.sqrt(mean_square + eps) * weight


def _statistics(draw: Draw):
    for B, T, C in [(1, 2, 1), (2, 5, 3), draw.sizes(3, 2, 6), draw.sizes(3, 2, 6)]:
        x = draw.tensor(B, T, C) * (1 + draw.tensor(C).abs()) + 3 * draw.tensor(C)
        yield draw.tensor(C), 1 + draw.tensor(C).abs(), x, draw.number(0.05, 0.4)


def _moved(old, new, share):
    return (1 - share) * old + share * new


def _mean(mix=_moved, mean=lambda x: x.mean((0, 1))):
    """Only the mean, in another way."""
    return lambda old, var, x, momentum: (mix(old, mean(x), momentum), ...)


def _variance(mix=_moved, variance=lambda x: x.flatten(0, 1).var(0)):
    """Only the variance, in another way."""
    return lambda mean, old, x, momentum: (..., mix(old, variance(x), momentum))


def _round_the_running_mean(mean, var, x, momentum):
    rows = x.flatten(0, 1)
    return ..., _moved(var, (rows - _moved(mean, rows.mean(0), momentum)).square().sum(0) / (len(rows) - 1), momentum)


@exercise(
    notebook="06",
    title="Running statistics",
    minutes=10,
    inputs=_statistics,
    parts=("the running mean", "the running variance"),
    mistakes=[
        (
            _mean(lambda old, new, share: share * old + (1 - share) * new),
            "The shares are swapped: momentum is the share of the new batch, as PyTorch has it.",
        ),
        (
            _mean(lambda old, new, share: new),
            "This is the batch's mean: the running one moves towards it by `momentum`.",
        ),
        (_mean(lambda old, new, share: old), "The running mean has not moved."),
        (
            _mean(lambda old, new, share: old + share * new),
            "The old mean keeps its full weight: it must shrink to 1 − momentum.",
        ),
        (_mean(mean=lambda x: x.mean(0)), "The mean runs over the batch only: a channel has one, over batch and time."),
        (
            lambda old, var, x, momentum: (_moved(old[0], x.mean(), momentum), ...),
            "One number for all channels: each channel has its own mean, over batch and time.",
        ),
        (_mean(mean=lambda x: x.mean()), "One mean for all channels: each channel has its own, over batch and time."),
        (
            _variance(variance=lambda x: x.flatten(0, 1).var(0, unbiased=False)),
            "The variance is the biased one: the running one is divided by n − 1 (torch.var does so by itself).",
        ),
        (
            _variance(variance=lambda x: x.flatten(0, 1).std(0)),
            "The standard deviation went in: the running number is a variance.",
        ),
        (
            _variance(variance=lambda x: x.square().mean((0, 1))),
            "The mean square went in: take the mean off before squaring.",
        ),
        (
            _variance(lambda old, new, share: share * old + (1 - share) * new),
            "The variance's shares are swapped: momentum is that of the new batch.",
        ),
        (
            _round_the_running_mean,
            "Distances from the running mean were squared: the batch's variance is taken round its own mean.",
        ),
        (_variance(lambda old, new, share: old), "The running variance has not moved."),
    ],
    example=(torch.tensor([0.0]), torch.tensor([1.0]), torch.tensor([[[1.0], [3.0]], [[5.0], [7.0]]]), 0.5),
    hints=[
        "A channel's statistics run over all items and all steps: 4 numbers in the example.",
        ("The batch's own mean is {}.", lambda mean, var, x, momentum: x.flatten(0, 1).mean(0)),
        ("Its unbiased variance is {}.", lambda mean, var, x, momentum: x.flatten(0, 1).var(0)),
        "New is (1 - momentum) times the old plus momentum times the batch's. Begin with `rows = x.flatten(0, 1)`.",
    ],
)
def running_update(mean, var, x, momentum):
    """running_update(mean, var, x, momentum): mean, var (C,), x (B, T, C) -> the next running mean and variance (C,)"""
    rows = x.flatten(0, 1)  # (B * T, C)
    new_mean = (1 - momentum) * mean + momentum * rows.mean(dim=0)
    new_var = (1 - momentum) * var + momentum * rows.var(dim=0)
    return new_mean, new_var


def _networks(draw: Draw):
    for T, C, H in [(1, 2, 1), (1, 3, 2), (5, 3, 4), draw.sizes(3, 2, 7), draw.sizes(3, 2, 7)]:
        yield draw.tensor(T, C), draw.tensor(2 * H, C), draw.tensor(C, H)


def _gated(gate, halves=lambda hidden: hidden.chunk(2, dim=1)):
    """A network with another gate, or other halves."""
    return lambda x, w_in, w_out: gate(*halves(x @ w_in.T)) @ w_out.T


@exercise(
    notebook="06",
    title="A gated network",
    minutes=8,
    inputs=_networks,
    mistakes=[
        (
            _gated(lambda first, second: first * F.silu(second)),
            "The second half was gated: x σ(x) is taken of the first one.",
        ),
        (
            _gated(lambda first, second: torch.sigmoid(first) * second),
            "A sigmoid gates here: that is GLU. SwiGLU has x σ(x).",
        ),
        (
            _gated(lambda first, second: F.gelu(first) * second),
            "GELU gates here: that is GEGLU. SwiGLU has x σ(x), F.silu.",
        ),
        (_gated(lambda first, second: F.silu(first) + second), "The halves were added: a gate multiplies."),
        (
            _gated(lambda first, second: F.silu(first) * F.silu(second)),
            "Both halves went through x σ(x): the second stays linear.",
        ),
        (
            _gated(lambda first, second: first * second),
            "There is no nonlinearity on the first half: x σ(x) is missing.",
        ),
        (_gated(lambda first, second: F.relu(first) * second), "ReLU gates here: SwiGLU has x σ(x), which is smooth."),
        (
            lambda x, w_in, w_out: F.silu((x @ w_in.T).chunk(2, dim=1)[0]) * (x @ w_in.T).chunk(2, dim=1)[1],
            "The hidden numbers come back: w_out has to bring them to C channels.",
        ),
        (
            _gated(lambda first, second: F.silu(first) * second, lambda hidden: (hidden[:, 0::2], hidden[:, 1::2])),
            "Neighbours were paired: the halves are rows 0 to H − 1 and H to 2H − 1.",
        ),
    ],
    example=(torch.tensor([[1.0, 2.0]]), torch.tensor([[2.0, 0.0], [1.0, 1.0]]), torch.tensor([[1.0], [2.0]])),
    hints=[
        "One product with w_in makes 2H numbers a step: the first H go through x·σ(x), the others stay as they are.",
        ("In the example the 2H numbers are {}.", lambda x, w_in, w_out: x @ w_in.T),
        ("The first half becomes {}.", lambda x, w_in, w_out: F.silu((x @ w_in.T).chunk(2, 1)[0])),
        "The halves are multiplied, then w_out leads back. Begin with `first, second = (x @ w_in.T).chunk(2, dim=1)`.",
    ],
)
def swiglu(x, w_in, w_out):
    """swiglu(x, w_in, w_out): x (T, C), w_in (2H, C), w_out (C, H) -> (T, C), the first hidden half gates"""
    first, second = (x @ w_in.T).chunk(2, dim=1)  # (T, H) each
    return (F.silu(first) * second) @ w_out.T


def _hidden_sizes(draw: Draw):
    yield from (2, 3, 7, 96, 100)
    for _ in range(4):
        yield draw.integer(101, 3000)


def _with_type(fn, hidden_size):
    """The size, and whether it is a whole number to Python."""
    answer = fn(hidden_size)
    return answer, "int" if isinstance(answer, int | np.integer) else type(answer).__name__


@exercise(
    notebook="06",
    title="Equal size",
    minutes=5,
    inputs=_hidden_sizes,
    call=_with_type,
    parts=("the hidden size", "its type"),
    mistakes=[
        (lambda h: h, "The same hidden size gives half as many weights again: w_in has 2H rows."),
        (lambda h: h // 2, "Halved: w_in has as many weights then, but w_out has only half."),
        (lambda h: 3 * h // 2, "It grew: three matrices of C × H must hold what two held."),
        (lambda h: 2 * h, "It grew: three matrices of C × H must hold what two held, so H shrinks."),
        (lambda h: 2 * h // 3, "Rounded down: 66.7 is nearer to 67."),
        (lambda h: -(-2 * h // 3), "Rounded up: 64.3 is nearer to 64."),
        (lambda h: h // 3, "A third: two matrices are shared out among three, which leaves two thirds."),
        (lambda h: 3 * h // 4, "Three quarters: two matrices become three, so H shrinks to two thirds."),
        (lambda h: 2 * h / 3, "A size is a whole number: round it."),
        (lambda h: torch.tensor(round(2 * h / 3)), "Right number, but of type Tensor: layers want an int."),
        (lambda h: float(round(2 * h / 3)), "Right number, but of type float: layers want an int."),
    ],
    example=(12,),
    hints=[
        "Two matrices here, three there, all of C times the hidden size: C drops out.",
        ("The plain network has {} weights for each channel C.", lambda hidden_size: 2 * hidden_size),
        "Three matrices of which hidden size have as many? The nearest whole number is wanted, not the next lower one.",
        "Python's `round` gives the nearest whole number; the weights to share out are `2 * hidden_size`.",
    ],
)
def gated_hidden_size(hidden_size):
    """gated_hidden_size(hidden_size): -> int, with which SwiGLU has as many weights (not counting biases)"""
    return round(2 * hidden_size / 3)
