"""Conditioning one sequence on another that runs beside it: `Conditioning`."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.layers.delay import step_numbers
from course_lib.sequence import ChannelSpec, Constants, Sequence, SequenceLayer, check_dtype

_COMBINATIONS = ("add", "concatenate", "scale_and_shift", "multiply")


class Conditioning(SequenceLayer):
    """Combines x[t] with c[t], where c = constants[name] is a whole `Sequence` that is given from outside.

    combination: "add" x + c; "multiply" x · c; "concatenate" on the last channel axis; "scale_and_shift"
    x · (1 + scale) + shift, the halves of c's last channel axis (feature-wise modulation, Perez et al. 2018, with the
    scale counted from 1). Channels of c broadcast to those of x.
    projection: a layer that treats each step of c alone, such as `Dense`, applied before combining; or None.
    channels: number of channels of c before the projection; needed by "concatenate", where it cannot be told from the
    projection.

    Step 0 of c belongs to the first valid step of x, item by item: a stream counts from there, so that the latency of
    layers before this one does not matter, and a whole sequence does the same. An output is valid where x and c are;
    c need not be as long as x.  State: (B,) the number of steps seen.
    Raises ValueError where `name` is not in the constants or does not fit x.
    """

    def __init__(
        self,
        name: str,
        combination: str = "add",
        projection: SequenceLayer | None = None,
        channels: int | None = None,
    ):
        super().__init__()
        if combination not in _COMBINATIONS:
            raise ValueError(f"combination: expected one of {', '.join(_COMBINATIONS)}, got {combination!r}")
        if projection is not None and (projection.receptive_field != (0, 0) or projection.output_ratio != 1):
            raise ValueError(f"projection: expected a layer that treats each step alone, got {projection}")
        if channels is None and projection is not None and projection.input_spec is not None:
            channels = projection.input_spec.shape[-1]
        if channels is None and combination == "concatenate":
            raise ValueError('channels: needed by combination "concatenate", to know the channels that come out')
        self.name, self.combination, self.projection, self.channels = name, combination, projection, channels

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        if self.combination != "concatenate":
            return spec
        c = ChannelSpec((self.channels or 0,), spec.dtype)
        added = c if self.projection is None else self.projection.output_spec(c)
        if not spec.shape:
            raise ValueError("x: expected (B, T, ..., C) to concatenate channels to, got (B, T) in Conditioning")
        return ChannelSpec((*spec.shape[:-1], spec.shape[-1] + added.shape[-1]), spec.dtype)

    def _initial_state(self, batch_size, spec, device, constants):
        return (torch.zeros(batch_size, dtype=torch.long, device=device),)

    def _layer(self, x, training, constants):
        c = self._constant(x, constants)
        if x.all_valid and c.shape[1] >= x.shape[1]:
            return self._combine(x, c[:, : x.shape[1]], training)
        return super()._layer(x, training, constants)

    def _step(self, x, state, training, constants):
        c = self._constant(x, constants)
        numbers, count = step_numbers(x.mask, state[0])
        if c.shape[1] == 0:
            return self._combine(x, Sequence.invalid(x.shape[0], x.shape[1], c.spec, x.values.device), training), (
                count,
            )
        there = (numbers >= 0) & (numbers < c.shape[1])
        numbers = numbers.clamp(0, c.shape[1] - 1)
        items = torch.arange(x.shape[0], device=x.values.device)[:, None]
        beside = Sequence(c.values[items, numbers], c.mask[items, numbers] & there)
        return self._combine(x, beside, training), (count,)

    def _combine(self, x: Sequence, c: Sequence, training: bool) -> Sequence:
        if self.projection is not None:
            c = self.projection._layer(c, training, {})
        all_valid = x.all_valid and c.all_valid
        mask = x.mask if all_valid else x.mask & c.mask
        left, right = (v.values if all_valid else Sequence(v.values, mask).masked().values for v in (x, c))
        return Sequence(self._combine_values(left, right), mask, all_valid)

    def _combine_values(self, x: Tensor, c: Tensor) -> Tensor:
        if self.combination == "concatenate":
            self._check_shape(c.shape[2:-1] == x.shape[2:-1] and c.dim() == x.dim(), x, c)
            return torch.cat([x, c], dim=-1)
        scale, shift = c.chunk(2, dim=-1) if self.combination == "scale_and_shift" else (c, c)
        fits = scale.shape == shift.shape and scale.dim() <= x.dim()
        sizes = zip(reversed(scale.shape[2:]), reversed(x.shape[2:]), strict=False)
        self._check_shape(fits and all(n in (1, size) for n, size in sizes), x, c)
        scale, shift = (v.reshape(*v.shape[:2], *(1,) * (x.dim() - v.dim()), *v.shape[2:]) for v in (scale, shift))
        if self.combination == "add":
            return x + shift
        return x * scale if self.combination == "multiply" else x * (1 + scale) + shift

    def _check_shape(self, fits: bool, x: Tensor, c: Tensor) -> None:
        if not fits:
            raise ValueError(
                f"constants[{self.name!r}]: channels {tuple(c.shape[2:])}, after the projection, "
                f"do not {self.combination} with channels {tuple(x.shape[2:])} of x in Conditioning"
            )

    def _constant(self, x: Sequence, constants: Constants) -> Sequence:
        c = constants.get(self.name)
        if not isinstance(c, Sequence):
            got = f"one of {sorted(constants)}" if c is None else type(c).__name__
            raise ValueError(f"constants: expected a Sequence named {self.name!r} in Conditioning, got {got}")
        if c.shape[0] != x.shape[0]:
            raise ValueError(f"constants[{self.name!r}]: expected a batch of {x.shape[0]}, got {c.shape[0]}")
        if self.channels is not None and c.shape[2:] != (self.channels,):
            raise ValueError(f"constants[{self.name!r}]: expected (B, T, {self.channels}), got {tuple(c.shape)}")
        check_dtype(self, c.spec, x.values.dtype)
        return c
