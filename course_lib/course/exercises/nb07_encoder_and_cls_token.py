"""Exercises of notebook 07: both kinds of encoder block, the CLS token, spread over clips, clips of one scale."""

import torch
import torch.nn.functional as F

from course_lib.course.exercises import Draw, exercise


def _parts(a, b, c, d):
    """Functions that stand for attention, feed-forward part and two normalisations."""

    def attention(x):
        return a * x.flip(1) + x.mean(1, keepdim=True)

    def feed_forward(x):
        return x.square() - b

    def norm1(x):
        return c * F.layer_norm(x, x.shape[2:])

    def norm2(x):
        return F.layer_norm(x, x.shape[2:]) - d

    return attention, feed_forward, norm1, norm2


def _blocks(draw: Draw):
    for B, T, C in [(1, 1, 2), (1, 2, 3), (2, 5, 3), draw.sizes(3, 2, 6)]:
        for kind in ("pre", "post"):
            yield draw.tensor(B, T, C), *_parts(*[draw.number(0.5, 2) for _ in range(4)]), kind


def _pre(x, attention, feed_forward, norm1, norm2):
    x = x + attention(norm1(x))
    return x + feed_forward(norm2(x))


def _post(x, attention, feed_forward, norm1, norm2):
    x = norm1(x + attention(x))
    return norm2(x + feed_forward(x))


def _post_inside(x, attention, feed_forward, norm1, norm2):
    x = x + norm1(attention(x))
    return x + norm2(feed_forward(x))


def _block(pre=_pre, post=_post):
    """A block whose two kinds are these; `...` for a kind that does not matter."""

    def answer(*args):
        found = {"pre": pre, "post": post}[args[-1]]
        return found if found is ... else found(*args[:-1])

    return answer


def _shortcut_of_the_normalised(x, attention, feed_forward, norm1, norm2):
    x = norm1(x) + attention(norm1(x))
    return x + feed_forward(norm2(x))


def _no_second_norm(x, attention, feed_forward, norm1, norm2):
    x = x + attention(norm1(x))
    return x + feed_forward(x)


@exercise(
    notebook="07",
    title="Both kinds of block",
    minutes=10,
    inputs=_blocks,
    mistakes=[
        (_block(_post, ...), 'For "pre" this is the post-norm block: normalise what goes into a part, not the sum.'),
        (
            _block(lambda x, a, f, n1, n2: _pre(x, a, f, n2, n1), ...),
            "The two normalisations are swapped: norm1 belongs to the attention.",
        ),
        (
            _block(lambda x, a, f, n1, n2: f(n2(a(n1(x)))), ...),
            "Both shortcuts are missing: add to each part's output what went into the block's part.",
        ),
        (_block(_no_second_norm, ...), "The feed-forward part sees its input without norm2."),
        (
            _block(lambda x, a, f, n1, n2: x + a(n1(x)) + f(n2(x)), ...),
            "Both parts read the block's input: the feed-forward part comes after the attention and reads its sum.",
        ),
        (
            _block(_shortcut_of_the_normalised, ...),
            "The shortcut goes round the normalisation as well: add x, not norm1(x).",
        ),
        (
            _block(lambda x, a, f, n1, n2: x + f(n2(a(n1(x)))), ...),
            "There are two shortcuts, one round each part, not one.",
        ),
        (_block(..., _pre), '"pre" and "post" give the same: for "post", normalise the sum of shortcut and part.'),
        (
            _block(..., lambda x, a, f, n1, n2: _post(x, a, f, n2, n1)),
            'For "post" the two normalisations are swapped: norm1 belongs to the attention.',
        ),
        (
            _block(..., _post_inside),
            'For "post" you normalised the part\'s output and then added x: add first, then normalise.',
        ),
    ],
    example=(torch.tensor([[[1.0, 3.0], [2.0, 6.0]]]), *_parts(1.0, 2.0, 1.0, 0.5), "pre"),
    hints=[
        "Two parts, two shortcuts: each part's output is added to what went into that part.",
        'The kinds differ in one place: "pre" normalises what a part reads, "post" normalises the sum.',
        ('In the example, with "pre", the attention reads {}.', lambda x, attention, feed_forward, norm1, *_: norm1(x)),
        "The feed-forward part does the same with norm2, and begins from the first sum. For "
        '"post" each norm goes round its whole sum. Begin with `if kind == "pre":`.',
    ],
)
def encoder_block(x, attention, feed_forward, norm1, norm2, kind):
    """encoder_block(x, attention, feed_forward, norm1, norm2, kind): (B, T, C), kind "pre" or "post" -> (B, T, C)"""
    if kind == "pre":
        x = x + attention(norm1(x))
        return x + feed_forward(norm2(x))
    x = norm1(x + attention(x))
    return norm2(x + feed_forward(x))


def _items(draw: Draw):
    yield torch.tensor([[[1.0, 2.0]]]), torch.tensor([[True]]), torch.tensor([-1.0, -2.0])
    for B, T, C in [(2, 4, 3), (1, 3, 2), draw.sizes(3, 2, 6), draw.sizes(3, 2, 6)]:
        yield draw.tensor(B, T, C), draw.mask(B, T), draw.tensor(C)


def _front(x, token):
    return torch.cat([token.expand(len(x), 1, -1), x], dim=1)


@exercise(
    notebook="07",
    title="Put it in front",
    minutes=8,
    inputs=_items,
    parts=("the steps with the token in front", "their mask"),
    mistakes=[
        (
            lambda x, mask, token: (torch.cat([x, token.expand(len(x), 1, -1)], dim=1), ...),
            "The token stands behind the last step: it goes in front of the first.",
        ),
        (lambda x, mask, token: (x + token, ...), "The token was added to each step: it is a step of its own."),
        (
            lambda x, mask, token: (_front(x[:, 1:], token), ...),
            "The token took the place of the first step, which is lost.",
        ),
        (lambda x, mask, token: (_front(x, 0 * token), ...), "There are zeros in front: put the token there."),
        (lambda x, mask, token: (..., mask), "The mask is as long as before: the token needs an entry too, True."),
        (
            lambda x, mask, token: (..., F.pad(mask, (1, 0), value=False)),
            "The token is marked as padding, so nobody may read it: True.",
        ),
        (
            lambda x, mask, token: (..., F.pad(mask, (0, 1), value=True)),
            "The mask's new entry stands at the end, while the token is in front.",
        ),
        (
            lambda x, mask, token: (..., torch.ones_like(F.pad(mask, (1, 0)))),
            "The padding of the second item has become real: keep the old mask's entries.",
        ),
        (
            lambda x, mask, token: (..., F.pad(mask.float(), (1, 0), value=1.0)),
            "The mask consists of numbers: it should stay bool, True where a step is real.",
        ),
    ],
    example=(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), torch.tensor([[True, False]]), torch.tensor([9.0, 8.0])),
    hints=[
        "The token has no batch dimension yet, and the steps have: every item gets the same token, as one more step.",
        ("One step for each item has the shape {}.", lambda x, mask, token: tuple(token.expand(len(x), 1, -1).shape)),
        "Join token and steps along dim 1. The mask gets one more column in front, True for every item.",
        "`F.pad` can put a column before the first and give it a value. Begin with "
        "`first = token.expand(len(x), 1, -1)`.",
    ],
)
def prepend_cls(x, mask, token):
    """prepend_cls(x, mask, token): (B, T, C), (B, T) bool, (C,) -> (B, T + 1, C), (B, T + 1) bool"""
    first = token.expand(len(x), 1, -1)  # (B, 1, C)
    return torch.cat([first, x], dim=1), F.pad(mask, (1, 0), value=True)


def _outputs(draw: Draw):
    yield torch.tensor([[1.0, 2.0], [3.0, 2.5]])
    yield 1.5 + draw.tensor(4, 3, 2)
    yield torch.ones(3, 5)
    for shape in (draw.sizes(2, 2, 9), draw.sizes(3, 2, 6), draw.sizes(4, 2, 5)):
        yield draw.number(-2, 2) + draw.tensor(*shape)


def _rms(values):
    return values.square().mean().sqrt()


@exercise(
    notebook="07",
    title="Spread over clips",
    minutes=8,
    inputs=_outputs,
    mistakes=[
        (lambda y: _rms(y.std(0, correction=0)), "Divide by the size, the root mean square of all outputs."),
        (lambda y: _rms(y.std(0)) / _rms(y), "You divided by N - 1: `std` does by default; correction=0 divides by N."),
        (
            lambda y: y.std(correction=0) / _rms(y),
            "This is the spread of all numbers together: take it over clips (dim 0).",
        ),
        (
            lambda y: _rms(y.flatten(1).std(1, correction=0)) / _rms(y),
            "This is the spread within a clip: take the standard deviation over clips, dim 0.",
        ),
        (
            lambda y: y.std(0, correction=0).mean() / _rms(y),
            "You took the plain mean of the standard deviations: root mean square.",
        ),
        (
            lambda y: _rms(y.std(0, correction=0)) / y.std(correction=0),
            "You divided by the standard deviation of all outputs: divide by their root mean square.",
        ),
        (
            lambda y: y.std(0, correction=0) / _rms(y),
            "One number for each output is one step too early: reduce them to one.",
        ),
    ],
    example=(torch.tensor([[1.0, 2.0], [3.0, 2.0]]),),
    hints=[
        "Clips lie along dim 0. All other dimensions are numbers of the output: flatten them first.",
        ("The standard deviation of each number over the clips is {}.", lambda y: y.std(0, correction=0)),
        ("The root mean square of these is {}.", lambda y: round(float(_rms(y.std(0, correction=0))), 4)),
        "What is left is to divide by the root mean square of all outputs. Begin with `flat = outputs.flatten(1)`.",
    ],
)
def spread(outputs):
    """spread(outputs): (N, ...) -> std over clips, root mean square over the rest, relative to that of the outputs"""
    flat = outputs.flatten(1)  # (N, C)
    over_clips = flat.std(dim=0, correction=0)  # (C,)
    return float(over_clips.square().mean().sqrt() / flat.square().mean().sqrt())


def _clips(draw: Draw):
    yield torch.tensor([[[1.0, 3.0]], [[10.0, 30.0]]])
    for B, T in [(3, 5), (2, 4), draw.sizes(2, 3, 9)]:
        yield draw.number(1, 3) + draw.number(0.01, 30) * draw.tensor(B, 1, T)
    yield 1e-5 * draw.tensor(2, 1, 6)  # so quiet that the 1e-5 weighs as much as the deviation
    silence = torch.stack([torch.zeros(1, 4), draw.tensor(1, 4)])
    yield silence


def _over(dims):
    """A scaling with the statistics over these dimensions."""

    def answer(x):
        return (x - x.mean(dims, keepdim=True)) / (x.std(dims, correction=0, keepdim=True) + 1e-5)

    return answer


@exercise(
    notebook="07",
    title="One scale for all clips",
    minutes=8,
    inputs=_clips,
    mistakes=[
        (
            _over((0, 1, 2)),
            "One mean and deviation for the whole batch: a quiet clip stays quiet. Take them over dim 2.",
        ),
        (_over((0,)), "The statistics run over the clips, dim 0: take them over time, dim 2."),
        (lambda x: x - x.mean(2, keepdim=True), "The mean is gone; now divide by the standard deviation."),
        (
            lambda x: x / (x.std(2, correction=0, keepdim=True) + 1e-5),
            "You divided by the standard deviation; the mean is still there.",
        ),
        (
            lambda x: x / (x.square().mean(2, keepdim=True).sqrt() + 1e-5),
            "You divided by the root mean square of the clip with its mean: subtract the mean first.",
        ),
        (
            lambda x: (x - x.mean(2, keepdim=True)) / (x.std(2, keepdim=True) + 1e-5),
            "You divided by T - 1: `std` does by default; correction=0 divides by T.",
        ),
        (
            lambda x: (x - x.mean(2, keepdim=True)) / (x.abs().amax(2, keepdim=True) + 1e-5),
            "You divided by the largest sample, which one click decides: by the standard deviation.",
        ),
        (
            lambda x: (x - x.mean(2, keepdim=True)) / (x.var(2, correction=0, keepdim=True) + 1e-5),
            "You divided by the variance: take its root.",
        ),
        (
            lambda x: (x - x.mean(2, keepdim=True)) / x.std(2, correction=0, keepdim=True),
            "A silent clip became NaN, 0 / 0: add the 1e-5 to the standard deviation.",
        ),
    ],
    example=(torch.tensor([[[1.0, 3.0]], [[10.0, 30.0]]]),),
    hints=[
        "Each clip has a mean and a standard deviation of its own. Time is the last of the three dimensions.",
        ("The means are {}.", lambda x: x.mean(dim=2).flatten()),
        ("The standard deviations are {}.", lambda x: x.std(dim=2, correction=0).flatten()),
        "`keepdim=True` keeps (B, 1, 1), so that each clip meets its own numbers. Begin with "
        "`centred = x - x.mean(dim=2, keepdim=True)`.",
    ],
)
def scale_clips(x):
    """scale_clips(x): (B, 1, T) -> each clip minus its mean, over its standard deviation (divided by T) + 1e-5"""
    centred = x - x.mean(dim=2, keepdim=True)  # (B, 1, T)
    return centred / (x.std(dim=2, correction=0, keepdim=True) + 1e-5)
