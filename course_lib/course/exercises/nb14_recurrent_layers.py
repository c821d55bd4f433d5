"""Exercises of notebook 14."""

import math

import torch

from course_lib.course.exercises import Draw, Edge, Hint, exercise


def _states(draw: Draw):
    for H in (1, 2, 4, draw.integer(3, 6)):
        yield torch.tanh(draw.tensor(H)), draw.tensor(H, H)


@exercise(
    notebook="14",
    title="How one state depends on the one before",
    minutes=10,
    inputs=_states,
    mistakes=[
        (
            lambda h, w: (1 - h**2) * w,
            "The slopes scale the columns: slope i belongs to new state i, and that is row i.",
        ),
        (lambda h, w: state_jacobian(h, w).T, "It is transposed: rows are the new states, columns the previous ones."),
        (lambda h, w: w, "The slope of tanh is missing: multiply row i by 1 - h_i²."),
        (lambda h, w: torch.diag(1 - h**2), "The weights are missing: this is how h depends on what is inside tanh."),
        (lambda h, w: state_jacobian(torch.tanh(h), w), "h went through tanh a second time: h is already its result."),
        (lambda h, w: (1 - h)[:, None] * w, "The slope of tanh is 1 - h²: the square is missing."),
        (lambda h, w: h[:, None] * w, "The slope of tanh at that point is 1 - h², not h."),
    ],
    example=(torch.tensor([0.6, 0.8]), torch.tensor([[1.0, 2.0], [3.0, 4.0]])),
    hints=[
        "Chain rule: the slope of tanh, times what stands inside it. Which of the two belongs to the row?",
        ("The slopes of tanh are {}.", lambda h, w_hh: 1 - h**2),
        "Row i of the weights, all of it, is multiplied by the slope at h_i.",
        "Begin with `slope = 1 - h**2`, of shape (H,).",
    ],
)
def state_jacobian(h, w_hh):
    """state_jacobian(h, w_hh): new state h (H,), w_hh (H, H) -> (H, H): row i, column j: dh_i / d(previous h_j)."""
    return (1 - h**2)[:, None] * w_hh


def _cells(draw: Draw):
    for B, C, H in [(1, 1, 1), (1, 2, 1), (3, 5, 2), (2, 3, 5), draw.sizes(3, 2, 6), draw.sizes(3, 2, 6)]:
        state = draw.tensor(B, H), draw.tensor(B, H)
        yield draw.tensor(B, C), state, draw.tensor(4 * H, C), draw.tensor(4 * H, H), draw.tensor(4 * H)


def _lstm(order=(0, 1, 2, 3), candidate=torch.tanh, squash=lambda new, old: new.tanh(), old=1.0, gate=None, bias=1.0):
    """An LSTM with gates in another order, or one part of its equations replaced."""

    def answer(x, state, weight_ih, weight_hh, b):
        h, c = state
        gates = (x @ weight_ih.T + h @ weight_hh.T + bias * b).chunk(4, dim=1)
        i, f, g, o = (gates[k] for k in order)
        new = old * f.sigmoid() * c + (i.sigmoid() if gate is None else gate) * candidate(g)
        return o.sigmoid() * squash(new, c), new

    return answer


@exercise(
    notebook="14",
    title="The LSTM in one product",
    minutes=15,
    inputs=_cells,
    parts=("the hidden state h", "the cell c"),
    mistakes=[
        (lambda *a: _lstm()(*a)[::-1], "The two are swapped: the hidden state h comes first, the cell c second."),
        (_lstm((0, 1, 3, 2)), "The last two gates are swapped: the order of the rows is i, f, g, o."),
        (_lstm((1, 0, 2, 3)), "Input and forget gate are swapped: the order of the rows is i, f, g, o."),
        (_lstm(candidate=torch.sigmoid), "The candidate g may be negative: it goes through tanh, not sigmoid."),
        (_lstm(squash=lambda new, old: new), "h is o times tanh of the cell: that tanh is missing."),
        (_lstm(squash=lambda new, old: old.tanh()), "h is computed from the old cell: use the new one."),
        (_lstm(old=0.0), "The old cell is missing: add f times c."),
        (_lstm(gate=1.0), "The input gate is missing: i times g."),
        (_lstm(bias=0.0), "The bias is missing: without it no gate can stay open by itself."),
    ],
    example=(
        torch.tensor([[1.0]]),
        (torch.tensor([[0.0]]), torch.tensor([[1.0]])),
        torch.tensor([[0.0], [0.0], [1.0], [0.0]]),
        torch.zeros(4, 1),
        torch.zeros(4),
    ),
    hints=[
        "The sum of both products has 4 H columns. Which of them belong to which gate?",
        ("Before sigmoid and tanh the four gates are {}.", lambda x, s, wi, wh, b: x @ wi.T + s[0] @ wh.T + b),
        "i, f and o go through the sigmoid, g through tanh. The new c is f times the old one plus i times g; h is o "
        "times tanh of it.",
        "Begin with `h, c = state`.",
    ],
)
def lstm_step(x, state, weight_ih, weight_hh, bias):
    """lstm_step(x, state, weight_ih, weight_hh, bias): x (B, C), state (h, c), each (B, H) -> the next (h, c)."""
    h, c = state
    i, f, g, o = (x @ weight_ih.T + h @ weight_hh.T + bias).chunk(4, dim=-1)  # each (B, H)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def _half_lives(draw: Draw):
    yield from (1, 2, 7, 100, 2.5)
    for _ in range(3):
        yield draw.integer(3, 60)


def _logit(p):
    return math.log(p / (1 - p))


def _gate(steps):
    return 2 ** (-1 / steps)


@exercise(
    notebook="14",
    title="A bias that sets the memory",
    minutes=8,
    inputs=_half_lives,
    mistakes=[
        (_gate, "This is the gate itself: the bias is what σ turns into it, so invert σ."),
        (lambda steps: -_logit(_gate(steps)), "The sign is flipped: a gate near 1 needs a positive bias."),
        (lambda steps: _logit(math.exp(-1 / steps)), "This keeps 1/e after `steps` steps: a half-life keeps 1/2."),
        (
            lambda steps: _logit(1 - 1 / steps) if steps > 1 else 0.0,
            "1 - 1/steps gives a mean life, not a half-life: solve g ** steps = 1/2.",
        ),
        (lambda steps: _logit(2.0**-steps), "The exponent is turned round: the gate is 2 ** (-1 / steps)."),
        (lambda steps: math.log(_gate(steps)), "This is the logarithm of the gate: σ is inverted by log(g / (1 - g))."),
        (lambda steps: 1 / (1 + math.exp(-_gate(steps))), "σ was applied once more: invert it instead."),
    ],
    example=(2.0,),
    hints=[
        "First without σ: which number, multiplied by itself `steps` times, gives one half?",
        ("The gate is {}.", lambda steps: 2 ** (-1 / steps)),
        "Solve g = 1 / (1 + exp(−b)) for b: it is the logarithm of the odds, g to 1 − g.",
        "Begin with `keep = 2 ** (-1 / steps)`.",
    ],
)
def half_life_bias(steps):
    """half_life_bias(steps): the bias b for which σ(b) to the power of `steps` is 1/2."""
    keep = 2 ** (-1 / steps)
    return math.log(keep / (1 - keep))


def _runs(draw: Draw):
    masks = [
        torch.tensor([[True, False]]),
        torch.tensor([[True, True, True, True, False, False], [False, False, True, False, True, True]]),
    ]
    for B, T in (draw.sizes(2, 2, 6), draw.sizes(2, 2, 6)):
        masks.append(torch.from_numpy(draw.rng.random((B, T)) < 0.6))
    for mask in masks:
        (B, T), (C, H) = mask.shape, draw.sizes(2, 2, 5)
        yield draw.tensor(C, H), draw.tensor(H, H), draw.tensor(B, T, C), mask, draw.tensor(B, H)
    (B, T), C, H = mask.shape, 3, 4
    mask[0, 1], x = False, draw.tensor(B, T, C)
    spoiled = torch.where(mask[..., None], x, math.nan)
    through = "NaN in the padding gets through: 0 times NaN is NaN. Choose with torch.where, don't multiply."
    yield Edge((draw.tensor(C, H), draw.tensor(H, H), spoiled, mask, draw.tensor(B, H)), through, nan=through)


def _run(fn, w, u, x, mask, state):
    """The states with `step` of these weights, or what is wrong with their form."""

    def step(x_t, state):
        return torch.tanh(x_t @ w.to(x_t) + state @ u.to(state))

    answer = fn(step, x, mask, state)
    if isinstance(answer, tuple) and isinstance(answer[0], list):
        raise Hint("The states are a list: stack them along time with torch.stack(states, dim=1).")
    return answer


def _held(goes_on=torch.where, shown=torch.where):
    """Held by `goes_on` of (valid, new, old); what is shown after each step is `shown` of the same."""

    def answer(step, x, mask, state):
        states = []
        for t in range(x.shape[1]):
            valid, old = mask[:, t, None], state
            new = step(torch.where(valid, x[:, t], 0.0), old)
            state = goes_on(valid, new, old)
            states.append(shown(valid, new, old))
        return torch.stack(states, dim=1), state

    return answer


def _reset(valid, new, old):
    return torch.where(valid, new, 0.0)


def _move(valid, new, old):
    return new


def _moved(shown):
    """As `_held`, with invalid steps going on from what they hold: nothing is put in their place."""

    def answer(step, x, mask, state):
        states = []
        for t in range(x.shape[1]):
            old, state = state, step(x[:, t], state)
            states.append(shown(mask[:, t, None], state, old))
        return torch.stack(states, dim=1), state

    return answer


def _unheld_outputs(step, x, mask, state):
    states = []
    for t in range(x.shape[1]):
        new = step(x[:, t], state)
        states.append(new)
        state = torch.where(mask[:, t, None], new, state)
    return torch.stack(states, dim=1), state


@exercise(
    notebook="14",
    title="Hold the state",
    minutes=15,
    inputs=_runs,
    call=_run,
    parts=("the states after each step", "the last state"),
    gradients={
        "w": "The values are right, but the gradient of the weights is NaN: `step` still sees the NaN, and on the way "
        "back 0 times NaN is NaN again. Put zeros into x before the step, too."
    },
    mistakes=[
        (_moved(_move), "Every step moves the state: where the mask is False the old state must stay."),
        (_held(_reset, _reset), "Invalid steps set the state to zero, so what came before a gap is lost: keep it."),
        (
            _held(shown=_reset),
            "The state is held, but the outputs of invalid steps are zero: put the held state there.",
        ),
        (_unheld_outputs, "The state is held, but the outputs show what it would have become without the mask."),
        (
            _moved(torch.where),
            "The outputs look at the mask, but the state that goes on does not: hold the state itself.",
        ),
        (lambda *a: (_held()(*a)[0].transpose(0, 1), ...), "Time comes first in the states: stack them along dim=1."),
    ],
    example=(
        torch.tensor([[1.0]]),
        torch.tensor([[0.5]]),
        torch.tensor([[[1.0], [9.0], [1.0]]]),
        torch.tensor([[True, False, True]]),
        torch.tensor([[0.0]]),
    ),
    hints=[
        "At each step there are two candidates for the state, the new and the old. Who chooses? (In the example the "
        "step is "
        "tanh(x·w + state·u).)",
        ("After its first step the state is {}.", lambda w, u, x, mask, state: torch.tanh(x[:, 0] @ w + state @ u)),
        "Loop over time; `torch.where` takes the new state where the step is valid. NaN must be replaced in x before "
        "the step, "
        "or gradients become NaN.",
        "Begin with `x = torch.where(mask[..., None], x, 0.0)`.",
    ],
)
def run_held(step, x, mask, state):
    """run_held(step, x, mask, state): x (B, T, C), mask (B, T), state (B, H) -> states (B, T, H), last (B, H)."""
    x, states = torch.where(mask[..., None], x, 0.0), []
    for t in range(x.shape[1]):
        state = torch.where(mask[:, t, None], step(x[:, t], state), state)  # (B, H)
        states.append(state)
    return torch.stack(states, dim=1), state
