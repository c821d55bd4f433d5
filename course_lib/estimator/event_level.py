"""Recordings whose levels differ by far: a detector that measures each window by its own level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from course_lib.data import EventRecording
from course_lib.estimator.event_crops import level_of
from course_lib.models import EventDetector
from course_lib.models.event_detector import EventMaps

_FAR = 5.0  # times: of levels that differ by more, one statistic of all suits none


class OwnLevel(EventDetector):
    """An `EventDetector` that sees asinh((x - mean) / level) of each window: linear in noise, logarithmic far above it.

    The mean is each channel's, the level the median of |x - mean| over steps and channels, so that a burst that begins
    in the window does not change it; a thousandth of its average at least.
    signals: the first so many of the `input_size` channels; others are masks.
    """

    def __init__(self, input_size: int, num_events: int, width: int, *, signals: int, **options: Any):
        super().__init__(input_size, num_events, width, **options)
        self.signals = signals

    def forward(self, x: Tensor, lengths: Tensor | None = None, extra: Tensor | None = None) -> EventMaps:
        return super().forward(self._levelled(x, lengths), lengths, extra)

    def _levelled(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """(B, T, C) the same with its first channels measured by their own level."""
        x, rest = x[..., : self.signals], x[..., self.signals :]
        there = torch.ones_like(x, dtype=torch.bool) if rest.shape[-1] == 0 else rest > 0
        if lengths is not None:
            there = there & (torch.arange(x.shape[1], device=x.device) < lengths[:, None])[..., None]
        mean = torch.where(there, x, 0.0).sum(1, keepdim=True) / there.sum(1, keepdim=True).clamp_min(1)  # (B, 1, C)
        away = x - mean
        away = torch.where(there & (away.abs() > 2e-6 * mean.abs()), away, 0.0)  # less is rounding, and no level
        distances = torch.where(there, away.abs(), torch.inf).flatten(1).sort(dim=1).values  # (B, T C)
        middle = (there.flatten(1).sum(1, keepdim=True) - 1).clamp_min(0) // 2  # (B, 1) the lower of two medians
        average = away.abs().flatten(1).sum(1, keepdim=True) / there.flatten(1).sum(1, keepdim=True).clamp_min(1)
        least = (1e-3 * average).clamp_min(1e-30)  # (B, 1) where most of a window stands still
        level = torch.minimum(distances.gather(1, middle), 1e3 * average).maximum(least)[..., None]  # (B, 1, 1)
        seen = away.sign() * torch.asinh(away.abs() / level)  # of -1e4, as log(x + sqrt(x² + 1)), nothing would remain
        return torch.cat([seen, rest], dim=2)


def levels_differ(recordings: Sequence[EventRecording]) -> bool:
    """Whether the median distance from the mean, over all channels, differs by more than five times between them."""
    levels = [level for recording in recordings if (level := level_of(recording.data)) > 0]  # one that is still is none
    return bool(levels) and max(levels) > _FAR * min(levels)
