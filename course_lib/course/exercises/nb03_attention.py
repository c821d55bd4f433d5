"""Checks for notebook 03: scaled attention, how many keys a query looks at, a mask for a batch, splitting heads."""

import torch

from course_lib.course.exercises import Hint, exercise, expect


@exercise(notebook="03", title="Scaled attention", minutes=8)
def scaled_attention(fn):
    """scaled_attention(q, k, v): q (Q, D), k (K, D), v (K, E) -> (Q, E)"""
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(4, 3, generator=generator), torch.randn(5, 3, generator=generator)
    v = torch.randn(5, 2, generator=generator)
    scores = q @ k.T  # (Q, K)

    def weigh(scores):
        return torch.softmax(scores, dim=1) @ v

    expect(
        fn(q, k, v),
        weigh(scores / 3**0.5),
        mistakes=[
            (weigh(scores), "The scores are not scaled: divide them by the square root of D."),
            (weigh(scores / 3), "Divided by D: it is the square root of D."),
            (weigh(scores / 5**0.5), "Divided by the root of the number of keys: D is the length of one query."),
            (
                weigh(scores / 2**0.5),
                "Divided by the root of E, the length of a value: it is D, the length of a query.",
            ),
            (weigh(scores * 3**0.5), "Multiplied by the square root of D: divide."),
            (
                torch.softmax(scores / 3**0.5, dim=0) @ v,
                "The softmax runs down the columns: each row, the keys of one query, sums to 1.",
            ),
            (
                torch.softmax(scores, dim=1) / 3**0.5 @ v,
                "Scaled after the softmax, so that rows no longer sum to 1: scale the scores.",
            ),
            (scores / 3**0.5 @ v, "There is no softmax: scores may be negative, and their rows do not sum to 1."),
        ],
        what="the output",
    )


@exercise(notebook="03", title="How many keys does a query look at?", minutes=8)
def effective_keys(fn):
    """effective_keys(weights): (Q, K), rows of sum 1 -> (Q,), e to the entropy of each row"""
    weights = torch.tensor([[0.25, 0.25, 0.25, 0.25], [0.7, 0.1, 0.1, 0.1], [0.4, 0.3, 0.2, 0.1]])
    entropy = -(weights * weights.log()).sum(dim=1)
    bits = entropy / torch.tensor(2.0).log()
    expect(
        fn(weights),
        entropy.exp(),
        mistakes=[
            (entropy, "This is the entropy itself: e to the entropy is a number of keys."),
            ((-entropy).exp(), "A sign is wrong: four equal weights must give 4, not 1/4."),
            (bits.exp(), "The logarithm is to base 2, the power to base e: use one base for both."),
            (
                (entropy / 4).exp(),
                "The mean over keys was taken: the entropy is a sum, weighted by the weights themselves.",
            ),
            (1 / weights.amax(dim=1), "This looks at the largest weight only: all weights enter the entropy."),
            (
                1 / weights.square().sum(dim=1),
                "A fair count, but another one: the inverse sum of squares. The entropy is -Σ w ln w.",
            ),
            (
                torch.tensor(entropy.sum().exp().item()),
                "One number for all queries: sum over keys only, dim=1.",
            ),
            (
                (-(weights * weights.log()).sum(dim=0)).exp(),
                "Summed over queries: each query has its own count, so sum over keys, dim=1.",
            ),
        ],
        what="the counts",
    )
    hidden = torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
    answer = fn(hidden)
    if isinstance(answer, torch.Tensor) and answer.isnan().any():
        raise Hint("A weight of 0, as a mask gives it, makes NaN: 0 · ln 0. Its share of the entropy is 0.")
    expect(answer, torch.tensor([2.0, 1.0]), what="the counts where keys are hidden", atol=1e-3)


@exercise(notebook="03", title="A mask for a batch", minutes=10)
def batch_mask(fn):
    """batch_mask(lengths, T, future): lengths (B,) -> (B, T, T) booleans, True where query q may see key k"""
    lengths, T, future = torch.tensor([5, 2]), 5, 2
    steps = torch.arange(T)
    valid = steps < lengths[:, None]  # (B, T)
    distance = steps - steps[:, None]  # (T, T): key - query
    near = distance <= future
    right = near & valid[:, None, :]
    answer = fn(lengths, T, future)
    if isinstance(answer, torch.Tensor) and answer.shape == right.shape and answer.dtype != torch.bool:
        raise Hint(f"Right shape, but of {answer.dtype}: booleans are wanted, as comparisons give them.")
    expect(
        answer,
        right,
        mistakes=[
            (~right, "It is True where a key is hidden: turn it round."),
            (near.T & valid[:, None, :], "The past is limited and the future open: rows are queries, columns keys."),
            (
                (distance < future) & valid[:, None, :],
                "The future is one short: `future` steps ahead is still visible.",
            ),
            ((distance <= 0) & valid[:, None, :], "Causal: `future` is not used."),
            (near & valid[:, :, None], "Queries of padding are blinded, but keys of padding are seen: mask columns."),
            (
                right & valid[:, :, None],
                "Queries of padding see nothing at all: their softmax would be 0/0. Hide keys only.",
            ),
            (near.expand(2, T, T), "Padding is visible: a key at or after an item's length must be hidden."),
            (valid[:, None, :].expand(2, T, T), "The future has no limit: key k needs k ≤ q + future."),
            (
                near & (steps <= lengths[:, None])[:, None, :],
                "One step of padding is visible: an item of length 2 has the steps 0 and 1.",
            ),
            (near | valid[:, None, :], "Both conditions must hold: & and not |."),
        ],
        what="the mask for lengths (5, 2), T = 5, future = 2",
    )
    expect(fn(torch.tensor([1, 3, 6]), 6, 0).shape, torch.Size([3, 6, 6]), what="the shape for three lengths, T = 6")


@exercise(notebook="03", title="Split the heads", minutes=8)
def split_heads(fn):
    """split_heads(x, num_heads): (B, T, C) -> (B, H, T, C / H), head h taking the h-th part of the channels"""
    x = torch.arange(2 * 3 * 8.0).reshape(2, 3, 8)  # (B, T, C)
    right = x.reshape(2, 3, 4, 2).transpose(1, 2)  # (B, H, T, D)
    expect(
        fn(x, 4),
        right,
        mistakes=[
            (
                x.reshape(2, 4, 3, 2),
                "Right shape, wrong numbers: a head got channels of several time steps. "
                "Split the channels first, then swap two axes.",
            ),
            (x.reshape(2, 3, 4, 2), "Heads stand behind time: swap axes 1 and 2."),
            (
                x.reshape(2, 3, 2, 4).permute(0, 3, 1, 2),
                "Head 0 got channels 0 and 4: neighbours belong together, so split C into (H, D), not (D, H).",
            ),
            (right.transpose(0, 1), "Heads stand before the batch: (B, H, T, D) is wanted."),
            (right.transpose(2, 3), "Channels stand before time: (B, H, T, D) is wanted."),
            (
                x.reshape(2, 3, 2, 4).transpose(1, 2),
                "There are D heads of H channels here: reshape the channels to (H, D), not (D, H).",
            ),
        ],
        what="the heads",
    )
    expect(fn(x, 1), x[:, None], what="a single head")
    view = torch.arange(2 * 3 * 8.0).reshape(2, 8, 3).transpose(1, 2)  # not contiguous
    expect(fn(view, 2), view.reshape(2, 3, 2, 4).transpose(1, 2), what="the heads of a transposed tensor")
