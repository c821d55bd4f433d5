"""The loss of a model that answers, for each type of event, whether it happened in the window and in which frame."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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
        valid = None
        if lengths is not None:
            starts = torch.arange(timing_logits.shape[1], device=lengths.device) * self.timing_resolution_samples
            valid = starts < lengths[:, None]  # (B, F)
        parts = {
            "event": presence_loss(event_logits, labels),
            "timing": timing_loss(timing_logits, labels, timings, self.timing_resolution_samples, valid),
            "refractory": refractory_loss(
                torch.sigmoid(timing_logits.float()),
                self.refractory_period_samples // self.timing_resolution_samples,
                valid,
            ),
        }
        total = self.event_weight * parts["event"] + self.timing_weight * parts["timing"]
        total = total + self.refractory_weight * parts["refractory"]
        return {"loss": total, "total": total, **parts}


def presence_loss(event_logits: Tensor, labels: Tensor) -> Tensor:
    """Mean binary cross-entropy of logits (B, E) against labels (B, E) of 0 and 1."""
    if event_logits.shape != labels.shape:
        raise ValueError(f"labels: expected {tuple(event_logits.shape)}, as the logits, got {tuple(labels.shape)}")
    return F.binary_cross_entropy_with_logits(event_logits.float(), labels.float())


def timing_loss(
    timing_logits: Tensor, labels: Tensor, timings: Tensor, resolution: int, valid: Tensor | None = None
) -> Tensor:
    """Mean over the present events of -log softmax over frames, at the onset's frame; 0 if there are none.

    timing_logits: (B, F, E).  labels, timings: (B, E), timings in samples.  valid: (B, F) True for frames that count.
    Raises ValueError where a present event has no timing, or one outside the frames.
    """
    if valid is not None:
        timing_logits = timing_logits.masked_fill(~valid[:, :, None], -torch.inf)
    windows, types = torch.nonzero(labels > 0, as_tuple=True)  # (M,) each
    onsets = timings[windows, types]
    frames = torch.floor(onsets / resolution)
    last = timing_logits.shape[1] - 1 if valid is None else valid.sum(1)[windows] - 1
    if len(onsets) and not bool(((frames >= 0) & (frames <= last)).all()):
        raise ValueError(f"timings: expected samples inside the window where labels are 1, got {onsets.tolist()[:8]}")
    log_p = F.log_softmax(timing_logits.float(), dim=1)
    return -log_p[windows, frames.long(), types].sum() / max(len(onsets), 1)


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
