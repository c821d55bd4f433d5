"""Convolutional classifiers of audio, from waveforms and from log-mel pictures, and what makes features of audio."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib import layers as sl
from course_lib.layers.spectra import hertz_to_mel, mel_to_hertz
from course_lib.models.model_input import check_tensor, real_input
from course_lib.sequence import check_positive

WIDTHS = (32, 64, 128, 128)  # of the four convolutions over log-mel pictures


class AudioCNN(nn.Module):
    """Classify waveforms: convolutions of kernel 3 (1 → 32 → 64 → 128), max, max and average pooling, a linear layer.

    x: (B, 1, input_length) float, any unit (the notebooks use amplitudes in [-1, 1]).  Returns logits (B, num_classes).

    The convolutions keep the length (zero padding of 1) and each pooling halves it, so the linear layer sees
    128 · (input_length // 8) values and has weights for every one of them: 2,560,010 of the 2,591,050 parameters at
    16,000 samples and ten classes. Hence the fixed `input_length`, at least 8.
    Raises ValueError where an argument is out of range or `x` has another shape.
    """

    def __init__(self, num_classes: int = 10, input_length: int = 16000):
        super().__init__()
        if num_classes < 2:
            raise ValueError(f"num_classes: expected at least 2, got {num_classes}")
        if input_length < 8:
            raise ValueError(f"input_length: expected at least 8 samples (three poolings halve it), got {input_length}")
        self.input_length = input_length
        self.features = nn.Sequential(
            nn.Conv1d(1, 32, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.Conv1d(32, 64, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.Conv1d(64, 128, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.AvgPool1d(2),
        )
        self.classifier = nn.Linear(128 * (input_length // 8), num_classes)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 3 or x.shape[1] != 1:
            raise ValueError(f"x: expected (B, 1, {self.input_length}), got {tuple(x.shape)}: one channel, time last")
        if x.shape[2] != self.input_length:
            raise ValueError(
                f"x: expected {self.input_length} samples, got {x.shape[2]}: resample or crop the clips, "
                f"or build AudioCNN(input_length={x.shape[2]})"
            )
        features = self.features(real_input(x, self))  # (B, 128, input_length // 8)
        return self.classifier(features.flatten(1))  # (B, num_classes)


class PooledAudioCNN(nn.Module):
    """AudioCNN's convolutions, then each channel's mean and maximum over time in place of all its values.

    x: (B, 1, T), T at least 8.  Returns logits (B, num_classes).
    """

    def __init__(self, num_classes: int = 10):
        super().__init__()
        self.features = AudioCNN(num_classes, 8).features
        self.classifier = nn.Linear(2 * 128, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        features = self.features(real_input(x, self))  # (B, 128, T / 8)
        return self.classifier(torch.cat([features.mean(2), features.amax(2)], dim=1))  # (B, num_classes)


class LogMelCNN(nn.Module):
    """Classify log-mel spectrograms: four strided convolutions, mean and maximum over the picture, a linear layer.

    x: (B, num_mels, frames) float, log-mel as `course_lib.data.log_mel` gives it, at least one value either way.
    Returns logits (B, num_classes).  243,178 parameters at ten classes; no parameter depends on the picture's size.

    The input is standardised by one mean and one variance, those of the training batches (their running averages in
    evaluation mode), which are saved with the weights. Each convolution has kernel 3 × 3, then batch normalisation and
    ReLU; strides 2, 2, 2 and (2, 1) leave one sixteenth of the bands and one eighth of the frames.
    Raises ValueError where `num_classes` is below 2 or `x` has another rank.
    """

    def __init__(self, num_classes: int = 10):
        super().__init__()
        if num_classes < 2:
            raise ValueError(f"num_classes: expected at least 2, got {num_classes}")
        self.standardise = nn.BatchNorm2d(1, affine=False)
        self.features = _convolutions(1, WIDTHS)
        self.classifier = nn.Linear(2 * WIDTHS[-1], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        picture = self.standardise(_log_mel_input(x, self))  # (B, 1, num_mels, frames)
        features = self.features(picture)  # (B, 128, num_mels / 16, frames / 8), rounded up
        pooled = torch.cat([features.mean((2, 3)), features.amax((2, 3))], dim=1)  # (B, 256)
        return self.classifier(pooled)  # (B, num_classes)


class LogMelFeatures(nn.Module):
    """Tokens from log-mel spectrograms: (B, num_mels, frames) -> (B, frames / 8 rounded up, embed_dim).

    The convolutions of `LogMelCNN`; each of their frames, all bands and channels of it, becomes one token.
    widths: output channels of the four convolutions.
    pictures: how many pictures of a sound there are, x then (B, pictures, num_mels, frames), each standardised by
        itself; 1: no such axis.
    separable: each convolution but the first is a 3 × 3 filter for each channel and a mixture of the channels, with
        about a ninth of the weights (Howard et al. 2017, MobileNets).
    Raises ValueError where an argument is out of range or `x` has another shape.
    """

    def __init__(
        self,
        embed_dim: int,
        num_mels: int = 64,
        *,
        widths: Sequence[int] = WIDTHS,
        pictures: int = 1,
        separable: bool = False,
    ):
        super().__init__()
        check_positive(embed_dim=embed_dim, num_mels=num_mels, pictures=pictures)
        if len(widths) != 4 or min(widths) < 1:
            raise ValueError(f"widths: expected four numbers of at least 1, got {widths}")
        self.num_mels, self.pictures = num_mels, pictures
        self.standardise = nn.BatchNorm2d(pictures, affine=False)
        self.convolutions = _convolutions(pictures, widths, separable)
        if widths == WIDTHS:  # LogMelCNN's classifier, drawn and dropped: a seed gives the weights that it always gave
            nn.Linear(2 * WIDTHS[-1], 10)
        self.project = nn.Linear(widths[-1] * math.ceil(num_mels / 16), embed_dim)

    def forward(self, x: Tensor) -> Tensor:
        pictures = self.standardise(_log_mel_input(x, self, self.pictures, self.num_mels))
        features = self.convolutions(pictures)  # (B, channels, num_mels / 16, frames / 8)
        return self.project(features.flatten(1, 2).transpose(1, 2))  # (B, frames / 8, embed_dim)


class AttentiveCNN(nn.Module):
    """Classify audio: tokens of a CNN, pooled to their mean and standard deviation under attention weights.

    features: a module that makes tokens (B, N, embed_dim) of its input; None: `LogMelFeatures`, whose input is
        (B, 64, frames) log-mel.  dropout: of the pooled vector, before the linear layer.
    Returns logits (B, num_classes).  0.32 M parameters with the default.
    Raises ValueError where `num_classes` is below 2, or as `features` does.
    Sources: the statistics, Okabe et al. 2018; the features, `LogMelCNN`.
    """

    def __init__(
        self, num_classes: int = 10, embed_dim: int = 128, *, features: nn.Module | None = None, dropout: float = 0.0
    ):
        super().__init__()
        if num_classes < 2:
            raise ValueError(f"num_classes: expected at least 2, got {num_classes}")
        self.features = LogMelFeatures(embed_dim) if features is None else features
        self.pooling = sl.AttentionPooling(embed_dim, statistics=True)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(self.pooling.out_features, num_classes))

    def forward(self, x: Tensor, return_weights: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Logits; with `return_weights` a pair (logits, pooling weights (B, 1, N), each row of sum 1)."""
        tokens = real_input(self.features(x), self)  # (B, N, embed_dim)
        pooled, weights = self.pooling(tokens, return_weights=True)  # (B, 2 embed_dim)
        logits = self.classifier(pooled)
        return (logits, weights) if return_weights else logits


class LearnedFilterbank(nn.Module):
    """Log energies of learned filters: waveforms (B, 1, samples) -> (B, num_filters, frames).

    Each filter is a pair of kernels, at first a cosine and a sine under a Hann window, the frequencies evenly spaced on
    the mel scale; the sum of their squares is the energy in the band, whatever the phase. All weights are learned. The
    mean over `average` neighbouring frames and a logarithm follow.
    kernel_size, stride: in samples.  frames = (samples // stride + 1) // average.
    Each clip keeps its level.  Raises ValueError for another shape, or fewer than `average` frames.
    Sources: Zeghidour et al. 2021 (LEAF) for learned filters with a mel start; the HTK mel scale stands in place of
    Slaney's, librosa's.
    """

    def __init__(
        self,
        sample_rate: int,
        num_filters: int = 64,
        kernel_size: int = 1024,
        stride: int = 441,
        average: int = 2,
        fmin: float = 40.0,
    ):
        super().__init__()
        self.average = average
        top = sample_rate / 2
        mels = np.linspace(hertz_to_mel(fmin), hertz_to_mel(0.95 * top), num_filters)
        frequencies = torch.tensor(mel_to_hertz(mels), dtype=torch.float32)  # (F,) Hz
        t = (torch.arange(kernel_size) - kernel_size / 2) / sample_rate  # seconds
        phase = 2 * math.pi * frequencies[:, None] * t  # (F, K)
        waves = torch.stack([phase.cos(), phase.sin()], dim=1) * torch.hann_window(kernel_size)  # (F, 2, K)
        waves = waves / waves.square().sum(2, keepdim=True).sqrt()
        self.filters = nn.Conv1d(1, 2 * num_filters, kernel_size, stride, kernel_size // 2, bias=False)
        self.filters.weight.data.copy_(waves.flatten(0, 1).unsqueeze(1))

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 3 or x.shape[1] != 1 or not x.shape[2]:
            raise ValueError(f"x: expected (B, 1, samples), got {tuple(x.shape)}")
        waves = self.filters(real_input(x, self)).float()  # (B, 2 F, frames)
        energy = waves.unflatten(1, (-1, 2)).square().sum(2)  # (B, F, frames)
        if energy.shape[2] < self.average:
            raise ValueError(f"x: expected at least {self.average} frames, got {energy.shape[2]}")
        energy = F.avg_pool1d(energy, self.average)
        return torch.log10(energy + 1e-6)


class ChannelsLast(nn.Module):
    """The same AudioCNN computed on (B, C, 1, T) with channels last: equal outputs, half the time on CPUs."""

    def __init__(self, cnn: AudioCNN):
        super().__init__()
        self.cnn = cnn

    def forward(self, x: Tensor) -> Tensor:
        x = _as_pictures(real_input(x, self))  # (B, 1, 1, T)
        for layer in self.cnn.features:
            if isinstance(layer, nn.Conv1d):
                x = _convolve(x, layer)
            elif isinstance(layer, nn.ReLU):
                x = F.relu(x)
            else:
                pairs = x[..., : x.shape[3] // 2 * 2].unflatten(3, (-1, 2))  # (B, C, 1, T / 2, 2)
                first, second = pairs.unbind(4)
                largest = isinstance(layer, nn.MaxPool1d)  # max(a, b) = b + relu(a - b), without a table of indices
                x = second + F.relu(first - second) if largest else pairs.mean(4)
        return self.cnn.classifier(x.flatten(1))


class SmallKernelFeatures(nn.Module):
    """Tokens from waveforms by three convolutions of kernel 3: (B, 1, samples) -> (B, samples // 128, embed_dim).

    After each come ReLU and max pooling, by 4, 4 and 8. The waveform is taken as it is, whatever its level.
    """

    def __init__(self, embed_dim: int):
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv1d(width, wider, kernel_size=3, padding=1) for width, wider in pairwise((1, 16, 32, embed_dim))
        )

    def forward(self, x: Tensor) -> Tensor:
        x = _as_pictures(real_input(x, self))  # (B, 1, 1, samples)
        for convolution, pool in zip(self.convolutions, (4, 4, 8), strict=True):
            x = F.max_pool2d(F.relu(_convolve(x, convolution)), (1, pool))
        return x.squeeze(2).transpose(1, 2)  # (B, samples // 128, embed_dim)


def _convolutions(pictures: int, widths: Sequence[int], separable: bool = False) -> nn.Sequential:
    """(B, pictures, num_mels, frames) -> (B, widths[3], num_mels / 16, frames / 8), rounded up."""
    first, second, third, fourth = widths
    blocks = nn.Sequential(
        *_block(pictures, first, stride=2),
        *_block(first, second, stride=2, separable=separable),
        *_block(second, third, stride=2, separable=separable),
        *_block(third, fourth, stride=(2, 1), separable=separable),
    )
    return blocks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a third faster on CPU


def _block(
    channels: int, out_channels: int, stride: int | tuple[int, int], separable: bool = False
) -> tuple[nn.Module, ...]:
    """Convolution without bias (the normalisation has one), batch normalisation, ReLU."""
    after = nn.BatchNorm2d(out_channels), nn.ReLU()
    if not separable:
        return nn.Conv2d(channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False), *after
    filters = nn.Conv2d(channels, channels, 3, stride, padding=1, groups=channels, bias=False)
    return filters, nn.Conv2d(channels, out_channels, kernel_size=1, bias=False), *after


def _log_mel_input(x: Tensor, model: nn.Module, pictures: int = 1, num_mels: int | None = None) -> Tensor:
    """Log-mel in the model's dtype as (B, pictures, num_mels, frames).  num_mels: None for any number of bands."""
    check_tensor(x)
    several = [] if pictures == 1 else [pictures]
    fits = x.ndim == 3 + len(several) and [*x.shape[1:-2]] == several and 0 not in x.shape[1:]
    if not fits or num_mels not in (None, x.shape[-2]):
        wanted = ", ".join(map(str, ["B", *several, num_mels or "num_mels", "frames"]))
        raise ValueError(f"x: expected ({wanted}), got {tuple(x.shape)}")
    x = real_input(x, model)
    return x.unsqueeze(1) if pictures == 1 else x


def _as_pictures(x: Tensor) -> Tensor:
    """(B, C, T) to (B, C, 1, T), channels last in memory."""
    return x.unsqueeze(2).contiguous(memory_format=torch.channels_last)


def _convolve(x: Tensor, convolution: nn.Module) -> Tensor:
    """A convolution of kernel 3 with its weights as a layer over pictures: (B, C, 1, T) -> (B, C', 1, T)."""
    assert isinstance(convolution, nn.Conv1d)
    return F.conv2d(x, convolution.weight.unsqueeze(2), convolution.bias, padding=(0, 1))
