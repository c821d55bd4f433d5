"""Checks for notebook 04: a table of sines and cosines, the rotation that moves it, a bias for each distance."""

import torch

from course_lib.course.exercises import Hint, exercise, expect


def _rates(channels: int, base: float) -> torch.Tensor:
    """Radians a step of each pair, (channels / 2,)."""
    return base ** (-torch.arange(0, channels, 2, dtype=torch.float64) / channels)


def _table(positions: torch.Tensor, channels: int, base: float) -> torch.Tensor:
    angles = positions.double()[:, None] * _rates(channels, base)  # (T, C / 2)
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)  # (T, C)


@exercise(notebook="04", title="A table of hands", minutes=10)
def sinusoidal_table(fn):
    """sinusoidal_table(positions, channels, base): (T,) -> (T, channels), sine in channel 2i, cosine in 2i + 1"""
    positions, channels, base = torch.tensor([0, 1, 2, 5, 11]), 6, 100.0
    angles = positions.double()[:, None] * _rates(channels, base)
    rates = _rates(channels, base)

    def interleaved(angles):
        return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)

    wrong_rates = base ** (-torch.arange(3, dtype=torch.float64) / channels)  # base^(-i/C)
    expect(
        fn(positions, channels, base),
        interleaved(angles),
        mistakes=[
            (
                torch.cat([angles.sin(), angles.cos()], dim=1),
                "All sines come first, then all cosines: each sine stands beside its own cosine here.",
            ),
            (
                torch.stack([angles.cos(), angles.sin()], dim=2).flatten(1),
                "Sine and cosine are swapped: channel 2i is the sine.",
            ),
            (
                interleaved(positions.double()[:, None] * wrong_rates),
                "The hands are too fast: the exponent of pair i is -2i/C, not -i/C.",
            ),
            (
                interleaved(positions.double()[:, None] / rates),
                "The sign of the exponent is wrong: later pairs turn slower, not faster.",
            ),
            (
                interleaved((positions.double() + 1)[:, None] * rates),
                "One step late: position 0 has sine 0 and cosine 1.",
            ),
            (
                interleaved(torch.arange(5.0).double()[:, None] * rates),
                "These are the positions 0 to T - 1: use those that are given.",
            ),
            (
                interleaved(positions.double()[:, None] * 10_000.0 ** (-torch.arange(0, 6, 2) / 6)),
                "The base is 10,000 here, whatever `base` says.",
            ),
        ],
        what="the table for positions 0, 1, 2, 5, 11",
    )


@exercise(notebook="04", title="Moving on is turning", minutes=12)
def shift_matrix(fn):
    """shift_matrix(k, channels, base) -> M (channels, channels) with M @ p(t) = p(t + k) for every t"""
    k, channels, base = 3, 6, 100.0
    rates = _rates(channels, base)

    def turned(angles, flip=1.0):
        blocks = [torch.tensor([[a.cos(), flip * a.sin()], [-flip * a.sin(), a.cos()]]) for a in angles]
        return torch.block_diag(*blocks)

    right, first = turned(k * rates), rates[:1].expand(3)
    halves = torch.cat([torch.arange(0, 6, 2), torch.arange(1, 6, 2)])  # sines first
    cosine, sine = torch.diag((k * rates).cos()), torch.diag((k * rates).sin())
    answer = fn(k, channels, base)
    expect(
        answer,
        right,
        mistakes=[
            (right.T, "It turns the wrong way: M p(t) is p(t - k). Look at the signs of the two sines."),
            (turned(rates), "It moves one step, whatever k is: the angle of a pair is k times its rate."),
            (turned(k * first), "All pairs turn alike: each has a rate of its own."),
            (
                torch.cat([torch.cat([cosine, sine], 1), torch.cat([-sine, cosine], 1)]),
                "This fits sines first, then cosines: here each sine stands beside its cosine, in blocks of 2 × 2.",
            ),
            (torch.diag(torch.diag(right)), "The sines are missing: sin(a + b) = sin a cos b + cos a sin b."),
            (
                torch.block_diag(*[torch.tensor([[a.cos(), a.sin()], [a.sin(), a.cos()]]) for a in k * rates]),
                "A minus is missing: cos(a + b) = cos a cos b - sin a sin b.",
            ),
            (right[halves][:, halves], "Rows and columns are in another order: sine 0, cosine 0, sine 1, ..."),
        ],
        what="the matrix for k = 3",
    )
    expect(fn(0, 4, base), torch.eye(4), what="the matrix for k = 0")


@exercise(notebook="04", title="A number for each distance", minutes=8)
def relative_bias(fn):
    """relative_bias(table, T): table (2T - 1,), its middle being distance 0 -> (T, T): row q, column k has k - q's"""
    T = 4
    table = torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0])
    distance = torch.arange(T) - torch.arange(T)[:, None]  # key - query
    right = table[distance + T - 1]
    answer = fn(table, T)
    if isinstance(answer, torch.Tensor) and answer.shape == (T,):
        raise Hint("One number for each key: a row is wanted for each query too, (T, T).")
    expect(
        answer,
        right,
        mistakes=[
            (right.T, "Past and future are swapped: the distance is key minus query, k - q."),
            (
                table[distance],
                "Negative distances wrapped round: index -1 is the end of the table. Add T - 1 to every distance.",
            ),
            (table[distance.abs()], "The distance lost its sign, and starts at the table's beginning."),
            (
                table[distance.abs() + T - 1],
                "The distance lost its sign: one step back and one step ahead have numbers of their own.",
            ),
            (table[(distance + T).clamp(max=6)], "One too far: distance 0 is the middle, table[T - 1]."),
            (table[(distance + T - 2).clamp(min=0)], "One too early: distance 0 is the middle, table[T - 1]."),
        ],
        what="the bias for T = 4",
    )
    expect(fn(table[:1], 1), table[:1, None], what="the bias for T = 1")
