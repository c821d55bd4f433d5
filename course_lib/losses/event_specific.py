"""The loss of the event-specific classifier: presence, timing, template scores and the refractory period."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from course_lib.losses.event_timing import EventTimingLoss
from course_lib.losses.focal import full_precision

SIGMA = 10.0  # samples


class EventSpecificLoss(nn.Module):
    """`EventTimingLoss` of the event and timing logits, and the template scores' distance from bumps at the onsets.

    event_weight, timing_weight, template_weight, refractory_weight: factors.
    timing_resolution_samples: samples a frame.  refractory_period_samples: as in `EventTimingLoss`.
    """

    def __init__(
        self,
        event_weight: float = 1.0,
        timing_weight: float = 1.0,
        template_weight: float = 0.5,
        refractory_weight: float = 0.1,
        timing_resolution_samples: int = 10,
        refractory_period_samples: int = 4000,
    ):
        super().__init__()
        self.template_weight = template_weight
        self.timing = EventTimingLoss(
            event_weight, timing_weight, refractory_weight, timing_resolution_samples, refractory_period_samples
        )

    def forward(
        self,
        event_logits: Tensor,
        timing_logits: Tensor,
        template_scores: Tensor,
        labels: Tensor,
        timings: Tensor,
        lengths: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """A dict of scalars: "event", "timing", "refractory", "template", and their weighted sum as "loss" and "total".

        event_logits: (B, E).  timing_logits: (B, F, E).  template_scores: (B, T, E).  labels: (B, E) of 0 and 1.
        timings: (B, E) samples, read only where labels are 1.  lengths: (B,) valid samples; None: T.
        """
        parts = self.timing(event_logits, timing_logits, labels, timings, lengths)
        template = template_loss(template_scores, labels, timings, lengths)
        total = parts["total"] + self.template_weight * template
        return {**parts, "loss": total, "total": total, "template": template}


def template_loss(
    scores: Tensor, labels: Tensor, timings: Tensor, lengths: Tensor | None = None, sigma: float = SIGMA
) -> Tensor:
    """Mean square of scores (B, T, E) minus exp(-(t - onset)² / 2σ²) where a type is present, minus 0 elsewhere.

    labels, timings: (B, E), timings in samples, read only where labels are 1.  lengths: (B,) valid samples.
    Raises ValueError where shapes do not fit.
    """
    if scores.dim() != 3 or labels.shape != (scores.shape[0], scores.shape[2]) or timings.shape != labels.shape:
        raise ValueError(
            "scores, labels, timings: expected (B, T, E), (B, E), (B, E), "
            f"got {tuple(scores.shape)}, {tuple(labels.shape)}, {tuple(timings.shape)}"
        )
    samples = torch.arange(scores.shape[1], device=scores.device)
    present = (labels > 0)[:, None]  # (B, 1, E)
    onsets = torch.where(present, full_precision(timings)[:, None], 0)  # in bfloat16, 1403 would be 1400
    bumps = torch.exp(-((samples[:, None] - onsets) ** 2) / (2 * sigma**2)) * present  # (B, T, E)
    errors = full_precision(scores) - bumps
    if lengths is None:
        return errors.square().mean()
    inside = samples < lengths[:, None]  # (B, T)
    return torch.where(inside[..., None], errors, 0).square().sum() / (inside.sum() * scores.shape[2])
