"""Checks of notebook 07: both kinds of encoder block, the CLS token, counting parameters, spread over clips."""

import torch
import torch.nn.functional as F

from course_lib.course.exercises import Hint, exercise, expect


@exercise(notebook="07", title="Both kinds of block", minutes=10)
def encoder_block(fn):
    """encoder_block(x, attention, feed_forward, norm1, norm2, kind): (B, T, C), kind "pre" or "post" -> (B, T, C)"""
    x = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))

    def attention(x):
        return 0.5 * x.flip(1) + x.mean(1, keepdim=True)

    def feed_forward(x):
        return x.square() - 1

    def norm1(x):
        return 2 * F.layer_norm(x, (3,))

    def norm2(x):
        return F.layer_norm(x, (3,)) - 0.5

    parts = (attention, feed_forward, norm1, norm2)
    pre, post = _pre(x, *parts), _post(x, *parts)
    swapped = (attention, feed_forward, norm2, norm1)
    middle = x + attention(norm1(x))
    expect(
        fn(x, *parts, "pre"),
        pre,
        mistakes=[
            (post, 'For "pre" this is the post-norm block: normalise what goes into a part, not the sum.'),
            (_pre(x, *swapped), "The two normalisations are swapped: norm1 belongs to the attention."),
            (
                feed_forward(norm2(attention(norm1(x)))),
                "Both shortcuts are missing: add to each part's output what went into the block's part.",
            ),
            (
                middle + feed_forward(middle),
                "The feed-forward part sees its input without norm2.",
            ),
            (
                x + attention(norm1(x)) + feed_forward(norm2(x)),
                "Both parts read the block's input: the feed-forward part comes after the attention and reads its sum.",
            ),
            (
                norm1(x) + attention(norm1(x)) + feed_forward(norm2(norm1(x) + attention(norm1(x)))),
                "The shortcut goes round the normalisation as well: add x, not norm1(x).",
            ),
            (x + feed_forward(norm2(attention(norm1(x)))), "There are two shortcuts, one round each part, not one."),
        ],
        what='the output for kind="pre"',
    )
    expect(
        fn(x, *parts, "post"),
        post,
        mistakes=[
            (pre, '"pre" and "post" give the same: for "post", normalise the sum of shortcut and part.'),
            (_post(x, *swapped), 'For "post" the two normalisations are swapped: norm1 belongs to the attention.'),
            (
                _post_inside(x, *parts),
                'For "post" you normalised the part\'s output and then added x: add first, then normalise.',
            ),
        ],
        what='the output for kind="post"',
    )


def _pre(x, attention, feed_forward, norm1, norm2):
    x = x + attention(norm1(x))
    return x + feed_forward(norm2(x))


def _post(x, attention, feed_forward, norm1, norm2):
    x = norm1(x + attention(x))
    return norm2(x + feed_forward(x))


def _post_inside(x, attention, feed_forward, norm1, norm2):
    x = x + norm1(attention(x))
    return x + norm2(feed_forward(x))


@exercise(notebook="07", title="Put it in front", minutes=8)
def prepend_cls(fn):
    """prepend_cls(x, mask, token): (B, T, C), (B, T) bool, (C,) -> (B, T + 1, C), (B, T + 1) bool"""
    x = torch.arange(24.0).reshape(2, 4, 3)
    mask = torch.tensor([[True, True, True, True], [True, True, False, False]])
    token = torch.tensor([-1.0, -2.0, -3.0])
    found = fn(x, mask, token)
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise Hint("Return two tensors: the steps with the token in front, and their mask.")
    values, valid = found
    rows = token.expand(2, 1, 3)
    expect(
        values,
        torch.cat([rows, x], dim=1),
        mistakes=[
            (torch.cat([x, rows], dim=1), "The token stands behind the last step: it goes in front of the first."),
            (x + token, "The token was added to each step: it is a step of its own."),
            (torch.cat([rows, x[:, 1:]], dim=1), "The token took the place of the first step, which is lost."),
            (torch.cat([0 * rows, x], dim=1), "There are zeros in front: put the token there."),
        ],
        what="the steps",
    )
    shifted = F.pad(mask, (1, 0), value=True)
    if isinstance(valid, torch.Tensor) and valid.dtype != torch.bool:
        raise Hint(f"The mask is {valid.dtype}: it should stay bool, True where a step is real.")
    expect(
        valid,
        shifted,
        mistakes=[
            (mask, "The mask is as long as before: the token needs an entry too, True."),
            (F.pad(mask, (1, 0), value=False), "The token is marked as padding, so nobody may read it: True."),
            (F.pad(mask, (0, 1), value=True), "The mask's new entry stands at the end, while the token is in front."),
            (torch.ones_like(shifted), "The padding of the second item has become real: keep the old mask's entries."),
        ],
        what="the mask",
    )


@exercise(notebook="07", title="How large is an encoder?", minutes=8)
def encoder_parameters(fn):
    """encoder_parameters(embed_dim, hidden_size, num_layers): the number of trainable values of the blocks"""
    for c, h, n in ((5, 7, 3), (2000, 2048, 2)):
        attention, feed_forward, norms = 4 * (c * c + c), 2 * c * h + h + c, 4 * c
        expect(
            fn(c, h, n),
            n * (attention + feed_forward + norms),
            mistakes=[
                (n * (4 * c * c + 2 * c * h + norms), "The biases of the maps are missing: one for each output."),
                (n * (attention + feed_forward), "The normalisations are missing: two, a weight and a bias a channel."),
                (n * (attention + feed_forward + norms // 2), "Half of the normalisations' values are missing."),
                (
                    n * (3 * (c * c + c) + feed_forward + norms),
                    "Queries, keys and values make three maps; the fourth, behind the heads, is missing.",
                ),
                (attention + feed_forward + norms, "This is one block: there are num_layers of them."),
                (
                    n * (attention + c * h + h + norms),
                    "The feed-forward part has a second map, from hidden_size back to embed_dim.",
                ),
                (
                    n * (attention + 2 * (c * h + h) + norms),
                    "The second map of the feed-forward part has embed_dim biases, not hidden_size.",
                ),
                (
                    n * (attention + 2 * (c * h + c) + norms),
                    "The first map of the feed-forward part has hidden_size biases, not embed_dim.",
                ),
            ],
            what=f"the number for embed_dim={c}, hidden_size={h}, num_layers={n}",
        )


@exercise(notebook="07", title="Spread over clips", minutes=8)
def spread(fn):
    """spread(outputs): (N, ...) -> std over clips, root mean square over the rest, relative to that of the outputs"""
    outputs = 1.5 + torch.randn(4, 3, 2, generator=torch.Generator().manual_seed(1))
    flat = outputs.flatten(1)
    size = flat.square().mean().sqrt()
    over_clips = flat.std(0, correction=0)
    value = fn(outputs)
    expect(
        value,
        float(over_clips.square().mean().sqrt() / size),
        mistakes=[
            (over_clips.square().mean().sqrt(), "Divide by the size, the root mean square of all outputs."),
            (
                flat.std(0).square().mean().sqrt() / size,
                "You divided by N - 1: `std` does by default; correction=0 divides by N.",
            ),
            (flat.std(correction=0) / size, "This is the spread of all numbers together: take it over clips (dim 0)."),
            (
                flat.std(1, correction=0).square().mean().sqrt() / size,
                "This is the spread within a clip: take the standard deviation over clips, dim 0.",
            ),
            (over_clips.mean() / size, "You took the plain mean of the standard deviations: root mean square."),
            (
                over_clips.square().mean().sqrt() / flat.std(correction=0),
                "You divided by the standard deviation of all outputs: divide by their root mean square.",
            ),
            (over_clips.reshape(3, 2) / size, "One number for each output is one step too early: reduce them to one."),
        ],
        what="the spread",
    )
    equal = fn(torch.ones(3, 5))
    if not abs(float(equal)) < 1e-6:
        raise Hint(f"Three equal clips have spread 0, got {float(equal):.3g}.")
