"""Events found by templates: F1 at both noise levels, in streams, close together, and with few labels.

The full model (`models.TemplateDetector`): templates from the averaged snippets of 320 labelled windows of 1 s, two
rounds of EM on the same windows, and a verifier trained on them. Beside it, the same without the verifier, and matching
pursuit with the true templates: at their own length and taking the noise for white, and at five warps with whitened
noise. Thresholds come from 200 validation windows; 400 others, and a stream of 120 s that is detected live in chunks of
0.5 s, are for testing.
With few labels, templates come from 16 windows (0 dB) or 64 (-6 dB) in which every type occurs at least once, and EM
goes over 400 more windows without labels; 200 windows are for testing. Onsets count as found within 5 ms; errors, and
the share within 5 ms, are those of events matched within 25 ms. Close events have another one less than 10 ms away.

About 25 CPU seconds a seed and noise level. Writes figures/results/event_templates.csv: means and standard deviations
over seeds.
"""

import time

import numpy as np
import torch

from course_lib.course.experiments._event_runs import close_recall
from course_lib.course.experiments.runner import Experiment
from course_lib.data import event_templates, make_event_stream, make_events
from course_lib.events import (
    LiveDetector,
    MatchingPursuit,
    best_threshold,
    event_scores,
    violations,
    whitening_filter,
    window_events,
)
from course_lib.models import (
    EventTemplateBank,
    TemplateDetector,
    expectation_maximisation,
    fill_from_snippets,
    noise_filter,
)
from course_lib.models.template_bank import MARGIN
from course_lib.models.template_learning import WARPS
from course_lib.training.rng import isolated

LABELLED, VALIDATION, TEST, UNLABELLED = 320, 200, 400, 400  # windows of 2000 samples
FEW = {0: 16, -6: 64}  # noise level in dB -> labelled windows


def true_kernels(warps=(1.0,)) -> np.ndarray:
    """What `make_events` adds, at each warp: (E, W, C, 104), the onset at sample 12."""
    true = event_templates()
    times = np.broadcast_to(np.arange(-MARGIN, 80.0 + MARGIN), (len(true), 80 + 2 * MARGIN))
    return np.stack([true.render(np.arange(len(true)), times, warp) for warp in warps], axis=1)


def windows(part: str, count: int, seed: int, snr_db: float):
    """data, labels, timings of one part of the data: other parts and other seeds share no window."""
    parts = ("labelled", "validation", "test", "unlabelled")
    return make_events(count, seed=10_000 * parts.index(part) + 100 * seed + int(snr_db) + 50, snr_db=snr_db)


def few_windows(count: int, seed: int, snr_db: float):
    """`count` labelled windows in which every type occurs: the first such draw."""
    for attempt in range(1000):
        drawn = make_events(count, seed=90_000 + 1000 * seed + attempt, snr_db=snr_db)
        if drawn[1].sum(axis=0).min() >= 1:
            return drawn
    raise ValueError(f"count: no draw of {count} windows has every type")


def learn_templates(labelled, unlabelled: np.ndarray | None, seed: int, rounds: int) -> EventTemplateBank:
    """A bank from labelled (data, labels, timings), and EM over `unlabelled` (None: the labelled data)."""
    with isolated(seed, torch.device("cpu")):
        bank = EventTemplateBank()
    fill_from_snippets(bank, *labelled)
    everything = labelled[0] if unlabelled is None else np.concatenate([labelled[0], unlabelled])
    expectation_maximisation(bank, everything, rounds=rounds, anchors=labelled)
    return bank


def train_detector(bank: EventTemplateBank, labelled, everything: np.ndarray) -> TemplateDetector:
    """The full model: whitening from `everything`, the verifier from the labelled (data, labels, timings)."""
    model = TemplateDetector(bank, noise_filter(bank, everything[:200]))
    return model.fit_verifier(model.propose(labelled[0]), window_events(*labelled[1:]))


def measure(seed: int, part: str, snr_db: int) -> dict[str, float]:
    """What a part of the table says about one noise level: "full" model, "pursuit" or "few" labels."""
    validation = windows("validation", VALIDATION, seed, snr_db)
    test = windows("test", TEST // 2 if part == "few" else TEST, seed, snr_db)
    validation_events, test_events = window_events(*validation[1:]), window_events(*test[1:])
    measured = {}

    def score(name: str, detect) -> float:
        found = detect(validation[0])
        threshold = best_threshold(validation_events, found)
        found = [events.above(threshold) for events in detect(test[0])]
        measured[f"F1, {snr_db} dB: {name}"] = event_scores(test_events, found, 5.0).f1
        if part != "few":
            matched = event_scores(test_events, found, 25.0)
            measured[f"median error (ms), {snr_db} dB: {name}"] = matched.median_error_ms
            measured[f"within 5 ms, {snr_db} dB: {name}"] = matched.within(5.0)
            measured[f"close events found, {snr_db} dB: {name}"] = close_recall(test_events, found)
        return threshold

    if part == "pursuit":
        loud = 10 ** (-snr_db / 20)  # RMS of the noise
        plain = MatchingPursuit(true_kernels(), (1.0,), MARGIN, np.array([1 / loud]), refits=0)
        score("pursuit, true templates", lambda data: [found.detections() for found in plain(data)])
        noise = make_events(100, seed=80_000 + seed, snr_db=snr_db, event_rate=0, distractor_rate=0)[0]
        full = MatchingPursuit(true_kernels(WARPS), WARPS, MARGIN, whitening_filter(noise), refits=0)
        score("pursuit, true templates, warps, whitened", lambda data: [found.detections() for found in full(data)])
    elif part == "full":
        labelled = windows("labelled", LABELLED, seed, snr_db)
        started = time.process_time()
        bank = learn_templates(labelled, None, seed, rounds=2)
        model = train_detector(bank, labelled, labelled[0])
        measured[f"training (CPU s), {snr_db} dB: full model"] = time.process_time() - started
        score("learned templates, no verifier", lambda data: [found.detections() for found in model.propose(data)])
        threshold = score("full model", model.detect)
        stream, events = make_event_stream(120, seed=70_000 + seed, snr_db=snr_db)
        live = LiveDetector(model, threshold)
        started = time.process_time()
        found = [event for at in range(0, len(stream), 1000) for event in live.push(stream[at : at + 1000])]
        found += list(live.flush())
        measured[f"stream, times real time, {snr_db} dB: full model"] = 120 / (time.process_time() - started)
        measured[f"stream F1, {snr_db} dB: full model"] = event_scores([events], [found]).f1
        measured[f"stream, refractory violations, {snr_db} dB: full model"] = violations(found)
    else:
        count = FEW[snr_db]
        labelled = few_windows(count, seed, snr_db)
        unlabelled = windows("unlabelled", UNLABELLED, seed, snr_db)[0]
        for name, rounds in (("averaged snippets", 0), ("averaged snippets and EM", 3)):
            bank = learn_templates(labelled, unlabelled, seed, rounds)
            model = train_detector(bank, labelled, unlabelled)
            score(f"{count} labelled windows, {name}", model.detect)
    return measured


EXPERIMENT = Experiment(
    measure,
    settings={
        f"{part}, {snr_db} dB": {"part": part, "snr_db": snr_db}
        for snr_db in FEW
        for part in ("full", "pursuit", "few")
    },
    cheapest="pursuit, 0 dB",
    label="{what}",
    unchecked="CPU s|real time",
)
