"""Windows with labelled events as a PyTorch dataset, and batches of windows of mixed lengths."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset


class EventItem(NamedTuple):
    """One window.  x: (T, C) float32.  labels, timings, frames: (E,), as in `EventBatch`."""

    x: Tensor
    labels: Tensor
    timings: Tensor
    frames: Tensor


class EventBatch(NamedTuple):
    """A batch of windows, zero-padded on the right to the longest.

    x: (B, T, C) float32.  lengths: (B,) int64, valid samples.  labels: (B, E) float32, 0 or 1.
    timings: (B, E) float64, onsets in samples, not rounded; NaN where the type is absent.
    frames: (B, E) int64, the frame that the onset lies in, the target of a loss; -1 where absent.
    """

    x: Tensor
    lengths: Tensor
    labels: Tensor
    timings: Tensor
    frames: Tensor


class EventDataset(Dataset):
    """Items (x, labels, timings, frames) with x normalised per channel.

    data: (N, T, C), or a list of (T, C) of any lengths; numbers of any floating type, finite.
    labels: (N, E) of 0 and 1.  timings: (N, E) samples, within the window where labels are 1, NaN elsewhere.
    timing_resolution_samples: samples a frame.
    statistics: (mean, std), each (C,), of the training data; None: these data's own. A channel that never changes
    is only centred.
    Raises ValueError naming the argument.
    """

    def __init__(self, data, labels, timings, timing_resolution_samples: int = 10, statistics=None):
        if timing_resolution_samples < 1:
            raise ValueError(f"timing_resolution_samples: expected at least 1, got {timing_resolution_samples}")
        windows = [np.asarray(window, np.float32) for window in data]
        _check_windows(windows)
        self.labels, self.timings = _checked_targets(windows, labels, timings)
        self.frames = _frames(self.timings, timing_resolution_samples)
        self.statistics = (
            channel_statistics(windows) if statistics is None else _checked_statistics(statistics, windows)
        )
        mean, std = self.statistics
        self.windows = [torch.from_numpy((window - mean) / std) for window in windows]
        self.timing_resolution_samples = timing_resolution_samples

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> EventItem:
        return EventItem(self.windows[index], self.labels[index], self.timings[index], self.frames[index])


def collate_fn_supervised(items: list[EventItem]) -> EventBatch:
    """Join windows to an `EventBatch`."""
    lengths = torch.tensor([len(item.x) for item in items])
    x = torch.nn.utils.rnn.pad_sequence([item.x for item in items], batch_first=True)  # (B, T, C)
    return EventBatch(x, lengths, *(torch.stack(parts) for parts in list(zip(*items, strict=True))[1:]))


def channel_statistics(windows) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel over all windows, (C,) float32 each; 1 for one that is constant."""
    count = sum(len(window) for window in windows)
    mean = sum(window.sum(axis=0, dtype=np.float64) for window in windows) / count
    variance = sum(((window - mean) ** 2).sum(axis=0, dtype=np.float64) for window in windows) / count
    std = np.sqrt(variance)
    return mean.astype(np.float32), np.where(std > 1e-8 * (1 + np.abs(mean)), std, 1).astype(np.float32)


def _frames(timings: Tensor, resolution: int) -> Tensor:
    absent = timings.isnan()
    return torch.where(absent, -1, (timings.nan_to_num() / resolution).floor().long())


def _check_windows(windows: list[np.ndarray]) -> None:
    if not windows:
        raise ValueError("data: expected at least one window, got none")
    for i, window in enumerate(windows):
        if window.ndim != 2 or window.size == 0:
            raise ValueError(f"data: expected windows (T, C), got shape {window.shape} for window {i}")
        if window.shape[1] != windows[0].shape[1]:
            raise ValueError(
                f"data: expected one number of channels, got {windows[0].shape[1]} and, in window {i}, "
                f"{window.shape[1]}: is the time axis last?"
            )
        if not np.isfinite(window).all():
            bad = int(np.count_nonzero(~np.isfinite(window)))
            raise ValueError(f"data: expected finite values, got {bad} NaN or infinite in window {i}")


def _checked_targets(windows, labels, timings) -> tuple[Tensor, Tensor]:
    labels, timings = np.asarray(labels), np.asarray(timings, np.float64)
    if labels.ndim != 2 or len(labels) != len(windows):
        raise ValueError(f"labels: expected ({len(windows)}, events), one row a window, got {labels.shape}")
    if timings.shape != labels.shape:
        raise ValueError(f"timings: expected the shape of labels, {labels.shape}, got {timings.shape}")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError(f"labels: expected 0 and 1, got {np.unique(labels)[:5].tolist()}")
    present = labels == 1
    if not np.isnan(timings[~present]).all():
        raise ValueError("timings: expected NaN where labels are 0")
    lengths = np.array([len(window) for window in windows])[:, None]
    fits = (timings >= 0) & (timings < lengths)
    if not fits[present].all():
        window, kind = np.argwhere(present & ~fits)[0]
        raise ValueError(
            f"timings: expected samples from 0 to below {lengths[window, 0]} where labels are 1, "
            f"got {timings[window, kind]} in window {window}, type {kind}"
        )
    return torch.from_numpy(labels.astype(np.float32)), torch.from_numpy(timings)


def _checked_statistics(statistics, windows) -> tuple[np.ndarray, np.ndarray]:
    mean, std = (np.asarray(values, np.float32) for values in statistics)
    channels = (windows[0].shape[1],)
    if mean.shape != channels or std.shape != channels or not (std > 0).all():
        raise ValueError(f"statistics: expected mean and positive std, {channels} each, got {mean.shape}, {std.shape}")
    return mean, std
