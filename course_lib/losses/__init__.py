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

# fmt: off
__all__ = [
    "EventSpecificLoss", "template_loss",
    "EventTimingLoss", "HeatmapLoss", "frame_targets", "heatmap_loss", "offset_loss", "presence_loss",
    "refractory_loss", "timing_loss",
    "FocalLoss", "binary_focal_loss", "focal_loss",
    "AutoencoderLoss", "NTXentLoss", "VariationalLoss", "explained_variance", "kl_to_standard_normal",
]
# fmt: on
