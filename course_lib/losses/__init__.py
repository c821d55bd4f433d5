"""Losses: focal loss for classification, and what events in time need."""

from course_lib.losses.event_specific import EventSpecificLoss, template_loss
from course_lib.losses.event_timing import (
    EventTimingLoss,
    HeatmapLoss,
    frame_targets,
    heatmap_loss,
    offset_loss,
    presence_loss,
    refractory_loss,
    timing_loss,
)
from course_lib.losses.focal import FocalLoss, binary_focal_loss, focal_loss
from course_lib.losses.self_supervised import (
    AutoencoderLoss,
    NTXentLoss,
    VariationalLoss,
    explained_variance,
    kl_to_standard_normal,
)

__all__ = [
    "AutoencoderLoss",
    "EventSpecificLoss",
    "EventTimingLoss",
    "FocalLoss",
    "HeatmapLoss",
    "NTXentLoss",
    "VariationalLoss",
    "binary_focal_loss",
    "explained_variance",
    "focal_loss",
    "frame_targets",
    "heatmap_loss",
    "kl_to_standard_normal",
    "offset_loss",
    "presence_loss",
    "refractory_loss",
    "template_loss",
    "timing_loss",
]
