"""Exercises of notebook 03: scaled attention, how many keys a query looks at, a mask for a batch, splitting heads."""

import torch

from course_lib.course.exercises import Draw, Edge, exercise


def _queries(draw: Draw):
    for Q, K, D, E in [(1, 2, 3, 1), (4, 5, 3, 2), (5, 1, 2, 4), draw.sizes(4, 2, 8), draw.sizes(4, 2, 8)]:
        yield draw.tensor(Q, D), draw.tensor(K, D), draw.tensor(K, E)


def _attention(scale=lambda q, k, v: q.shape[1] ** -0.5, dim=1, after=lambda q: 1.0, weigh=torch.softmax):
    """Attention with another scale, softmax axis, or factor after it."""
    return lambda q, k, v: weigh(q @ k.T * scale(q, k, v), dim) * after(q) @ v


@exercise(
    notebook="03",
    title="Scaled attention",
    minutes=8,
    inputs=_queries,
    mistakes=[
        (_attention(lambda q, k, v: 1.0), "The scores are not scaled: divide them by the square root of D."),
        (_attention(lambda q, k, v: 1 / q.shape[1]), "Divided by D: it is the square root of D."),
        (
            _attention(lambda q, k, v: len(k) ** -0.5),
            "Divided by the root of the number of keys: D is the length of one query.",
        ),
        (
            _attention(lambda q, k, v: v.shape[1] ** -0.5),
            "Divided by the root of E, the length of a value: it is D, the length of a query.",
        ),
        (_attention(lambda q, k, v: q.shape[1] ** 0.5), "Multiplied by the square root of D: divide."),
        (_attention(dim=0), "The softmax runs down the columns: each row, the keys of one query, sums to 1."),
        (
            _attention(lambda q, k, v: 1.0, after=lambda q: q.shape[1] ** -0.5),
            "Scaled after the softmax, so that rows no longer sum to 1: scale the scores.",
        ),
        (
            _attention(weigh=lambda scores, dim: scores),
            "There is no softmax: scores may be negative, and their rows do not sum to 1.",
        ),
    ],
    example=(
        torch.tensor([[2.0, 0.0, 0.0, 0.0]]),
        torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]),
        torch.tensor([[10.0], [0.0]]),
    ),
    hints=[
        "Three steps: scores, weights, mean. The scores have a row a query and a column a key.",
        ("The scores, divided by √D, are {}.", lambda q, k, v: q @ k.T / q.shape[1] ** 0.5),
        "The softmax runs along each row, over the keys. The weights then multiply the values from the left.",
        "Begin with `scores = q @ k.T / math.sqrt(q.shape[1])`, of shape (Q, K).",
    ],
)
def scaled_attention(q, k, v):
    """scaled_attention(q, k, v): q (Q, D), k (K, D), v (K, E) -> (Q, E)"""
    return torch.softmax(q @ k.T / q.shape[1] ** 0.5, dim=1) @ v


def _weights(draw: Draw):
    yield torch.tensor([[0.5, 0.5], [0.7, 0.3], [0.9, 0.1]])
    yield torch.tensor([[0.25, 0.25, 0.25, 0.25], [0.7, 0.1, 0.1, 0.1], [0.4, 0.3, 0.2, 0.1]])
    for _ in range(4):
        yield torch.softmax(2 * draw.tensor(*draw.sizes(2, 2, 9)), 1)
    yield Edge(
        (torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]),),
        "Where a weight is 0 the count is wrong: its share of the entropy is 0.",
        nan="A weight of 0, as a mask gives it, makes NaN: 0 · ln 0. Its share of the entropy is 0.",
    )


def _entropy(w, dim=1):
    return -torch.xlogy(w, w).sum(dim)


@exercise(
    notebook="03",
    title="How many keys does a query look at?",
    minutes=8,
    inputs=_weights,
    rtol=1e-3,
    mistakes=[
        (_entropy, "This is the entropy itself: e to the entropy is a number of keys."),
        (lambda w: (-_entropy(w)).exp(), "A sign is wrong: four equal weights must give 4, not 1/4."),
        (
            lambda w: (_entropy(w) / torch.tensor(2.0).log()).exp(),
            "The logarithm is to base 2, the power to base e: use one base for both.",
        ),
        (
            lambda w: (_entropy(w) / w.shape[1]).exp(),
            "The mean over keys was taken: the entropy is a sum, weighted by the weights themselves.",
        ),
        (lambda w: 1 / w.amax(dim=1), "This looks at the largest weight only: all weights enter the entropy."),
        (
            lambda w: 1 / w.square().sum(dim=1),
            "A fair count, but another one: the inverse sum of squares. The entropy is -Σ w ln w.",
        ),
        (lambda w: _entropy(w).sum().exp(), "One number for all queries: sum over keys only, dim=1."),
        (lambda w: _entropy(w, 0).exp(), "Summed over queries: each query has its own count, so sum over keys, dim=1."),
    ],
    example=(torch.tensor([[0.5, 0.5, 0.0], [0.7, 0.2, 0.1]]),),
    hints=[
        "One number a row: what is summed over, and what is done to the sum?",
        ("The entropies of the rows are {}.", lambda w: -torch.xlogy(w, w).sum(dim=1)),
        "0 · ln 0 is NaN on a computer. PyTorch has a function of two arguments for x · ln y that gives 0 there.",
        "The terms of the entropy are `torch.xlogy(weights, weights)`, of shape (Q, K), each with the wrong sign.",
    ],
)
def effective_keys(weights):
    """effective_keys(weights): (Q, K), rows of sum 1 -> (Q,), e to the entropy of each row"""
    return (-torch.xlogy(weights, weights).sum(dim=1)).exp()


def _batches(draw: Draw):
    yield torch.tensor([3]), 3, 1
    yield torch.tensor([5, 2]), 5, 2
    yield torch.tensor([1, 3, 6]), 6, 0
    yield torch.tensor([3, 2, 4]), 6, 3  # longer than the longest
    for _ in range(3):
        B, T = draw.sizes(2, 2, 8)
        yield draw.lengths(B, T), T, draw.integer(0, 3)


def _mask(
    near=lambda distance, future: distance <= future,
    keys=lambda valid: valid[:, None, :],
    join=torch.logical_and,
    more=0,
):
    """A mask of another horizon, axis or connection; `more` steps count as valid."""

    def answer(lengths, T, future):
        steps = torch.arange(T)
        return join(near(steps - steps[:, None], future), keys(steps < lengths[:, None] + more))

    return answer


def _everything(value):
    return torch.ones_like(value, dtype=torch.bool)


@exercise(
    notebook="03",
    title="A mask for a batch",
    minutes=10,
    inputs=_batches,
    mistakes=[
        (lambda *a: ~batch_mask(*a), "It is True where a key is hidden: turn it round."),
        (
            _mask(near=lambda distance, future: -distance <= future),
            "The past is limited and the future open: rows are queries, columns keys.",
        ),
        (
            _mask(near=lambda distance, future: distance < future),
            "The future is one short: `future` steps ahead is still visible.",
        ),
        (_mask(near=lambda distance, future: distance <= 0), "Causal: `future` is not used."),
        (
            _mask(keys=lambda valid: valid[:, :, None]),
            "Queries of padding are blinded, but keys of padding are seen: mask columns.",
        ),
        (
            _mask(keys=lambda valid: valid[:, None, :] & valid[:, :, None]),
            "Queries of padding see nothing at all: their softmax would be 0/0. Hide keys only.",
        ),
        (
            _mask(keys=lambda valid: _everything(valid)[:, None, :]),
            "Padding is visible: a key at or after an item's length must be hidden.",
        ),
        (
            _mask(near=lambda distance, future: _everything(distance)),
            "The future has no limit: key k needs k ≤ q + future.",
        ),
        (_mask(more=1), "One step of padding is visible: an item of length 2 has the steps 0 and 1."),
        (_mask(join=torch.logical_or), "Both conditions must hold: & and not |."),
    ],
    example=(torch.tensor([2]), 3, 0),
    hints=[
        "Two conditions on a key: its distance to the query, and its item's length. Build a mask for each.",
        ("Key minus query is {}.", lambda lengths, T, future: torch.arange(T) - torch.arange(T)[:, None]),
        ("The valid steps of each item are {}.", lambda lengths, T, future: torch.arange(T) < lengths[:, None]),
        "(T, T) and (B, T) are to become (B, T, T): the valid steps are the same for every query of an item, so they "
        "lack the middle axis. Join both with &.",
        "Begin with `steps = torch.arange(T)`.",
    ],
)
def batch_mask(lengths, T, future):
    """batch_mask(lengths, T, future): lengths (B,) -> (B, T, T) booleans, True where query q may see key k"""
    steps = torch.arange(T)
    near = steps - steps[:, None] <= future  # (T, T): key - query
    valid = steps < lengths[:, None]  # (B, T)
    return near & valid[:, None, :]


def _channels(draw: Draw):
    for B, T, H, D in [
        (1, 2, 2, 1),
        (1, 3, 2, 3),
        (2, 3, 4, 2),
        (2, 5, 1, 3),
        draw.sizes(4, 1, 6),
        draw.sizes(4, 1, 6),
    ]:
        yield torch.arange(1.0 * B * T * H * D).reshape(B, T, H * D), H
    view = torch.arange(48.0).reshape(2, 8, 3).transpose(1, 2)
    yield Edge(
        (view, 2), "Right for a tensor as it was made, wrong for a transposed tensor: use `reshape`, or `unflatten`."
    )


@exercise(
    notebook="03",
    title="Split the heads",
    minutes=8,
    inputs=_channels,
    mistakes=[
        (
            lambda x, H: x.reshape(x.shape[0], H, x.shape[1], -1),
            "Right shape, wrong numbers: a head got channels of several time steps. "
            "Split the channels first, then swap two axes.",
        ),
        (lambda x, H: x.unflatten(2, (H, -1)), "Heads stand behind time: swap axes 1 and 2."),
        (
            lambda x, H: x.unflatten(2, (-1, H)).permute(0, 3, 1, 2),
            "Head 0 got channels 0 and H: neighbours belong together, so split C into (H, D), not (D, H).",
        ),
        (lambda x, H: split_heads(x, H).transpose(0, 1), "Heads stand before the batch: (B, H, T, D) is wanted."),
        (lambda x, H: split_heads(x, H).transpose(2, 3), "Channels stand before time: (B, H, T, D) is wanted."),
        (
            lambda x, H: x.unflatten(2, (-1, H)).transpose(1, 2),
            "There are D heads of H channels here: reshape the channels to (H, D), not (D, H).",
        ),
    ],
    example=(torch.tensor([[[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]]]), 2),
    hints=[
        "Only the channels are divided. Which axis is that, and which one must move afterwards?",
        ("With the channels split and nothing moved it is {}.", lambda x, H: x.unflatten(2, (H, -1))),
        "Split C into (H, D), heads first; then swap the axes of time and heads.",
        "The split is `x.unflatten(2, (num_heads, -1))`, of shape (B, T, H, D).",
    ],
)
def split_heads(x, num_heads):
    """split_heads(x, num_heads): (B, T, C) -> (B, H, T, C / H), head h taking the h-th part of the channels"""
    return x.unflatten(2, (num_heads, -1)).transpose(1, 2)
