"""The transformer's encoder block: attention between time steps, then a small network at each of them."""

from __future__ import annotations

from torch import Tensor

from course_lib.layers.dense import Dense
from course_lib.layers.elementwise import GELU, Dropout
from course_lib.layers.gated import SwiGLU
from course_lib.layers.multi_head_attention import MultiHeadSelfAttention
from course_lib.layers.norm_kinds import make_norm
from course_lib.layers.parallel import Residual
from course_lib.layers.sequential import Sequential
from course_lib.sequence import Sequence, SequenceLayer


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
        **attention,
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

    def forward(self, x: Tensor | Sequence, constants=None, return_weights: bool = False):
        """The output; with `return_weights` a pair (output, the attention's weights (B, H, T, T))."""
        y = super().forward(x, constants)
        return (y, self.weights(x)) if return_weights else y

    def weights(self, x: Tensor | Sequence) -> Tensor:
        """The weights (B, H, T, T) with which this block's attention looks at `x`, as in evaluation mode."""
        x = x if isinstance(x, Sequence) else Sequence.of(x)
        before = self[0].body[:-2]  # the normalisation of "pre"
        return self.attention.weights(before.layer(x, training=False))
