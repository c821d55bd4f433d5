"""Exercises of notebook 24."""

import torch

from course_lib.course.exercises import Draw, exercise


def _dense_layers(draw: Draw):
    yield 2, 3, 5, 10.0, 4.0
    yield 40, 30, 50, 10.0, 4.0
    yield 400, 300, 500, 10.0, 4.0
    yield 3, 2, 4, 7.0, 1000.0
    for _ in range(4):
        rows, inputs, outputs = draw.sizes(3, 5, 90)
        yield rows, inputs, outputs, draw.number(5, 40), draw.number(1, 9)


def _least(flops=2, width=4, weights=1, written=1, choose=max):
    """The answer with another count of operations or bytes, or another way to join the two times."""

    def answer(rows, inputs, outputs, peak, bandwidth):
        numbers = rows * inputs + weights * inputs * outputs + written * rows * outputs
        return choose(flops * rows * inputs * outputs / peak, width * numbers / bandwidth)

    return answer


@exercise(
    notebook="24",
    title="The least time of a dense layer",
    minutes=10,
    inputs=_dense_layers,
    mistakes=[
        (
            _least(choose=lambda a, b: a + b),
            "Arithmetic and traffic overlap: take the larger of the two times, not the sum.",
        ),
        (_least(choose=min), "This is the smaller of the two times: the work is done when both are done."),
        (_least(choose=lambda a, b: a), "This is the arithmetic alone: the numbers must also come from memory."),
        (_least(choose=lambda a, b: b), "This is the traffic alone: the operations take time, too."),
        (_least(flops=1), "A multiplication and an addition for each weight and row: two operations."),
        (_least(width=1), "These are numbers, not bytes: a float32 has four bytes."),
        (_least(weights=0), "The weights are read from memory, too."),
        (_least(written=0), "The outputs are written to memory, too."),
    ],
    example=(2, 3, 5, 10.0, 8.0),
    hints=[
        "How many products make one output, and how many outputs are there? Which three matrices pass through memory?",
        ("The three matrices have {} numbers together.", lambda r, i, o, p, b: r * i + i * o + r * o),
        ("There are {} operations.", lambda r, i, o, p, b: 2 * r * i * o),
        "Divide operations by the peak and bytes by the bandwidth. Which of the two times is the layer waiting for?",
        "Begin with `operations = 2 * rows * inputs * outputs`.",
    ],
)
def least_time(rows, inputs, outputs, peak, bandwidth):
    """least_time(rows, inputs, outputs, peak, bandwidth): float32 (rows, inputs) @ (inputs, outputs) -> seconds.

    peak: operations a second.  bandwidth: bytes a second.
    """
    operations = 2 * rows * inputs * outputs
    size = 4 * (rows * inputs + inputs * outputs + rows * outputs)
    return max(operations / peak, size / bandwidth)


def _tiles(draw: Draw):
    yield _tile([1.0, 0.0], [1.0]) + _tile([2.0], [1.0])
    yield _tile([0.5, -1.0, 2.0], [1.0, 2.0]) + _tile([0.0, 3.0], [1.0, 2.0])
    for _ in range(5):
        Q, D, first, second = draw.sizes(4, 2, 7)
        yield _summed(draw.tensor(Q, first), draw.tensor(first, D)) + _summed(
            2 * draw.tensor(Q, second), draw.tensor(second, D)
        )


def _tile(scores, value):
    """One query, with the same value at each key."""
    return _summed(torch.tensor([scores]), torch.tensor([value]).expand(len(scores), -1))


def _summed(scores, values):
    """scores (Q, K), values (K, D) -> largest score (Q,), sum of weights (Q,), weighted values (Q, D)."""
    top = scores.amax(dim=1)  # (Q,)
    weights = torch.exp(scores - top[:, None])  # (Q, K)
    return top, weights.sum(dim=1), weights @ values


def _merged(rescale_sum=True, rescale_values=True, sign=1, mean=False, top=torch.maximum):
    """The answer without one of the two factors, with another top, or with a mean in the end."""

    def answer(m1, s1, o1, m2, s2, o2):
        m = top(m1, m2)
        a, b = torch.exp(sign * (m1 - m)), torch.exp(sign * (m2 - m))
        s = a * s1 + b * s2 if rescale_sum else s1 + s2
        o = a[:, None] * o1 + b[:, None] * o2 if rescale_values else o1 + o2
        return m, s, o / s[:, None] if mean else o

    return answer


@exercise(
    notebook="24",
    title="Join two tiles",
    minutes=15,
    inputs=_tiles,
    parts=("the largest scores", "the sums of the weights", "the weighted values"),
    mistakes=[
        (
            _merged(rescale_sum=False, rescale_values=False),
            "Both tiles' sums were taken below their own largest score: scale each by exp(its own − the new one).",
        ),
        (_merged(rescale_values=False), "The weighted values must be scaled by the same two factors as the sums."),
        (_merged(rescale_sum=False), "The sums of the weights must be scaled by the same two factors as the values."),
        (_merged(sign=-1), "The factors are upside down: a tile with a smaller largest score weighs less, not more."),
        (_merged(mean=True), "Do not divide yet: another tile may follow. The division comes after the last one."),
        (_merged(top=torch.minimum), "The new reference is the larger of the two largest scores, or exp may overflow."),
        (_merged(top=torch.add), "The largest score of both tiles is the larger of the two, not their sum."),
    ],
    example=(
        torch.tensor([1.0]),
        torch.tensor([2.0]),
        torch.tensor([[4.0]]),
        torch.tensor([3.0]),
        torch.tensor([1.0]),
        torch.tensor([[5.0]]),
    ),
    hints=[
        "Each tile's weights are exp(score − m of that tile). What would they be below the larger m?",
        ("The first tile's weights shrink by the factor {}.", lambda m1, s1, o1, m2, s2, o2: torch.exp(m1 - m2)),
        "exp(score − m) = exp(score − m₁) · exp(m₁ − m): one factor a query and tile, for the sum and for the values.",
        "Begin with `m = torch.maximum(m1, m2)`.",
    ],
)
def merge_tiles(m1, s1, o1, m2, s2, o2):
    """merge_tiles(m1, s1, o1, m2, s2, o2): m (Q,), s (Q,), o (Q, D) of two tiles of keys -> those of both."""
    m = torch.maximum(m1, m2)
    first, second = torch.exp(m1 - m), torch.exp(m2 - m)
    return m, first * s1 + second * s2, first[:, None] * o1 + second[:, None] * o2


def _weights(draw: Draw):
    yield torch.tensor([[0.25, 0.75]]), torch.tensor([[1.0, 0.0]])
    yield torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]), torch.tensor([[1.0, 2.0, -1.0], [0.0, 3.0, 1.0]])
    for _ in range(4):
        Q, K = draw.sizes(2, 2, 7)
        yield torch.softmax(draw.tensor(Q, K), dim=1), draw.tensor(Q, K)


@exercise(
    notebook="24",
    title="The way back through a softmax",
    minutes=12,
    inputs=_weights,
    mistakes=[
        (
            lambda p, dp: p * dp,
            "A row's weights sum to 1: raising a score lowers the others. Subtract Σ p dp.",
        ),
        (
            lambda p, dp: p * (1 - p) * dp,
            "These are the diagonal terms: a score changes every weight of its row.",
        ),
        (
            lambda p, dp: p * (dp - (p * dp).sum(dim=0, keepdim=True)),
            "The sum runs over the keys of a row, the last axis, not over the queries.",
        ),
        (lambda p, dp: p * (dp - dp.sum(1, keepdim=True)), "In the sum each dp is weighted by its p."),
        (lambda p, dp: p * (dp - dp.mean(1, keepdim=True)), "The mean is one under the weights p, not a plain one."),
        (
            lambda p, dp: p * (dp - (p * dp).mean(1, keepdim=True)),
            "Sum p dp over the keys; you took the mean.",
        ),
        (lambda p, dp: dp - (p * dp).sum(1, keepdim=True), "The whole difference is multiplied by p."),
        (lambda p, dp: p * ((p * dp).sum(1, keepdim=True) - dp), "The sign is turned round."),
    ],
    example=(torch.tensor([[0.25, 0.75]]), torch.tensor([[1.0, 0.0]])),
    hints=[
        "What is ∂pⱼ/∂sₖ for j = k, and for j ≠ k? Both hold a factor pₖ.",
        ("The sum of p dp over each row is {}.", lambda p, dp: (p * dp).sum(1)),
        "Summed over j: pₖ dpₖ − pₖ Σⱼ pⱼ dpⱼ.",
        "Begin with `mean = (p * dp).sum(dim=1, keepdim=True)`.",
    ],
)
def score_gradient(p, dp):
    """score_gradient(p, dp): weights p (Q, K), rows sum to 1, and ∂loss/∂p (Q, K) -> ∂loss/∂scores (Q, K)."""
    mean = (p * dp).sum(dim=1, keepdim=True)
    return p * (dp - mean)
