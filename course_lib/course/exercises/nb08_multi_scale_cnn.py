"""Checks of notebook 08."""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.course.exercises import Hint, exercise, expect


def _random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@exercise(notebook="08", title="A kernel with gaps", minutes=8)
def dilated_conv(fn):
    """dilated_conv(x, w, dilation): x (T,), w (K,) -> (T - (K - 1) · dilation,), taps `dilation` samples apart."""
    x, w, d = _random(13, seed=0), _random(3, seed=1), 4

    def conv(w, **options):
        return F.conv1d(x[None, None], w[None, None], **options)[0, 0]

    right = conv(w, dilation=d)
    span = (len(w) - 1) * d + 1
    inflated = conv(w, dilation=d + 1)
    answer = fn(x, w, d)
    if isinstance(answer, Tensor) and answer.shape == (len(x) - len(w) * d,):
        raise Hint("The output is too short by `dilation` - 1: the last tap lies (K - 1) · dilation after the first.")
    expect(
        answer,
        right,
        mistakes=[
            (conv(w), "The taps are neighbours: tap k must look at sample t + k · dilation."),
            (conv(w)[: len(right)], "Right length, but the taps are neighbours: tap k looks at t + k · dilation."),
            (
                right[::d],
                "The windows move by `dilation`: that is a stride. A dilated kernel still moves by one sample.",
            ),
            (conv(w, stride=d), "This is a stride: the kernel jumps. Here its taps are apart and it moves by one."),
            (inflated, "The taps are `dilation` + 1 apart: d is the distance between taps, not the gap's size."),
            (conv(w.flip(0), dilation=d), "The kernel is flipped: deep learning does not flip it."),
            (
                conv(w, dilation=d, padding=span // 2),
                "This is padded to the length of x: here every window must fit inside x.",
            ),
        ],
        what="the output",
    )
    expect(fn(x, w, 1), conv(w), what="the output for dilation 1")


@exercise(notebook="08", title="How many dilations?", minutes=8)
def dilations_for(fn):
    """dilations_for(reach, kernel_size) -> the shortest list 1, 2, 4, … whose stack sees at least `reach` samples."""
    right = {(15, 3): [1, 2, 4], (16, 3): [1, 2, 4, 8], (100, 5): [1, 2, 4, 8, 16], (1, 3): []}
    for (reach, kernel), dilations in right.items():
        answer = fn(reach, kernel)
        answer = list(answer) if isinstance(answer, tuple) else answer
        seen = 1 + (kernel - 1) * sum(dilations)
        mistakes = [
            (
                dilations + [2 ** len(dilations)],
                f"One too many: {dilations} sees {seen} samples, and {reach} are asked.",
            ),
            (
                dilations[:-1],
                f"One too few for {reach} samples with kernel {kernel}: a stack sees 1 + (K - 1) · (1 + 2 + 4 + …).",
            ),
            ([2 * d for d in dilations], "The first dilation is 1: with 2 every other sample would be skipped."),
            ([i + 1 for i in range(len(dilations))], "Dilations double: 1, 2, 4, 8, …, they don't count up."),
            (len(dilations), "This is how many there are: return the list of dilations."),
        ]
        expect(answer, dilations, mistakes=mistakes, what=f"the list for reach {reach}, kernel {kernel}")


@exercise(notebook="08", title="Squeeze and excitation", minutes=10)
def squeeze_and_excite(fn):
    """squeeze_and_excite(x, w1, b1, w2, b2): x (B, T, C), w1 (H, C), w2 (C, H) -> x with a weight for each channel."""
    B, T, C, H = 2, 5, 3, 4
    x, w1, b1 = _random(B, T, C, seed=0), _random(H, C, seed=1), _random(H, seed=2)
    w2, b2 = _random(C, H, seed=3), _random(C, seed=4)

    def weights(squeezed, inner=F.relu, outer=torch.sigmoid):
        return outer(F.linear(inner(F.linear(squeezed, w1, b1)), w2, b2))

    mean = x.mean(1)
    gate = weights(mean)
    expect(
        fn(x, w1, b1, w2, b2),
        x * gate[:, None],
        mistakes=[
            (gate, "These are the weights, right ones: now multiply x with them, every time step alike."),
            (
                x * weights(x),
                "The weights differ from step to step: squeeze first, the mean of each channel over time.",
            ),
            (
                x * weights(x.mean((0, 1)))[None, None],
                "The mean runs over the batch, too: each item has its own weights.",
            ),
            (x * weights(x.amax(1))[:, None], "Squeezed by the maximum: it is the mean over time here."),
            (x * weights(mean, inner=lambda v: v)[:, None], "The ReLU between the two linear maps is missing."),
            (
                x * weights(mean, outer=lambda v: v)[:, None],
                "The sigmoid at the end is missing: weights lie in 0 to 1.",
            ),
            (
                x * weights(mean, outer=lambda v: v.softmax(-1))[:, None],
                "A softmax makes channels compete; here each has its own sigmoid.",
            ),
            (x + gate[:, None], "The weights multiply x: they are not added."),
        ],
        what="the output",
    )


@exercise(notebook="08", title="What separating saves", minutes=8)
def separable_cost(fn):
    """separable_cost(c_in, c_out, kernel, steps) -> (weights, multiply-adds), depthwise and then kernel 1."""
    c_in, c_out, kernel, steps = 6, 10, 7, 50
    weights = c_in * kernel + c_in * c_out
    full = c_in * c_out * kernel
    answer = fn(c_in, c_out, kernel, steps)
    if answer is not None and (not isinstance(answer, tuple | list) or len(answer) != 2):
        raise Hint("Return two numbers: the weights and the multiply-adds.")
    expect(
        answer if answer is None else list(answer),
        [weights, weights * steps],
        mistakes=[
            ([full, full * steps], "This is the full convolution: each output channel with a kernel for each input."),
            (
                [weights, weights],
                "Right weights; each of them is used once for every output step, so multiply by steps.",
            ),
            (
                [c_in * kernel, c_in * kernel * steps],
                "The second convolution is missing: kernel 1, from c_in to c_out channels.",
            ),
            (
                [c_in * c_out, c_in * c_out * steps],
                "The first convolution is missing: one kernel for each input channel.",
            ),
            (
                [c_out * kernel + c_in * c_out, (c_out * kernel + c_in * c_out) * steps],
                "The depthwise convolution comes first, so it runs on the c_in channels, not on c_out.",
            ),
            (
                [weights * steps, weights],
                "The two are swapped: the weights first, then the multiply-adds.",
            ),
            (
                [weights + c_in + c_out, (weights + c_in + c_out) * steps],
                "Biases are counted: these convolutions have none, a normalisation follows.",
            ),
        ],
        what="the pair (weights, multiply-adds)",
    )
