"""Exercises of notebook 08."""

import torch
import torch.nn.functional as F

from course_lib.course.exercises import Draw, Edge, exercise


def _kernels(draw: Draw):
    for T, K, dilation in [(3, 3, 1), (7, 2, 3), (7, 3, 2), (13, 3, 4), (6, 1, 2)]:
        yield draw.tensor(T), draw.tensor(K), dilation
    for _ in range(3):
        K, dilation, more = draw.sizes(3, 2, 6)
        yield draw.tensor(K * dilation + more), draw.tensor(K), dilation


def _conv(x, w, **options):
    return F.conv1d(x[None, None], w[None, None], **options)[0, 0]


@exercise(
    notebook="08",
    title="A kernel with gaps",
    minutes=8,
    inputs=_kernels,
    mistakes=[
        (
            lambda x, w, d: _conv(x, w, dilation=d)[: len(x) - len(w) * d],
            "The output is too short by `dilation` - 1: the last tap lies (K - 1) · dilation after the first.",
        ),
        (lambda x, w, d: _conv(x, w), "The taps are neighbours: tap k must look at sample t + k · dilation."),
        (
            lambda x, w, d: _conv(x, w)[: len(x) - (len(w) - 1) * d],
            "Right length, but the taps are neighbours: tap k looks at t + k · dilation.",
        ),
        (
            lambda x, w, d: _conv(x, w, dilation=d)[::d],
            "The windows move by `dilation`: that is a stride. A dilated kernel still moves by one sample.",
        ),
        (
            lambda x, w, d: _conv(x, w, stride=d),
            "This is a stride: the kernel jumps. Here its taps are apart and it moves by one.",
        ),
        (
            lambda x, w, d: _conv(F.pad(x, (0, len(w))), w, dilation=d + 1)[: max(len(x) - (len(w) - 1) * (d + 1), 0)],
            "The taps are `dilation` + 1 apart: d is the distance between taps, not the gap's size.",
        ),
        (lambda x, w, d: _conv(x, w.flip(0), dilation=d), "The kernel is flipped: deep learning does not flip it."),
        (
            lambda x, w, d: _conv(x, w, dilation=d, padding=(len(w) - 1) * d // 2),
            "This is padded to the length of x: here every window must fit inside x.",
        ),
    ],
    example=(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]), torch.tensor([1.0, 10.0]), 3),
    hints=[
        "The taps lie `dilation` samples apart. How many samples lie between the first and the last, both counted?",
        ("In the example a kernel spans {} samples.", lambda x, w, dilation: (len(w) - 1) * dilation + 1),
        ("So there are {} outputs.", lambda x, w, dilation: len(x) - (len(w) - 1) * dilation),
        "Windows of that span side by side, every dilation-th sample of each. Begin with "
        "`span = (len(w) - 1) * dilation + 1`.",
    ],
)
def dilated_conv(x, w, dilation):
    """dilated_conv(x, w, dilation): x (T,), w (K,) -> (T - (K - 1) · dilation,), taps `dilation` samples apart."""
    span = (len(w) - 1) * dilation + 1
    windows = x.unfold(0, span, 1)  # (T - span + 1, span)
    return windows[:, ::dilation] @ w


def _reaches(draw: Draw):
    yield from [(4, 3), (3, 3), (2, 2), (8, 3), (15, 3), (16, 3), (100, 5)]
    yield Edge((1, 3), "One sample is seen without any layer: the list is empty.")
    for _ in range(4):
        yield draw.integer(2, 900), draw.integer(2, 9)


def _doubling(reach, kernel_size, more=0, first=1, count=lambda kernel: kernel - 1):
    """Dilations that double from `first` until the reach, and `more`."""
    dilations = []
    while 1 + count(kernel_size) * sum(dilations) < reach:
        dilations.append(first * 2 ** len(dilations))
    return dilations[:more] if more < 0 else dilations + [first * 2 ** (len(dilations) + i) for i in range(more)]


@exercise(
    notebook="08",
    title="How many dilations?",
    minutes=8,
    inputs=_reaches,
    call=lambda fn, reach, kernel_size: list(a) if isinstance(a := fn(reach, kernel_size), tuple) else a,
    mistakes=[
        (
            lambda reach, kernel: _doubling(reach, kernel, more=1),
            "One too many: the stack sees `reach` samples with one dilation less.",
        ),
        (
            lambda reach, kernel: _doubling(reach, kernel, more=-1),
            "One too few: a stack sees 1 + (K - 1) · (1 + 2 + 4 + …).",
        ),
        (
            lambda reach, kernel: [2 * d for d in _doubling(reach, kernel)],
            lambda reach, kernel: _doubling(reach, kernel, first=2),
            "The first dilation is 1: with 2 every other sample would be skipped.",
        ),
        (
            lambda reach, kernel: [i + 1 for i in range(len(_doubling(reach, kernel)))],
            "Dilations double: 1, 2, 4, 8, …, they don't count up.",
        ),
        (
            lambda reach, kernel: len(_doubling(reach, kernel)),
            "This is how many there are: return the list of dilations.",
        ),
        (
            lambda reach, kernel: _doubling(reach, kernel, count=lambda K: K),
            "A layer adds (K - 1) · dilation samples, not K · dilation: one of its taps is there already.",
        ),
        (
            lambda reach, kernel: _doubling(reach + 1, kernel),
            "Exactly `reach` samples are enough, and a stack without layers sees one already.",
        ),
        (
            lambda reach, kernel: _doubling(reach - 1, kernel),
            "The stack sees one sample too few: with no layer at all it sees one.",
        ),
    ],
    example=(12, 3),
    hints=[
        "A layer adds (kernel_size - 1) · dilation samples to the one that is seen without any layer.",
        (
            "Dilations 1 and 2 together see {} samples, not yet 12.",
            lambda reach, kernel_size: 1 + (kernel_size - 1) * 3,
        ),
        "Add one dilation after the other, each twice the one before, as long as too little is seen.",
        "A loop that asks before it adds leaves the list empty for one sample. Begin with `dilations = []`.",
    ],
)
def dilations_for(reach, kernel_size):
    """dilations_for(reach, kernel_size) -> the shortest list 1, 2, 4, … whose stack sees at least `reach` samples."""
    dilations = []
    while 1 + (kernel_size - 1) * sum(dilations) < reach:
        dilations.append(2 ** len(dilations))
    return dilations


def _excited(draw: Draw):
    for B, T, C, H in [(1, 2, 1, 2), (1, 2, 3, 2), (2, 5, 3, 4), draw.sizes(4, 2, 7), draw.sizes(4, 2, 7)]:
        yield draw.tensor(B, T, C), draw.tensor(H, C), draw.tensor(H), draw.tensor(C, H), draw.tensor(C)


def _gated(squeeze=lambda x: x.mean(1, keepdim=True), inner=F.relu, outer=torch.sigmoid, join=torch.mul):
    """Squeeze and excitation with one of its parts replaced."""
    return lambda x, w1, b1, w2, b2: join(x, outer(F.linear(inner(F.linear(squeeze(x), w1, b1)), w2, b2)))


@exercise(
    notebook="08",
    title="Squeeze and excitation",
    minutes=10,
    inputs=_excited,
    mistakes=[
        (
            _gated(join=lambda x, gate: gate[:, 0]),
            "These are the weights, right ones: now multiply x with them, every time step alike.",
        ),
        (
            _gated(lambda x: x),
            "The weights differ from step to step: squeeze first, the mean of each channel over time.",
        ),
        (
            _gated(lambda x: x.mean((0, 1), keepdim=True)),
            "The mean runs over the batch, too: each item has its own weights.",
        ),
        (_gated(lambda x: x.amax(1, keepdim=True)), "Squeezed by the maximum: it is the mean over time here."),
        (_gated(inner=lambda v: v), "The ReLU between the two linear maps is missing."),
        (_gated(outer=lambda v: v), "The sigmoid at the end is missing: weights lie in 0 to 1."),
        (_gated(outer=lambda v: v.softmax(-1)), "A softmax makes channels compete; here each has its own sigmoid."),
        (_gated(join=torch.add), "The weights multiply x: they are not added."),
    ],
    example=(
        torch.tensor([[[1.0, -2.0], [3.0, 4.0]]]),
        torch.tensor([[1.0, 0.0]]),
        torch.tensor([-2.0]),
        torch.tensor([[1.0], [2.0]]),
        torch.tensor([0.0, 1.0]),
    ),
    hints=[
        "Squeeze: the time dimension goes, one number a channel stays. Excite: two linear maps, ReLU after the first.",
        ("The means over time are {}.", lambda x, w1, b1, w2, b2: x.mean(1)),
        ("The H hidden numbers before ReLU are {}.", lambda x, w1, b1, w2, b2: x.mean(1) @ w1.T + b1),
        "The sigmoid's weights (B, C) need a time dimension to meet x. Begin with "
        "`hidden = torch.relu(x.mean(dim=1) @ w1.T + b1)`.",
    ],
)
def squeeze_and_excite(x, w1, b1, w2, b2):
    """squeeze_and_excite(x, w1, b1, w2, b2): x (B, T, C), w1 (H, C), w2 (C, H) -> x with a weight for each channel."""
    hidden = torch.relu(x.mean(dim=1) @ w1.T + b1)  # (B, H)
    weights = torch.sigmoid(hidden @ w2.T + b2)  # (B, C)
    return x * weights[:, None]


def _layers(draw: Draw):
    yield 2, 3, 5, 7
    yield 6, 10, 7, 50
    for _ in range(4):
        yield tuple(draw.sizes(4, 2, 99))


def _cost(weights):
    """(weights, multiply-adds) from the number of weights."""
    return lambda c_in, c_out, kernel, steps: (weights(c_in, c_out, kernel), weights(c_in, c_out, kernel) * steps)


@exercise(
    notebook="08",
    title="What separating saves",
    minutes=8,
    inputs=_layers,
    parts=("the weights", "the multiply-adds"),
    mistakes=[
        (
            _cost(lambda c_in, c_out, kernel: c_in * c_out * kernel),
            "This is the full convolution: each output channel with a kernel for each input.",
        ),
        (
            lambda c_in, c_out, kernel, steps: (c_in * (kernel + c_out),) * 2,
            "Right weights; each of them is used once for every output step, so multiply by steps.",
        ),
        (
            _cost(lambda c_in, c_out, kernel: c_in * kernel),
            "The second convolution is missing: kernel 1, from c_in to c_out channels.",
        ),
        (
            _cost(lambda c_in, c_out, kernel: c_in * c_out),
            "The first convolution is missing: one kernel for each input channel.",
        ),
        (
            _cost(lambda c_in, c_out, kernel: c_out * kernel + c_in * c_out),
            "The depthwise convolution comes first, so it runs on the c_in channels, not on c_out.",
        ),
        (lambda *a: separable_cost(*a)[::-1], "The two are swapped: the weights first, then the multiply-adds."),
        (
            _cost(lambda c_in, c_out, kernel: c_in * (kernel + c_out) + c_in + c_out),
            "Biases are counted: these convolutions have none, a normalisation follows.",
        ),
    ],
    example=(2, 3, 5, 7),
    hints=[
        "The depthwise convolution has one filter a channel; the other has one weight for each pair of channels.",
        ("In the example the depthwise one has {} weights.", lambda c_in, c_out, kernel, steps: c_in * kernel),
        ("The one of kernel 1 has {}.", lambda c_in, c_out, kernel, steps: c_in * c_out),
        "Each weight is used once for every output step. Begin with `weights = c_in * kernel + c_in * c_out`.",
    ],
)
def separable_cost(c_in, c_out, kernel, steps):
    """separable_cost(c_in, c_out, kernel, steps) -> (weights, multiply-adds), depthwise and then kernel 1."""
    weights = c_in * kernel + c_in * c_out
    return weights, weights * steps
