"""A convolutional network for one-dimensional signals: dilated convolutions with shortcuts, in ever coarser stages."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.layers.convolution import Conv1D, DepthwiseConv1D
from course_lib.layers.elementwise import Mish
from course_lib.layers.global_pooling import masked_mean
from course_lib.layers.normalization import make_norm
from course_lib.layers.parallel import Residual
from course_lib.layers.sequential import Sequential
from course_lib.sequence import ChannelSpec, Sequence, SequenceLayer, check_positive, parameter_dtype


class SqueezeExcitation(SequenceLayer):
    """x times a weight between 0 and 1 for each channel: (B, T, channels) -> the same shape.

    The weights are σ(W₂ ReLU(W₁ m)), m the mean of x over an item's valid steps; W₁ leads to channels / reduction
    numbers (at least 4), W₂ back. It cannot step, since the mean is known only when the sequence has ended.
    Source: Hu, Shen and Sun 2018, eq. 2 to 4.
    """

    supports_step = False
    receptive_field = (None, None)

    def __init__(self, channels: int, reduction: int = 4):
        super().__init__()
        check_positive(channels=channels, reduction=reduction)
        hidden = max(4, channels // reduction)
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)

    @property
    def input_spec(self) -> ChannelSpec | None:
        return ChannelSpec((self.excite.out_features,), parameter_dtype(self))

    def why_no_step(self) -> str:
        return "its weights come from the mean of the whole sequence"

    def weights(self, x: Tensor | Sequence) -> Tensor:
        """(B, channels): how much of each channel goes on, from 0 to 1."""
        x = x if isinstance(x, Sequence) else Sequence.of(x)
        self._check(x)
        return self._weights(x.masked())

    def _weights(self, x: Sequence) -> Tensor:
        return torch.sigmoid(self.excite(F.relu(self.squeeze(masked_mean(x)))))

    def _layer(self, x, training, constants):
        x = x.masked()
        return x.with_values(x.values * self._weights(x)[:, None])


class ResidualBlock(Sequential):
    """Dilated convolutions and squeeze-and-excitation beside a shortcut: (B, T, in_channels) -> (B, N, out_channels).

    One convolution for each of `dilations`, padded "same", the first with `stride`, so that N = ⌈T / stride⌉; each
    followed by a normalisation, and by Mish but for the last, whose Mish comes after the sum. Where channels or stride
    change, the shortcut is a convolution of kernel 1 with a normalisation.
    norm_kind: "batch", "group", "layer" or "rms".  squeeze: end the body in `SqueezeExcitation`; without it the block
    can step through a stream.  residual: False leaves out the shortcut.
    separable: each convolution as a depthwise one and one of kernel 1, with about kernel_size times fewer weights.
    Sources: He et al. 2016, section 3; Yu and Koltun 2016 for dilations; Hu et al. 2018; Misra 2019.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        dilations: tuple[int, ...] = (1, 2, 4),
        stride: int = 1,
        *,
        norm_kind: str = "batch",
        squeeze: bool = True,
        residual: bool = True,
        separable: bool = False,
    ):
        if not dilations:
            raise ValueError("dilations: expected at least one, got none")
        body: list[SequenceLayer] = []
        channels = in_channels
        for i, dilation in enumerate(dilations):
            body += [Mish()] if i else []
            step = 1 if i else stride
            body += _convolution(channels, out_channels, kernel_size, step, dilation, separable)
            body += [make_norm(norm_kind, out_channels)]
            channels = out_channels
        if squeeze:
            body += [SqueezeExcitation(out_channels)]
        shortcut = None
        if in_channels != out_channels or stride > 1:
            matched = Conv1D(in_channels, out_channels, 1, stride, padding="same", bias=False)
            shortcut = Sequential([matched, make_norm(norm_kind, out_channels)])
        super().__init__([Residual(Sequential(body), shortcut) if residual else Sequential(body), Mish()])

    def channel_weights(self, x: Tensor | Sequence) -> Tensor | None:
        """(B, out_channels): weights of squeeze-and-excitation, as in evaluation mode; None where there are none."""
        x = x if isinstance(x, Sequence) else Sequence.of(x)
        body: Any = self[0].body if isinstance(self[0], Residual) else self[0]
        if not isinstance(body[-1], SqueezeExcitation):
            return None
        return body[-1].weights(body[:-1].layer(x, training=False))


class MultiScaleCNN(Sequential):
    """A stem and one `ResidualBlock` a stage: (B, T, in_channels) -> (B, N, channels[-1]), N = T / product of strides.

    channels, strides: one for each stage. The first stride is the stem's, a convolution of `stem_kernel` taps with
    normalisation and Mish; the others are those of the blocks 2, 3, ….  Division rounds up at every stage.
    options: arguments of `ResidualBlock`: kernel_size, dilations, norm_kind, squeeze, residual, separable.
    """

    def __init__(
        self,
        in_channels: int = 1,
        channels: tuple[int, ...] = (32, 64, 128, 256),
        strides: tuple[int, ...] = (2, 2, 2, 2),
        stem_kernel: int = 7,
        norm_kind: str = "batch",
        **options: Any,
    ):
        if not channels or len(channels) != len(strides):
            raise ValueError(f"channels, strides: expected one of each for every stage, got {channels} and {strides}")
        stem = Conv1D(in_channels, channels[0], stem_kernel, strides[0], padding="same", bias=False)
        inputs = (channels[0], *channels[:-1])
        blocks = [
            ResidualBlock(before, after, stride=stride, norm_kind=norm_kind, **options)
            for before, after, stride in zip(inputs, channels, (1, *strides[1:]), strict=True)
        ]
        super().__init__([Sequential([stem, make_norm(norm_kind, channels[0]), Mish()]), *blocks])

    def channel_weights(self, x: Tensor | Sequence) -> list[Tensor]:
        """One (B, channels) for each stage with squeeze-and-excitation: its weights for `x`, as in evaluation mode."""
        found = []
        y = self[0].layer(x if isinstance(x, Sequence) else Sequence.of(x), training=False)
        for block in list(self)[1:]:
            found.append(cast(ResidualBlock, block).channel_weights(y))
            y = block.layer(y, training=False)
        return [weights for weights in found if weights is not None]


def _convolution(channels, out_channels, kernel_size, stride, dilation, separable) -> list[Conv1D]:
    if not separable:
        return [Conv1D(channels, out_channels, kernel_size, stride, "same", dilation, bias=False)]
    return [
        DepthwiseConv1D(channels, kernel_size, stride, "same", dilation, bias=False),
        Conv1D(channels, out_channels, 1, bias=False),
    ]
