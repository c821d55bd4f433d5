"""Beats of an ECG to 50 ms, and which of them come early: a detector, a band-pass with peaks, and a rule on intervals.

Record 100 (COURSE_DATA/ecg): training on the first 15 minutes, thresholds from the next five, test on the last ten.
The detector (`EventClassifier`) learns the marks N and A as two types, once with 0.2 s and once with 1.5 s of context,
at the same latency. The rule calls a beat early where its interval is short beside the median of the eight before;
it is put to each way's beats. All again under white noise of 0.5 mV on both leads, in all three parts. About 80 CPU
seconds a seed.
"""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, find_peaks, sosfiltfilt

from course_lib.course.experiments.runner import Experiment, by_seed
from course_lib.data import EventRecording, load_ecg
from course_lib.estimator import EventClassifier
from course_lib.events import Detections, EventScores, best_threshold, event_scores

TRAINED, CHOSEN = 900.0, 1200.0  # seconds: end of the training part, end of the part that the thresholds come from
TOLERANCE, REFRACTORY = 0.05, 0.2  # seconds
LATENCY = 2.5  # seconds of a live stream, of both detectors
EARLY = "A"


def measure(
    seed: int, data: EventRecording, steps: int, context: float | None = None, noise: float = 0.0
) -> dict[str, float]:
    """Beats and early beats in the test part, as the detector finds them.

    context: seconds, None: band-pass and peaks in its place.  noise: standard deviation, in the recording's unit.
    """
    started = time.process_time()
    data = replace(data, data=data.data + noise * np.random.default_rng(seed).standard_normal(data.data.shape))
    chosen, test = data.part(TRAINED, CHOSEN), data.part(CHOSEN, data.seconds)
    scores, took = {}, {}
    if context is None:
        beats_chosen, beats = simple_beats(chosen, test)
    else:
        model = fitted(data, seed, context, steps)
        took = {"CPU seconds of training": time.process_time() - started}
        on_test = model.detect(test)
        beats, beats_chosen = [event.time for event in on_test], [event.time for event in model.detect(chosen)]
        learned = [event.time for event in on_test if event.type == EARLY]
        scores["early, learned"] = score(times_of(test, EARLY), learned)
    scores["beats"] = score([time for _, time in test.events], beats)
    by_rule = early_by_rule(beats, early_threshold(beats_chosen, chosen))
    scores["early, by rule"] = score(times_of(test, EARLY), by_rule)
    values: dict[str, float] = {}
    for name, one in scores.items():
        values |= {f"{name}, F1 at 50 ms": one.f1, f"{name}, true": one.true_events}
        values |= {f"{name}, found": float(one.found_events), f"{name}, matched": float(one.matched)}
    return values | {"beats, median error, ms": scores["beats"].median_error_ms} | took


def fitted(data: EventRecording, seed: int, context: float, steps: int) -> EventClassifier:
    """The detector, trained on the first part; the last of five recordings is what thresholds are chosen on."""
    borders = np.linspace(0, TRAINED, 5)
    parts = [data.part(start, stop) for start, stop in zip(borders[:-1], borders[1:], strict=True)]
    model = EventClassifier(
        TOLERANCE,
        REFRACTORY,
        REFRACTORY,
        latency=LATENCY,
        context=context,
        steps=steps,
        device="cpu",
        random_state=seed,
    )
    return model.fit([*parts, data.part(TRAINED, CHOSEN)])


def simple_beats(chosen: EventRecording, test: EventRecording) -> tuple[np.ndarray, np.ndarray]:
    """Beats (seconds) of both parts by the simple detector, with the threshold that is best on the first."""
    truth = [(0, time * chosen.sample_rate) for _, time in chosen.events]
    candidates = beat_candidates(chosen)
    threshold = best_threshold([truth], [candidates], 1000 * TOLERANCE, chosen.sample_rate)
    found = [candidates.above(threshold), beat_candidates(test).above(threshold)]
    return found[0].times / chosen.sample_rate, found[1].times / test.sample_rate


def beat_candidates(recording: EventRecording) -> Detections:
    """Band-pass, square, smooth, peaks: where the power of all leads between 5 and 20 Hz is highest, and how high.

    Source: Pan and Tompkins 1985, without their derivative and their adaptive threshold.
    """
    rate = recording.sample_rate
    band = butter(2, (5, 20), "bandpass", fs=rate, output="sos")
    power = (sosfiltfilt(band, recording.data.astype(float), axis=0) ** 2).sum(axis=1)  # (T,)
    power = uniform_filter1d(power, round(0.1 * rate))
    peaks, _ = find_peaks(power, distance=round(REFRACTORY * rate))
    return Detections(np.zeros(len(peaks)), peaks, power[peaks])


def shortness(times: Sequence[float], history: int = 8) -> np.ndarray:
    """How much shorter each beat's interval is than the median of up to `history` before it, as a share; else 0.

    The first two beats have nothing to compare with.
    """
    intervals = np.diff(times)
    usual = [np.median(intervals[max(0, i - history) : i]) for i in range(1, len(intervals))]
    return np.concatenate([np.zeros(min(2, len(times))), np.maximum(0, 1 - intervals[1:] / usual)])


def early_threshold(beats: Sequence[float], chosen: EventRecording) -> float:
    """The shortness from which on a beat is called early: the best on the part that thresholds are chosen on."""
    rate = chosen.sample_rate
    truth = [(0, time * rate) for time in times_of(chosen, EARLY)]
    candidates = Detections(np.zeros(len(beats)), np.array(beats) * rate, shortness(beats))
    return best_threshold([truth], [candidates], 1000 * TOLERANCE, rate)


def early_by_rule(beats: Sequence[float], threshold: float) -> np.ndarray:
    """Those of the beats (seconds) whose interval is shorter than usual by `threshold`, a share, at least."""
    return np.array(beats)[shortness(beats) >= threshold]


def times_of(recording: EventRecording, kind: str) -> list[float]:
    return [time for one, time in recording.events if one == kind]


def score(truth: Sequence[float], found: Sequence[float]) -> EventScores:
    """Times in seconds, at the tolerance."""
    return event_scores([[(0, t) for t in truth]], [[(0, t) for t in found]], 1000 * TOLERANCE, sample_rate=1.0)


EXPERIMENT = Experiment(
    measure,
    settings={
        "band-pass, square, peaks": {},
        "detector, 0.2 s of context": {"context": 0.2},
        "detector, 1.5 s of context": {"context": 1.5},
        "band-pass, square, peaks, in noise": {"noise": 0.5},
        "detector, 1.5 s of context, in noise": {"context": 1.5, "noise": 0.5},
    },
    seeds=range(5),
    once=("band-pass, square, peaks",),
    cheapest="band-pass, square, peaks",
    options={"steps": (200, "training steps of the detector")},
    details=by_seed,
    source="ecg",
    load=load_ecg,
    threads=1,
    unchecked="CPU seconds",
)
