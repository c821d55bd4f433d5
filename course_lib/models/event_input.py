"""What every event model asks of its input, and the convolutions that bring it to the grid of frames."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def check_event_input(x: Tensor, input_size: int) -> None:
    """Raise ValueError unless x is (B, T, input_size), floating point, with at least one item and one sample."""
    if x.dim() != 3 or x.shape[2] != input_size:
        hint = ": is the time axis last?" if x.dim() == 3 and x.shape[1] == input_size else ""
        raise ValueError(f"x: expected (B, T, {input_size}), got {tuple(x.shape)}{hint}")
    if not x.is_floating_point():
        raise ValueError(f"x: expected floating point, got {x.dtype}")
    if x.shape[0] == 0 or x.shape[1] == 0:
        raise ValueError(f"x: expected at least one item and one sample, got {tuple(x.shape)}")


def valid_lengths(x: Tensor, lengths: Tensor | None) -> Tensor:
    """(B,) int64 valid samples of x (B, T, C) on its device.  Raises ValueError where one is not from 1 to T."""
    if lengths is None:
        return torch.full((x.shape[0],), x.shape[1], device=x.device)
    lengths = torch.as_tensor(lengths, device=x.device)
    if lengths.shape != x.shape[:1] or lengths.is_floating_point():
        raise ValueError(f"lengths: expected {x.shape[0]} integers, got {tuple(lengths.shape)} {lengths.dtype}")
    if bool(((lengths < 1) | (lengths > x.shape[1])).any()):
        raise ValueError(f"lengths: expected 1 to {x.shape[1]} samples, got {lengths.tolist()}")
    return lengths.long()


def frames_valid(lengths: Tensor, samples: int, resolution: int) -> Tensor:
    """(B, F) True for the frames of `resolution` samples that begin inside an item; F = ceil(samples / resolution)."""
    starts = torch.arange(0, samples, resolution, device=lengths.device)
    return starts < lengths[:, None]


def masked_samples(x: Tensor, lengths: Tensor) -> Tensor:
    """x (B, T, C) with zeros behind each item's length, whatever was there."""
    return x.masked_fill((torch.arange(x.shape[1], device=x.device) >= lengths[:, None])[..., None], 0)


class FrameFeatures(nn.Module):
    """Features on the grid of frames: x (B, T, input_size), valid (B, F) -> (B, F, width), F = ceil(T / resolution).

    Two strided convolutions with batch normalisation and GELU; beyond the valid frames all are zeros, at both layers,
    so that padding changes nothing.  A frame's features see 50 ms on the course's grid (resolution 10).
    """

    def __init__(self, input_size: int, width: int, resolution: int = 10, channels: int = 64):
        super().__init__()
        self.resolution = resolution
        self.first_stride = 5 if resolution % 5 == 0 else 1
        self.first = nn.Conv1d(input_size, channels, 31, stride=self.first_stride, padding=15, bias=False)
        self.first_norm = nn.BatchNorm1d(channels)
        second_stride = resolution // self.first_stride
        self.second = nn.Conv1d(channels, width, 15, stride=second_stride, padding=7, bias=False)
        self.second_norm = nn.BatchNorm1d(width)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        x = F.pad(x, (0, 0, 0, -x.shape[1] % self.resolution)).transpose(1, 2)  # (B, C, F · resolution)
        x = F.gelu(self.first_norm(self.first(x)))  # (B, channels, F · resolution / first_stride)
        x = x * valid[:, None].repeat_interleave(self.resolution // self.first_stride, dim=2)
        x = F.gelu(self.second_norm(self.second(x)))  # (B, width, F)
        return (x * valid[:, None]).transpose(1, 2)
