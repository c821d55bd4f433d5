"""From a model's scores to events in time: peaks, the refractory period, live streams, and how good they are."""

from course_lib.events.detections import SAMPLE_RATE, Detections, decode_peaks, peak_mask, window_events
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
from course_lib.events.refractory import REFRACTORY_PERIOD, RefractoryPeriodEnforcer, refractory_filter, violations
from course_lib.events.whitening import whiten, whitening_filter

# fmt: off
__all__ = [
    "SAMPLE_RATE", "Detections", "decode_peaks", "peak_mask", "window_events",
    "FrameModel", "LiveDetector", "detect_events_from_sequence",
    "Explanation", "MatchingPursuit",
    "EventScores", "PrecisionRecall", "best_threshold", "event_scores", "match_by_score", "match_events",
    "precision_recall",
    "REFRACTORY_PERIOD", "RefractoryPeriodEnforcer", "refractory_filter", "violations",
    "whiten", "whitening_filter",
]
# fmt: on
