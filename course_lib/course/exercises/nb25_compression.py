"""Exercises of notebook 25."""

import torch
import torch.nn.functional as F

from course_lib.course.exercises import Draw, exercise


def _numbers(draw: Draw):
    yield torch.tensor([-1.0, 0.3, 2.1]), 2
    yield torch.tensor([0.2, 0.7, 3.1, 1.4]), 3
    yield torch.tensor([-0.3, -2.2, -1.7]), 4
    for bits in (2, 5, 8):
        yield draw.tensor(draw.integer(5, 9)) + draw.number(-2, 2), bits


def _affine(low=0.0, high=0.0, fewer=1, round=torch.round, shift=0.0):
    """The answer with another range, number of gaps, rounding or first integer."""

    def answer(x, bits):
        bottom, top = min(x.min().item(), low), max(x.max().item(), high)
        scale = (top - bottom) / (2**bits - fewer)
        zero = int(torch.tensor(-bottom / scale).round())
        q = (round(x / scale) + zero).clamp(0, 2**bits - 1) + shift * 2 ** (bits - 1)
        return q.long(), scale, zero

    return answer


@exercise(
    notebook="25",
    title="Scale and zero point",
    minutes=12,
    inputs=_numbers,
    parts=("the integers", "the scale", "the zero point"),
    mistakes=[
        (
            _affine(low=float("inf"), high=-float("inf")),
            "The range must hold 0, or 0 has no integer of its own: low is at most 0, high at least 0.",
        ),
        (_affine(fewer=0), "2^bits integers have 2^bits − 1 gaps between them."),
        (_affine(round=torch.trunc), "The quotients were cut, not rounded to the nearest integer."),
        (_affine(shift=-1.0), "The integers run from 0 to 2^bits − 1 here; yours are signed."),
        (
            lambda x, bits: ((x / _affine()(x, bits)[1]).round().clamp(0, 2**bits - 1).long(), *_affine()(x, bits)[1:]),
            "The zero point is to be added to the rounded quotient: 0 becomes that integer.",
        ),
    ],
    example=(torch.tensor([-1.0, 0.0, 0.4, 2.0]), 2),
    hints=[
        "Where does the range begin and end, if it must hold 0? How many gaps lie between 2^bits integers?",
        ("The range is {} wide.", lambda x, bits: max(x.max().item(), 0.0) - min(x.min().item(), 0.0)),
        "The zero point is the integer that 0 becomes: how many scales lie between the low end and 0?",
        "Begin with `low, high = min(x.min().item(), 0.0), max(x.max().item(), 0.0)`.",
    ],
)
def affine_quantise(x, bits):
    """affine_quantise(x, bits): x (N,), not all 0 -> integers (N,) int64 from 0 to 2**bits - 1, scale, zero point."""
    low, high = min(x.min().item(), 0.0), max(x.max().item(), 0.0)
    scale = (high - low) / (2**bits - 1)
    zero = round(-low / scale)
    return ((x / scale).round() + zero).clamp(0, 2**bits - 1).long(), scale, zero


def _weights(draw: Draw):
    yield torch.tensor([0.31, -0.12, 0.94]), 0.25, 3
    for bits in (2, 4, 8):
        yield draw.tensor(draw.integer(6, 9)), draw.number(0.1, 0.4), bits


def _with_gradient(fn, w, scale, bits):
    """The values, and the gradient of their sum with respect to w."""
    w = w.clone().requires_grad_()
    y = fn(w, scale, bits)
    if not (isinstance(y, torch.Tensor) and y.requires_grad):
        return y, torch.zeros_like(w)
    (gradient,) = torch.autograd.grad(y.sum(), w, allow_unused=True)
    return y, torch.zeros_like(w) if gradient is None else gradient


def _largest(bits):
    return 2 ** (bits - 1) - 1


@exercise(
    notebook="25",
    title="Round, but pass the gradient on",
    minutes=12,
    inputs=_weights,
    call=_with_gradient,
    parts=("the values", "the gradient"),
    mistakes=[
        (
            lambda w, s, b: s * (w / s).round().clamp(-_largest(b), _largest(b)),
            "The values are right, the gradient is 0: rounding is flat. Add the rounding error as a detached constant.",
        ),
        (
            lambda w, s, b: w + (s * (w / s).round().clamp(-_largest(b), _largest(b)) - w).detach(),
            "The gradient is 1 everywhere. Where a weight is clipped, moving it changes nothing: there it is 0.",
        ),
        (
            lambda w, s, b: w + (s * (w / s).round() - w).detach(),
            "Clip to ±(2^(bits − 1) − 1) steps: larger integers do not exist.",
        ),
        (
            lambda w, s, b: (lambda c: c + (c.round() - c).detach())((w / s).clamp(-_largest(b), _largest(b))),
            "These are the integers: multiply by the scale again.",
        ),
        (
            lambda w, s, b: s * (lambda c: c + (c.round() - c).detach())((w / s).clamp(-_largest(b) - 1, _largest(b))),
            "The range is symmetric, ±(2^(bits − 1) − 1): one integer at the negative end stays unused.",
        ),
    ],
    example=(torch.tensor([0.3, -0.2, 2.0]), 0.5, 2),
    hints=[
        "Divide by the scale, clip, round, multiply by the scale: which of the four steps is flat?",
        ("Divided by the scale and clipped, the weights are {}.", lambda w, s, b: (w / s).clamp(-1, 1)),
        "Rounding is adding a number: the rounding error. PyTorch sees a constant where that number is detached.",
        "Begin with `steps = (w / scale).clamp(1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1)`.",
    ],
)
def fake_quantise(w, scale, bits):
    """fake_quantise(w, scale, bits): w (N,) -> (N,) rounded to scale times integers up to ±(2**(bits - 1) - 1)."""
    steps = (w / scale).clamp(-_largest(bits), _largest(bits))
    return scale * (steps + (steps.round() - steps).detach())


def _logits(draw: Draw):
    yield torch.tensor([[0.5, -0.5]]), torch.tensor([[1.0, 0.2]]), 1.0
    yield torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([[1.0, 0.0, 1.0]]), 2.0
    for _ in range(4):
        B, K = draw.sizes(2, 2, 6)
        yield draw.tensor(B, K), draw.tensor(B, K), draw.number(1.5, 5)


def _divergence(student, teacher, T, soft=None, reduction="batchmean"):
    return F.kl_div(F.log_softmax(student / (soft or T), 1), F.softmax(teacher / T, 1), reduction=reduction)


@exercise(
    notebook="25",
    title="The loss of a student",
    minutes=10,
    inputs=_logits,
    mistakes=[
        (_divergence, "The factor T² is missing: without it the gradient shrinks as T grows."),
        (lambda s, t, T: T * _divergence(s, t, T), "The factor is T², one T for each of the two softmaxes."),
        (lambda s, t, T: T**2 * _divergence(s, t, T, reduction="sum"), "Take the mean over the signals, not the sum."),
        (
            lambda s, t, T: T**2 * _divergence(s, t, T, reduction="mean"),
            "Sum over the classes and take the mean over the signals; yours is divided by the number of classes too.",
        ),
        (
            lambda s, t, T: T**2 * _divergence(t, s, T),
            "The two are swapped: the teacher's probabilities weigh the difference of the logarithms.",
        ),
        (
            lambda s, t, T: T**2 * F.cross_entropy(s / T, F.softmax(t / T, 1)),
            "This is the cross-entropy, larger by the teacher's entropy: subtract log p of the teacher as well.",
        ),
        (lambda s, t, T: T**2 * _divergence(s, t, T, soft=1.0), "The student's logits are divided by T, too."),
    ],
    example=(torch.tensor([[0.0, 0.0]]), torch.tensor([[2.0, 0.0]]), 2.0),
    hints=[
        "Both softmaxes are taken of logits divided by T. Which of them weighs the sum?",
        ("The teacher's probabilities are {}.", lambda s, t, T: torch.softmax(t / T, 1)),
        "Sum p (log p − log q) over the classes, mean over the signals, times T².",
        "Begin with `log_p = torch.log_softmax(teacher / T, dim=1)`.",
    ],
)
def distillation_loss(student, teacher, T):
    """distillation_loss(student, teacher, T): logits (B, K) of both -> T² · mean over B of KL(teacher, student)."""
    log_p, log_q = F.log_softmax(teacher / T, 1), F.log_softmax(student / T, 1)
    return T**2 * (log_p.exp() * (log_p - log_q)).sum(1).mean()
