"""Wrong answers to the exercises of notebook 04, each with a piece of the hint that it must get."""

import torch


def beside(a):
    return torch.stack([a.sin(), a.cos()], dim=2).flatten(1)


def table(join=beside, exponent=lambda i, c: -2 * i / c, positions=lambda p: p, base=lambda b: b):
    """A wrong `sinusoidal_table`."""

    def answer(at, channels, given):
        i = torch.arange(channels // 2, dtype=torch.float64)
        return join(positions(at).double()[:, None] * base(given) ** exponent(i, channels))

    return answer


def matrix(angle=lambda k, rates: k * rates, block=lambda c, s: [[c, s], [-s, c]]):
    """A wrong `shift_matrix`."""

    def answer(k, channels, base):
        rates = base ** (-torch.arange(0, channels, 2, dtype=torch.float64) / channels)
        return torch.block_diag(*[torch.tensor(block(a.cos(), a.sin())) for a in angle(k, rates)])

    return answer


def halves(k, channels, base):
    angle = k * base ** (-torch.arange(0, channels, 2, dtype=torch.float64) / channels)
    c, s = torch.diag(angle.cos()), torch.diag(angle.sin())
    return torch.cat([torch.cat([c, s], 1), torch.cat([-s, c], 1)])


def bias(index):
    """A wrong `relative_bias`."""

    def answer(table, T):
        distance = torch.arange(T) - torch.arange(T)[:, None]
        return table[index(distance, T).clamp(max=len(table) - 1)]

    return answer


WRONG = {
    "sinusoidal_table": {
        "halves": (table(lambda a: torch.cat([a.sin(), a.cos()], dim=1)), "All sines come first"),
        "swapped": (table(lambda a: torch.stack([a.cos(), a.sin()], dim=2).flatten(1)), "are swapped"),
        "too fast": (table(exponent=lambda i, c: -i / c), "too fast"),
        "sign": (table(exponent=lambda i, c: 2 * i / c), "sign of the exponent"),
        "from one": (table(positions=lambda p: p + 1), "One step late"),
        "own positions": (table(positions=lambda p: torch.arange(len(p))), "positions 0 to T - 1"),
        "base fixed": (table(base=lambda b: 10_000.0), "whatever `base` says"),
        "no return": (lambda p, c, b: None, "`return` missing"),
    },
    "shift_matrix": {
        "backwards": (matrix(block=lambda c, s: [[c, -s], [s, c]]), "turns the wrong way"),
        "one step": (matrix(angle=lambda k, rates: rates), "whatever k is"),
        "one rate": (matrix(angle=lambda k, rates: k * rates[:1].expand(len(rates))), "All pairs turn alike"),
        "halves": (halves, "sines first, then cosines"),
        "cosines only": (matrix(block=lambda c, s: [[c, 0.0], [0.0, c]]), "The sines are missing"),
        "no minus": (matrix(block=lambda c, s: [[c, s], [s, c]]), "A minus is missing"),
        "no return": (lambda k, c, b: None, "`return` missing"),
    },
    "relative_bias": {
        "transposed": (bias(lambda d, T: T - 1 - d), "Past and future are swapped"),
        "wrapped": (bias(lambda d, T: d), "wrapped round"),
        "absolute from 0": (bias(lambda d, T: d.abs()), "lost its sign, and starts"),
        "absolute": (bias(lambda d, T: d.abs() + T - 1), "numbers of their own"),
        "too far": (bias(lambda d, T: d + T), "One too far"),
        "too early": (bias(lambda d, T: (d + T - 2).clamp(min=0)), "One too early"),
        "one row": (lambda table, T: table[T - 1 :], "One number for each key"),
    },
}
