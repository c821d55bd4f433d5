"""Events in recordings of any length."""

from __future__ import annotations

import numpy as np
import torch

from course_lib.events.detections import Detections
from course_lib.events.live import LiveDetector


def detect_events_from_sequence(
    model,
    sequence,
    threshold: float = 0.5,
    apply_refractory: bool = True,
    *,
    window: int = 4000,
    margin: int = 300,
    statistics: tuple[np.ndarray, np.ndarray] | None = None,
    lengths=None,
    amp: bool = False,
) -> dict[str, np.ndarray] | list[dict[str, np.ndarray]]:
    """The events of one recording (T, C), or of several: a batch (B, T, C), or a list of (T, C) of mixed lengths.

    For each a dict, in time order: "detected_events" (M,) types, "event_timings" (M,) onsets in samples,
    "event_scores" (M,); and "event_probs" (E,), the highest score of each type anywhere in the recording.
    lengths: (B,) samples of each recording that count, where a batch is padded on the right; None: all. What lies
    behind them is not looked at, so it may be anything.
    Every recording is run by itself, as `LiveDetector` would run it; arguments as there. The model is in evaluation
    mode meanwhile.  Raises ValueError naming the argument.
    """
    if isinstance(sequence, torch.Tensor):
        sequence = sequence.detach().cpu().numpy()
    several = isinstance(sequence, list | tuple) or np.ndim(sequence) == 3
    recordings = list(sequence) if several else [sequence]
    if lengths is not None:
        recordings = _cut(recordings, np.atleast_1d(np.asarray(lengths)))
    training = [module for module in getattr(model, "modules", list)() if module.training]
    if training:
        model.eval()
    try:
        found = [
            _detect(
                LiveDetector(
                    model,
                    threshold,
                    window=window,
                    margin=margin,
                    statistics=statistics,
                    refractory=apply_refractory,
                    amp=amp,
                ),
                recording,
            )
            for recording in recordings
        ]
    finally:
        for module in training:
            module.training = True
    return found if several else found[0]


def _cut(recordings: list, lengths: np.ndarray) -> list:
    """The recordings without their padding.  Raises ValueError where the lengths do not fit."""
    sizes = [len(recording) for recording in recordings]
    fits = lengths.shape == (len(sizes),) and np.issubdtype(lengths.dtype, np.integer)
    if not fits or (lengths < 0).any() or (lengths > sizes).any():
        raise ValueError(f"lengths: expected integers from 0 to {sizes}, one a recording, got {lengths.tolist()}")
    return [recording[:length] for recording, length in zip(recordings, lengths, strict=True)]


def _detect(live: LiveDetector, recording) -> dict[str, np.ndarray]:
    if isinstance(recording, torch.Tensor):
        recording = recording.detach().cpu().numpy()
    found = Detections.concatenate([live.push(recording), live.flush()])
    return {
        "detected_events": found.types,
        "event_timings": found.times,
        "event_scores": found.scores,
        "event_probs": live.highest,
    }
