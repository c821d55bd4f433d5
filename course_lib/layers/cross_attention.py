"""Attention of a sequence to another one, which is known as a whole, or runs beside it."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.layers.attention import check_attention
from course_lib.layers.attention_functions import attention_weights, dot_product_attention, learned_scale
from course_lib.layers.delay import step_numbers
from course_lib.sequence import ChannelSpec, Constants, FormOnly, Sequence, SequenceLayer, TensorForm, check_channels


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

    def _checked_source(self, batch_size: int, constants: Constants) -> Sequence:
        source = constants.get(self.source_name)
        if not isinstance(source, Sequence):
            raise ValueError(
                f"constants: expected a Sequence under {self.source_name!r} in {type(self).__name__}, got "
                f"{type(source).__name__} among {sorted(constants)}"
            )
        if source.shape[0] != batch_size or source.shape[2:] != (self.source_size,):
            raise ValueError(
                f"constants[{self.source_name!r}]: expected ({batch_size}, S, {self.source_size}), got "
                f"{tuple(source.shape)}"
            )
        return source

    def _projected(self, source: Sequence) -> Tensor:
        """Keys and values (B, S, 2 KV, D) of the source."""
        kv = F.linear(source.masked().values, self.kv_proj_weight, self.kv_proj_bias)
        return kv.unflatten(2, (2 * self.num_kv_heads, self.units_per_head))

    def _initial_state(self, batch_size, spec, device, constants):
        if isinstance(constants, FormOnly):
            dtype, device = self.kv_proj_weight.dtype, torch.device(device)
            kv = TensorForm((batch_size, None, 2 * self.num_kv_heads, self.units_per_head), dtype, device)
            return kv, TensorForm((batch_size, None), torch.bool, device)
        source = self._checked_source(batch_size, constants)
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
        source = self._checked_source(x.shape[0], constants)
        numbers, count = step_numbers(x.mask, state[0])  # (B, T), -1 before the first valid step
        span = self.past + x.shape[1] + self.future
        rows = (state[0] - self.past)[:, None] + torch.arange(span, device=x.values.device)  # (B, span)
        there = (rows >= 0) & (rows < source.shape[1])
        if source.shape[1] == 0:
            near = Sequence.invalid(x.shape[0], span, source.spec, x.values.device)
        else:
            items = torch.arange(x.shape[0], device=x.values.device)[:, None]
            index = rows.clamp(0, source.shape[1] - 1)
            near = Sequence(source.values[items, index], source.mask[items, index] & there)
        distance = rows[:, None] - numbers[..., None]  # (B, T, span)
        visible = (distance >= -self.past) & (distance <= self.future) & near.mask[:, None]
        return self._attend(x, self._projected(near), visible[:, None], training), (count,)
