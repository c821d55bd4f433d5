"""Exercises of notebook 05: a turn in the plane, pairs of neighbours, wavelengths, a stretched table."""

import math

import torch
import torch.nn.functional as F

from course_lib.course.exercises import Draw, exercise


def _pairs(draw: Draw):
    yield torch.tensor([[1.0, 0.0]]), torch.tensor([0.5])
    yield torch.tensor([[2.0, 0.5], [-1.0, 3.0]]), torch.tensor([-1.2, 2.0])
    for _ in range(4):
        N = draw.integer(3, 7)
        yield draw.tensor(N, 2), 2 * draw.tensor(N)


def _turn(angle=lambda a: a, first=lambda x, y, c, s: x * c - y * s, second=lambda x, y, c, s: x * s + y * c):
    """A turn by another angle, or with another line of the two."""

    def answer(pairs, angles):
        x, y = pairs.unbind(dim=1)
        c, s = angle(angles).cos(), angle(angles).sin()
        return torch.stack([first(x, y, c, s), second(x, y, c, s)], dim=1)

    return answer


@exercise(
    notebook="05",
    title="A turn in the plane",
    minutes=6,
    inputs=_pairs,
    mistakes=[
        (_turn(torch.neg), "Turned clockwise: the minus stands in the first line, x cos − y sin."),
        (_turn(torch.deg2rad), "The angles were taken for degrees: they are radians, as torch.cos wants."),
        (_turn(torch.rad2deg), "The angles were made degrees: torch.cos and torch.sin take radians."),
        (
            _turn(first=lambda x, y, c, s: x * c + y * s),
            "Both sines have a plus: a turn has one minus, or lengths change.",
        ),
        (
            _turn(second=lambda x, y, c, s: (x * c - y * s) * s + y * c),
            "The second line used the first one's result: compute both from the old pair.",
        ),
        (lambda *a: turn_pairs(*a).flip(1), "First and second number are swapped in the result."),
        (lambda *a: turn_pairs(*a).T, "Right values, but (2, N): stack along the last dimension."),
        (_turn(lambda a: a[:1]), "Every pair was turned by the first angle: each has its own."),
    ],
    example=(torch.tensor([[1.0, 0.0], [2.0, 1.0]]), torch.tensor([math.pi / 2, math.pi])),
    hints=[
        "The two formulas stand above: apply them to whole columns, first numbers and second numbers.",
        ("The cosines of the angles are {}.", lambda pairs, angles: angles.cos().round(decimals=4)),
        "Compute both new columns from the old ones, then stack them along the last axis.",
        "Begin with `x, y = pairs.unbind(dim=1)`.",
    ],
)
def turn_pairs(pairs, angles):
    """turn_pairs(pairs, angles): pairs (N, 2), angles (N,) in radians -> (N, 2), each turned anticlockwise"""
    x, y = pairs.unbind(dim=1)
    cos, sin = torch.cos(angles), torch.sin(angles)
    return torch.stack([x * cos - y * sin, x * sin + y * cos], dim=1)


def _rotations(draw: Draw):
    yield draw.tensor(1, 2), torch.tensor([3]), 10.0
    yield draw.tensor(2, 4), torch.tensor([0, 2]), 100.0
    yield draw.tensor(5, 6), torch.tensor([0, 1, 2, 7, 40]), 100.0
    for _ in range(3):
        T, half = draw.sizes(2, 2, 6)
        yield draw.tensor(T, 2 * half), torch.from_numpy(draw.integers(0, 30, T)), 10.0 ** draw.integer(1, 4)


def _rotated(
    rates=lambda D, base: base ** -(torch.arange(0, D, 2) / D),
    at=lambda positions: positions,
    taken=lambda x: (x[:, 0::2], x[:, 1::2]),
    put=lambda both: torch.stack(both, dim=2).flatten(1),
):
    """Pairs with other rates or positions, taken from or put into other places."""

    def answer(x, positions, base):
        angles = at(positions)[:, None] * rates(x.shape[1], base)  # (T, D/2)
        a, b = taken(x)
        return put([a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()])

    return answer


def _in_halves(both):
    return torch.cat(both, dim=1)


@exercise(
    notebook="05",
    title="Pairs of neighbours",
    minutes=12,
    inputs=_rotations,
    mistakes=[
        (
            _rotated(taken=lambda x: x.chunk(2, dim=1), put=_in_halves),
            "Paired are i and i + D/2, the library's layout: here neighbours are, x[:, 0::2] with x[:, 1::2].",
        ),
        (
            _rotated(put=_in_halves),
            "The turned numbers stand in halves: firsts, then seconds. Put each back where it came from.",
        ),
        (_rotated(at=torch.neg), "Turned clockwise: check which of the two sines has the minus."),
        (
            _rotated(lambda D, base: base ** -(torch.arange(D // 2) / D)),
            "The speeds fall too slowly: pair i has base to the −2i/D, and there are D/2 pairs.",
        ),
        (
            _rotated(lambda D, base: base ** (torch.arange(0, D, 2) / D)),
            "The speeds grow with the pair: the exponent is negative.",
        ),
        (
            _rotated(lambda D, base: torch.ones(D // 2)),
            "All pairs turn at the same speed: pair i has base to the −2i/D.",
        ),
        (
            _rotated(at=lambda positions: torch.arange(len(positions))),
            "The rows were counted 0, 1, 2, …: use the positions that are given.",
        ),
        (_rotated(at=lambda positions: positions + 1), "Position 0 was turned already: its angle is 0."),
        (
            _rotated(lambda D, base: 10_000.0 ** -(torch.arange(0, D, 2) / D)),
            "The base is fixed at 10,000: use the argument.",
        ),
    ],
    example=(torch.tensor([[1.0, 0.0, 1.0, 0.0]]), torch.tensor([1]), 100.0),
    hints=[
        "Only two lines differ from `rotate_halves`: which channels are first and second, and how they come together.",
        (
            "The speeds of the pairs are {}.",
            lambda x, positions, base: base ** -(torch.arange(0, x.shape[1], 2) / x.shape[1]),
        ),
        "The first of each pair stands in the even channels, the second in the odd ones. At the end they must "
        "alternate again: stack on a new last axis, then flatten.",
        "Begin with `speeds = base ** -(torch.arange(0, x.shape[1], 2) / x.shape[1])`, of shape (D/2,).",
    ],
)
def rotate_neighbours(x, positions, base):
    """rotate_neighbours(x, positions, base): x (T, D), D even, positions (T,) -> (T, D), pairs (0, 1), (2, 3), …"""
    speeds = base ** -(torch.arange(0, x.shape[1], 2) / x.shape[1])  # (D/2,)
    angles = positions[:, None] * speeds  # (T, D/2)
    first, second = x[:, 0::2], x[:, 1::2]  # (T, D/2) each
    cos, sin = angles.cos(), angles.sin()
    return torch.stack([first * cos - second * sin, first * sin + second * cos], dim=2).flatten(1)


def _dimensions(draw: Draw):
    yield 2, 10.0
    yield 4, 100.0
    yield 8, 1000.0
    for _ in range(3):
        yield 2 * draw.integer(3, 12), 10.0 ** draw.integer(1, 4)


def _waves(power=lambda dim: torch.arange(0, dim, 2) / dim, factor=2 * math.pi):
    return lambda dim, base: factor * base ** power(dim)


@exercise(
    notebook="05",
    title="How far a pair can tell",
    minutes=5,
    inputs=_dimensions,
    mistakes=[
        (_waves(factor=1.0), "This is the time for one radian: a full turn has 2π of them."),
        (
            _waves(lambda dim: -torch.arange(0, dim, 2) / dim, 1.0),
            "These are speeds, in radians a step: a full turn takes 2π divided by the speed.",
        ),
        (
            _waves(lambda dim: -torch.arange(0, dim, 2) / dim),
            "The exponent's sign is turned: a slow pair, small in speed, takes many steps.",
        ),
        (_waves(factor=360), "The turn has 360 degrees here, but the speeds are in radians: 2π."),
        (_waves(factor=1 / (2 * math.pi)), "Divided by 2π: a full turn takes 2π times as long as a radian."),
        (
            _waves(lambda dim: torch.arange(dim) / dim),
            "One number a channel: two channels make a pair, so dim / 2 of them are wanted.",
        ),
        (
            _waves(lambda dim: torch.arange(dim // 2) / dim),
            "The wavelengths grow too slowly: pair i has base to the 2i/dim.",
        ),
        (
            _waves(lambda dim: torch.arange(dim // 2) / (dim // 2 - 1)),
            "The last pair reaches base itself: that is the sinusoids' old layout. Here it is base to the 2i/dim.",
        ),
        (lambda *a: wavelengths(*a).flip(0), "The order is turned: pair 0 is the fastest."),
    ],
    example=(4, 100.0),
    hints=[
        "A full turn is 2π radians. How many steps does a pair take that turns by s radians a step?",
        ("The speeds are {} radians a step.", lambda dim, base: base ** -(torch.arange(0, dim, 2) / dim)),
        "2π divided by the speed: dividing by base to the −2i/D is multiplying by base to the 2i/D.",
        "The exponents are `torch.arange(0, dim, 2) / dim`, one a pair.",
    ],
)
def wavelengths(dim, base):
    """wavelengths(dim, base): -> (dim / 2,), how many time steps each pair takes for one full turn"""
    return 2 * math.pi * base ** (torch.arange(0, dim, 2) / dim)


def _tables(draw: Draw):
    for L, C, length in [(2, 1, 3), (4, 3, 10), (4, 3, 4), (5, 2, 11), (7, 4, 3)]:
        yield draw.tensor(L, C), length
    for _ in range(2):
        L, C, more = draw.sizes(3, 2, 8)
        yield draw.tensor(L, C), L + more


def _drawn(table, length, **options):
    return F.interpolate(table.T[None], size=length, **options)[0].T


def _appended(rows):
    """The table kept, cut or with rows behind it."""
    return lambda table, length: torch.cat([table, rows(table, max(length - len(table), 0))])[:length]


@exercise(
    notebook="05",
    title="Stretch a learned table",
    minutes=8,
    inputs=_tables,
    mistakes=[
        (
            lambda table, length: _drawn(table, length, mode="linear", align_corners=False),
            "The ends are off: the first row must stay the first and the last the last (align_corners=True).",
        ),
        (
            lambda table, length: _drawn(table, length, mode="nearest"),
            "Rows are repeated: between two rows, mix them in proportion.",
        ),
        (
            _appended(lambda table, n: table[-1:].expand(n, -1)),
            "The last row was repeated: the whole table is to be drawn out.",
        ),
        (
            _appended(lambda table, n: table.new_zeros(n, table.shape[1])),
            "Rows of zeros were added at the end: the whole table is to be drawn out.",
        ),
        (lambda table, length: table.repeat(3, 1)[:length], "The table was repeated from its start: draw it out."),
        (
            lambda *a: stretch_table(*a).T,
            "Right values, but (C, length): F.interpolate has time last, so transpose back at the end.",
        ),
        (
            lambda table, length: F.interpolate(table[None], size=length, mode="linear", align_corners=True)[0],
            "The channels were drawn out: F.interpolate stretches the last axis, so time must stand there.",
        ),
    ],
    example=(torch.tensor([[0.0, 10.0], [2.0, 20.0]]), 3),
    hints=[
        "`F.interpolate` wants (batch, channels, time) and stretches the last axis. The table is (time, channels).",
        ("Laid out for `F.interpolate` the table is {}.", lambda table, length: table.T[None]),
        "Ask for the size, the mode linear, and aligned corners; then undo what you did to the axes.",
        "Begin with `columns = table.T[None]`, of shape (1, C, L).",
    ],
)
def stretch_table(table, length):
    """stretch_table(table, length): table (L, C) -> (length, C), its rows drawn out linearly from first to last"""
    columns = table.T[None]  # (1, C, L)
    return F.interpolate(columns, size=length, mode="linear", align_corners=True)[0].T
