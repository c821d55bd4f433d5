"""From a model's scores to events in time: peaks, the refractory period, live streams, and how good they are."""

from course_lib.events.detections import SAMPLE_RATE, Detections, window_events
from course_lib.events.live import FrameModel, LiveDetector, detect_events_from_sequence
from course_lib.events.matching_pursuit import Explanation, MatchingPursuit
from course_lib.events.metrics import (
    EventScores,
    PrecisionRecall,
    best_threshold,
    event_scores,
    match_by_score,
    match_events,
    precision_recall,
)
from course_lib.events.peaks import decode_peaks, peak_mask
from course_lib.events.refractory import REFRACTORY_PERIOD, RefractoryPeriodEnforcer, refractory_filter, violations
from course_lib.events.whitening import whiten, whitening_filter

__all__ = [
    "REFRACTORY_PERIOD",
    "SAMPLE_RATE",
    "Detections",
    "EventScores",
    "Explanation",
    "FrameModel",
    "LiveDetector",
    "MatchingPursuit",
    "PrecisionRecall",
    "RefractoryPeriodEnforcer",
    "best_threshold",
    "decode_peaks",
    "detect_events_from_sequence",
    "event_scores",
    "match_by_score",
    "match_events",
    "peak_mask",
    "precision_recall",
    "refractory_filter",
    "violations",
    "whiten",
    "whitening_filter",
    "window_events",
]
