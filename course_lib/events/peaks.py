"""From a score for every frame and type to events: local maxima."""

from __future__ import annotations

import numpy as np

from course_lib.events.detections import Detections, as_array

PEAK_RADIUS = 3  # frames on either side that a peak tops: 15 ms


def peak_mask(scores: np.ndarray, radius: int = PEAK_RADIUS) -> np.ndarray:
    """Where scores (F, E) are the largest within `radius` frames on either side; of equal ones, the earliest.

    Frames outside the array count as lower than all.
    """
    frames = len(scores)
    peaks = np.ones(scores.shape, bool)
    for step in range(1, min(radius, frames - 1) + 1):
        peaks[step:] &= scores[step:] > scores[:-step]
        peaks[:-step] &= scores[:-step] >= scores[step:]
    return peaks


def decode_peaks(
    scores: np.ndarray,
    offsets: np.ndarray | None = None,
    *,
    resolution: int = 10,
    threshold: float = 0.1,
    length: int | None = None,
    radius: int = PEAK_RADIUS,
) -> Detections:
    """The peaks of `scores` that reach `threshold`, as events.

    scores: (F, E), 0 to 1, one for each frame of `resolution` samples and type.
    offsets: (F, E) samples from the frame's start to the onset; None: half a frame.
    length: valid samples; frames that start behind them are left out, and no time is beyond them. None: all F frames.
    Raises ValueError where scores are not (F, E) or not finite, offsets of another shape, a threshold NaN, or a frame
    has no sample.
    """
    scores = as_array(scores).astype(np.float64)
    if scores.ndim != 2 or not np.isfinite(scores).all():
        raise ValueError(f"scores: expected finite (F, E), got shape {scores.shape}")
    if offsets is not None:
        offsets = as_array(offsets).astype(np.float64)
        if offsets.shape != scores.shape:
            raise ValueError(f"offsets: expected {scores.shape}, as the scores, got {offsets.shape}")
    if resolution < 1 or np.isnan(threshold).any():
        raise ValueError(f"resolution, threshold: expected samples and a score, got {resolution} and {threshold}")
    length = len(scores) * resolution if length is None else length
    scores = scores[: -(-length // resolution)]
    frames, types = np.nonzero(peak_mask(scores, radius) & (scores >= threshold))
    offset = resolution / 2 if offsets is None else offsets[frames, types]
    times = np.clip(frames * resolution + offset, 0, max(length - 1, 0))
    return Detections(types, times, scores[frames, types])
