"""Exercises of notebook 04: a table of sines and cosines, the rotation that moves it, a bias for each distance."""

import torch

from course_lib.course.exercises import Draw, exercise


def _rates(channels, base):
    """Radians a step of each pair, (channels / 2,)."""
    return base ** (-torch.arange(0, channels, 2, dtype=torch.float64) / channels)


def _beside(angles):
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)


def _table(join=_beside, rates=_rates, at=lambda positions: positions):
    """The table with another order of channels, other rates or other positions."""
    return lambda positions, channels, base: join(at(positions).double()[:, None] * rates(channels, base))


def _positions(draw: Draw):
    yield torch.tensor([2]), 2, 10.0
    yield torch.tensor([3, 1]), 4, 100.0
    yield torch.tensor([0, 1, 2, 5, 11]), 6, 100.0
    yield torch.tensor([0.5, 7.25, 3.0]), 8, 1000.0
    for _ in range(3):
        yield (
            torch.from_numpy(draw.integers(0, 40, draw.integer(2, 9))),
            2 * draw.integer(2, 7),
            10.0 ** draw.integer(1, 4),
        )


@exercise(
    notebook="04",
    title="A table of hands",
    minutes=10,
    inputs=_positions,
    mistakes=[
        (
            _table(lambda angles: torch.cat([angles.sin(), angles.cos()], dim=1)),
            "All sines come first, then all cosines: each sine stands beside its own cosine here.",
        ),
        (
            _table(lambda angles: torch.stack([angles.cos(), angles.sin()], dim=2).flatten(1)),
            "Sine and cosine are swapped: channel 2i is the sine.",
        ),
        (
            _table(rates=lambda channels, base: base ** (-torch.arange(channels // 2).double() / channels)),
            "The hands are too fast: the exponent of pair i is -2i/C, not -i/C.",
        ),
        (
            _table(rates=lambda channels, base: 1 / _rates(channels, base)),
            "The sign of the exponent is wrong: later pairs turn slower, not faster.",
        ),
        (_table(at=lambda positions: positions + 1), "One step late: position 0 has sine 0 and cosine 1."),
        (
            _table(at=lambda positions: torch.arange(len(positions))),
            "These are the positions 0 to T - 1: use those that are given.",
        ),
        (
            _table(rates=lambda channels, base: _rates(channels, 10_000.0)),
            "The base is 10,000 here, whatever `base` says.",
        ),
    ],
    example=(torch.tensor([0, 3]), 4, 10_000.0),
    hints=[
        "First the angle of every hand at every position, (T, C / 2). Then a sine and a cosine of each.",
        ("The hands turn by {} radian a step.", lambda positions, channels, base: _rates(channels, base)),
        "Sine and cosine of one hand are neighbours: stack them on a new last axis, then flatten it with the hands.",
        "Begin with `rates = base ** (-torch.arange(0, channels, 2, dtype=torch.float64) / channels)`.",
    ],
)
def sinusoidal_table(positions, channels, base):
    """sinusoidal_table(positions, channels, base): (T,) -> (T, channels), sine in channel 2i, cosine in 2i + 1"""
    rates = base ** (-torch.arange(0, channels, 2, dtype=torch.float64) / channels)  # (C / 2,)
    angles = positions.double()[:, None] * rates  # (T, C / 2)
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)


def _shifts(draw: Draw):
    yield 1, 2, 10.0
    yield 3, 6, 100.0
    yield 0, 4, 100.0
    yield -2, 4, 10.0
    for _ in range(3):
        yield draw.integer(2, 20), 2 * draw.integer(2, 6), 10.0 ** draw.integer(1, 4)


def _turns(angle=lambda k, rates: k * rates, block=lambda cos, sin: [[cos, sin], [-sin, cos]]):
    """A 2 × 2 block for each hand, with other angles or signs."""

    def answer(k, channels, base):
        angles = angle(k, _rates(channels, base))
        return torch.block_diag(*[torch.tensor(block(a.cos(), a.sin()), dtype=torch.float64) for a in angles])

    return answer


def _sines_first(k, channels, base):
    angles = k * _rates(channels, base)
    cos, sin = torch.diag(angles.cos()), torch.diag(angles.sin())
    return torch.cat([torch.cat([cos, sin], 1), torch.cat([-sin, cos], 1)])


def _other_order(k, channels, base):
    halves = torch.cat([torch.arange(0, channels, 2), torch.arange(1, channels, 2)])
    return shift_matrix(k, channels, base)[halves][:, halves]


@exercise(
    notebook="04",
    title="Moving on is turning",
    minutes=12,
    inputs=_shifts,
    mistakes=[
        (
            _turns(block=lambda cos, sin: [[cos, -sin], [sin, cos]]),
            "It turns the wrong way: M p(t) is p(t - k). Look at the signs of the two sines.",
        ),
        (_turns(lambda k, rates: rates), "It moves one step, whatever k is: the angle of a pair is k times its rate."),
        (_turns(lambda k, rates: k * rates[:1].expand_as(rates)), "All pairs turn alike: each has a rate of its own."),
        (
            _sines_first,
            "This fits sines first, then cosines: here each sine stands beside its cosine, in blocks of 2 × 2.",
        ),
        (
            _turns(block=lambda cos, sin: [[cos, 0.0], [0.0, cos]]),
            "The sines are missing: sin(a + b) = sin a cos b + cos a sin b.",
        ),
        (
            _turns(block=lambda cos, sin: [[cos, sin], [sin, cos]]),
            "A minus is missing: cos(a + b) = cos a cos b - sin a sin b.",
        ),
        (_other_order, "Rows and columns are in another order: sine 0, cosine 0, sine 1, ..."),
    ],
    example=(1, 2, 10.0),
    hints=[
        "Each hand is turned by an angle that does not depend on t. What is it for hand i and k steps?",
        ("The angles are {}.", lambda k, channels, base: k * _rates(channels, base)),
        "Put a = t · rate, b = k · rate into the two formulas. The factors of sin a and cos a are a row of the block.",
        "`torch.block_diag` puts the blocks of the hands on the diagonal of one matrix.",
        "Begin with `angles = k * base ** (-torch.arange(0, channels, 2, dtype=torch.float64) / channels)`.",
    ],
)
def shift_matrix(k, channels, base):
    """shift_matrix(k, channels, base) -> M (channels, channels) with M @ p(t) = p(t + k) for every t"""
    angles = k * base ** (-torch.arange(0, channels, 2, dtype=torch.float64) / channels)  # (C / 2,)
    blocks = [torch.tensor([[a.cos(), a.sin()], [-a.sin(), a.cos()]]) for a in angles]
    return torch.block_diag(*blocks)


def _biases(draw: Draw):
    for T in (1, 2, 4, draw.integer(5, 7), draw.integer(8, 12)):
        yield draw.tensor(2 * T - 1), T


def _looked_up(index):
    """The table read at index(key - query, T), held inside."""

    def answer(table, T):
        distance = torch.arange(T) - torch.arange(T)[:, None]
        return table[index(distance, T).clamp(max=len(table) - 1)]

    return answer


@exercise(
    notebook="04",
    title="A number for each distance",
    minutes=8,
    inputs=_biases,
    mistakes=[
        (
            _looked_up(lambda distance, T: T - 1 - distance),
            "Past and future are swapped: the distance is key minus query, k - q.",
        ),
        (
            _looked_up(lambda distance, T: distance),
            "Negative distances wrapped round: index -1 is the end of the table. Add T - 1 to every distance.",
        ),
        (
            _looked_up(lambda distance, T: distance.abs()),
            "The distance lost its sign, and starts at the table's beginning.",
        ),
        (
            _looked_up(lambda distance, T: distance.abs() + T - 1),
            "The distance lost its sign: one step back and one step ahead have numbers of their own.",
        ),
        (_looked_up(lambda distance, T: distance + T), "One too far: distance 0 is the middle, table[T - 1]."),
        (
            _looked_up(lambda distance, T: (distance + T - 2).clamp(min=0)),
            "One too early: distance 0 is the middle, table[T - 1].",
        ),
        (
            lambda table, T: table[T - 1 :],
            lambda table, T: table[:T],
            "One number for each key: a row is wanted for each query too, (T, T).",
        ),
    ],
    example=(torch.tensor([10.0, 20.0, 30.0, 40.0, 50.0]), 3),
    hints=[
        "Which number of the table belongs to distance 0? And to the smallest distance, −(T − 1)?",
        ("Key minus query is {}.", lambda table, T: torch.arange(T) - torch.arange(T)[:, None]),
        "A table can be indexed by a whole matrix of row numbers. Distances begin below 0, row numbers at 0.",
        "Begin with `distance = torch.arange(T) - torch.arange(T)[:, None]`, of shape (T, T).",
    ],
)
def relative_bias(table, T):
    """relative_bias(table, T): table (2T - 1,), its middle being distance 0 -> (T, T): row q, column k has k - q's"""
    distance = torch.arange(T) - torch.arange(T)[:, None]  # (T, T): key - query
    return table[distance + T - 1]
