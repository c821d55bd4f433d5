"""Losses for classification: focal loss, which spends less on what the model already gets right."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FocalLoss(nn.Module):
    """`focal_loss`, or with `binary` `binary_focal_loss`, as a module: loss(logits, targets) -> Tensor.

    gamma, weight, label_smoothing, reduction: as there.  The weights are a buffer and move with the module.
    """

    weight: Tensor | None

    def __init__(
        self,
        gamma: float = 2.0,
        weight: Tensor | list[float] | None = None,
        label_smoothing: float = 0.0,
        binary: bool = False,
        reduction: str = "mean",
    ):
        super().__init__()
        _check_arguments(gamma, label_smoothing, reduction)
        weight = None if weight is None else torch.as_tensor(weight, dtype=torch.float32)
        if binary and weight is not None and weight.shape != (2,):
            raise ValueError(f"weight: expected two, for classes 0 and 1, got shape {tuple(weight.shape)}")
        if weight is not None and not ((weight >= 0) & (weight < math.inf)).all():
            raise ValueError(f"weight: expected numbers from 0 on, got {weight.tolist()}")
        self.register_buffer("weight", weight)
        self.gamma, self.label_smoothing, self.binary, self.reduction = gamma, label_smoothing, binary, reduction

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        loss = binary_focal_loss if self.binary else focal_loss
        return loss(logits, targets, self.gamma, self.weight, self.label_smoothing, self.reduction)

    def extra_repr(self):
        return f"gamma={self.gamma}, label_smoothing={self.label_smoothing}, binary={self.binary}"


def focal_loss(
    logits: Tensor,
    targets: Tensor,
    gamma: float = 2.0,
    weight: Tensor | None = None,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    """-Σ over classes c of q_c w_c (1 - p_c)^gamma log p_c, with p the softmax of the logits and q the targets.

    logits: (B, C) or (B, C, ...).  targets: classes (B, ...), integers from 0 to C - 1, or, soft, probabilities of the
    shape of the logits, as mixing gives them.  weight: (C,) one for each class.
    label_smoothing: share of q spread evenly over all classes.
    reduction: "mean", "sum" or "none". The mean divides by the sum of the targets' weights where targets are classes,
    and by the number of targets where they are soft, so that gamma=0 gives F.cross_entropy exactly.
    A class that is ruled out, with a logit of -inf, costs nothing where q is 0, as in F.cross_entropy.
    Raises ValueError naming the argument: classes out of range, probabilities outside 0 to 1, shapes that do not fit,
    gamma below 0.
    Source: Lin et al. 2017, eq. 4 and 5.
    """
    _check_arguments(gamma, label_smoothing, reduction)
    if logits.dim() < 2 or not logits.is_floating_point():
        raise ValueError(f"logits: expected floating (B, C, ...), got {tuple(logits.shape)} {logits.dtype}")
    classes = logits.shape[1]
    if weight is not None and weight.shape != (classes,):
        raise ValueError(f"weight: expected ({classes},), one for each class, got {tuple(weight.shape)}")
    soft = targets.is_floating_point()
    q = targets if soft else _one_hot(targets, logits)
    if q.shape != logits.shape:
        raise ValueError(f"targets: expected probabilities {tuple(logits.shape)}, got {tuple(targets.shape)}")
    if soft and not holds((q >= 0) & (q <= 1)):
        raise ValueError(f"targets: expected probabilities, 0 to 1, got {q.min().item():g} to {q.max().item():g}")
    log_p = F.log_softmax(full_precision(logits), dim=1)
    q = q.to(log_p.dtype)
    weight = torch.ones_like(log_p[:1]) if weight is None else _along_classes(weight, log_p)
    total = log_p[:, 0].numel() if soft else (q * weight).sum()
    q = (1 - label_smoothing) * q + label_smoothing / classes
    return _reduced(_weighed(q * weight, log_p, gamma).sum(dim=1), total, reduction)


def binary_focal_loss(
    logits: Tensor,
    targets: Tensor,
    gamma: float = 2.0,
    weight: Tensor | None = None,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    """Focal loss of independent yes-or-no questions: one logit each, p = σ(logit) for yes.

    logits: any shape.  targets: the same shape, from 0 to 1, of any dtype.  weight: (2,) for no and yes; α of the
    source is weight (1 - α, α).  label_smoothing: targets move by half of it towards each other.
    reduction: "mean" over all questions, "sum" or "none". gamma=0 gives F.binary_cross_entropy_with_logits.
    Raises ValueError naming the argument.  Source: Lin et al. 2017, eq. 5.
    """
    _check_arguments(gamma, label_smoothing, reduction)
    if not logits.is_floating_point() or logits.shape != targets.shape:
        raise ValueError(
            f"logits, targets: expected one shape, logits floating, got {tuple(logits.shape)} {logits.dtype} "
            f"and {tuple(targets.shape)}"
        )
    if weight is not None and weight.shape != (2,):
        raise ValueError(f"weight: expected two, for classes 0 and 1, got shape {tuple(weight.shape)}")
    logits = full_precision(logits)
    yes = targets.to(logits.dtype)
    if not holds((yes >= 0) & (yes <= 1)):
        raise ValueError(f"targets: expected 0 to 1, got {yes.min().item():g} to {yes.max().item():g}")
    yes = (1 - label_smoothing) * yes + label_smoothing / 2
    no_weight, yes_weight = (1.0, 1.0) if weight is None else weight.to(logits)
    losses = _weighed(yes * yes_weight, F.logsigmoid(logits), gamma)
    losses = losses + _weighed((1 - yes) * no_weight, F.logsigmoid(-logits), gamma)
    return _reduced(losses, losses.numel(), reduction)


def full_precision(x: Tensor) -> Tensor:
    """`x` in at least float32, in which all losses are computed, whatever autocast made of what comes in."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def holds(condition: Tensor) -> bool:
    """Whether a condition on values holds everywhere; taken to hold on the meta device, which has no values."""
    return condition.is_meta or bool(condition.all())


def _weighed(weight: Tensor, log_p: Tensor, gamma: float) -> Tensor:
    """-weight (1 - p)^gamma log p; 0 where the weight is, whatever log p.

    1 - p is kept off 0, where a power below 1 has no finite slope, and log p = -inf out of its slope.
    """
    log_p = torch.where(weight != 0, log_p, 0)
    if gamma == 0:
        return -weight * log_p
    numbers = torch.finfo(log_p.dtype)
    return -weight * (-torch.expm1(log_p.clamp(min=numbers.min))).clamp(min=numbers.eps) ** gamma * log_p


def _one_hot(targets: Tensor, logits: Tensor) -> Tensor:
    """Classes (B, ...) as probabilities (B, C, ...)."""
    classes = logits.shape[1]
    expected = logits.shape[:1] + logits.shape[2:]
    if targets.shape != expected or targets.dtype == torch.bool or targets.is_complex():
        raise ValueError(f"targets: expected integers {tuple(expected)}, got {tuple(targets.shape)} {targets.dtype}")
    if not holds((targets >= 0) & (targets < classes)):
        raise ValueError(
            f"targets: expected classes from 0 to {classes - 1}, got {targets.min().item()} to {targets.max().item()}"
        )
    return F.one_hot(targets.long(), classes).movedim(-1, 1)


def _along_classes(weight: Tensor, log_p: Tensor) -> Tensor:
    return weight.to(log_p).view(1, -1, *(1,) * (log_p.dim() - 2))


def _reduced(losses: Tensor, total: Tensor | int, reduction: str) -> Tensor:
    if reduction == "none":
        return losses
    return losses.sum() / total if reduction == "mean" else losses.sum()


def _check_arguments(gamma: float, label_smoothing: float, reduction: str) -> None:
    if not 0 <= gamma < math.inf:
        raise ValueError(f"gamma: expected at least 0, got {gamma}")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing: expected 0 to 1, got {label_smoothing}")
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f'reduction: expected "mean", "sum" or "none", got {reduction!r}')
