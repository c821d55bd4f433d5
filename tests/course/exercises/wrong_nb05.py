"""Wrong answers to the exercises of notebook 05, each with a piece of the hint that it must get."""

import math

import torch
import torch.nn.functional as F


def turn(first=lambda x, y, c, s: x * c - y * s, second=lambda x, y, c, s: x * s + y * c, angle=lambda a: a, dim=1):
    """A wrong `turn_pairs`."""

    def answer(pairs, angles):
        x, y = pairs.unbind(dim=1)
        cos, sin = angle(angles).cos(), angle(angles).sin()
        return torch.stack([first(x, y, cos, sin), second(x, y, cos, sin)], dim=dim)

    return answer


def overwritten(pairs, angles):
    pairs = pairs.clone()
    pairs[:, 0] = pairs[:, 0] * angles.cos() - pairs[:, 1] * angles.sin()
    pairs[:, 1] = pairs[:, 0] * angles.sin() + pairs[:, 1] * angles.cos()
    return pairs


def neighbours(rates=lambda d, base: base ** -(torch.arange(0, d, 2) / d), at=lambda p: p, halves=(False, False)):
    """A wrong `rotate_neighbours`.  halves: whether pairs are taken from, and put into, two halves."""

    def answer(x, positions, base):
        angles = at(positions)[:, None] * rates(x.shape[1], base)
        a, b = x.chunk(2, dim=1) if halves[0] else (x[:, 0::2], x[:, 1::2])
        both = [a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()]
        return torch.cat(both, dim=1) if halves[1] else torch.stack(both, dim=2).flatten(1)

    return answer


def in_place(x, positions, base):
    x.copy_(neighbours()(x.clone(), positions, base))
    return x


def stretched(mode="linear", corners=True, transposed=True, back=True):
    """A wrong `stretch_table`."""

    def answer(table, length):
        options = {"align_corners": corners} if mode == "linear" else {}
        y = F.interpolate((table.T if transposed else table)[None], size=length, mode=mode, **options)[0]
        return y.T if back and transposed else y

    return answer


def appended(rows):
    """A wrong `stretch_table` that keeps the table and puts `rows` behind it."""
    return lambda table, length: torch.cat([table, rows(table, length - len(table))])[:length]


def waves(power=lambda dim: torch.arange(0, dim, 2) / dim, factor=2 * math.pi):
    return lambda dim, base: factor * base ** power(dim)


WRONG = {
    "turn_pairs": {
        "clockwise": (turn(angle=lambda a: -a), "Turned clockwise"),
        "degrees": (turn(angle=torch.deg2rad), "taken for degrees"),
        "made degrees": (turn(angle=torch.rad2deg), "were made degrees"),
        "two plus signs": (turn(first=lambda x, y, c, s: x * c + y * s), "Both sines have a plus"),
        "first result used again": (overwritten, "used the first one's result"),
        "swapped": (lambda p, a: turn()(p, a).flip(1), "are swapped"),
        "stacked in rows": (turn(dim=0), "but (2, N)"),
        "one angle for all": (turn(angle=lambda a: a[:1]), "by the first angle"),
    },
    "rotate_neighbours": {
        "halves": (neighbours(halves=(True, True)), "the library's layout"),
        "put back in halves": (neighbours(halves=(False, True)), "stand in halves"),
        "clockwise": (neighbours(at=lambda p: -p), "which of the two sines"),
        "i/D": (neighbours(lambda d, base: base ** -(torch.arange(d // 2) / d)), "fall too slowly"),
        "positive exponent": (neighbours(lambda d, base: base ** (torch.arange(0, d, 2) / d)), "exponent is negative"),
        "one speed": (neighbours(lambda d, base: torch.ones(d // 2)), "at the same speed"),
        "rows counted": (neighbours(at=lambda p: torch.arange(len(p))), "positions that are given"),
        "from one": (neighbours(at=lambda p: p + 1), "its angle is 0"),
        "fixed base": (neighbours(lambda d, base: 10_000.0 ** -(torch.arange(0, d, 2) / d)), "use the argument"),
        "in place": (in_place, "changed in place"),
    },
    "wavelengths": {
        "radians": (waves(factor=1.0), "time for one radian"),
        "speeds": (waves(lambda dim: -torch.arange(0, dim, 2) / dim, 1.0), "These are speeds"),
        "sign": (waves(lambda dim: -torch.arange(0, dim, 2) / dim), "sign is turned"),
        "degrees": (waves(factor=360), "360 degrees"),
        "divided": (waves(factor=1 / (2 * math.pi)), "Divided by 2π"),
        "one a channel": (waves(lambda dim: torch.arange(dim) / dim), "One number a channel"),
        "i/dim": (waves(lambda dim: torch.arange(dim // 2) / dim), "grow too slowly"),
        "up to base": (waves(lambda dim: torch.arange(dim // 2) / (dim // 2 - 1)), "reaches base itself"),
        "turned order": (lambda dim, base: waves()(dim, base).flip(0), "pair 0 is the fastest"),
    },
    "stretch_table": {
        "corners": (stretched(corners=False), "The ends are off"),
        "nearest": (stretched("nearest"), "Rows are repeated"),
        "last row": (appended(lambda t, n: t[-1:].expand(n, -1)), "last row was repeated"),
        "zeros": (appended(lambda t, n: torch.zeros(n, t.shape[1])), "Rows of zeros"),
        "again from the start": (appended(lambda t, n: t.repeat(3, 1)[:n]), "repeated from its start"),
        "time last": (stretched(back=False), "but (C, length)"),
        "channels": (stretched(transposed=False), "channels were drawn out"),
    },
}
