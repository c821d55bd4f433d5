"""Multi-head self-attention as a transformer has it: each head looks on its own, a linear map joins what they saw."""

from __future__ import annotations

from torch import Tensor, nn

from course_lib.layers.attention import DotProductSelfAttention
from course_lib.layers.attention_functions import attention_weights, band
from course_lib.layers.positional import layer_positions
from course_lib.sequence import Sequence


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
        **options,
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

    def forward(self, x: Tensor | Sequence, constants=None, return_weights: bool = False):
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
        return attention_weights(
            queries.transpose(1, 2),  # (B, H, T, D)
            kv.transpose(1, 2).chunk(2, dim=1)[0],  # (B, KV, T, D), the keys
            visible if near is None else visible & near,
            bias=None if self.relative_position is None else self.relative_position(length, length, 0),
            scale=self.scale,
            soft_cap=self.logits_soft_cap,
        )

    def _layer(self, x, training, constants):
        return self._joined(super()._layer(x, training, constants))

    def _step(self, x, state, training, constants):
        y, state = super()._step(x, state, training, constants)
        return self._joined(y), state

    def _joined(self, y: Sequence) -> Sequence:
        return y.with_values(self.out_proj(y.values))
