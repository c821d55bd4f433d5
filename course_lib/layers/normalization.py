"""Normalisation: of one time step (layer, root mean square), of a batch's channels, of groups of channels over time.

Moments are taken over valid steps alone, and in at least float32. Layer and root-mean-square normalisation look at a
step's channels, so that a stream needs no state.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.sequence import (
    ChannelSpec,
    Sequence,
    SequenceLayer,
    StatelessLayer,
    at_least_float32,
    check_channels,
    check_floating,
    check_positive,
    float64_on,
    over_channels,
)


class _ChannelNorm(StatelessLayer):
    def __init__(self, normalized_shape: int | tuple[int, ...], eps: float, elementwise_affine: bool):
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        if not self.normalized_shape or min(self.normalized_shape) < 1:
            raise ValueError(f"normalized_shape: expected positive sizes, got {normalized_shape!r}")
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(self.normalized_shape)) if elementwise_affine else None

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        check_floating(self, spec)
        dtype = None if self.weight is None else self.weight.dtype
        check_channels(self, spec, (..., *self.normalized_shape), dtype)
        return spec

    def _values(self, values: Tensor, training: bool) -> Tensor:
        dtype = values.dtype if self.weight is None else self.weight.dtype  # another one under autocast
        return self._normalised(values.to(dtype)).to(values.dtype)

    def _normalised(self, values: Tensor) -> Tensor:
        """`values`, in the dtype of the weight, normalised over the last axes."""
        raise NotImplementedError


class LayerNorm(_ChannelNorm):
    """(x − mean) / √(variance + eps) · weight + bias over the last channel axes, for each step by itself.

    normalized_shape: the number of channels, or the shape of the last axes. Loads the state dict of `nn.LayerNorm`.
    Raises ValueError where the channels differ. Source: Ba, Kiros, Hinton 2016, eq. 3 and 4.
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ):
        super().__init__(normalized_shape, eps, elementwise_affine)
        self.bias = nn.Parameter(torch.zeros(self.normalized_shape)) if elementwise_affine and bias else None

    def _normalised(self, values: Tensor) -> Tensor:
        return F.layer_norm(values, self.normalized_shape, self.weight, self.bias, self.eps)


class RMSNorm(_ChannelNorm):
    """x / √(mean of x² + eps) · weight over the last channel axes, for each step by itself.

    As `LayerNorm` without the mean and the bias. Loads the state dict of `nn.RMSNorm`.
    Source: Zhang and Sennrich 2019, eq. 4.
    """

    def __init__(self, normalized_shape: int | tuple[int, ...], eps: float = 1e-6, elementwise_affine: bool = True):
        super().__init__(normalized_shape, eps, elementwise_affine)

    def _normalised(self, values: Tensor) -> Tensor:
        return F.rms_norm(values, self.normalized_shape, self.weight, self.eps)


class BatchNorm(SequenceLayer):
    """(x − mean) / √(variance + eps) · weight + bias for each channel of the last axis, (B, T, *S, C).

    In training the moments are those of the valid steps of the batch (and of the axes S), and move the running ones by
    `momentum`; otherwise the running ones are used. A training batch cannot be stepped through: its moments are known
    only at its end. A batch without a valid step changes nothing. Moments are taken in at least float32.

    Loads the state dict of `nn.BatchNorm1d`. Raises ValueError where the channels differ, NotImplementedError for
    `step` in training. Source: Ioffe and Szegedy 2015, algorithm 1.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True):
        super().__init__()
        check_positive(num_features=num_features)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine else None
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0, dtype=torch.long))

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        check_channels(self, spec, (..., self.num_features), self.running_mean.dtype)
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
        values = x.values.to(at_least_float32(x.values.dtype))
        axes = tuple(range(values.dim() - 1))
        mask = over_channels(x.mask, values)
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

    def why_no_step(self) -> str:
        return "its moments are those of the whole sequence; use cumulative=True"

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        check_floating(self, spec)
        dtype = None if self.weight is None else self.weight.dtype
        check_channels(self, spec, (..., self.num_channels), dtype)
        return spec

    def _layer(self, x, training, constants):
        if self.cumulative:
            return super()._layer(x, training, constants)
        wide = at_least_float32(x.values.dtype)
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
        """Number of values, mean and summed squared distances, each (B, groups), before the first step."""
        size = batch_size, self.num_groups
        return tuple(torch.zeros(size, dtype=float64_on(device), device=device) for _ in range(3))

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
        values = values.to(at_least_float32(values.dtype))
        channels = self.num_channels // self.num_groups
        return values.reshape(*values.shape[:2], math.prod(values.shape[2:-1]), self.num_groups, channels)

    def _scaled(self, centred: Tensor, variance: Tensor, like: Tensor) -> Tensor:
        y = (centred * torch.rsqrt(variance + self.eps)).reshape(like.shape)
        y = y if self.weight is None else y * self.weight
        return (y if self.bias is None else y + self.bias).to(like.dtype)


def make_norm(norm_kind: str, channels: int) -> SequenceLayer:
    """A `LayerNorm` ("layer"), `RMSNorm` ("rms"), `BatchNorm` ("batch") or `GroupNorm` ("group") of these channels.

    "group" makes eight groups, or as many as divide both eight and `channels`.  ValueError for another kind.
    """
    if norm_kind not in _KINDS:
        raise ValueError(f"norm_kind: expected one of {', '.join(_KINDS)}, got {norm_kind!r}")
    return _KINDS[norm_kind](channels)


_KINDS: dict[str, Callable[[int], SequenceLayer]] = {
    "layer": LayerNorm,
    "rms": RMSNorm,
    "batch": BatchNorm,
    "group": lambda channels: GroupNorm(math.gcd(8, channels), channels),
}
