"""Losses of models of events on a grid of frames.

`EventTimingLoss`: for each type, whether it happened in the window, and in which frame. `HeatmapLoss`: a score for
every frame and type, with the onset's place inside its frame beside it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.losses.focal import binary_focal_loss, full_precision, holds

OFFSET_REACH = 2  # frames on either side of the onset's own that also learn where the onset is


class EventTimingLoss(nn.Module):
    """Weighted sum of presence, timing and refractory losses.

    event_weight, timing_weight, refractory_weight: factors.  timing_resolution_samples: samples a frame.
    refractory_period_samples: length of the sliding window in which a type may happen once.
    """

    def __init__(
        self,
        event_weight: float = 1.0,
        timing_weight: float = 1.0,
        refractory_weight: float = 0.1,
        timing_resolution_samples: int = 10,
        refractory_period_samples: int = 4000,
    ):
        super().__init__()
        if timing_resolution_samples < 1:
            raise ValueError(f"timing_resolution_samples: expected at least 1, got {timing_resolution_samples}")
        self.event_weight, self.timing_weight, self.refractory_weight = event_weight, timing_weight, refractory_weight
        self.timing_resolution_samples = timing_resolution_samples
        self.refractory_period_samples = refractory_period_samples

    def forward(
        self,
        event_logits: Tensor,
        timing_logits: Tensor,
        labels: Tensor,
        timings: Tensor,
        lengths: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """A dict of scalars: "event", "timing", "refractory", and their weighted sum as "loss" and "total".

        event_logits: (B, E).  timing_logits: (B, F, E).  labels: (B, E) of 0 and 1.
        timings: (B, E) samples, read only where labels are 1, so that NaN elsewhere reaches nothing.
        lengths: (B,) valid samples; None: all frames are valid.
        """
        valid = _frames_inside(lengths, timing_logits.shape[1], self.timing_resolution_samples)
        if valid is not None:
            timing_logits = timing_logits.masked_fill(~valid[:, :, None], -torch.inf)  # padding may be NaN
        parts = {
            "event": presence_loss(event_logits, labels),
            "timing": timing_loss(timing_logits, labels, timings, self.timing_resolution_samples, valid),
            "refractory": refractory_loss(
                torch.sigmoid(full_precision(timing_logits)),
                self.refractory_period_samples // self.timing_resolution_samples,
                valid,
            ),
        }
        total = self.event_weight * parts["event"] + self.timing_weight * parts["timing"]
        total = total + self.refractory_weight * parts["refractory"]
        return {"loss": total, "total": total, **parts}


def _frames_inside(lengths: Tensor | None, frames: int, resolution: int) -> Tensor | None:
    """(B, F) True for the frames that begin inside an item of so many samples; None where no length is given."""
    if lengths is None:
        return None
    return torch.arange(frames, device=lengths.device) * resolution < lengths[:, None]


def presence_loss(event_logits: Tensor, labels: Tensor) -> Tensor:
    """Mean binary cross-entropy of logits (B, E) against labels (B, E) of 0 and 1."""
    if event_logits.shape != labels.shape:
        raise ValueError(f"labels: expected {tuple(event_logits.shape)}, as the logits, got {tuple(labels.shape)}")
    return binary_focal_loss(event_logits, labels, gamma=0.0)


def timing_loss(
    timing_logits: Tensor, labels: Tensor, timings: Tensor, resolution: int, valid: Tensor | None = None
) -> Tensor:
    """Mean over the present events of -log softmax over frames, at the onset's frame; 0 if there are none.

    timing_logits: (B, F, E).  labels, timings: (B, E), timings in samples.  valid: (B, F) True for frames that count.
    Raises ValueError where a present event has no timing, or one outside the frames.
    """
    if valid is not None:
        timing_logits = timing_logits.masked_fill(~valid[:, :, None], -torch.inf)
    present = labels > 0  # (B, E)
    frames = torch.floor(torch.where(present, full_precision(timings), 0) / resolution)  # (B, E)
    last = timing_logits.shape[1] - 1 if valid is None else valid.sum(1, keepdim=True) - 1
    check_inside(~present | ((frames >= 0) & (frames <= last)), timings, present)  # without samples, no events
    log_p = F.log_softmax(full_precision(timing_logits), dim=1)
    at_onsets = log_p.gather(1, torch.where(present, frames, 0).long()[:, None])[:, 0]  # (B, E)
    return -torch.where(present, at_onsets, 0).sum() / present.sum().clamp(min=1)


def check_inside(fits: Tensor, timings: Tensor, present: Tensor) -> None:
    """ValueError unless all `fits`, with the timings where an event is `present`."""
    if not holds(fits):
        got = timings[present].tolist()[:8]
        raise ValueError(f"timings: expected samples inside the window where labels are 1, got {got}")


def refractory_loss(rates: Tensor, period_frames: int, valid: Tensor | None = None) -> Tensor:
    """How far the expected number of events of a type in a sliding window goes above one, averaged.

    rates: (B, F, E) expected events in each frame, 0 to 1, such as the sigmoid of the frame's logit. A softmax over
    time would not do: it sums to one, whatever the model believes, and the loss would stay 0.
    period_frames: frames in the window, which is cut to F.  valid: (B, F).  Mean over windows, types and positions.
    """
    if valid is not None:
        rates = torch.where(valid[:, :, None], rates, 0)
    width = max(1, min(period_frames, rates.shape[1]))
    summed = F.pad(rates.cumsum(1), (0, 0, 1, 0))  # (B, F + 1, E)
    expected = summed[:, width:] - summed[:, :-width]  # (B, F - width + 1, E)
    return F.relu(expected - 1).mean()


class HeatmapLoss(nn.Module):
    """Heatmap, offset and presence losses, added with weights: what `models.EventDetector` is trained with.

    sigma: frames by which the heatmap's forgiveness around an onset falls off.
    """

    def __init__(
        self,
        offset_weight: float = 1.0,
        presence_weight: float = 0.1,
        sigma: float = 1.0,
        timing_resolution_samples: int = 10,
    ):
        super().__init__()
        self.offset_weight, self.presence_weight, self.sigma = offset_weight, presence_weight, sigma
        self.timing_resolution_samples = timing_resolution_samples

    def forward(self, maps, labels: Tensor, timings: Tensor, lengths: Tensor | None = None) -> dict[str, Tensor]:
        """A dict of scalars: "heatmap", "offset", "presence", and their weighted sum as "loss" and "total".

        maps: (heatmap logits (B, F, E), offsets (B, F, E) in frames, presence logits (B, E)).
        labels: (B, E).  timings: (B, E), or (B, E, K) for up to K events of a type, samples; NaN where there is none.
        lengths: (B,) valid samples; None: all.
        """
        heatmap, offsets, presence = maps
        targets, distances = frame_targets(timings, heatmap.shape[1], self.timing_resolution_samples, self.sigma)
        valid = _frames_inside(lengths, heatmap.shape[1], self.timing_resolution_samples)
        parts = {
            "heatmap": heatmap_loss(heatmap, targets, valid),
            "offset": offset_loss(offsets, distances, valid),
            "presence": presence_loss(presence, labels),
        }
        total = parts["heatmap"] + self.offset_weight * parts["offset"] + self.presence_weight * parts["presence"]
        return {"loss": total, "total": total, **parts}


def frame_targets(timings: Tensor, frames: int, resolution: int = 10, sigma: float = 1.0) -> tuple[Tensor, Tensor]:
    """Targets for every frame: heatmap and distances, (B, F, E) float32 each.

    timings: (B, E) or (B, E, K) samples, NaN where there is no event.
    heatmap: 1 in the frame of an onset and exp(-d² / 2σ²) at d frames from it (of several, the largest).
    distances: from the frame's start to the nearest onset, in frames; NaN farther than two frames from its frame.
    """
    times = full_precision(timings if timings.dim() == 3 else timings[..., None])  # (B, E, K)
    onset = (times / resolution).permute(0, 2, 1)[:, :, None]  # (B, K, 1, E) frames, with fractions
    steps = torch.arange(frames, device=times.device)[:, None]  # (F, 1)
    away = (steps - onset.floor()).abs()  # (B, K, F, E), NaN where there is no event
    away = torch.where(away.isnan(), torch.inf, away)
    nearest = away.argmin(dim=1, keepdim=True)
    away = away.gather(1, nearest)[:, 0]  # (B, F, E)
    distance = (onset - steps).gather(1, nearest)[:, 0]
    distance = torch.where(away <= OFFSET_REACH, distance, torch.nan)
    return torch.exp(-(away**2) / (2 * sigma**2)).float(), distance.float()


def heatmap_loss(logits: Tensor, targets: Tensor, valid: Tensor | None = None) -> Tensor:
    """Focal loss of all frames and types, lenient near an onset: the sum, over the number of onsets.

    logits, targets: (B, F, E), targets as `frame_targets` gives them.  valid: (B, F).
    -(1 - p)² log p where the target y is 1, -(1 - y)⁴ p² log(1 - p) elsewhere.  Source: Law and Deng 2018, eq. 1.
    """
    if logits.shape != targets.shape:
        raise ValueError(f"targets: expected {tuple(logits.shape)}, as the logits, got {tuple(targets.shape)}")
    onset, logits = targets == 1, full_precision(logits)
    if valid is not None:
        logits = torch.where(valid[:, :, None], logits, 0)  # before anything else: padding may be NaN
    wrong = torch.where(onset, -logits, logits)  # the logit of the wrong answer, and σ of it its probability
    p = torch.sigmoid(wrong.clamp(max=torch.finfo(wrong.dtype).max))  # at infinity the slope would be NaN
    losses = torch.where(onset, 1, (1 - targets) ** 4) * p**2 * F.softplus(wrong)
    if valid is not None:
        losses = torch.where(valid[:, :, None], losses, 0)
    return losses.sum() / onset.sum().clamp(min=1)


def offset_loss(offsets: Tensor, distances: Tensor, valid: Tensor | None = None) -> Tensor:
    """Mean |offset - distance| in frames, over the frames near an onset; 0 if there are none.

    offsets, distances: (B, F, E), NaN in distances where nothing is asked.  valid: (B, F).
    """
    asked = ~distances.isnan()
    if valid is not None:
        asked = asked & valid[:, :, None]
    errors = torch.where(asked, full_precision(offsets) - distances.nan_to_num(), 0).abs()
    return errors.sum() / asked.sum().clamp(min=1)
