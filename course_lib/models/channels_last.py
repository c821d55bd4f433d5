"""Convolutions over waveforms, computed as pictures of height one with channels last: equal outputs, faster on CPUs."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.models.audio_cnns import AudioCNN


class ChannelsLast(nn.Module):
    """The same AudioCNN computed on (B, C, 1, T) with channels last: equal outputs, half the time on CPUs."""

    def __init__(self, cnn: AudioCNN):
        super().__init__()
        self.cnn = cnn

    def forward(self, x: Tensor) -> Tensor:
        x = _as_pictures(x)  # (B, 1, 1, T)
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
        x = _as_pictures(x)  # (B, 1, 1, samples)
        for convolution, pool in zip(self.convolutions, (4, 4, 8), strict=True):
            x = F.max_pool2d(F.relu(_convolve(x, convolution)), (1, pool))
        return x.squeeze(2).transpose(1, 2)  # (B, samples // 128, embed_dim)


def _as_pictures(x: Tensor) -> Tensor:
    """(B, C, T) to (B, C, 1, T), channels last in memory."""
    return x.unsqueeze(2).contiguous(memory_format=torch.channels_last)


def _convolve(x: Tensor, convolution: nn.Module) -> Tensor:
    """A convolution of kernel 3 with its weights as a layer over pictures: (B, C, 1, T) -> (B, C', 1, T)."""
    assert isinstance(convolution, nn.Conv1d)
    return F.conv2d(x, convolution.weight.unsqueeze(2), convolution.bias, padding=(0, 1))
