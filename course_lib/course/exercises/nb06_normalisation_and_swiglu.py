"""Checks for notebook 06: root-mean-square normalisation, running statistics, a gated network and its size."""

import torch
import torch.nn.functional as F

from course_lib.course.exercises import Hint, exercise, expect


@exercise(notebook="06", title="Root mean square", minutes=8)
def rms_norm(fn):
    """rms_norm(x, weight, eps): x (B, T, C), weight (C,) -> (B, T, C), each step by its root mean square"""
    generator = torch.Generator().manual_seed(0)
    x = 0.3 * torch.randn(2, 5, 3, generator=generator) + 0.2
    weight, eps = torch.tensor([1.0, 0.5, -2.0]), 0.1
    square = x.square()
    centred = x - x.mean(dim=2, keepdim=True)
    expect(
        fn(x, weight, eps),
        x / (square.mean(dim=2, keepdim=True) + eps).sqrt() * weight,
        mistakes=[
            (
                x / (square.mean(dim=2, keepdim=True).sqrt() + eps) * weight,
                "eps stands outside the root: it is added to the mean square, before the root.",
            ),
            (x / square.mean(dim=2, keepdim=True).sqrt() * weight, "eps is missing: a silent step would give 0/0."),
            (
                centred / (centred.square().mean(dim=2, keepdim=True) + eps).sqrt() * weight,
                "The mean was taken off: that is LayerNorm. RMSNorm leaves it in.",
            ),
            (
                x / (square.sum(dim=2, keepdim=True) + eps).sqrt() * weight,
                "Divided by the length of the vector: take the mean of the squares, not their sum.",
            ),
            (x / (square.mean(dim=2, keepdim=True) + eps) * weight, "The root is missing: this is the mean square."),
            (
                x / (square.mean(dim=1, keepdim=True) + eps).sqrt() * weight,
                "The mean runs over time: each step is normalised by itself, over its channels.",
            ),
            (
                x / (square.mean(dim=(1, 2), keepdim=True) + eps).sqrt() * weight,
                "One number for a whole item: each step has its own root mean square.",
            ),
            (
                x / (square.mean() + eps).sqrt() * weight,
                "One number for everything: each step has its own root mean square.",
            ),
            (x / (square.mean(dim=2, keepdim=True) + eps).sqrt(), "The weight is missing: each channel has a factor."),
        ],
        what="the normalised x",
    )


@exercise(notebook="06", title="Running statistics", minutes=10)
def running_update(fn):
    """running_update(mean, var, x, momentum): mean, var (C,), x (B, T, C) -> the next running mean and variance (C,)"""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 5, 3, generator=generator) * torch.tensor([1.0, 2.0, 0.5]) + torch.tensor([0.0, 4.0, -1.0])
    mean, var, momentum = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([1.0, 1.5, 2.0]), 0.1
    rows = x.flatten(0, 1)  # (B * T, C)
    new_mean, new_var = rows.mean(0), rows.var(0)
    kept_mean, kept_var = mean.clone(), var.clone()
    answer = fn(mean, var, x, momentum)
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise Hint("Two results are expected, the next mean and the next variance: return both.")
    if not (torch.equal(mean, kept_mean) and torch.equal(var, kept_var)):
        raise Hint("The old statistics were changed in place: return new tensors.")
    expect(
        answer[0],
        0.9 * mean + 0.1 * new_mean,
        mistakes=[
            (
                0.1 * mean + 0.9 * new_mean,
                "The shares are swapped: momentum is the share of the new batch, as PyTorch has it.",
            ),
            (new_mean, "This is the batch's mean: the running one moves towards it by `momentum`."),
            (mean, "The running mean has not moved."),
            (mean + 0.1 * new_mean, "The old mean keeps its full weight: it must shrink to 1 − momentum."),
            (
                0.9 * mean + 0.1 * x.mean(dim=0),
                "The mean runs over the batch only: a channel has one, over batch and time.",
            ),
            (
                0.9 * mean[0] + 0.1 * x.mean(),
                "One number for all channels: each channel has its own mean, over batch and time.",
            ),
        ],
        what="the running mean",
    )
    expect(
        answer[1],
        0.9 * var + 0.1 * new_var,
        mistakes=[
            (
                0.9 * var + 0.1 * rows.var(0, unbiased=False),
                "The variance is the biased one: the running one is divided by n − 1 (torch.var does so by itself).",
            ),
            (0.9 * var + 0.1 * rows.std(0), "The standard deviation went in: the running number is a variance."),
            (0.9 * var + 0.1 * rows.square().mean(0), "The mean square went in: take the mean off before squaring."),
            (0.1 * var + 0.9 * new_var, "The variance's shares are swapped: momentum is that of the new batch."),
            (
                0.9 * var + 0.1 * (x - (0.9 * mean + 0.1 * new_mean)).square().flatten(0, 1).sum(0) / (len(rows) - 1),
                "Distances from the running mean were squared: the batch's variance is taken round its own mean.",
            ),
            (var, "The running variance has not moved."),
        ],
        what="the running variance",
    )


@exercise(notebook="06", title="A gated network", minutes=8)
def swiglu(fn):
    """swiglu(x, w_in, w_out): x (T, C), w_in (2H, C), w_out (C, H) -> (T, C), the first hidden half gates"""
    generator = torch.Generator().manual_seed(0)
    x, w_in, w_out = (torch.randn(*shape, generator=generator) for shape in ((5, 3), (8, 3), (3, 4)))
    first, second = (x @ w_in.T).chunk(2, dim=1)  # (T, H) each
    even, odd = (x @ w_in.T)[:, 0::2], (x @ w_in.T)[:, 1::2]
    expect(
        fn(x, w_in, w_out),
        (F.silu(first) * second) @ w_out.T,
        mistakes=[
            ((first * F.silu(second)) @ w_out.T, "The second half was gated: x σ(x) is taken of the first one."),
            ((torch.sigmoid(first) * second) @ w_out.T, "A sigmoid gates here: that is GLU. SwiGLU has x σ(x)."),
            ((F.gelu(first) * second) @ w_out.T, "GELU gates here: that is GEGLU. SwiGLU has x σ(x), F.silu."),
            ((F.silu(first) + second) @ w_out.T, "The halves were added: a gate multiplies."),
            ((F.silu(first) * F.silu(second)) @ w_out.T, "Both halves went through x σ(x): the second stays linear."),
            ((first * second) @ w_out.T, "There is no nonlinearity on the first half: x σ(x) is missing."),
            ((F.relu(first) * second) @ w_out.T, "ReLU gates here: SwiGLU has x σ(x), which is smooth."),
            (F.silu(first) * second, "The hidden numbers come back: w_out has to bring them to C channels."),
            ((F.silu(even) * odd) @ w_out.T, "Neighbours were paired: the halves are rows 0 to H − 1 and H to 2H − 1."),
        ],
        what="the output",
    )


@exercise(notebook="06", title="Equal size", minutes=5)
def gated_hidden_size(fn):
    """gated_hidden_size(hidden_size): -> int, with which SwiGLU has as many weights (not counting biases)"""
    answer = fn(100)
    expect(
        answer,
        67,
        mistakes=[
            (100, "The same hidden size gives half as many weights again: w_in has 2H rows."),
            (50, "Halved: w_in has as many weights then, but w_out has only half."),
            (150, "It grew: three matrices of C × H must hold what two held."),
            (200, "It grew: three matrices of C × H must hold what two held, so H shrinks."),
            (66, "Rounded down: 66.7 is nearer to 67."),
            (33, "A third: two matrices are shared out among three, which leaves two thirds."),
            (75, "Three quarters: two matrices become three, so H shrinks to two thirds."),
            (200 / 3, "A size is a whole number: round it."),
        ],
        what="the hidden size for 100",
    )
    if not isinstance(answer, int):
        raise Hint(f"Right number, but of type {type(answer).__name__}: layers want an int.")
    expect(fn(96), 64, what="the hidden size for 96")
