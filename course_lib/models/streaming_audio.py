"""An audio classifier that answers while it listens: log-mel, causal convolutions, attention over what it has heard."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from course_lib import layers as sl
from course_lib.models.model_input import real_input
from course_lib.sequence import (
    ChannelSpec,
    Reach,
    Sequence,
    SequenceLayer,
    at_least_float32,
    check_channels,
    check_positive,
    parameter_dtype,
)

FLOOR = 1e-7  # under the power of a band, before the logarithm: that of `course_lib.data.log_mel`
COLUMNS = 4  # of the log-mel picture a step


class RunningAttention(SequenceLayer):
    """Attentive statistics of the past: (B, T, C) -> (B, T, 2 C + 1), mean, standard deviation and the step's weight.

    A small network, linear, tanh, linear, sigmoid, weighs every step, from 0 to 1. Three sums run on, of the weights w,
    of w · x and of w · x²; each keeps `decay` of itself a step. Where nothing has had weight yet, mean and deviation
    are near 0. An invalid step leaves the sums as they are.
    Source: `AttentionPooling` with statistics (Okabe et al. 2018), its softmax over time made a running sum.
    """

    receptive_field: Reach = (None, 0)

    def __init__(self, channels: int, decay: float = 0.98, hidden_size: int = 64):
        super().__init__()
        check_positive(channels=channels, hidden_size=hidden_size)
        self.channels = channels
        self.score = nn.Sequential(nn.Linear(channels, hidden_size), nn.Tanh(), nn.Linear(hidden_size, 1))
        self.sums = sl.Accumulator(2 * channels + 1, decay)

    @property
    def input_spec(self) -> ChannelSpec:
        return ChannelSpec((self.channels,), parameter_dtype(self))

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        super().output_spec(spec)
        return ChannelSpec((2 * self.channels + 1,), spec.dtype)

    def _initial_state(self, batch_size, spec, device, constants):
        summed = ChannelSpec((2 * self.channels + 1,), at_least_float32(self.input_spec.dtype))
        return self.sums._initial_state(batch_size, summed, device, constants)

    def _step(self, x, state, training, constants):
        given = x.masked().values
        values = given.to(at_least_float32(given.dtype))  # in float16, the square of 300 is infinite
        weight = torch.sigmoid(self.score(given)).to(values.dtype)  # (B, T, 1)
        parts = torch.cat([weight * values, weight * values.square(), weight], dim=2)  # (B, T, 2 C + 1)
        sums, state = self.sums._step(x.with_values(parts), state, training, constants)
        first, second, total = sums.values.split([self.channels, self.channels, 1], dim=2)
        total = total + 1e-3
        mean = first / total  # (B, T, C)
        deviation = ((second / total - mean.square()).clamp(min=0) + 1e-5).sqrt()
        return x.with_values(torch.cat([mean, deviation, weight], dim=2).to(given.dtype)), state


class Answer(sl.StatelessLayer):
    """(B, T, 2 C + 1) of `RunningAttention` -> (B, T, num_classes + 4): probabilities, and each column's weight."""

    def __init__(self, channels: int, num_classes: int, dropout: float):
        super().__init__()
        self.channels, self.num_classes = channels, num_classes
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * channels, num_classes))

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        check_channels(self, spec, (2 * self.channels + 1,))
        return ChannelSpec((self.num_classes + COLUMNS,), spec.dtype)

    def logits(self, values: Tensor) -> Tensor:
        """Of the classes, (B, T, num_classes)."""
        return self.classifier(values[..., :-1])

    def _values(self, values, training):
        weight = values[..., -1:].expand(*values.shape[:2], COLUMNS)
        return torch.cat([self.logits(values).softmax(dim=2), weight], dim=2)


class StreamingAudioCNN(sl.Sequential):
    """Samples (B, T, 1) to an answer every 4 · `hop`: (B, N, num_classes + 4 + 4 · num_mels), see `parts`.

    An answer holds the probability of each class, given all that was heard; the weight, 0 to 1, that the step got, once
    for each of its columns; and these columns, four, of the log-mel picture, log10(power + 1e-7). `parts` says which
    numbers are which: {name: (columns, numbers a column)}, one after another. On the way: a Hann window of
    `window` samples every `hop`, mel bands, bands standardised; causal convolutions over time and bands that halve the
    bands each time (kernel 3 × 3, batch normalisation, ReLU); a linear map; `RunningAttention`; a linear layer and a
    softmax. Nothing looks ahead: the answer to a block of 4 · `hop` samples comes with its last sample.

    sample_rate: in Hz; samples are amplitudes in [-1, 1].  widths: channels of each convolution.  features: of the step
    that is pooled.  decay: what a step leaves of what was heard before; 0.98 remembers some 4 s at the default sizes.
    dropout: of the pooled vector.
    Raises ValueError where a size is not positive or there are fewer than 2 classes.
    """

    def __init__(
        self,
        num_classes: int = 10,
        sample_rate: int = 16_000,
        window: int = 640,
        hop: int = 320,
        num_mels: int = 64,
        widths: tuple[int, ...] = (24, 48, 96, 96),
        features: int = 128,
        decay: float = 0.98,
        dropout: float = 0.0,
    ):
        check_positive(sample_rate=sample_rate, window=window, hop=hop, num_mels=num_mels, features=features)
        if num_classes < 2:
            raise ValueError(f"num_classes: expected at least 2, got {num_classes}")
        points = 1 << (window - 1).bit_length()
        front_end: list[SequenceLayer] = [
            sl.Reshape(()),
            sl.STFT(window, hop, points, padding="semicausal", magnitude=True),
            sl.Lambda(torch.square),
            sl.LinearToMel(points // 2 + 1, num_mels, sample_rate, scale="slaney"),
            sl.Lambda(_log),
            sl.Frame(COLUMNS, COLUMNS, padding="semicausal"),
        ]
        body: list[SequenceLayer] = [sl.BatchNorm(num_mels, affine=False), sl.Lambda(_bands_first)]
        bands = num_mels
        for channels, wider in pairwise((COLUMNS, *widths)):
            body += [sl.Conv2D(channels, wider, 3, stride=(1, 2), bias=False), sl.BatchNorm(wider), sl.ReLU()]
            bands = -(-bands // 2)
        body += [sl.Flatten(), sl.Dense(features, bands * widths[-1]), sl.ReLU(), RunningAttention(features, decay)]
        answer = sl.Sequential([*body, Answer(features, num_classes, dropout)])
        super().__init__([sl.Sequential(front_end), sl.Parallel([answer, sl.Flatten()], combine="concatenate")])
        self.sample_rate = sample_rate
        self.parts = {"probabilities": (1, num_classes), "attention": (COLUMNS, 1), "log_mel": (COLUMNS, num_mels)}

    @property
    def input_spec(self) -> ChannelSpec:
        return ChannelSpec((1,), parameter_dtype(self))

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        check_channels(self, spec, *self.input_spec)
        return super().output_spec(spec)

    def forward(self, x, constants=None):
        """As `SequenceLayer.forward`, for samples of any real dtype; `layer` and `step` take that of the weights."""
        x = x.with_values(real_input(x.values, self)) if isinstance(x, Sequence) else real_input(x, self)
        return super().forward(x, constants)

    def pictures(self, x: Tensor) -> Tensor:
        """What the convolutions see of samples x (B, T, 1): log-mel (B, N, 4, num_mels)."""
        return self[0](real_input(x, self))

    def logits(self, pictures: Tensor) -> Tensor:
        """Of the classes after each step, (B, N, num_classes), from `pictures`: what training needs."""
        *body, answer = self[1][0]
        for layer in body:
            pictures = layer(pictures)
        return answer.logits(pictures)


def _log(power: Tensor) -> Tensor:
    return torch.log10(power + FLOOR)


def _bands_first(pictures: Tensor) -> Tensor:
    """(B, N, columns, bands) -> (B, N, bands, columns): the columns are the channels of the first convolution."""
    return pictures.transpose(2, 3)
