"""Wrong answers to the exercises of notebook 15, each with a piece of the hint that it must get."""

import torch


def matrix(rule):
    """A wrong `decay_matrix`: `rule(age, decay)` of the (T, T) ages t - s."""

    def answer(steps, decay):
        t = torch.arange(steps)
        return rule(t[:, None] - t, decay)

    return answer


def right(age, decay):
    return torch.where(age >= 0, decay ** age.clamp(min=0), 0.0)


def streams(
    others=lambda sums, decay: sums, new=lambda sums, x, rows, decay: decay * sums[rows] + x, detach=True, rows_to=None
):
    """A wrong `update_streams`: what becomes of the other rows, and what the new ones are."""

    def answer(sums, x, rows, decay):
        came = new(sums, x, rows, decay)
        kept = others(sums, decay).clone()
        kept = kept.detach() if detach else kept
        kept[rows if rows_to is None else rows_to(rows)] = came.detach() if detach else came
        return kept, came

    return answer


def in_place(sums, x, rows, decay):
    new = decay * sums[rows] + x
    sums[rows] = new.detach()
    return sums, new


def joined(rule):
    """A wrong `join`: `rule` of the four tensors."""
    return lambda earlier, later: rule(*earlier, *later)


WRONG = {
    "decay_matrix": {
        "transposed": (matrix(lambda age, d: right(age, d).T), "transposed"),
        "future": (matrix(lambda age, d: d ** age.abs()), "looks into the future"),
        "no leak": (matrix(lambda age, d: (age >= 0).float()), "decay is missing"),
        "one too many": (matrix(lambda age, d: d * right(age, d)), "One decay too many"),
        "no newest": (
            matrix(lambda age, d: torch.where(age > 0, d ** age.clamp(min=0), 0.0)),
            "newest input is missing",
        ),
        "no age": (matrix(lambda age, d: d * (age >= 0).float()), "age is missing"),
    },
    "join": {
        "wrong leaks": (joined(lambda p, a, q, b: (p * q, p * b + a)), "wrong one leaks"),
        "no leak": (joined(lambda p, a, q, b: (p * q, a + b)), "does not leak"),
        "factors added": (joined(lambda p, a, q, b: (p + q, q * a + b)), "Factors multiply"),
        "later factor": (joined(lambda p, a, q, b: (q, q * a + b)), "later stretch alone"),
        "own factor": (joined(lambda p, a, q, b: (p * q, p * a + b)), "already gone through p"),
        "swapped": (joined(lambda p, a, q, b: (q * a + b, p * q)), "two are swapped"),
        "sum alone": (joined(lambda p, a, q, b: q * a + b), "Two results are expected"),
    },
    "update_streams": {
        "zeros": (streams(others=lambda s, d: torch.zeros_like(s)), "lost their sums"),
        "all leak": (streams(others=lambda s, d: d * s), "have leaked"),
        "no old sums": (streams(new=lambda s, x, r, d: x), "old sums are missing"),
        "no decay": (streams(new=lambda s, x, r, d: s[r] + x), "The decay is missing"),
        "first rows written": (streams(rows_to=lambda rows: slice(len(rows))), "went into the first rows"),
        "first rows read": (streams(new=lambda s, x, r, d: d * s[: len(r)] + x), "read from the first rows"),
        "in place": (in_place, "changed in place"),
        "graph kept": (streams(detach=False), "detach what you store"),
        "all detached": (streams(new=lambda s, x, r, d: (d * s[r] + x).detach()), "no gradient at all"),
        "one tensor": (lambda *a: streams()(*a)[0], "Return two tensors"),
    },
}
