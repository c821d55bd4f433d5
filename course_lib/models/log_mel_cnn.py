"""A small two-dimensional CNN that looks at log-mel pictures of sound."""

import torch
from torch import Tensor, nn


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
        self.features = nn.Sequential(
            *_block(1, 32, stride=2),
            *_block(32, 64, stride=2),
            *_block(64, 128, stride=2),
            *_block(128, 128, stride=(2, 1)),
        ).to(memory_format=torch.channels_last)  # a third faster on CPU
        self.classifier = nn.Linear(2 * 128, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 3:
            raise ValueError(f"x: expected (B, num_mels, frames), got {tuple(x.shape)}")
        picture = self.standardise(x.unsqueeze(1))  # (B, 1, num_mels, frames)
        features = self.features(picture)  # (B, 128, num_mels / 16, frames / 8), rounded up
        pooled = torch.cat([features.mean((2, 3)), features.amax((2, 3))], dim=1)  # (B, 256)
        return self.classifier(pooled)  # (B, num_classes)


def _block(channels: int, out_channels: int, stride: int | tuple[int, int]) -> tuple[nn.Module, ...]:
    """Convolution without bias (the normalisation has one), batch normalisation, ReLU."""
    convolution = nn.Conv2d(channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(out_channels), nn.ReLU()
