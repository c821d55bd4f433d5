"""From a sequence to one vector: mean, maximum, mean and deviation, or a weighted mean with learned weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from course_lib.sequence import Sequence, at_least_float32, check_channels, over_channels, parameter_dtype

_FLOOR = 1e-5  # added to variances


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
        return largest if x.all_valid else torch.where(over_channels(x.mask.any(dim=1), largest), largest, 0)


class StatisticsPooling(nn.Module):
    """Mean and standard deviation over the valid steps, side by side: (B, T, C), tensor or `Sequence`, -> (B, 2 C).

    A floor of 10⁻⁵ under the variance keeps the slope of its root finite where all steps are equal.
    Source: Snyder et al. 2017, section 2.1.
    """

    def forward(self, x: Tensor | Sequence) -> Tensor:
        x = _sequence(x).masked()
        wide = x.to(at_least_float32(x.values.dtype))
        mean = masked_mean(wide)  # (B, C)
        deviations = wide.with_values((wide.values - mean.unsqueeze(1)).square())
        pooled = torch.cat([mean, (masked_mean(deviations.masked()) + _FLOOR).sqrt()], dim=-1)  # (B, 2 C)
        return pooled.to(x.values.dtype)


def masked_mean(x: Sequence) -> Tensor:
    """(B, *C) mean over the valid steps of a sequence that holds zeros at the others."""
    wide = at_least_float32(x.values.dtype)
    count = x.mask.sum(dim=1).clamp(min=1).to(wide)
    total = x.values.sum(dim=1, dtype=wide)
    return (total / over_channels(count, total)).to(x.values.dtype)


def _sequence(x: Tensor | Sequence) -> Sequence:
    x = x if isinstance(x, Sequence) else Sequence.of(x)
    if not x.values.is_floating_point():
        raise ValueError(f"x: expected a floating dtype, got {x.values.dtype}")
    return x


class AttentionPooling(nn.Module):
    """A weighted mean over the valid steps: (B, T, embed_dim), a tensor or a `Sequence`, -> (B, embed_dim).

    A small network, linear, tanh, linear, scores every step; a softmax over time makes weights of the scores.
    num_heads: each of them weighs an equal part of the channels, in order, by scores of its own.
    statistics: puts the weighted standard deviation beside the mean, (B, 2 embed_dim).
    hidden_size: width of the scoring network.
    An item without a valid step gives zeros (and a standard deviation near zero).
    Raises ValueError where the heads do not divide the channels.
    Sources: Bahdanau et al. 2015, eq. 5 and 6; Okabe et al. 2018, eq. 5 and 6, for the statistics.
    """

    def __init__(self, embed_dim: int, num_heads: int = 1, statistics: bool = False, hidden_size: int = 64):
        super().__init__()
        if embed_dim < 1 or num_heads < 1 or embed_dim % num_heads:
            raise ValueError(f"num_heads: expected a divisor of embed_dim={embed_dim}, got {num_heads}")
        self.embed_dim, self.num_heads, self.statistics = embed_dim, num_heads, statistics
        self.score = nn.Sequential(nn.Linear(embed_dim, hidden_size), nn.Tanh(), nn.Linear(hidden_size, num_heads))
        self.out_features = 2 * embed_dim if statistics else embed_dim

    def forward(self, x: Tensor | Sequence, return_weights: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """The pooled vector; with `return_weights` a pair (vector, weights (B, H, T)), each row of sum 1."""
        x = x if isinstance(x, Sequence) else Sequence.of(x)
        check_channels(self, x.spec, (self.embed_dim,), parameter_dtype(self))
        x = x.masked()
        weights = self._weights(x)  # (B, H, T)
        parts = x.values.to(weights.dtype).unflatten(2, (self.num_heads, -1)).transpose(1, 2)  # (B, H, T, C / H)
        mean = weights.unsqueeze(2) @ parts  # (B, H, 1, C / H)
        pooled = mean.flatten(1)  # (B, C)
        if self.statistics:
            variance = weights.unsqueeze(2) @ (parts - mean).square()  # (B, H, 1, C / H)
            deviation = (variance + _FLOOR).sqrt().flatten(1)  # finite slope where the steps are all equal
            pooled = torch.cat([pooled, deviation], dim=1)  # (B, 2 C)
        pooled = pooled.to(x.values.dtype)
        return (pooled, weights) if return_weights else pooled

    def _weights(self, x: Sequence) -> Tensor:
        scores = self.score(x.values).transpose(1, 2)  # (B, H, T)
        hidden = ~x.mask.unsqueeze(1)
        if not x.all_valid:
            scores = scores.masked_fill(hidden, torch.finfo(scores.dtype).min)
        return torch.softmax(scores, dim=-1, dtype=at_least_float32(scores.dtype)).masked_fill(hidden, 0.0)
