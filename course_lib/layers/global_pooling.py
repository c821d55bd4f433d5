"""From a sequence to one vector: the mean or the maximum over its valid steps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from course_lib.sequence import Sequence


class MeanPooling(nn.Module):
    """The mean over the valid steps: (B, T, *C), a tensor or a `Sequence`, -> (B, *C). Zero where there is none."""

    def forward(self, x: Tensor | Sequence) -> Tensor:
        return masked_mean(_sequence(x).masked())


class MaxPooling(nn.Module):
    """The largest value over the valid steps: (B, T, *C), a tensor or a `Sequence`, -> (B, *C). Zero without any."""

    def forward(self, x: Tensor | Sequence) -> Tensor:
        x = _sequence(x)
        if not x.shape[1]:
            return x.values.new_zeros((x.shape[0], *x.shape[2:]))
        largest = x.masked(-torch.inf).values.amax(dim=1)
        return largest if x.all_valid else torch.where(largest > -torch.inf, largest, 0)


class StatisticsPooling(nn.Module):
    """Mean and standard deviation over the valid steps, side by side: (B, T, C), tensor or `Sequence`, -> (B, 2 C).

    A floor of 10⁻⁵ under the variance keeps the slope of its root finite where all steps are equal.
    Source: Snyder et al. 2017, section 2.1.
    """

    def forward(self, x: Tensor | Sequence) -> Tensor:
        x = _sequence(x).masked()
        mean = masked_mean(x)  # (B, C)
        deviations = x.with_values((x.values - mean.unsqueeze(1)).square())
        return torch.cat([mean, (masked_mean(deviations.masked()) + _FLOOR).sqrt()], dim=-1)  # (B, 2 C)


def masked_mean(x: Sequence) -> Tensor:
    """(B, *C) mean over the valid steps of a sequence that holds zeros at the others."""
    count = x.mask.sum(dim=1).clamp(min=1).to(x.values.dtype)
    return x.values.sum(dim=1) / count.reshape(-1, *(1,) * (x.values.dim() - 2))


def _sequence(x: Tensor | Sequence) -> Sequence:
    x = x if isinstance(x, Sequence) else Sequence.of(x)
    if not x.values.is_floating_point():
        raise ValueError(f"x: expected a floating dtype, got {x.values.dtype}")
    return x


_FLOOR = 1e-5  # added to variances
