"""Group normalisation: moments over time and the channels of a group, of the whole sequence or of its past."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.sequence import SequenceLayer, check_channels


class GroupNorm(SequenceLayer):
    """(x − mean) / √(variance + eps) · weight + bias, moments over the valid steps and a group of channels.

    (B, T, *S, C): the C channels of the last axis fall into `num_groups` groups of neighbours; the axes S are averaged
    over as time is. `cumulative=False` takes the moments of the whole sequence, which no stream can know;
    `cumulative=True` those of the valid steps so far, the present one included: then it steps, and holds for each item
    and group the number of values, their mean and the sum of their squared distances from it, in float64 where the
    device has it. Two such triples are merged exactly, so that a large mean costs no precision.

    Loads the state dict of `nn.GroupNorm`. Raises ValueError where the channels differ or cannot be grouped.
    Sources: Wu and He 2018, eq. 1 to 3; Chan, Golub, LeVeque 1979 for the merging.
    """

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, cumulative: bool = False
    ):
        super().__init__()
        if num_groups < 1 or num_channels < 1 or num_channels % num_groups:
            raise ValueError(f"num_channels: expected a positive multiple of {num_groups=}, got {num_channels}")
        self.num_groups, self.num_channels, self.eps, self.cumulative = num_groups, num_channels, eps, cumulative
        self.weight = nn.Parameter(torch.ones(num_channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_channels)) if affine else None
        self.supports_step = cumulative
        self.receptive_field = (None, 0) if cumulative else (None, None)

    def why_no_step(self):
        return "its moments are those of the whole sequence; use cumulative=True"

    def output_spec(self, spec):
        if not spec.dtype.is_floating_point:
            raise ValueError(f"x: expected floating point in GroupNorm, got {spec.dtype}")
        dtype = None if self.weight is None else self.weight.dtype
        check_channels(self, spec, (*spec.shape[:-1], self.num_channels), dtype)
        return spec

    def _layer(self, x, training, constants):
        if self.cumulative:
            return self._step(x, self._no_steps(x.mask.shape[0], x.values.device), training, constants)[0]
        wide = torch.promote_types(x.values.dtype, torch.float32)
        several = x.values.numel() > self.num_groups  # of a single value, PyTorch refuses to take a variance
        if x.all_valid and several and (self.weight is None or self.weight.dtype == wide):
            y = x.values.to(wide).movedim(-1, 1)  # one fused call where no step is masked
            y = F.group_norm(y, self.num_groups, self.weight, self.bias, self.eps).movedim(1, -1)
            return x.with_values(y.to(x.values.dtype))
        x = x.masked()
        values = self._grouped(x.values)
        mask = x.mask[:, :, None, None, None]
        count = (mask.sum(dim=1, keepdim=True) * values.shape[2] * values.shape[4]).clamp(min=1)
        mean = values.sum(dim=(1, 2, 4), keepdim=True) / count
        centred = values - mean
        variance = torch.where(mask, centred, 0).square().sum(dim=(1, 2, 4), keepdim=True) / count
        return x.with_values(self._scaled(centred, variance, x.values))

    def _initial_state(self, batch_size, spec, device, constants):
        return self._no_steps(batch_size, device)

    def _no_steps(self, batch_size, device):
        """Number of values, mean and summed squared distances, each (B, groups), before the first step."""
        dtype = torch.float32 if torch.device(device or "cpu").type == "mps" else torch.float64
        return (torch.zeros(batch_size, self.num_groups, dtype=dtype, device=device),) * 3

    def _step(self, x, state, training, constants):
        x = x.masked()
        if x.mask.shape[1] == 0:
            return x, state
        values = self._grouped(x.values)
        mask = x.mask[:, :, None]
        # Moments of each step alone, (B, T, G), relative to a reference within the data: the running mean so far or, at
        # the beginning of an item, the mean of its first valid step in this block.
        size = values.shape[2] * values.shape[4]
        step_mean = values.mean(dim=(2, 4))
        step_spread = (values - step_mean[:, :, None, :, None]).square().sum(dim=(2, 4))
        before, mean_before, spread_before = (part[:, None] for part in state)
        first = x.mask.to(torch.int8).argmax(dim=1)[:, None, None].expand(-1, 1, self.num_groups)
        step_mean = step_mean.to(before.dtype)
        reference = torch.where(before > 0, mean_before, step_mean.gather(1, first)).detach()
        distance = torch.where(mask, step_mean - reference, 0)
        spread = torch.where(mask, step_spread, 0).to(before.dtype)
        # Sums over the steps so far, relative to the reference.
        count = before + (mask * size).to(before.dtype).cumsum(dim=1)
        total = before * (mean_before - reference) + (size * distance).cumsum(dim=1)
        squares = (
            spread_before
            + before * (mean_before - reference).square()
            + (spread + size * distance.square()).cumsum(dim=1)
        )
        offset = total / count.clamp(min=1)
        spread = squares - count * offset.square()
        mean = reference + offset
        variance = (spread / count.clamp(min=1)).clamp(min=0)
        y = self._scaled(
            values - mean.to(values.dtype)[:, :, None, :, None],
            variance.to(values.dtype)[:, :, None, :, None],
            x.values,
        )
        held = count[:, -1] > 0
        new = (count[:, -1], torch.where(held, mean[:, -1], 0), torch.where(held, spread[:, -1], 0))
        return x.with_values(y), new

    def _grouped(self, values: Tensor) -> Tensor:
        """(B, T, *S, C) -> (B, T, S, groups, channels of a group), in at least float32."""
        values = values.to(torch.promote_types(values.dtype, torch.float32))
        channels = self.num_channels // self.num_groups
        return values.reshape(*values.shape[:2], math.prod(values.shape[2:-1]), self.num_groups, channels)

    def _scaled(self, centred: Tensor, variance: Tensor, like: Tensor) -> Tensor:
        y = (centred * torch.rsqrt(variance + self.eps)).reshape(like.shape)
        y = y if self.weight is None else y * self.weight
        return (y if self.bias is None else y + self.bias).to(like.dtype)

    def extra_repr(self):
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, cumulative={self.cumulative}"
