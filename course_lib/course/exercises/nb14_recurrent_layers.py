"""Checks of notebook 14."""

import math

import torch
from torch import Tensor

from course_lib.course.exercises import Hint, exercise, expect


def _random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@exercise(notebook="14", title="How one state depends on the one before", minutes=10)
def state_jacobian(fn):
    """state_jacobian(h, w_hh): new state h (H,), w_hh (H, H) -> (H, H): row i, column j: dh_i / d(previous h_j)."""
    h, w = torch.tanh(_random(4, seed=0)), _random(4, 4, seed=1)
    slope = 1 - h**2
    expect(
        fn(h, w),
        slope[:, None] * w,
        mistakes=[
            (slope * w, "The slopes scale the columns: slope i belongs to new state i, and that is row i."),
            ((slope[:, None] * w).T, "It is transposed: rows are the new states, columns the previous ones."),
            (w, "The slope of tanh is missing: multiply row i by 1 - h_i²."),
            (torch.diag(slope), "The weights are missing: this is how h depends on what is inside tanh."),
            ((1 - torch.tanh(h) ** 2)[:, None] * w, "h went through tanh a second time: h is already its result."),
            ((1 - h)[:, None] * w, "The slope of tanh is 1 - h²: the square is missing."),
            (h[:, None] * w, "The slope of tanh at that point is 1 - h², not h."),
        ],
        what="the Jacobian",
    )


@exercise(notebook="14", title="The LSTM in one product", minutes=15)
def lstm_step(fn):
    """lstm_step(x, state, weight_ih, weight_hh, bias): x (B, C), state (h, c), each (B, H) -> the next (h, c)."""
    B, C, H = 3, 5, 2
    x, h, c = _random(B, C, seed=0), _random(B, H, seed=1), _random(B, H, seed=2)
    weight_ih, weight_hh, bias = _random(4 * H, C, seed=3), _random(4 * H, H, seed=4), _random(4 * H, seed=5)
    i, f, g, o = (x @ weight_ih.T + h @ weight_hh.T + bias).chunk(4, dim=1)

    def step(i, f, g, o, candidate=torch.tanh):
        new = f.sigmoid() * c + i.sigmoid() * candidate(g)
        return torch.stack([o.sigmoid() * new.tanh(), new])

    right = step(i, f, g, o)
    new = right[1]
    only_new = i.sigmoid() * g.tanh()
    everything = f.sigmoid() * c + g.tanh()
    without_bias = step(*(x @ weight_ih.T + h @ weight_hh.T).chunk(4, dim=1))
    answer = fn(x, (h, c), weight_ih, weight_hh, bias)
    if isinstance(answer, Tensor):
        raise Hint("Return two tensors, the hidden state and the cell: `return h, c`.")
    expect(
        answer if answer is None else torch.stack(tuple(answer)),
        right,
        mistakes=[
            (right.flip(0), "The two are swapped: the hidden state h comes first, the cell c second."),
            (step(i, f, o, g), "The last two gates are swapped: the order of the rows is i, f, g, o."),
            (step(f, i, g, o), "Input and forget gate are swapped: the order of the rows is i, f, g, o."),
            (step(i, f, g, o, torch.sigmoid), "The candidate g may be negative: it goes through tanh, not sigmoid."),
            (torch.stack([o.sigmoid() * new, new]), "h is o times tanh of the cell: that tanh is missing."),
            (torch.stack([o.sigmoid() * c.tanh(), new]), "h is computed from the old cell: use the new one."),
            (torch.stack([o.sigmoid() * only_new.tanh(), only_new]), "The old cell is missing: add f times c."),
            (torch.stack([o.sigmoid() * everything.tanh(), everything]), "The input gate is missing: i times g."),
            (without_bias, "The bias is missing: without it no gate can stay open by itself."),
        ],
        what="the pair (h, c)",
    )


@exercise(notebook="14", title="A bias that sets the memory", minutes=8)
def half_life_bias(fn):
    """half_life_bias(steps): the bias b for which σ(b) to the power of `steps` is 1/2."""
    steps = 7
    keep = 2 ** (-1 / steps)

    def logit(p):
        return math.log(p / (1 - p))

    expect(
        fn(steps),
        logit(keep),
        mistakes=[
            (keep, "This is the gate itself: the bias is what σ turns into it, so invert σ."),
            (-logit(keep), "The sign is flipped: a gate near 1 needs a positive bias."),
            (logit(math.exp(-1 / steps)), "This keeps 1/e after `steps` steps: a half-life keeps 1/2."),
            (logit(1 - 1 / steps), "1 - 1/steps gives a mean life, not a half-life: solve g ** steps = 1/2."),
            (logit(2**-steps), "The exponent is turned round: the gate is 2 ** (-1 / steps)."),
            (math.log(keep), "This is the logarithm of the gate: σ is inverted by log(g / (1 - g))."),
            (1 / (1 + math.exp(-keep)), "σ was applied once more: invert it instead."),
        ],
        what=f"the bias for a half-life of {steps} steps",
    )
    expect(fn(1), 0.0, what="the bias for a half-life of one step")


@exercise(notebook="14", title="Hold the state", minutes=15)
def run_held(fn):
    """run_held(step, x, mask, state): x (B, T, C), mask (B, T), state (B, H) -> states (B, T, H), last (B, H)."""
    B, T, C, H = 2, 6, 3, 4
    x, state = _random(B, T, C, seed=0), _random(B, H, seed=1)
    mask = torch.tensor([[True, True, True, True, False, False], [False, False, True, False, True, True]])
    w, u = _random(C, H, seed=2).requires_grad_(), _random(H, H, seed=3)

    def step(x_t, state):
        return torch.tanh(x_t @ w + state @ u)

    def states(goes_on, shown):
        return _states(step, x, mask, state, goes_on, shown)

    def hold(valid, new, old):
        return torch.where(valid, new, old)

    def reset(valid, new, old):
        return torch.where(valid, new, 0.0)

    def move(valid, new, old):
        return new

    right = states(hold, hold)
    mistakes = [
        (states(move, move), "Every step moves the state: where the mask is False the old state must stay."),
        (states(reset, reset), "Invalid steps set the state to zero, so what came before a gap is lost: keep it."),
        (
            states(hold, reset),
            "The state is held, but the outputs of invalid steps are zero: put the held state there.",
        ),
        (states(hold, move), "The state is held, but the outputs show what it would have become without the mask."),
        (
            states(move, hold),
            "The outputs look at the mask, but the state that goes on does not: hold the state itself.",
        ),
    ]
    expect(
        _joined(fn(step, x, mask, state), (B, T, H)),
        right,
        mistakes=mistakes,
        what="the result (last state at the end)",
    )

    spoiled = torch.where(mask[..., None], x, math.nan)
    answer = _joined(fn(step, spoiled, mask, state), (B, T, H))
    if answer.isnan().any():
        raise Hint("NaN in the padding gets through: 0 times NaN is NaN. Choose with torch.where, don't multiply.")
    expect(answer, right, what="the result with NaN in the padding")
    (gradient,) = torch.autograd.grad(answer.sum(), w)
    if gradient.isnan().any():
        raise Hint(
            "The values are right, but the gradient of the weights is NaN: `step` still sees the NaN, and on the way "
            "back 0 times NaN is NaN again. Put zeros into x before the step, too."
        )


def _states(step, x: Tensor, mask: Tensor, state: Tensor, goes_on, shown) -> Tensor:
    """(B, T + 1, H): the states shown after each step, then the last; `goes_on` and `shown` of (valid, new, old)."""
    states = []
    for t in range(x.shape[1]):
        valid, old = mask[:, t, None], state
        new = step(x[:, t], old)
        state = goes_on(valid, new, old)
        states.append(shown(valid, new, old))
    return torch.stack([*states, state], dim=1)


def _joined(answer, shape: tuple[int, int, int]) -> Tensor | None:
    """A learner's (states, last) as one tensor like `_states` gives."""
    if answer is None:
        return None
    if isinstance(answer, Tensor) or len(answer) != 2:
        raise Hint("Return two things: the states after each step, (B, T, H), and the last state, (B, H).")
    states, last = answer
    if not isinstance(states, Tensor):
        raise Hint("The states are a list: stack them along time with torch.stack(states, dim=1).")
    B, T, H = shape
    if states.shape == (T, B, H):
        raise Hint("Time comes first in the states: stack them along dim=1.")
    if states.shape != shape or last.shape != (B, H):
        raise Hint(f"The shapes are {tuple(states.shape)} and {tuple(last.shape)}, expected {shape} and {(B, H)}.")
    return torch.cat([states, last[:, None]], dim=1)
