"""Attention of a sequence to another one, which is known as a whole."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.layers.attention import check_attention
from course_lib.layers.attention_functions import dot_product_attention, learned_scale
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

    def _source(self, batch_size: int, constants: Constants) -> tuple[Tensor, Tensor]:
        """Keys and values (B, S, 2 KV, D) of the source, and its mask (B, S)."""
        source = constants.get(self.source_name)
        if not isinstance(source, Sequence):
            raise ValueError(
                f"constants: expected a Sequence under {self.source_name!r} in DotProductAttention, got "
                f"{type(source).__name__} among {sorted(constants)}"
            )
        if source.shape[0] != batch_size or source.shape[2:] != (self.source_size,):
            raise ValueError(
                f"constants[{self.source_name!r}]: expected ({batch_size}, S, {self.source_size}), got "
                f"{tuple(source.shape)}"
            )
        kv = F.linear(source.masked().values, self.kv_proj_weight, self.kv_proj_bias)
        return kv.unflatten(2, (2 * self.num_kv_heads, self.units_per_head)), source.mask

    def _initial_state(self, batch_size, spec, device, constants):
        if isinstance(constants, FormOnly):
            dtype, device = self.kv_proj_weight.dtype, torch.device(device)
            kv = TensorForm((batch_size, None, 2 * self.num_kv_heads, self.units_per_head), dtype, device)
            return kv, TensorForm((batch_size, None), torch.bool, device)
        return self._source(batch_size, constants)

    def _step(self, x, state, training, constants):
        kv, valid = state
        queries = F.linear(x.masked().values, self.q_proj_weight, self.q_proj_bias)
        queries = queries.unflatten(2, (self.num_heads, self.units_per_head))  # (B, T, H, D)
        if self.per_dim_scale is not None:
            queries = queries * learned_scale(self.per_dim_scale)
        keys, values = kv.transpose(1, 2).chunk(2, dim=1)  # (B, KV, S, D) each
        y = dot_product_attention(
            queries.transpose(1, 2),
            keys,
            values,
            valid[:, None, None, :],
            scale=self.scale,
            soft_cap=self.logits_soft_cap,
            dropout=self.dropout if training else 0.0,
            implementation=self.implementation,
        )
        return x.with_values(y.transpose(1, 2).flatten(2)), state
