"""A front end that learns: filters over the raw waveform, set out on the mel scale and free to move."""

import math

import torch
from torch import Tensor, nn


class LearnedFilterbank(nn.Module):
    """Log energies of learned filters: waveforms (B, 1, samples) -> (B, num_filters, frames).

    Each filter is a pair of kernels, at first a cosine and a sine under a Hann window, the frequencies evenly spaced on
    the mel scale; the sum of their squares is the energy in the band, whatever the phase. All weights are learned. The
    mean over `average` neighbouring frames and a logarithm follow.
    kernel_size, stride: in samples.  frames = (samples // stride + 1) // average.
    Each clip keeps its level.  Raises ValueError for another shape, or fewer than `average` frames.
    Sources: Zeghidour et al. 2021 (LEAF) for learned filters with a mel start; Slaney's mel scale as in librosa is
    replaced by O'Shaughnessy's, 2595 log10(1 + f / 700).
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
        low, high = (2595 * math.log10(1 + f / 700) for f in (fmin, 0.95 * top))
        mels = torch.linspace(low, high, num_filters)
        frequencies = 700 * (10 ** (mels / 2595) - 1)  # (F,) Hz
        t = (torch.arange(kernel_size) - kernel_size / 2) / sample_rate  # seconds
        phase = 2 * math.pi * frequencies[:, None] * t  # (F, K)
        waves = torch.stack([phase.cos(), phase.sin()], dim=1) * torch.hann_window(kernel_size)  # (F, 2, K)
        waves = waves / waves.square().sum(2, keepdim=True).sqrt()
        self.filters = nn.Conv1d(1, 2 * num_filters, kernel_size, stride, kernel_size // 2, bias=False)
        self.filters.weight.data.copy_(waves.flatten(0, 1).unsqueeze(1))

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 3 or x.shape[1] != 1:
            raise ValueError(f"x: expected (B, 1, samples), got {tuple(x.shape)}")
        waves = self.filters(x.to(self.filters.weight.dtype)).float()  # (B, 2 F, frames)
        energy = waves.unflatten(1, (-1, 2)).square().sum(2)  # (B, F, frames)
        if energy.shape[2] < self.average:
            raise ValueError(f"x: expected at least {self.average} frames, got {energy.shape[2]}")
        energy = torch.nn.functional.avg_pool1d(energy, self.average)
        return torch.log10(energy + 1e-6)
