"""Batch normalisation: each channel's moments over the valid steps of the whole batch."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.sequence import Sequence, SequenceLayer, check_channels


class BatchNorm(SequenceLayer):
    """(x − mean) / √(variance + eps) · weight + bias for each channel of the last axis, (B, T, *S, C).

    In training the moments are those of the valid steps of the batch (and of the axes S), and move the running ones by
    `momentum`; otherwise the running ones are used. A training batch cannot be stepped through: its moments are known
    only at its end. A batch without a valid step changes nothing. Moments are taken in at least float32.

    Loads the state dict of `nn.BatchNorm1d`. Raises ValueError where the channels differ, NotImplementedError for
    `step` in training. Source: Ioffe and Szegedy 2015, algorithm 1.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True):
        super().__init__()
        if num_features < 1:
            raise ValueError(f"num_features: expected at least 1, got {num_features}")
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine else None
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0, dtype=torch.long))

    def output_spec(self, spec):
        check_channels(self, spec, (*spec.shape[:-1], self.num_features), self.running_mean.dtype)
        return spec

    def _layer(self, x, training, constants):
        if x.all_valid and x.values[..., 0].numel() > 1:
            return x.with_values(self._of_all(x.values, training))
        x = x.masked()
        mean, variance = self._batch_moments(x) if training else (self.running_mean, self.running_var)
        return x.with_values(self._normalised(x.values, mean, variance))

    def _step(self, x, state, training, constants):
        if training:
            raise NotImplementedError(
                "BatchNorm cannot step with training=True: the moments of the batch are known only at its end; "
                "pass training=False"
            )
        return self._layer(x, False, constants), state

    def _of_all(self, values: Tensor, training: bool) -> Tensor:
        """As PyTorch has it, and faster: no step is masked, and the moments are of more than one value."""
        if training:
            self.num_batches_tracked += 1
        rows = values.reshape(-1, self.num_features)  # (B * T * S, C)
        running = self.running_mean, self.running_var
        y = F.batch_norm(rows, *running, self.weight, self.bias, training, self.momentum, self.eps)
        return y.view(values.shape)

    def _normalised(self, values: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        scale = torch.rsqrt(variance + self.eps)
        scale = scale if self.weight is None else scale * self.weight
        shift = -mean * scale if self.bias is None else self.bias - mean * scale
        return (values * scale + shift).to(values.dtype)

    def _batch_moments(self, x: Sequence) -> tuple[Tensor, Tensor]:
        """Mean and variance (C,) over the valid steps; the running moments are updated. `x` is masked with zeros."""
        values = x.values.to(torch.promote_types(x.values.dtype, torch.float32))
        axes = tuple(range(values.dim() - 1))
        mask = x.mask.reshape(x.mask.shape + (1,) * (values.dim() - 2))
        count = mask.sum() * math.prod(values.shape[2:-1])
        some = count > 0
        mean = values.sum(dim=axes) / count.clamp(min=1)
        variance = torch.where(mask, values - mean, 0).square().sum(dim=axes) / count.clamp(min=1)
        with torch.no_grad():
            unbiased = variance * count / (count - 1).clamp(min=1)
            for running, new in ((self.running_mean, mean), (self.running_var, unbiased)):
                running.copy_(torch.where(some, torch.lerp(running, new.to(running.dtype), self.momentum), running))
            self.num_batches_tracked += some
        return mean, variance

    def extra_repr(self):
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"
