"""A moving average of the weights: what training leaves noisy, averaging smooths."""

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel


def moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """A copy of `model` that follows it: call `update_parameters(model)` after every step; the copy is `.module`.

    w̄ ← d w̄ + (1 - d) w, for floating-point weights and buffers; counters are copied. The decay grows from 1/10 as
    d = min(decay, (1 + n) / (10 + n)) with n updates done, so that the first random weights are soon forgotten.
    Raises ValueError where `decay` is not between 0 and 1.
    Sources: Polyak and Juditsky 1992; the growing decay as in TensorFlow's ExponentialMovingAverage.
    """
    if not 0 < decay < 1:
        raise ValueError(f"decay: expected a number between 0 and 1, got {decay}")

    def follow(averages, weights, updates) -> None:
        updates = int(updates)
        share = 1 - min(decay, (1 + updates) / (10 + updates))
        for average, weight in zip(averages, weights, strict=True):
            if average.is_floating_point():
                average.lerp_(weight.to(average.device), share)
            else:
                average.copy_(weight)

    with torch.no_grad():
        return AveragedModel(model, multi_avg_fn=follow, use_buffers=True)
