"""Self-attention within a past and a future horizon, over a whole sequence or a stream; and as a transformer has it."""

from __future__ import annotations

from math import ceil
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.layers.attention_functions import attention_weights, band, dot_product_attention, learned_scale, windows
from course_lib.layers.normalization import RMSNorm
from course_lib.layers.positional import RelativePosition, layer_positions, positions_of
from course_lib.layers.rotary import rotary_angles, rotate_pairs
from course_lib.sequence import ChannelSpec, Constants, Sequence, SequenceLayer, at_least_float32, check_channels


class DotProductSelfAttention(SequenceLayer):
    """Attention of a sequence to itself: (B, T, input_size) -> (B, T, num_heads * units_per_head), heads side by side.

    Key k is visible to query q iff -max_past_horizon <= k - q <= max_future_horizon and step k is valid; a query that
    sees nothing gives 0. A horizon of -1 is unlimited. In a stream the outputs come `max_future_horizon` steps late;
    an unlimited future cannot step, and an unlimited past only with `capacity`.

    num_kv_heads: key/value heads, a divisor of `num_heads` (grouped-query attention); all by default.
    capacity: past steps that a stream with unlimited past keeps. A stream that outgrows it raises ValueError when the
        first step comes that can no longer see all of its past (an exported step cannot raise: it forgets the oldest).
    bias: adds biases to the projections.  rotary: base of a rotary embedding of queries and keys (10_000.0 is usual).
    relative_position: a `T5RelativePositionBias`, `ShawRelativePosition` or `TransformerXLRelativePosition` with
        `num_heads` heads.  scale: 1/√units_per_head by default.
    qk_norm: passes queries and keys through an `RMSNorm` over the head's channels each, before the rotary embedding,
        so that no logit is larger than the learned weights allow (Henry et al. 2020; Dehghani et al. 2023).
    per_dim_scale: multiplies each channel of the queries by a learned factor, the same in all heads: `learned_scale`.
    logits_soft_cap, dropout (on the weights, in training), implementation ("sdpa" or "math"): see
        `dot_product_attention`.
    query_block: with both horizons limited, queries are taken in blocks of this many, each against the keys it may
        see, so that the cost grows with T and not with T². Chosen by default; it changes no result.

    Parameters are those of nn.MultiheadAttention: `in_proj_weight` ((num_heads + 2 num_kv_heads) * units_per_head,
    input_size), rows for queries, keys and values in this order, and `in_proj_bias`.
    """

    def __init__(
        self,
        input_size: int,
        num_heads: int,
        units_per_head: int,
        max_past_horizon: int,
        max_future_horizon: int = 0,
        *,
        num_kv_heads: int | None = None,
        capacity: int | None = None,
        bias: bool = False,
        rotary: float | None = None,
        relative_position: RelativePosition | None = None,
        scale: float | None = None,
        qk_norm: bool = False,
        per_dim_scale: bool = False,
        logits_soft_cap: float | None = None,
        dropout: float = 0.0,
        implementation: str = "sdpa",
        query_block: int | None = None,
    ):
        super().__init__()
        num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        check_attention(input_size, num_heads, num_kv_heads, units_per_head, dropout, implementation)
        for name, horizon in (("max_past_horizon", max_past_horizon), ("max_future_horizon", max_future_horizon)):
            if horizon < -1:
                raise ValueError(f"{name}: expected at least 0, or -1 for unlimited, got {horizon}")
        if capacity is not None and (max_past_horizon >= 0 or capacity < 1):
            raise ValueError(f"capacity: expected a positive number beside max_past_horizon=-1, got {capacity}")
        if query_block is not None and query_block < 1:
            raise ValueError(f"query_block: expected a positive number, got {query_block}")
        if rotary is not None and units_per_head % 2:
            raise ValueError(f"units_per_head: expected an even number with rotary, got {units_per_head}")
        if relative_position is not None and relative_position.num_heads != num_heads:
            raise ValueError(f"relative_position: expected {num_heads} heads, got {relative_position.num_heads}")
        self.input_size, self.units_per_head = input_size, units_per_head
        self.num_heads, self.num_kv_heads = num_heads, num_kv_heads
        self.past = None if max_past_horizon < 0 else max_past_horizon
        self.future = None if max_future_horizon < 0 else max_future_horizon
        self.capacity, self.query_block = capacity, query_block
        self.rotary, self.relative_position = rotary, relative_position
        self.scale, self.logits_soft_cap = scale, logits_soft_cap
        self.dropout, self.implementation = dropout, implementation
        rows = (num_heads + 2 * num_kv_heads) * units_per_head
        self.in_proj_weight = nn.Parameter(torch.empty(rows, input_size))
        self.in_proj_bias = nn.Parameter(torch.zeros(rows)) if bias else None
        self.per_dim_scale = nn.Parameter(torch.zeros(units_per_head)) if per_dim_scale else None
        self.query_norm, self.key_norm = (RMSNorm(units_per_head) if qk_norm else None for _ in range(2))
        nn.init.xavier_uniform_(self.in_proj_weight)

        self.supports_step = self.future is not None and (self.past is not None or capacity is not None)
        self.output_latency = self.input_latency = (self.future or 0) if self.supports_step else 0
        self.receptive_field = (None if self.past is None else -self.past, self.future)

    def why_no_step(self) -> str:
        if self.future is None:
            return "max_future_horizon=-1 looks at steps that a stream has not seen yet"
        return "max_past_horizon=-1 needs capacity=, the number of past steps to keep"

    @property
    def input_spec(self) -> ChannelSpec:
        return ChannelSpec((self.input_size,), self.in_proj_weight.dtype)

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        check_channels(self, spec, *self.input_spec)
        return ChannelSpec((self.num_heads * self.units_per_head,), spec.dtype)

    def extra_repr(self) -> str:
        return (
            f"{self.input_size}, num_heads={self.num_heads}, units_per_head={self.units_per_head}, "
            f"past={self.past}, future={self.future}"
        )

    # Whole sequences.

    def _layer(self, x, training, constants):
        positions = None if self.rotary is None else layer_positions(x)
        queries, kv = self._project(x, positions)
        past, future, length = self.past, self.future, x.shape[1]
        if past is not None and future is not None and (block := self._query_block(length, past + future)):
            kv = F.pad(kv, (0, 0, 0, 0, past, 0))
            valid = F.pad(x.mask, (past, 0))
            return x.with_values(self._in_blocks(queries, kv, valid, past, block, training))
        return x.with_values(self._attend(queries, kv, None if _all_valid(x) else x.mask, 0, training))

    def _query_block(self, length: int, span: int) -> int | None:
        """Queries per block, or None where one block takes all. `span`: keys that a query sees beside one."""
        if isinstance(length, torch.SymInt) or self._emitted is not None:  # torch.export follows one branch only
            return None
        block = self.query_block or max(32, span)
        worthwhile = 2 * (block + span) <= length or self.query_block is not None
        return block if worthwhile and block < length else None

    # Streams. The state is (keys and values, their mask, delayed queries and their mask, position, forgotten).

    def _initial_state(self, batch_size, spec, device, constants):
        dtype, future = self.in_proj_weight.dtype, self.future or 0
        kept = (self.capacity or self.past or 0) + future
        kv = torch.zeros(batch_size, kept, 2 * self.num_kv_heads, self.units_per_head, dtype=dtype, device=device)
        valid = torch.zeros(batch_size, kept, dtype=torch.bool, device=device)
        delayed: tuple[Tensor, ...] = ()
        if future:
            queries = torch.zeros(batch_size, future, self.num_heads, self.units_per_head, dtype=dtype, device=device)
            delayed = (queries, torch.zeros(batch_size, future, dtype=torch.bool, device=device))
        position = () if self.rotary is None else torch.zeros(batch_size, dtype=torch.long, device=device)
        forgotten = () if self.capacity is None else torch.zeros(batch_size, dtype=torch.bool, device=device)
        return kv, valid, delayed, position, forgotten

    def _step(self, x, state, training, constants):
        kv, valid, delayed, position, forgotten = state
        steps = x.shape[1]
        positions = None
        if self.rotary is not None:
            positions = positions_of(x.mask, position)
            position = position + x.mask.sum(dim=1)
        queries, new_kv = self._project(x, positions)
        kv, valid = torch.cat([kv, new_kv], dim=1), torch.cat([valid, x.mask], dim=1)
        if self.future:
            queries, mask = torch.cat([delayed[0], queries], dim=1), torch.cat([delayed[1], x.mask], dim=1)
            delayed = queries[:, steps:], mask[:, steps:]
            queries, y = queries[:, :steps], Sequence(x.values, mask[:, :steps])
        else:
            y = x
        if self.capacity is not None:
            _check_capacity(forgotten, y.mask, self.capacity)
            forgotten = forgotten | valid[:, :steps].any(dim=1)
        past = self.capacity or self.past or 0
        block = self._query_block(steps, past + (self.future or 0))
        if block is not None and self.capacity is None:
            values = self._in_blocks(queries, kv, valid, past, block, training)
        else:
            values = self._attend(queries, kv, valid, past, training)
        return y.with_values(values), (kv[:, steps:], valid[:, steps:], delayed, position, forgotten)

    # Shared by both.

    def _project(self, x: Sequence, positions: Tensor | None) -> tuple[Tensor, Tensor]:
        """Queries (B, T, H, D), and keys and values (B, T, 2 KV, D); 0 at invalid steps, whatever stands there."""
        projected = F.linear(x.masked().values, self.in_proj_weight, self.in_proj_bias)
        if self.in_proj_bias is not None:
            projected = x.with_values(projected).masked().values
        heads = projected.view(*x.shape[:2], self.num_heads + 2 * self.num_kv_heads, self.units_per_head)
        if self.query_norm is not None and self.key_norm is not None:
            q, k, v = heads.split_with_sizes([self.num_heads, self.num_kv_heads, self.num_kv_heads], dim=2)
            heads = torch.cat([self.query_norm._values(q, False), self.key_norm._values(k, False), v], dim=2)
        if positions is not None and self.rotary is not None:
            dtype = at_least_float32(heads.dtype)
            angles = rotary_angles(positions, self.units_per_head, self.rotary, dtype).unsqueeze(-2)
            turned, values = heads.split_with_sizes([self.num_heads + self.num_kv_heads, self.num_kv_heads], dim=2)
            heads = torch.cat([rotate_pairs(turned, angles), values], dim=2)
        queries, kv = heads[:, :, : self.num_heads], heads[:, :, self.num_heads :]
        return queries if self.per_dim_scale is None else queries * learned_scale(self.per_dim_scale), kv

    def _attend(self, queries: Tensor, kv: Tensor, valid: Tensor | None, offset: int, training: bool) -> Tensor:
        """Query i (B, Q, H, D) against all keys (B, K, 2 KV, D), key j being at time j - offset: (B, Q, H * D).

        valid: (B, K), which keys are valid; None: all.
        """
        length, keys = queries.shape[1], kv.shape[1]
        visible = band(length, keys, offset, self.past, self.future, queries.device)
        whole = self.past is None or (not isinstance(keys, torch.SymInt) and self.past >= keys - 1)
        is_causal = valid is None and self.future == 0 and offset == 0 and whole
        if valid is not None:
            valid = valid.view(valid.shape[0], 1, 1, keys)
            visible = valid if visible is None else visible & valid
        key_heads, value_heads = kv.transpose(1, 2).chunk(2, dim=1)  # (B, KV, K, D) each
        queries, bias = self._positioned(queries.transpose(1, 2), keys, offset)
        if self._emitted is not None:
            self._emit("weights", self._weights(queries, key_heads, visible, bias))
        y = dot_product_attention(
            queries,
            key_heads,
            value_heads,
            None if is_causal else visible,
            is_causal=is_causal,
            bias=bias,
            scale=self.scale,
            soft_cap=self.logits_soft_cap,
            dropout=self.dropout if training else 0.0,
            implementation=self.implementation,
        )
        return y.transpose(1, 2).flatten(2)  # (B, H, Q, D) -> (B, Q, H * D)

    def _positioned(self, queries: Tensor, keys: int, offset: int) -> tuple[Tensor, Tensor | None]:
        """The queries (B, H, Q, D) that meet the keys, and what their distances add to the logits, or None."""
        if self.relative_position is None:
            return queries, None
        scale = self.units_per_head**-0.5 if self.scale is None else self.scale
        bias = self.relative_position.logits(queries, keys, offset, scale)
        content = self.relative_position.content_bias
        return queries if content is None else queries + content[:, None], bias

    def _weights(self, queries: Tensor, keys: Tensor, visible: Tensor | None, bias: Tensor | None) -> Tensor:
        return attention_weights(queries, keys, visible, bias=bias, scale=self.scale, soft_cap=self.logits_soft_cap)

    def _in_blocks(self, queries: Tensor, kv: Tensor, valid: Tensor, offset: int, block: int, training: bool) -> Tensor:
        """As `_attend`, but each block of queries meets only the keys that its horizons reach."""
        length, span = queries.shape[1], offset + (self.future or 0)
        count = ceil(length / block)
        y = self._attend(
            windows(queries, count, block, 0),  # (B * count, block, H, D)
            windows(kv, count, block, span),  # (B * count, block + span, 2 KV, D)
            windows(valid, count, block, span),
            offset,
            training,
        )
        return y.reshape(queries.shape[0], count * block, y.shape[-1])[:, :length]


def check_attention(
    input_size: int, num_heads: int, num_kv_heads: int, units_per_head: int, dropout: float, implementation: str
) -> None:
    """ValueError where the sizes of an attention layer do not fit together."""
    if min(input_size, num_heads, num_kv_heads, units_per_head) < 1 or num_heads % num_kv_heads:
        raise ValueError(
            "input_size, num_heads, num_kv_heads, units_per_head: expected positive numbers and num_kv_heads a divisor "
            f"of num_heads, got {input_size}, {num_heads}, {num_kv_heads}, {units_per_head}"
        )
    if not 0.0 <= dropout < 1.0:
        raise ValueError(f"dropout: expected a probability below 1, got {dropout}")
    if implementation not in ("sdpa", "math"):
        raise ValueError(f'implementation: expected "sdpa" or "math", got {implementation!r}')


def _all_valid(x: Sequence) -> bool:
    return x.all_valid or (not x.mask.is_meta and not torch.compiler.is_compiling() and bool(x.mask.all()))


def _check_capacity(forgotten: Tensor, mask: Tensor, capacity: int) -> None:
    if mask.is_meta or torch.compiler.is_compiling():
        return
    if bool((forgotten & mask.any(dim=1)).any()):
        raise ValueError(f"capacity: the stream is longer than the {capacity} past steps that are kept")


class MultiHeadSelfAttention(DotProductSelfAttention):
    """Self-attention with `num_heads` heads of embed_dim / num_heads channels: (B, T, embed_dim) -> the same shape.

    max_past_horizon, max_future_horizon: steps that a query sees back and ahead; -1, the default, is no limit, and
        max_future_horizon=0 is causal. Invalid steps of a `Sequence` are seen by nobody.
    bias: adds biases to the projections and to the output.  dropout: of the weights, in training.
    options: more arguments of `DotProductSelfAttention`, such as rotary=10_000.0, num_kv_heads or capacity.
    Parameters are those of nn.MultiheadAttention, whose state dict loads: in_proj_weight, in_proj_bias,
    out_proj.weight, out_proj.bias.
    Raises ValueError where the heads do not divide the channels.  Source: Vaswani et al. 2017, section 3.2.2.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        max_past_horizon: int = -1,
        max_future_horizon: int = -1,
        *,
        bias: bool = True,
        dropout: float = 0.0,
        **options: Any,
    ):
        if embed_dim < 1 or num_heads < 1 or embed_dim % num_heads:
            raise ValueError(f"num_heads: expected a divisor of embed_dim={embed_dim}, got {num_heads}")
        super().__init__(
            embed_dim,
            num_heads,
            embed_dim // num_heads,
            max_past_horizon,
            max_future_horizon,
            bias=bias,
            dropout=dropout,
            **options,
        )
        self.out_proj = nn.Linear(embed_dim, embed_dim, bias=bias)
        if bias:
            nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Tensor | Sequence, constants: Constants | None = None, return_weights: bool = False) -> Any:
        """The output; with `return_weights` a pair (output, weights (B, H, T, T)), see `weights`."""
        y = super().forward(x, constants)
        return (y, self.weights(x)) if return_weights else y

    def weights(self, x: Tensor | Sequence) -> Tensor:
        """How much each query looks at each key: (B, H, T, T), queries before keys, without dropout.

        A query's weights sum to 1 over the valid keys within its horizons. All weights of an invalid query are 0.
        """
        x = x if isinstance(x, Sequence) else Sequence.of(x)
        self._check(x)
        length = x.shape[1]
        queries, kv = self._project(x, None if self.rotary is None else layer_positions(x))
        visible = x.mask[:, None, :, None] & x.mask[:, None, None, :]  # (B, 1, T, T)
        near = band(length, length, 0, self.past, self.future, queries.device)
        queries, bias = self._positioned(queries.transpose(1, 2), length, 0)  # (B, H, T, D)
        keys = kv.transpose(1, 2).chunk(2, dim=1)[0]  # (B, KV, T, D)
        return self._weights(queries, keys, visible if near is None else visible & near, bias)

    def _layer(self, x, training, constants):
        return self._joined(super()._layer(x, training, constants))

    def _step(self, x, state, training, constants):
        y, state = super()._step(x, state, training, constants)
        return self._joined(y), state

    def _joined(self, y: Sequence) -> Sequence:
        return y.with_values(self.out_proj(y.values))
