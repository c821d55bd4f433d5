"""Exercises of notebook 15."""

import torch

from course_lib.course.exercises import Draw, Hint, exercise


def _decays(draw: Draw):
    yield 2, 0.7
    yield 3, 0.0
    yield 1, 0.5
    for _ in range(4):
        yield draw.integer(3, 9), draw.number(0.2, 0.95)


def _matrix(rule):
    """A matrix of `rule(age, decay)`, for the ages t - s."""

    def answer(steps, decay):
        t = torch.arange(steps)
        return rule(t[:, None] - t, decay)

    return answer


def _leaky(age, decay):
    return torch.where(age >= 0, decay ** age.clamp(min=0), 0.0)


@exercise(
    notebook="15",
    title="The sum as a matrix",
    minutes=8,
    inputs=_decays,
    mistakes=[
        (
            _matrix(lambda age, decay: _leaky(-age, decay)),
            "It is transposed: row t belongs to the sum at step t, which looks back at columns s ≤ t.",
        ),
        (
            _matrix(lambda age, decay: decay ** age.abs()),
            _matrix(lambda age, decay: decay**age),
            "It looks into the future: where s > t the weight must be 0.",
        ),
        (_matrix(lambda age, decay: (age >= 0).float()), "The decay is missing: this adds the past up without a leak."),
        (
            _matrix(lambda age, decay: decay * _leaky(age, decay)),
            "One decay too many: the newest input has not leaked yet, its weight is 1.",
        ),
        (
            _matrix(lambda age, decay: torch.where(age > 0, decay ** age.clamp(min=0), 0.0)),
            "The newest input is missing: the weight at s = t is decay to the power of 0.",
        ),
        (
            _matrix(lambda age, decay: decay * (age >= 0).float()),
            "The age is missing: after k steps an input has leaked k times.",
        ),
    ],
    example=(3, 0.5),
    hints=[
        "Row t, column s: how many steps ago did input s come, seen from step t? And if it has not come yet?",
        ("Row minus column is {}.", lambda steps, decay: torch.arange(steps)[:, None] - torch.arange(steps)),
        "The weight is the decay to the power of the age where the age is 0 or more, else 0. A negative power is no "
        "good "
        "even where it is not chosen: with decay 0 it is infinite.",
        "Begin with `t = torch.arange(steps)`.",
    ],
)
def decay_matrix(steps, decay):
    """decay_matrix(steps, decay): (T, T), row t, column s: the weight of input s in the leaky sum at step t."""
    t = torch.arange(steps)
    age = t[:, None] - t  # (T, T)
    return torch.where(age >= 0, decay ** age.clamp(min=0), 0.0)


def _stretches(draw: Draw):
    for n in (1, 2, 4, 3):
        yield (draw.tensor(n).sigmoid(), draw.tensor(n)), (draw.tensor(n).sigmoid(), draw.tensor(n))


def _joined(rule):
    """The join by a rule of all four tensors."""
    return lambda earlier, later: rule(*earlier, *later)


@exercise(
    notebook="15",
    title="Join two stretches",
    minutes=5,
    inputs=_stretches,
    parts=("the factor of the whole stretch", "its sum"),
    mistakes=[
        (
            _joined(lambda p, a, q, b: (p * q, p * b + a)),
            "The wrong one leaks: the earlier sum passes through the later stretch, so q · a.",
        ),
        (
            _joined(lambda p, a, q, b: (p * q, a + b)),
            "The earlier sum does not leak: it passes through the later stretch and is multiplied by q.",
        ),
        (_joined(lambda p, a, q, b: (p + q, q * a + b)), "Factors multiply: 0.9 for one step, 0.9 · 0.9 for two."),
        (
            _joined(lambda p, a, q, b: (q, q * a + b)),
            "The factor is that of the later stretch alone: a sum from before both passes through both.",
        ),
        (
            _joined(lambda p, a, q, b: (p * q, p * a + b)),
            "The sum a has already gone through p: what lies ahead of it is the factor q.",
        ),
        (
            _joined(lambda p, a, q, b: (q * a + b, p * q)),
            "The two are swapped: the factor comes first, the sum second.",
        ),
    ],
    example=((torch.tensor([0.5]), torch.tensor([3.0])), (torch.tensor([0.2]), torch.tensor([1.0]))),
    hints=[
        "What happens to the earlier sum while the later stretch goes by?",
        (
            "At the end of the later stretch, the earlier sum has become {}.",
            lambda earlier, later: later[0] * earlier[1],
        ),
        "Factors multiply. The sums add, after the earlier one has decayed by the later factor.",
        "Begin with `(p, a), (q, b) = earlier, later`.",
    ],
)
def join(earlier, later):
    """join((p, a), (q, b)): factors and sums of two stretches, the second later -> those of both together."""
    (p, a), (q, b) = earlier, later
    return p * q, q * a + b


def _streams(draw: Draw):
    for S, B, C in [(2, 1, 1), (3, 1, 2), (5, 2, 3), (4, 3, 2), (7, 4, 3)]:
        rows = torch.from_numpy(draw.rng.permutation(S)[:B])
        if B == 2:
            rows = torch.tensor([3, 1])
        yield draw.tensor(S, C), draw.tensor(B, C), rows, draw.tensor(C).sigmoid()


def _kept_and_new(fn, sums, x, rows, decay):
    """All sums, those of the rows that came, and whether the first still hang on this call's graph."""
    answer = fn(sums, x, rows, decay)
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise Hint("Return two tensors: all sums for the next call, and the sums of the rows that came.")
    return *answer, isinstance(answer[0], torch.Tensor) and answer[0].requires_grad


def _updated(
    others=lambda sums, decay: sums,
    new=lambda sums, x, rows, decay: decay * sums[rows] + x,
    write=lambda rows: rows,
    detach=torch.Tensor.detach,
):
    """An update of which one part is replaced: what becomes of the other rows, the new sums, where they go."""

    def answer(sums, x, rows, decay):
        came = new(sums, x, rows, decay)
        kept = detach(others(sums, decay)).clone()
        kept[write(rows)] = detach(came)
        return kept, came

    return answer


@exercise(
    notebook="15",
    title="Only the rows that came",
    minutes=12,
    inputs=_streams,
    call=_kept_and_new,
    parts=("all sums for the next call", "the sums of the rows that came", "whether all sums ask for a gradient"),
    gradients={
        "decay": "The sums for the network are detached: the decay would get no gradient at all. Detach only what is "
        "stored."
    },
    mistakes=[
        (
            _updated(lambda sums, decay: torch.zeros_like(sums)),
            "Streams that did not come lost their sums: keep those rows as they were.",
        ),
        (
            _updated(lambda sums, decay: decay * sums),
            "Streams that did not come have leaked: no step of theirs has passed.",
        ),
        (
            _updated(new=lambda sums, x, rows, decay: x),
            "The old sums are missing: the new ones are decay · sums[rows] + x.",
        ),
        (
            _updated(new=lambda sums, x, rows, decay: sums[rows] + x),
            "The decay is missing: the new sums are decay · sums[rows] + x.",
        ),
        (
            _updated(write=lambda rows: slice(len(rows))),
            "The new sums went into the first rows: stream i of the batch lives in row rows[i].",
        ),
        (
            _updated(new=lambda sums, x, rows, decay: decay * sums[: len(rows)] + x),
            "The old sums were read from the first rows: use sums[rows].",
        ),
        (
            _updated(detach=lambda sums: sums),
            "The sums for the next call still hang on this call's graph: detach what you store.",
        ),
    ],
    example=(
        torch.tensor([[1.0], [2.0], [3.0]]),
        torch.tensor([[10.0]]),
        torch.tensor([1]),
        torch.tensor([0.5]),
    ),
    hints=[
        "Two things come back: what the network may learn through, and what is only remembered. Which is detached? "
        "(The False at the end of what is expected: nobody asks the first for a gradient.)",
        ("Of the row that came, the old sum has decayed to {}.", lambda sums, x, rows, decay: decay * sums[rows]),
        "Take the rows that came, decay them, add x. Then a detached copy of all sums, in which these rows are "
        "replaced.",
        "Begin with `new = decay * sums[rows] + x`, of shape (B, C).",
    ],
)
def update_streams(sums, x, rows, decay):
    """update_streams(sums (S, C), x (B, C), rows (B,), decay (C,)) -> new sums (S, C), those of the rows (B, C)."""
    new = decay * sums[rows] + x  # (B, C)
    kept = sums.detach().clone()
    kept[rows] = new.detach()
    return kept, new
