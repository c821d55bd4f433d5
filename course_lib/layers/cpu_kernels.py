"""Mish and dropout as PyTorch has them, arranged to take less time on a CPU; elsewhere PyTorch's own.

PyTorch's Mish takes a logarithm and a hyperbolic tangent of every value, where one exponential says as much; its
dropout draws one random number for every value, where sixteen bits of one are enough. Both were a tenth of a training
step of the signal transformer.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_LEVELS = 1 << 16  # what sixteen random bits can tell apart
_MANY = 4096  # values: below, calling the additional operations costs more than they save
_SATURATED = 20.0  # mish(x) = x from here on, also in float64


def mish(x: Tensor) -> Tensor:
    """x tanh(log(1 + eˣ)), as x n / (n + 2) with n = eˣ (eˣ + 2).  Source: Misra 2019."""
    return _Mish.apply(x) if _pays(x) else F.mish(x)


def dropout(x: Tensor, p: float) -> Tensor:
    """Zeroes each value with probability `p`, from PyTorch's default generator, and divides the others by 1 - p.

    On a CPU the probability is the nearest multiple of 2⁻¹⁶, which 1 - p follows.
    """
    dropped = round(p * _LEVELS)
    if not _pays(x) or not 0 < dropped < _LEVELS:
        return F.dropout(x, p)
    draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)  # four values from each
    kept = draws.view(torch.int16)[: x.numel()].view(x.shape) >= dropped - _LEVELS // 2
    return x * kept.to(x.dtype).mul_(_LEVELS / (_LEVELS - dropped))


def _pays(x: Tensor) -> bool:
    return x.device.type == "cpu" and not torch.compiler.is_compiling() and x.numel() >= _MANY


class _Mish(torch.autograd.Function):
    """Keeps its input only; the slope is n / (n + 2) + 4 x eˣ (eˣ + 1) / (n + 2)²."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        e = x.clamp(max=_SATURATED).exp_()
        n = (e + 2).mul_(e)
        return n.div_(n + 2).mul_(x)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        e = x.clamp(max=_SATURATED).exp()
        n = e * (e + 2)
        share = 1 / (n + 2)
        return gradient * share * (n + 4 * x * e * (e + 1) * share)
