"""Wrong answers to the exercises of notebook 07: exercise → name → (answer, a piece of the hint that it must get)."""

import torch
import torch.nn.functional as F


def _pre(x, attention, feed_forward, norm1, norm2):
    x = x + attention(norm1(x))
    return x + feed_forward(norm2(x))


def _post(x, attention, feed_forward, norm1, norm2):
    x = norm1(x + attention(x))
    return norm2(x + feed_forward(x))


def _only_post(x, a, f, n1, n2, kind):
    return _post(x, a, f, n1, n2)


def _only_pre(x, a, f, n1, n2, kind):
    return _pre(x, a, f, n1, n2)


def _norms_swapped(x, a, f, n1, n2, kind):
    return (_pre if kind == "pre" else _post)(x, a, f, n2, n1)


def _no_shortcuts(x, a, f, n1, n2, kind):
    return f(n2(a(n1(x))))


def _side_by_side(x, a, f, n1, n2, kind):
    return x + a(n1(x)) + f(n2(x))


def _shortcut_of_the_normalised(x, a, f, n1, n2, kind):
    x = n1(x) + a(n1(x))
    return x + f(n2(x))


def _one_shortcut(x, a, f, n1, n2, kind):
    return x + f(n2(a(n1(x))))


def _post_inside(x, a, f, n1, n2, kind):
    if kind == "pre":
        return _pre(x, a, f, n1, n2)
    x = x + n1(a(x))
    return x + n2(f(x))


def _front(x, token):
    return torch.cat([token.expand(len(x), 1, -1), x], dim=1)


def _scaled(x, dims=2, correction=0, eps=1e-5):
    return (x - x.mean(dims, keepdim=True)) / (x.std(dims, correction=correction, keepdim=True) + eps)


def _rms(values):
    return values.square().mean().sqrt()


WRONG = {
    "encoder_block": {
        "post for pre": (_only_post, "this is the post-norm block"),
        "pre for post": (_only_pre, "give the same"),
        "norms swapped": (_norms_swapped, "two normalisations are swapped"),
        "no shortcuts": (_no_shortcuts, "Both shortcuts are missing"),
        "side by side": (_side_by_side, "Both parts read the block's input"),
        "shortcut of the normalised": (_shortcut_of_the_normalised, "goes round the normalisation"),
        "one shortcut": (_one_shortcut, "There are two shortcuts"),
        "normalised before the sum": (_post_inside, "add first, then normalise"),
    },
    "prepend_cls": {
        "at the end": (
            lambda x, m, t: (torch.cat([x, t.expand(len(x), 1, -1)], dim=1), F.pad(m, (0, 1), value=True)),
            "behind the last step",
        ),
        "added": (lambda x, m, t: (x + t, m), "was added to each step"),
        "overwritten": (lambda x, m, t: (_front(x[:, 1:], t), m), "first step, which is lost"),
        "zeros": (lambda x, m, t: (_front(x, 0 * t), F.pad(m, (1, 0), value=True)), "zeros in front"),
        "mask as it was": (lambda x, m, t: (_front(x, t), m), "as long as before"),
        "token invalid": (lambda x, m, t: (_front(x, t), F.pad(m, (1, 0), value=False)), "marked as padding"),
        "mask at the end": (lambda x, m, t: (_front(x, t), F.pad(m, (0, 1), value=True)), "stands at the end"),
        "all valid": (
            lambda x, m, t: (_front(x, t), torch.ones(len(x), len(x[0]) + 1, dtype=torch.bool)),
            "has become real",
        ),
        "mask of numbers": (lambda x, m, t: (_front(x, t), F.pad(m.float(), (1, 0), value=1.0)), "should stay bool"),
        "steps only": (lambda x, m, t: _front(x, t), "Two results are expected"),
    },
    "spread": {
        "not relative": (lambda y: _rms(y.std(0, correction=0)), "Divide by the size"),
        "N - 1": (lambda y: _rms(y.std(0)) / _rms(y), "divided by N - 1"),
        "everything together": (lambda y: y.std(correction=0) / _rms(y), "all numbers together"),
        "within a clip": (lambda y: _rms(y.flatten(1).std(1, correction=0)) / _rms(y), "spread within a clip"),
        "plain mean": (lambda y: y.std(0, correction=0).mean() / _rms(y), "plain mean of the standard"),
        "by the deviation": (
            lambda y: _rms(y.std(0, correction=0)) / y.std(correction=0),
            "by the standard deviation of all outputs",
        ),
        "not reduced": (lambda y: y.std(0, correction=0) / _rms(y), "one step too early"),
    },
    "scale_clips": {
        "whole batch": (lambda x: _scaled(x, (0, 1, 2)), "a quiet clip stays quiet"),
        "over clips": (lambda x: _scaled(x, 0), "run over the clips"),
        "mean only": (lambda x: x - x.mean(2, keepdim=True), "now divide by the standard deviation"),
        "deviation only": (
            lambda x: _scaled(x) + x.mean(2, keepdim=True) / (x.std(2, correction=0, keepdim=True) + 1e-5),
            "the mean is still there",
        ),
        "root mean square": (lambda x: x / (x.square().mean(2, keepdim=True).sqrt() + 1e-5), "subtract the mean first"),
        "T - 1": (lambda x: _scaled(x, correction=1), "divided by T - 1"),
        "silence": (lambda x: _scaled(x, eps=0.0), "A silent clip became NaN"),
        "peak": (
            lambda x: (x - x.mean(2, keepdim=True)) / (x.abs().amax(2, keepdim=True) + 1e-5),
            "by the largest sample",
        ),
        "variance": (
            lambda x: (x - x.mean(2, keepdim=True)) / (x.var(2, correction=0, keepdim=True) + 1e-5),
            "take its root",
        ),
    },
}
