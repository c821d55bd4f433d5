"""Wrong answers to the exercises of notebook 14, each with a piece of the hint that it must get."""

import math

import torch


def lstm(order=(0, 1, 2, 3), candidate=torch.tanh, squash=torch.tanh, forget=True, gated=True, swap=False, bias=True):
    """A wrong `lstm_step`: gates taken in `order`, or a part of the equations left out."""

    def answer(x, state, weight_ih, weight_hh, b):
        h, c = state
        parts = (x @ weight_ih.T + h @ weight_hh.T + (b if bias else 0.0)).chunk(4, dim=1)
        i, f, g, o = (parts[k] for k in order)
        c = (f.sigmoid() * c if forget else 0.0) + (i.sigmoid() if gated else 1.0) * candidate(g)
        h = o.sigmoid() * squash(c)
        return (c, h) if swap else (h, c)

    return answer


def held(hold, shown=None):
    """A wrong `run_held`: `hold` and `shown` (valid, new, old) give the state that goes on, and what is shown."""

    def answer(step, x, mask, state):
        states = []
        for t in range(x.shape[1]):
            valid, old = mask[:, t, None], state
            new = step(x[:, t], old)
            state = hold(valid, new, old)
            states.append(state if shown is None else shown(valid, new, old))
        return torch.stack(states, 1), state

    return answer


def logit(p):
    return math.log(p / (1 - p))


def gate(steps):
    return 2 ** (-1 / steps)


WRONG = {
    "state_jacobian": {
        "columns": (lambda h, w: (1 - h**2) * w, "scale the columns"),
        "transposed": (lambda h, w: w.T * (1 - h**2), "transposed"),
        "no slope": (lambda h, w: w, "slope of tanh is missing"),
        "no weights": (lambda h, w: torch.diag(1 - h**2), "weights are missing"),
        "tanh twice": (lambda h, w: (1 - h.tanh() ** 2)[:, None] * w, "second time"),
        "no square": (lambda h, w: (1 - h)[:, None] * w, "the square is missing"),
    },
    "lstm_step": {
        "i, f, o, g": (lstm(order=(0, 1, 3, 2)), "last two gates"),
        "f, i, g, o": (lstm(order=(1, 0, 2, 3)), "Input and forget gate"),
        "sigmoid candidate": (lstm(candidate=torch.sigmoid), "candidate g may be negative"),
        "no tanh of c": (lstm(squash=lambda c: c), "tanh of the cell"),
        "forgets all": (lstm(forget=False), "old cell is missing"),
        "no input gate": (lstm(gated=False), "input gate is missing"),
        "c, h": (lstm(swap=True), "h comes first"),
        "no bias": (lstm(bias=False), "bias is missing"),
        "h alone": (lambda *a: lstm()(*a)[0], "Two results are expected"),
    },
    "half_life_bias": {
        "the gate": (gate, "gate itself"),
        "sign": (lambda steps: -logit(gate(steps)), "sign is flipped"),
        "1/e": (lambda steps: logit(math.exp(-1 / steps)), "1/e"),
        "mean life": (lambda steps: logit(1 - 1 / steps) if steps > 1 else 0.0, "mean life"),
        "logarithm": (lambda steps: math.log(gate(steps)), "logarithm of the gate"),
        "exponent": (lambda steps: logit(2.0**-steps), "turned round"),
    },
    "run_held": {
        "mask ignored": (held(lambda v, new, old: new), "Every step moves the state"),
        "reset": (held(lambda v, new, old: torch.where(v, new, 0.0)), "to zero"),
        "zero outputs": (held(torch.where, lambda v, new, old: torch.where(v, new, 0.0)), "outputs of invalid steps"),
        "unheld outputs": (held(torch.where, lambda v, new, old: new), "would have become"),
        "outputs only": (held(lambda v, new, old: new, torch.where), "hold the state itself"),
        "time first": (lambda *a: (held(torch.where)(*a)[0].transpose(0, 1), a[3]), "Time comes first"),
        "product": (held(lambda v, new, old: v * new + ~v * old), "0 times NaN"),
        "NaN gradient": (held(torch.where), "gradient of the weights is NaN"),
        "one tensor": (lambda *a: held(torch.where)(*a)[0], "Two results are expected"),
    },
}
