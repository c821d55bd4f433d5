"""Audio classification by a transformer: convolutions make tokens of the waveform, a CLS token gathers them."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from course_lib import layers as sl
from course_lib.models.model_input import real_input
from course_lib.sequence import Sequence


class WaveformFeatures(nn.Module):
    """Tokens from waveforms: (B, 1, samples) -> (B, N, embed_dim), one for 128 samples, N = samples / 128 rounded up.

    Each clip is first brought to mean 0 and standard deviation 1 (silence stays 0). Then three strided convolutions
    (strides 8, 4, 4; kernels twice to four times as long), each with batch normalisation and Mish.
    """

    def __init__(self, embed_dim: int):
        super().__init__()
        self.convolutions = sl.Sequential(
            [
                *_convolution(1, 32, kernel_size=32, stride=8),
                *_convolution(32, 64, kernel_size=8, stride=4),
                *_convolution(64, embed_dim, kernel_size=8, stride=4),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        x = real_input(x, self)
        x = x - x.mean(dim=2, keepdim=True)
        x = x / (x.square().mean(dim=2, keepdim=True).sqrt() + 1e-5)
        return self.convolutions(x.transpose(1, 2))  # (B, N, embed_dim)


class TransformerClassifier(nn.Module):
    """Classify audio: CNN features, sinusoidal positions, a CLS token, encoder blocks, a linear layer on the token.

    x: (B, 1, samples), at least one sample; any real dtype, converted to that of the weights.
    Returns logits (B, num_classes).
    features: a module that makes tokens (B, N, embed_dim) of `x`; None: `WaveformFeatures`. With `LogMelFeatures`, or
        a module of your own, `x` is what that takes.
    norm: "pre" or "post"; block: more arguments of `EncoderBlock`.
    dropout: of the tokens, in the blocks, and before the linear layer.
    Raises ValueError where the heads do not divide `embed_dim`, `embed_dim` is odd, or `x` has another shape.
    """

    def __init__(
        self,
        num_classes: int = 10,
        embed_dim: int = 48,
        num_heads: int = 3,
        num_layers: int = 2,
        *,
        features: nn.Module | None = None,
        norm: str = "pre",
        dropout: float = 0.1,
        **block,
    ):
        super().__init__()
        if num_classes < 2:
            raise ValueError(f"num_classes: expected at least 2, got {num_classes}")
        self.takes_waveforms = features is None
        self.features = WaveformFeatures(embed_dim) if features is None else features
        self.tokens = sl.Sequential([sl.PositionalEncoding(embed_dim), sl.CLSToken(embed_dim), sl.Dropout(dropout)])
        self.encoder = sl.Repeat(
            lambda: sl.EncoderBlock(embed_dim, num_heads, norm=norm, dropout=dropout, **block), num_layers
        )
        self.norm = sl.LayerNorm(embed_dim) if norm == "pre" else sl.Identity()
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(embed_dim, num_classes))

    def forward(self, x: Tensor, return_weights: bool = False) -> Tensor | tuple[Tensor, list[Tensor]]:
        """Logits; with `return_weights` a pair (logits, one (B, num_heads, N + 1, N + 1) for each block).

        Row 0 of the weights is the CLS token's look at itself and at the N tokens after it.
        """
        x = real_input(x, self)
        if self.takes_waveforms and (x.dim() != 3 or x.shape[1] != 1 or not x.shape[2]):
            raise ValueError(f"x: expected (B, 1, samples), got {tuple(x.shape)}: one channel, time last")
        features = self.features(x)  # (B, N, embed_dim)
        return self.classify_features(features, return_weights)

    def classify_features(self, features: Tensor, return_weights: bool = False) -> Tensor | tuple[Tensor, list[Tensor]]:
        """What `forward` returns, from what `features` made of its input: (B, N, embed_dim)."""
        features = real_input(features, self)  # in full precision under autocast too
        tokens = self.tokens.layer(Sequence.of(features))  # (B, N + 1, embed_dim)
        weights = []
        for block in self.encoder:
            if return_weights:
                weights.append(block.weights(tokens))  # type: ignore[operator]
            tokens = block.layer(tokens)
        logits = self.classifier(self.norm.layer(tokens).values[:, 0])
        return (logits, weights) if return_weights else logits


class DeeplySupervised(nn.Module):
    """A `TransformerClassifier` whose convolutions get a gradient that does not come through the attention.

    In training a pair: logits (B, num_classes) of the CLS token, and those of a linear layer on the mean of the tokens
    that go into the encoder. In evaluation mode the first alone.  Source: Lee et al. 2015, Deeply-Supervised Nets.
    """

    def __init__(self, model: TransformerClassifier):
        super().__init__()
        self.model = model
        last = model.classifier[-1]
        assert isinstance(last, nn.Linear)
        self.auxiliary = nn.Linear(last.in_features, last.out_features)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        tokens = self.model.features(x)  # (B, N, embed_dim)
        logits = self.model.classify_features(tokens)
        return (logits, self.auxiliary(tokens.float().mean(dim=1))) if self.training else logits  # type: ignore[return-value]


class InTraining(nn.Module):
    """`change(x)` in training mode, x as it is in evaluation mode: SpecAugment behind a learned front end, say."""

    def __init__(self, change: Callable[[Tensor], Tensor]):
        super().__init__()
        self.change = change

    def forward(self, x: Tensor) -> Tensor:
        return self.change(x) if self.training else x


def _convolution(channels: int, out_channels: int, kernel_size: int, stride: int) -> list[sl.SequenceLayer]:
    convolution = sl.Conv1D(channels, out_channels, kernel_size, stride, padding="same", bias=False)
    return [convolution, sl.BatchNorm(out_channels), sl.Mish()]
