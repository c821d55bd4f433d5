"""Checks of notebook 15."""

import torch
from torch import Tensor

from course_lib.course.exercises import Hint, exercise, expect


def _random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@exercise(notebook="15", title="The sum as a matrix", minutes=8)
def decay_matrix(fn):
    """decay_matrix(steps, decay): (T, T), row t, column s: the weight of input s in the leaky sum at step t."""
    steps, decay = 5, 0.7
    t = torch.arange(steps)
    age = t[:, None] - t
    right = torch.where(age >= 0, decay ** age.clamp(min=0), 0.0)
    expect(
        fn(steps, decay),
        right,
        mistakes=[
            (right.T, "It is transposed: row t belongs to the sum at step t, which looks back at columns s ≤ t."),
            (decay ** age.abs(), "It looks into the future: where s > t the weight must be 0."),
            (decay**age, "It looks into the future: where s > t the weight must be 0."),
            (torch.tril(torch.ones(steps, steps)), "The decay is missing: this adds the past up without a leak."),
            (decay * right, "One decay too many: the newest input has not leaked yet, its weight is 1."),
            (right - torch.eye(steps), "The newest input is missing: the weight at s = t is decay to the power of 0."),
            (
                decay * torch.tril(torch.ones(steps, steps)),
                "The age is missing: after k steps an input has leaked k times.",
            ),
        ],
        what="the matrix",
    )
    expect(fn(3, 0.0), torch.eye(3), what="the matrix for decay 0")


@exercise(notebook="15", title="Join two stretches", minutes=5)
def join(fn):
    """join((p, a), (q, b)): factors and sums of two stretches, the second later -> those of both together."""
    p, a, q, b = (
        torch.tensor([0.5, 0.9]),
        torch.tensor([2.0, -1.0]),
        torch.tensor([0.25, 0.8]),
        torch.tensor([1.0, 3.0]),
    )
    answer = fn((p, a), (q, b))
    if isinstance(answer, Tensor):
        raise Hint("Return a pair: the factor of the whole stretch, and its sum.")

    def pair(factor, total):
        return torch.stack([factor, total])

    expect(
        answer if answer is None else torch.stack(tuple(answer)),
        pair(p * q, q * a + b),
        mistakes=[
            (
                pair(p * q, p * b + a),
                "The wrong one leaks: the earlier sum passes through the later stretch, so q · a.",
            ),
            (
                pair(p * q, a + b),
                "The earlier sum does not leak: it passes through the later stretch and is multiplied by q.",
            ),
            (pair(p + q, q * a + b), "Factors multiply: 0.9 for one step, 0.9 · 0.9 for two."),
            (
                pair(q, q * a + b),
                "The factor is that of the later stretch alone: a sum from before both passes through both.",
            ),
            (pair(p * q, p * a + b), "The sum a has already gone through p: what lies ahead of it is the factor q."),
            (pair(q * a + b, p * q), "The two are swapped: the factor comes first, the sum second."),
        ],
        what="the pair (factor, sum)",
    )


@exercise(notebook="15", title="Only the rows that came", minutes=12)
def update_streams(fn):
    """update_streams(sums (S, C), x (B, C), rows (B,), decay (C,)) -> new sums (S, C), those of the rows (B, C)."""
    sums, x = _random(5, 3, seed=0), _random(2, 3, seed=1)
    rows, decay = torch.tensor([3, 1]), torch.tensor([0.5, 0.9, 0.8]).requires_grad_()
    before = sums.clone()
    answer = fn(sums, x, rows, decay)
    if isinstance(answer, Tensor):
        raise Hint("Return two tensors: all sums for the next call, and the sums of the rows that came.")
    if not torch.equal(sums, before):
        raise Hint("The given sums were changed in place: the caller may still need them. Clone them first.")
    if answer is not None:
        kept, new = answer
        answer = torch.cat([kept, new])
    fresh = (decay * before[rows] + x).detach()

    def both(others: Tensor, came: Tensor = fresh) -> Tensor:
        others = others.detach().clone()
        others[rows] = came
        return torch.cat([others, came])

    expect(
        answer,
        both(before),
        mistakes=[
            (both(torch.zeros(5, 3)), "Streams that did not come lost their sums: keep those rows as they were."),
            (both(decay * before), "Streams that did not come have leaked: no step of theirs has passed."),
            (both(before, x), "The old sums are missing: the new ones are decay · sums[rows] + x."),
            (both(before, (before[rows] + x)), "The decay is missing: the new sums are decay · sums[rows] + x."),
            (
                torch.cat([torch.cat([fresh, before[2:]]), fresh]),
                "The new sums went into the first rows: stream i of the batch lives in row rows[i].",
            ),
            (
                both(before, (decay * before[:2] + x).detach()),
                "The old sums were read from the first rows: use sums[rows].",
            ),
        ],
        what="the sums (first all, then those of the rows)",
    )
    if kept.requires_grad:
        raise Hint("The sums for the next call still hang on this call's graph: detach what you store.")
    if not new.requires_grad:
        raise Hint(
            "The sums for the network are detached: the decay would get no gradient at all. Detach only what is stored."
        )
