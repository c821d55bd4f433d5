"""Events of 16 types and their onsets: a classifier ("published"), its two flaws removed one at a time, the detector.

Generated windows of 1 s, never seen twice in training; thresholds from 256 validation windows; 400 test windows a
seed. The classifiers are trained at 0 dB on the 5 ms grid (front_end=True, since an LSTM at 2000 Hz takes ten times as
many steps), the detector at 0 and at -6 dB, which is also run live, in bfloat16, over a stream of 120 s. Beside them
matching pursuit with the true templates. Some 25 CPU minutes for all rows together, each training below 160 CPU
seconds.
"""

from functools import partial

import numpy as np
import torch

from course_lib.course.experiments._event_runs import (
    best_at_5_ms,
    find,
    measures,
    over_stream,
    threshold_of,
    train,
    true_kernels,
    windows,
)
from course_lib.course.experiments.runner import Experiment, by_seed, grid
from course_lib.data import coloured_noise, make_events
from course_lib.events import (
    SAMPLE_RATE,
    LiveDetector,
    MatchingPursuit,
    refractory_filter,
    whitening_filter,
    window_events,
)
from course_lib.losses import EventTimingLoss, HeatmapLoss
from course_lib.models import EventDetector, LSTMEventClassifier
from course_lib.models.template_bank import MARGIN

PURSUIT = "matching pursuit"
CLASSIFIERS = {
    "published": {},
    "published, with residual connections": {"residual": True},
    "published, with logsumexp presence": {"presence": "logsumexp"},
    "published, with both": {"residual": True, "presence": "logsumexp"},
}


def measure(seed: int, way: str, snr_db: float, steps: int, classifier_steps: int, **options) -> dict[str, float]:
    """One way to find events: F1 and errors on the test windows."""
    if way == PURSUIT:
        return _pursuit(snr_db, seed)
    if way == "detector":
        model, statistics, took = train(EventDetector, HeatmapLoss(), seed=seed, steps=steps, snr_db=snr_db)
    else:
        make = partial(LSTMEventClassifier, hidden_size=64, front_end=True, **options)
        model, statistics, took = train(make, EventTimingLoss(), seed=seed, steps=classifier_steps, batch_size=16)
    threshold = threshold_of(model, statistics, snr_db, seed)
    x, truths = windows(400, 60_000 + seed, snr_db, statistics)
    values = measures(truths, find(model, x), threshold)
    if way == "detector":
        values |= _stream(model, statistics, threshold, snr_db, seed)
    else:
        values |= _separately(model, x, truths)
    return values | {"CPU seconds of training": took}


def _stream(model, statistics, threshold: float, snr_db: float, seed: int) -> dict[str, float]:
    live = LiveDetector(model, threshold, statistics=statistics, amp=True)  # in bfloat16, as it was trained
    found = over_stream(live, seed, snr_db, 117)
    return {
        "stream: F1 at 5 ms": found["F1"],
        "stream: refractory violations": found["violations"],
        "stream: times real time": found["speed"],
        "stream: latency, s": live.latency_samples / SAMPLE_RATE,
    }


@torch.no_grad()
def _separately(model, x, truths) -> dict[str, float]:
    """The two answers of a classifier, each by itself: is the type there, and, given that it is, when."""
    right = near = total = 0
    for part, events in zip(x.split(32), [truths[i : i + 32] for i in range(0, len(truths), 32)], strict=True):
        event_logits, timing_logits = model(part)
        labels = torch.zeros_like(event_logits)
        for row, window in enumerate(events):
            for kind, sample in window:
                labels[row, kind] = 1
                guess = 10 * int(timing_logits[row, :, kind].argmax()) + 5
                near, total = near + (abs(guess - sample) <= 10), total + 1
        right += int(((event_logits > 0) == (labels > 0)).sum())
    return {"presence right": right / (len(truths) * model.num_events), "onset right, type given": near / total}


def _pursuit(snr_db: float, seed: int) -> dict[str, float]:
    """Matching pursuit with the true templates at five warps, the noise's true spectrum and true amplitudes."""
    noise = coloured_noise((50, 2000, 6), np.random.default_rng(seed)) * np.float32(10 ** (-snr_db / 20))
    warps = np.linspace(0.9, 1.1, 5)
    pursuit = MatchingPursuit(true_kernels(warps, 114), warps, onset=MARGIN, taps=whitening_filter(noise))

    def tried(count: int, first_seed: int) -> tuple[list, list]:
        data, labels, timings = make_events(count, seed=first_seed + seed, snr_db=snr_db)
        return window_events(labels, timings), [refractory_filter(found.detections()) for found in pursuit(data)]

    threshold = best_at_5_ms(*tried(256, 50_000))
    return measures(*tried(400, 60_000), threshold)


EXPERIMENT = Experiment(
    measure,
    settings=grid("{way}, {snr_db:g} dB", way=("detector", PURSUIT), snr_db=(-6.0, 0.0))
    | {f"{name}, 0 dB": {"way": "classifier", "snr_db": 0.0, **more} for name, more in CLASSIFIERS.items()},
    cheapest="matching pursuit, 0 dB",
    options={"steps": (560, "training steps of the detector"), "classifier_steps": (200, "of each classifier")},
    details=by_seed,
    threads=1,
    unchecked="CPU seconds|real time",
)
