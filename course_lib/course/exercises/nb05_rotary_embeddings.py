"""Checks for notebook 05: a turn in the plane, pairs of neighbours, wavelengths, a stretched table."""

import math

import torch
import torch.nn.functional as F

from course_lib.course.exercises import Hint, exercise, expect


@exercise(notebook="05", title="A turn in the plane", minutes=6)
def turn_pairs(fn):
    """turn_pairs(pairs, angles): pairs (N, 2), angles (N,) in radians -> (N, 2), each turned anticlockwise"""
    pairs = torch.tensor([[1.0, 0.0], [2.0, 0.5], [-1.0, 3.0], [0.3, -0.7]])
    angles = torch.tensor([0.5, -1.2, 2.0, 0.1])

    def turned(angles):
        x, y = pairs.unbind(dim=1)
        return torch.stack([x * angles.cos() - y * angles.sin(), x * angles.sin() + y * angles.cos()], dim=1)

    right = turned(angles)
    x, y = pairs.unbind(dim=1)
    cos, sin = angles.cos(), angles.sin()
    expect(
        fn(pairs, angles),
        right,
        mistakes=[
            (
                turned(-angles),
                "Turned clockwise: the minus stands in the first line, x cos − y sin.",
            ),
            (turned(torch.deg2rad(angles)), "The angles were taken for degrees: they are radians, as torch.cos wants."),
            (turned(torch.rad2deg(angles)), "The angles were made degrees: torch.cos and torch.sin take radians."),
            (
                torch.stack([x * cos + y * sin, x * sin + y * cos], dim=1),
                "Both sines have a plus: a turn has one minus, or lengths change.",
            ),
            (
                torch.stack([x * cos - y * sin, (x * cos - y * sin) * sin + y * cos], dim=1),
                "The second line used the first one's result: compute both from the old pair.",
            ),
            (right.flip(1), "First and second number are swapped in the result."),
            (right.T, "Right values, but (2, N): stack along the last dimension."),
            (turned(angles[:1]), "Every pair was turned by the first angle: each has its own."),
        ],
        what="the turned pairs",
    )


@exercise(notebook="05", title="Pairs of neighbours", minutes=12)
def rotate_neighbours(fn):
    """rotate_neighbours(x, positions, base): x (T, D), D even, positions (T,) -> (T, D), pairs (0, 1), (2, 3), …"""
    generator = torch.Generator().manual_seed(0)
    x, positions, base = torch.randn(5, 6, generator=generator), torch.tensor([0, 1, 2, 7, 40]), 100.0
    rates = base ** -(torch.arange(3) / 3)

    def rotated(rates, at=positions, pairs=None, join=None):
        angles = at[:, None] * rates  # (T, D/2)
        a, b = pairs or (x[:, 0::2], x[:, 1::2])
        both = [a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()]
        return torch.stack(both, dim=2).flatten(1) if join is None else join(both)

    def halves(both):
        return torch.cat(both, dim=1)

    given = x.clone()
    answer = fn(given, positions, base)
    if not torch.equal(given, x):
        raise Hint("The input was changed in place: whoever called still needs it. Build a new tensor.")
    expect(
        answer,
        rotated(rates),
        mistakes=[
            (
                rotated(rates, pairs=x.chunk(2, dim=1), join=halves),
                "Paired are i and i + D/2, the library's layout: here neighbours are, x[:, 0::2] with x[:, 1::2].",
            ),
            (
                rotated(rates, join=halves),
                "The turned numbers stand in halves: firsts, then seconds. Put each back where it came from.",
            ),
            (rotated(-rates), "Turned clockwise: check which of the two sines has the minus."),
            (
                rotated(base ** -(torch.arange(3) / 6)),
                "The speeds fall too slowly: pair i has base to the −2i/D, and there are D/2 pairs.",
            ),
            (rotated(1 / rates), "The speeds grow with the pair: the exponent is negative."),
            (rotated(torch.ones(3)), "All pairs turn at the same speed: pair i has base to the −2i/D."),
            (rotated(rates, torch.arange(5)), "The rows were counted 0, 1, 2, …: use the positions that are given."),
            (rotated(rates, positions + 1), "Position 0 was turned already: its angle is 0."),
            (
                rotated(10_000.0 ** -(torch.arange(3) / 3)),
                "The base is fixed at 10,000: use the argument.",
            ),
        ],
        what="the rotated x",
    )


@exercise(notebook="05", title="How far a pair can tell", minutes=5)
def wavelengths(fn):
    """wavelengths(dim, base): -> (dim / 2,), how many time steps each pair takes for one full turn"""
    exponents = torch.arange(4) / 4
    right = 2 * math.pi * 1000.0**exponents
    expect(
        fn(8, 1000.0),
        right,
        mistakes=[
            (1000.0**exponents, "This is the time for one radian: a full turn has 2π of them."),
            (1000.0**-exponents, "These are speeds, in radians a step: a full turn takes 2π divided by the speed."),
            (
                2 * math.pi * 1000.0**-exponents,
                "The exponent's sign is turned: a slow pair, small in speed, takes many steps.",
            ),
            (360 * 1000.0**exponents, "The turn has 360 degrees here, but the speeds are in radians: 2π."),
            (
                1000.0**exponents / (2 * math.pi),
                "Divided by 2π: a full turn takes 2π times as long as a radian.",
            ),
            (
                2 * math.pi * 1000.0 ** (torch.arange(8) / 8),
                "One number a channel: two channels make a pair, so dim / 2 of them are wanted.",
            ),
            (
                2 * math.pi * 1000.0 ** (torch.arange(4) / 8),
                "The wavelengths grow too slowly: pair i has base to the 2i/dim.",
            ),
            (
                2 * math.pi * 1000.0 ** (torch.arange(4) / 3),
                "The last pair reaches base itself: that is the sinusoids' old layout. Here it is base to the 2i/dim.",
            ),
            (right.flip(0), "The order is turned: pair 0 is the fastest."),
        ],
        what="the wavelengths for dim = 8, base = 1000",
    )


@exercise(notebook="05", title="Stretch a learned table", minutes=8)
def stretch_table(fn):
    """stretch_table(table, length): table (L, C) -> (length, C), its rows drawn out linearly from first to last"""
    table = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))

    def drawn(length, **mode):
        return F.interpolate(table.T[None], size=length, **mode)[0].T

    right = drawn(10, mode="linear", align_corners=True)
    last = table[-1:].expand(6, 3)
    expect(
        fn(table, 10),
        right,
        mistakes=[
            (
                drawn(10, mode="linear", align_corners=False),
                "The ends are off: the first row must stay the first and the last the last (align_corners=True).",
            ),
            (drawn(10, mode="nearest"), "Rows are repeated: between two rows, mix them in proportion."),
            (torch.cat([table, last]), "The last row was repeated: the whole table is to be drawn out."),
            (
                torch.cat([table, torch.zeros(6, 3)]),
                "Rows of zeros were added at the end: the whole table is to be drawn out.",
            ),
            (torch.cat([table, table, table])[:10], "The table was repeated from its start: draw it out."),
            (
                right.T,
                "Right values, but (C, length): F.interpolate has time last, so transpose back at the end.",
            ),
            (
                F.interpolate(table[None], size=10, mode="linear", align_corners=True)[0],
                "The channels were drawn out: F.interpolate stretches the last axis, so time must stand there.",
            ),
        ],
        what="the table of 4 rows, drawn out to 10",
    )
    expect(fn(table, 4), table, what="a table drawn out to its own length")
