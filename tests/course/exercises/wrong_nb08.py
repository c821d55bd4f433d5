"""Wrong answers to the exercises of notebook 08, each with a piece of the hint that it must get."""

import torch
import torch.nn.functional as F


def conv(x, w, **options):
    return F.conv1d(x[None, None], w[None, None], **options)[0, 0]


def doubling(reach, kernel, more=0, start=1):
    dilations = []
    while 1 + (kernel - 1) * sum(dilations) < reach:
        dilations.append(2 ** len(dilations))
    dilations += [2 ** (len(dilations) + i) for i in range(more)]
    return [start * d for d in (dilations[:more] if more < 0 else dilations)]


def excite(squeeze=lambda x: x.mean(1)[:, None], inner=F.relu, outer=torch.sigmoid, join=lambda x, gate: x * gate):
    """A wrong `squeeze_and_excite`, one of its parts replaced."""

    def answer(x, w1, b1, w2, b2):
        return join(x, outer(F.linear(inner(F.linear(squeeze(x), w1, b1)), w2, b2)))

    return answer


def cost(weights):
    return lambda c_in, c_out, kernel, steps: (weights(c_in, c_out, kernel), weights(c_in, c_out, kernel) * steps)


def right(c_in, c_out, kernel):
    return c_in * (kernel + c_out)


WRONG = {
    "dilated_conv": {
        "neighbours": (lambda x, w, d: conv(x, w), "taps are neighbours: tap k must"),
        "neighbours, cut": (lambda x, w, d: conv(x, w)[: len(x) - (len(w) - 1) * d], "Right length"),
        "stride": (lambda x, w, d: conv(x, w, stride=d), "the kernel jumps"),
        "both": (lambda x, w, d: conv(x, w, dilation=d)[::d], "still moves by one"),
        "gap": (lambda x, w, d: conv(x, w, dilation=d + 1), "not the gap's size"),
        "flipped": (lambda x, w, d: conv(x, w.flip(0), dilation=d), "flipped"),
        "padded": (lambda x, w, d: conv(x, w, dilation=d, padding=(len(w) - 1) * d // 2), "padded"),
        "one window short": (lambda x, w, d: conv(x, w, dilation=d)[: len(x) - len(w) * d], "too short"),
    },
    "dilations_for": {
        "one more": (lambda reach, k: doubling(reach, k, more=1), "One too many"),
        "one less": (lambda reach, k: doubling(reach, k, more=-1), "One too few"),
        "from two": (lambda reach, k: doubling(reach, k, start=2), "first dilation is 1"),
        "counting": (lambda reach, k: [i + 1 for i in range(len(doubling(reach, k)))], "Dilations double"),
        "number": (lambda reach, k: len(doubling(reach, k)), "return the list"),
    },
    "squeeze_and_excite": {
        "weights only": (excite(join=lambda x, gate: gate[:, 0]), "now multiply x"),
        "no squeeze": (excite(squeeze=lambda x: x), "differ from step to step"),
        "over the batch": (excite(squeeze=lambda x: x.mean((0, 1))[None, None]), "over the batch"),
        "maximum": (excite(squeeze=lambda x: x.amax(1)[:, None]), "by the maximum"),
        "no ReLU": (excite(inner=lambda v: v), "ReLU between"),
        "no sigmoid": (excite(outer=lambda v: v), "sigmoid at the end"),
        "softmax": (excite(outer=lambda v: v.softmax(-1)), "compete"),
        "added": (excite(join=lambda x, gate: x + gate), "not added"),
    },
    "separable_cost": {
        "full": (cost(lambda i, o, k: i * o * k), "full convolution"),
        "no steps": (lambda i, o, k, steps: (right(i, o, k), right(i, o, k)), "multiply by steps"),
        "depthwise only": (cost(lambda i, o, k: i * k), "second convolution is missing"),
        "pointwise only": (cost(lambda i, o, k: i * o), "first convolution is missing"),
        "on c_out": (cost(lambda i, o, k: o * k + i * o), "not on c_out"),
        "swapped": (lambda i, o, k, steps: (right(i, o, k) * steps, right(i, o, k)), "swapped"),
        "biases": (cost(lambda i, o, k: right(i, o, k) + i + o), "Biases"),
        "one number": (lambda i, o, k, steps: right(i, o, k), "Two results are expected"),
    },
}
