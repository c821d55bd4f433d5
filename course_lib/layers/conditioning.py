"""One sequence conditioned on another, which is given from outside: combined with it step by step, or by attention.

The other one is `constants[name]`, a whole `Sequence`. `Conditioning` takes the step that runs beside each step of x;
`DotProductAttention` looks at all of them, `StreamingDotProductAttention` at those near that step.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.layers.attention import check_attention
from course_lib.layers.attention_functions import attention_weights, dot_product_attention, learned_scale
from course_lib.layers.delay import step_numbers
from course_lib.sequence import (
    ChannelSpec,
    Constants,
    FormOnly,
    Sequence,
    SequenceLayer,
    TensorForm,
    check_channels,
    check_dtype,
)

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
        return self._combine(x, _steps(c, numbers), training), (count,)

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
        c = _given(self, self.name, constants, x.shape[0], self.channels)
        check_dtype(self, c.spec, x.values.dtype)
        return c


class DotProductAttention(SequenceLayer):
    """Cross-attention: every step of x (B, T, input_size) looks at all valid steps of `constants[source_name]`.

    The source is a Sequence (B, S, source_size), whole in streams too: `initial_state(..., constants=...)` computes its
    keys and values once. Output (B, T, num_heads * units_per_head); 0 where the source has no valid step.
    Other arguments as in `DotProductSelfAttention`. Parameters: `q_proj_weight` (H * D, input_size), `kv_proj_weight`
    (2 * KV * D, source_size), keys before values, and with `bias` `q_proj_bias`, `kv_proj_bias`.
    """

    def __init__(
        self,
        input_size: int,
        source_size: int,
        num_heads: int,
        units_per_head: int,
        *,
        source_name: str = "source",
        num_kv_heads: int | None = None,
        bias: bool = False,
        scale: float | None = None,
        per_dim_scale: bool = False,
        logits_soft_cap: float | None = None,
        dropout: float = 0.0,
        implementation: str = "sdpa",
    ):
        super().__init__()
        num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        check_attention(min(input_size, source_size), num_heads, num_kv_heads, units_per_head, dropout, implementation)
        self.input_size, self.source_size, self.source_name = input_size, source_size, source_name
        self.num_heads, self.num_kv_heads, self.units_per_head = num_heads, num_kv_heads, units_per_head
        self.scale, self.logits_soft_cap = scale, logits_soft_cap
        self.dropout, self.implementation = dropout, implementation
        self.q_proj_weight = nn.Parameter(torch.empty(num_heads * units_per_head, input_size))
        self.kv_proj_weight = nn.Parameter(torch.empty(2 * num_kv_heads * units_per_head, source_size))
        self.q_proj_bias = nn.Parameter(torch.zeros(num_heads * units_per_head)) if bias else None
        self.kv_proj_bias = nn.Parameter(torch.zeros(2 * num_kv_heads * units_per_head)) if bias else None
        self.per_dim_scale = nn.Parameter(torch.zeros(units_per_head)) if per_dim_scale else None
        nn.init.xavier_uniform_(self.q_proj_weight)
        nn.init.xavier_uniform_(self.kv_proj_weight)

    @property
    def input_spec(self) -> ChannelSpec:
        return ChannelSpec((self.input_size,), self.q_proj_weight.dtype)

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        check_channels(self, spec, *self.input_spec)
        return ChannelSpec((self.num_heads * self.units_per_head,), spec.dtype)

    def _projected(self, source: Sequence) -> Tensor:
        """Keys and values (B, S, 2 KV, D) of the source."""
        kv = F.linear(source.masked().values, self.kv_proj_weight, self.kv_proj_bias)
        return kv.unflatten(2, (2 * self.num_kv_heads, self.units_per_head))

    def _initial_state(self, batch_size, spec, device, constants):
        if isinstance(constants, FormOnly):
            dtype, device = self.kv_proj_weight.dtype, torch.device(device)
            kv = TensorForm((batch_size, None, 2 * self.num_kv_heads, self.units_per_head), dtype, device)
            return kv, TensorForm((batch_size, None), torch.bool, device)
        source = _given(self, self.source_name, constants, batch_size, self.source_size)
        return self._projected(source), source.mask

    def _step(self, x, state, training, constants):
        kv, valid = state
        return self._attend(x, kv, valid[:, None, None, :], training), state

    def _attend(self, x: Sequence, kv: Tensor, visible: Tensor, training: bool) -> Sequence:
        """x (B, T, input_size) against keys and values (B, S, 2 KV, D).  visible: broadcastable to (B, H, T, S)."""
        queries = F.linear(x.masked().values, self.q_proj_weight, self.q_proj_bias)
        queries = queries.unflatten(2, (self.num_heads, self.units_per_head)).transpose(1, 2)  # (B, H, T, D)
        if self.per_dim_scale is not None:
            queries = queries * learned_scale(self.per_dim_scale)
        keys, values = kv.transpose(1, 2).chunk(2, dim=1)  # (B, KV, S, D) each
        if self._emitted is not None:
            weights = attention_weights(queries, keys, visible, scale=self.scale, soft_cap=self.logits_soft_cap)
            self._emit("weights", weights)
        y = dot_product_attention(
            queries,
            keys,
            values,
            visible,
            scale=self.scale,
            soft_cap=self.logits_soft_cap,
            dropout=self.dropout if training else 0.0,
            implementation=self.implementation,
        )
        return x.with_values(y.transpose(1, 2).flatten(2))


class StreamingDotProductAttention(DotProductAttention):
    """Cross-attention to a source that runs beside x: step n sees the source's steps n - past to n + future.

    `constants[source_name]` is a Sequence (B, S, source_size) whose step 0 belongs to the first valid step of x, item
    by item, as in `Conditioning`. A step reads no later row than its horizon, so that a stream may pass the rows that
    have come so far; rows that are not there are as invalid ones. Keys and values are computed for the rows of a
    block's horizons alone: neither the cost of a step nor its memory grows with the length of the source.

    max_past_horizon, max_future_horizon: in steps of the source, at least 0.
    options: the other arguments of `DotProductAttention`. The state is the number of steps seen, (B,).
    Raises ValueError for a negative horizon or a source that does not fit.
    """

    def __init__(
        self,
        input_size: int,
        source_size: int,
        num_heads: int,
        units_per_head: int,
        max_past_horizon: int,
        max_future_horizon: int = 0,
        **options: Any,
    ):
        super().__init__(input_size, source_size, num_heads, units_per_head, **options)
        for name, horizon in (("max_past_horizon", max_past_horizon), ("max_future_horizon", max_future_horizon)):
            if horizon < 0:
                raise ValueError(f"{name}: expected at least 0, got {horizon}")
        self.past, self.future = max_past_horizon, max_future_horizon

    def _initial_state(self, batch_size, spec, device, constants):
        device = self.q_proj_weight.device if device is None else device
        return (torch.zeros(batch_size, dtype=torch.long, device=device),)

    def _step(self, x, state, training, constants):
        source = _given(self, self.source_name, constants, x.shape[0], self.source_size)
        numbers, count = step_numbers(x.mask, state[0])  # (B, T), -1 before the first valid step
        span = self.past + x.shape[1] + self.future
        rows = (state[0] - self.past)[:, None] + torch.arange(span, device=x.values.device)  # (B, span)
        near = _steps(source, rows)
        distance = rows[:, None] - numbers[..., None]  # (B, T, span)
        visible = (distance >= -self.past) & (distance <= self.future) & near.mask[:, None]
        return self._attend(x, self._projected(near), visible[:, None], training), (count,)


def _given(layer: SequenceLayer, name: str, constants: Constants, batch_size: int, channels: int | None) -> Sequence:
    """`constants[name]`, a Sequence (batch_size, S, channels); channels None: any.  ValueError where it is none."""
    given = constants.get(name)
    if not isinstance(given, Sequence):
        got = f"one of {sorted(constants)}" if given is None else type(given).__name__
        raise ValueError(f"constants: expected a Sequence named {name!r} in {type(layer).__name__}, got {got}")
    if given.shape[0] != batch_size or (channels is not None and given.shape[2:] != (channels,)):
        wanted = f"({batch_size}, S, {'...' if channels is None else channels})"
        raise ValueError(f"constants[{name!r}]: expected {wanted}, got {tuple(given.shape)}")
    return given


def _steps(given: Sequence, numbers: Tensor) -> Sequence:
    """The steps `numbers` (B, N) of a sequence; those that it does not have are invalid."""
    batch_size, count = numbers.shape
    if given.shape[1] == 0:
        return Sequence.invalid(batch_size, count, given.spec, numbers.device)
    there = (numbers >= 0) & (numbers < given.shape[1])
    items, index = torch.arange(batch_size, device=numbers.device)[:, None], numbers.clamp(0, given.shape[1] - 1)
    return Sequence(given.values[items, index], given.mask[items, index] & there)
