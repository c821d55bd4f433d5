"""The loss of the event-specific classifier: presence, timing, template scores and the refractory period."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.losses.event_timing import EventTimingLoss, check_inside
from course_lib.losses.focal import full_precision

SIGMA = 0.5  # samples
SHARPNESS = 10.0  # of the softmax: a score that is 0.1 higher is e times as likely


class EventSpecificLoss(nn.Module):
    """`EventTimingLoss` of the event and timing logits, and `template_loss` of the template scores.

    event_weight, timing_weight, template_weight, refractory_weight: factors. The last is 0 unless asked for: labels
    hold a type at most once a window, so there is nothing that the refractory period could teach, and no other term
    says how large a timing logit is; with random weights it was two fifths of the loss.
    timing_resolution_samples: samples a frame.  refractory_period_samples: as in `EventTimingLoss`.
    """

    def __init__(
        self,
        event_weight: float = 1.0,
        timing_weight: float = 1.0,
        template_weight: float = 0.5,
        refractory_weight: float = 0.0,
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
    scores: Tensor,
    labels: Tensor,
    timings: Tensor,
    lengths: Tensor | None = None,
    sigma: float = SIGMA,
    sharpness: float = SHARPNESS,
) -> Tensor:
    """Where in the window is each present type's onset? Cross-entropy of softmax(sharpness · score) over the samples.

    scores: (B, T, E), from -1 to 1.  labels, timings: (B, E), timings in samples, read only where labels are 1.
    lengths: (B,) valid samples.  The target is exp(-(t - onset)² / 2σ²), scaled to sum to one: with σ = 0.5 the two
    samples next to the onset. The mean over the present types, 0 where there are none; log(T) where all scores are
    equal. A target for the scores themselves would not do: the correlation of a burst with its own shape swings below 0
    beside the onset, and scores of 0 everywhere can come nearer to any bump than the right template does.
    Raises ValueError where shapes do not fit, and where a present event has no timing, or one outside the window.
    """
    if scores.dim() != 3 or labels.shape != (scores.shape[0], scores.shape[2]) or timings.shape != labels.shape:
        raise ValueError(
            "scores, labels, timings: expected (B, T, E), (B, E), (B, E), "
            f"got {tuple(scores.shape)}, {tuple(labels.shape)}, {tuple(timings.shape)}"
        )
    samples = torch.arange(scores.shape[1], device=scores.device)
    present = labels > 0  # (B, E)
    onsets = torch.where(present, full_precision(timings), 0)[:, None]  # (B, 1, E); in bfloat16, 1403 would be 1400
    closeness = -((samples[:, None] - onsets) ** 2) / (2 * sigma**2)  # (B, T, E)
    end = scores.shape[1] if lengths is None else lengths[:, None, None]
    check_inside(~present[:, None] | ((onsets >= 0) & (onsets < end)), timings, present)
    logits = sharpness * full_precision(scores)
    if lengths is not None:
        outside = (samples >= lengths[:, None])[..., None]  # (B, T, 1)
        closeness = closeness.masked_fill(outside, torch.finfo(closeness.dtype).min)
        logits = logits.masked_fill(outside, torch.finfo(logits.dtype).min)
    targets = torch.softmax(closeness, dim=1).to(logits.dtype)  # (B, T, E)
    losses = F.cross_entropy(logits, targets, reduction="none")  # (B, E)
    return torch.where(present, losses, 0).sum() / present.sum().clamp(min=1)
