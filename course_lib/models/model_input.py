"""What models ask of their input: real numbers, converted to the dtype of their weights, and lengths that fit."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from course_lib.sequence import parameter_dtype


def real_input(x: Tensor, model: nn.Module) -> Tensor:
    """`x` in the dtype of the model's first parameter, so that any real dtype will do.

    Raises ValueError for what is no tensor, complex numbers, and a number that is infinite in the model's dtype only.
    """
    check_tensor(x)
    if x.is_complex():
        raise ValueError(f"x: expected real numbers, got {x.dtype}")
    dtype = parameter_dtype(model)
    turned = x.to(dtype)
    narrower = x.is_floating_point() and torch.finfo(x.dtype).max > torch.finfo(dtype).max
    if narrower and not (x.is_meta or torch.compiler.is_compiling()) and turned.isinf().any() and not x.isinf().any():
        raise ValueError(f"x: expected numbers within {dtype}, the model's type, got {x.abs().max():.3g}")
    return turned


def check_tensor(x: object) -> None:
    """ValueError for an array or anything else that is no tensor."""
    if not isinstance(x, Tensor):
        raise ValueError(f"x: expected a tensor, got {type(x).__name__}")


def event_input(x: Tensor, lengths: Tensor | None, model: nn.Module, size: int) -> tuple[Tensor, Tensor]:
    """x (B, T, size) in the model's dtype with zeros behind each item's length, and the lengths (B,) int64.

    lengths: (B,) valid samples, what lies behind them may be anything; None: T.
    Raises ValueError for another shape, integers, no item, no sample, or a length that is not from 1 to T.
    """
    check_tensor(x)
    if x.dim() != 3 or x.shape[2] != size:
        hint = ": is the time axis last?" if x.dim() == 3 and x.shape[1] == size else ""
        raise ValueError(f"x: expected (B, T, {size}), got {tuple(x.shape)}{hint}")
    if not x.is_floating_point():
        raise ValueError(f"x: expected floating point, got {x.dtype}")
    if x.shape[0] == 0 or x.shape[1] == 0:
        raise ValueError(f"x: expected at least one item and one sample, got {tuple(x.shape)}")
    x = real_input(x, model)
    if lengths is None:
        return x, torch.full((x.shape[0],), x.shape[1], device=x.device)
    lengths = torch.as_tensor(lengths, device=x.device)
    if lengths.shape != x.shape[:1] or lengths.is_floating_point() or lengths.dtype == torch.bool:
        raise ValueError(f"lengths: expected {x.shape[0]} integers, got {tuple(lengths.shape)} {lengths.dtype}")
    if not lengths.is_meta and bool(((lengths < 1) | (lengths > x.shape[1])).any()):
        raise ValueError(f"lengths: expected 1 to {x.shape[1]} samples, got {lengths.tolist()}")
    inside = torch.arange(x.shape[1], device=x.device) < lengths[:, None]  # (B, T)
    return x.masked_fill(~inside[..., None], 0), lengths.long()
