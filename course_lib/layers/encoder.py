"""The transformer's encoder: blocks of attention and a small network, and the learned step that gathers a sequence."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.layers.attention import MultiHeadSelfAttention
from course_lib.layers.dense import Dense
from course_lib.layers.elementwise import GELU, Dropout, SwiGLU
from course_lib.layers.normalization import make_norm
from course_lib.layers.parallel import Residual
from course_lib.layers.sequential import Sequential
from course_lib.sequence import ChannelSpec, Constants, Sequence, SequenceLayer, check_positive


class FeedForward(Sequential):
    """Two linear maps with a nonlinearity between them, at every time step: (B, T, embed_dim) -> the same shape.

    kind: "gelu", or "swiglu", whose first map gives twice `hidden_size` channels, one half gating the other.
    hidden_size: None takes 4 embed_dim for "gelu" and 8/3 of it for "swiglu", rounded to a multiple of 8, so that both
    have about 8 embed_dim² parameters.  dropout: of the hidden channels, in training.
    Sources: Vaswani et al. 2017, section 3.3; Shazeer 2020, eq. 6.
    """

    def __init__(self, embed_dim: int, hidden_size: int | None = None, kind: str = "gelu", dropout: float = 0.0):
        if kind not in ("gelu", "swiglu"):
            raise ValueError(f'feed_forward: expected "gelu" or "swiglu", got {kind!r}')
        gated = kind == "swiglu"
        if hidden_size is None:
            hidden_size = max(8, 8 * round(embed_dim / 3)) if gated else 4 * embed_dim
        super().__init__(
            [
                Dense(2 * hidden_size if gated else hidden_size, embed_dim),
                SwiGLU() if gated else GELU(),
                Dropout(dropout),
                Dense(embed_dim, hidden_size),
            ]
        )


class EncoderBlock(Sequential):
    """Self-attention and a feed-forward network, each with a shortcut round it: (B, T, embed_dim) -> the same shape.

    norm: "pre" normalises what goes into either part, x + part(norm(x)); "post" what comes out of the sum,
        norm(x + part(x)).
    norm_kind: "layer", "rms", "batch" or "group".  feed_forward, hidden_size: see `FeedForward`.
    dropout: in training, of the attention weights, the hidden channels and the output of either part.
    attention: arguments of `MultiHeadSelfAttention`, such as rotary=10_000.0 or max_future_horizon=0 for a causal one.
    With "gelu" and "layer" it computes what nn.TransformerEncoderLayer does (norm_first for "pre").
    Sources: Vaswani et al. 2017, section 3.1; Xiong et al. 2020 for "pre".
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        *,
        norm: str = "pre",
        norm_kind: str = "layer",
        feed_forward: str = "gelu",
        hidden_size: int | None = None,
        dropout: float = 0.0,
        **attention: Any,
    ):
        if norm not in ("pre", "post"):
            raise ValueError(f'norm: expected "pre" or "post", got {norm!r}')

        def with_shortcut(part: SequenceLayer) -> list[SequenceLayer]:
            normalised = make_norm(norm_kind, embed_dim)
            if norm == "pre":
                return [Residual(Sequential([normalised, part, Dropout(dropout)]))]
            return [Residual(Sequential([part, Dropout(dropout)])), normalised]

        super().__init__(
            [
                *with_shortcut(MultiHeadSelfAttention(embed_dim, num_heads, dropout=dropout, **attention)),
                *with_shortcut(FeedForward(embed_dim, hidden_size, feed_forward, dropout)),
            ]
        )

    @property
    def attention(self) -> MultiHeadSelfAttention:
        return self[0].body[-2]

    def forward(self, x: Tensor | Sequence, constants: Constants | None = None, return_weights: bool = False) -> Any:
        """The output; with `return_weights` a pair (output, the attention's weights (B, H, T, T))."""
        y = super().forward(x, constants)
        return (y, self.weights(x)) if return_weights else y

    def weights(self, x: Tensor | Sequence) -> Tensor:
        """The weights (B, H, T, T) with which this block's attention looks at `x`, as in evaluation mode."""
        x = x if isinstance(x, Sequence) else Sequence.of(x)
        before = self[0].body[:-2]  # the normalisation of "pre"
        return self.attention.weights(before.layer(x, training=False))


class CLSToken(SequenceLayer):
    """Puts one learned, always valid step before the first: (B, T, embed_dim) -> (B, T + 1, embed_dim).

    After an encoder, `y[:, 0]` is what it has gathered. `weight` (embed_dim,) begins as small normal numbers.
    It cannot step: what is gathered is complete only when the sequence has ended.
    Source: Devlin et al. 2019, section 3.
    """

    supports_step = False
    receptive_field = (-1, -1)

    def __init__(self, embed_dim: int):
        super().__init__()
        check_positive(embed_dim=embed_dim)
        self.weight = nn.Parameter(0.02 * torch.randn(embed_dim))

    @property
    def input_spec(self) -> ChannelSpec | None:
        return ChannelSpec(tuple(self.weight.shape), self.weight.dtype)

    def output_length(self, length: int) -> int:
        return length + 1

    def why_no_step(self) -> str:
        return "its output stands for a whole sequence"

    def _layer(self, x, training, constants):
        token = self.weight.to(x.values.dtype).expand(x.shape[0], 1, -1)  # (B, 1, C)
        return Sequence(torch.cat([token, x.values], dim=1), F.pad(x.mask, (1, 0), value=True), x.all_valid)
