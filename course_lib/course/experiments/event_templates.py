"""Events found by templates: F1 at both noise levels, in streams, close together, and with few labels.

The full model (`models.TemplateDetector`): templates from the averaged snippets of 320 labelled windows of 1 s, two
rounds of EM on the same windows, and a verifier trained on them. Beside it, in the same detector, the true templates;
both also without the verifier, ranked by their gain; and matching pursuit with the true templates as the textbook has
it: one duration, the noise taken for white. Thresholds come from 200 validation windows; 800 others, and a stream of
120 s that is detected live in chunks of 0.5 s, are for testing. Precision is also read where the recall is 0.95.
With few labels, templates come from 16 windows (0 dB) or 64 (-6 dB) in which every type occurs at least once, and two
rounds of EM go over 300 more windows without labels. The threshold comes from the same 16 or 64: a quarter of them at a
time is scored by a verifier trained on the others; beside it, from 200 more labelled windows. 400 windows are for
testing.
Onsets count as found within 5 ms; errors, and the share within 5 ms, are those of events matched within 25 ms. Close
events have another one less than 10 ms away.

About 40 CPU seconds a seed and noise level.
"""

import time

import numpy as np
import torch

from course_lib.course.experiments._event_runs import (
    best_at_5_ms,
    close_recall,
    f1,
    over_stream,
    true_kernels,
    with_every_type,
)
from course_lib.course.experiments._training import seeded
from course_lib.course.experiments.runner import Experiment, by_seed, grid
from course_lib.data import event_templates, make_events
from course_lib.events import SAMPLE_RATE, LiveDetector, MatchingPursuit, event_scores, precision_recall, window_events
from course_lib.models import (
    EventTemplateBank,
    TemplateDetector,
    expectation_maximisation,
    fill_from_snippets,
    noise_filter,
)
from course_lib.models.template_bank import MARGIN
from course_lib.models.template_detector import PROPOSE

LABELLED, VALIDATION, TEST, UNLABELLED = 320, 200, 800, 300  # windows of 2000 samples
FEW = {0: 16, -6: 64}  # noise level in dB -> labelled windows


def windows(part: str, count: int, seed: int, snr_db: float):
    """data, labels, timings of one part of the data: other parts and other seeds share no window."""
    parts = ("labelled", "validation", "test", "unlabelled")
    return make_events(count, seed=10_000 * parts.index(part) + 100 * seed + int(snr_db) + 50, snr_db=snr_db)


def few_windows(count: int, seed: int, snr_db: float):
    """`count` labelled windows in which every type occurs."""
    return with_every_type(count, range(90_000 + 1000 * seed, 91_000 + 1000 * seed), snr_db=snr_db)


def learn_templates(labelled, unlabelled: np.ndarray | None, seed: int, rounds: int) -> EventTemplateBank:
    """A bank from labelled (data, labels, timings), and EM over `unlabelled` (None: the labelled data)."""
    bank = seeded(seed, EventTemplateBank)
    fill_from_snippets(bank, *labelled)
    everything = labelled[0] if unlabelled is None else np.concatenate([labelled[0], unlabelled])
    expectation_maximisation(bank, everything, rounds=rounds, anchors=labelled)
    return bank


def train_detector(bank: EventTemplateBank, labelled, everything: np.ndarray) -> TemplateDetector:
    """The full model: whitening from `everything`, the verifier from the labelled (data, labels, timings)."""
    model = TemplateDetector(bank, noise_filter(bank, everything[:200]))
    return model.fit_verifier(model.propose(labelled[0]), window_events(*labelled[1:]))


def true_templates() -> EventTemplateBank:
    """A bank that holds what `make_events` adds."""
    bank = EventTemplateBank()
    bank.load_kernels(torch.tensor(true_kernels()[:, 0]), torch.tensor(event_templates().skews))
    return bank


def held_out(model: TemplateDetector, found: list, events: list, folds: int = 4) -> list:
    """Detections of labelled windows, each scored by a verifier that was trained on the other folds."""
    ranked = [None] * len(found)
    for fold in range(folds):
        others = [i for i in range(len(found)) if i % folds != fold]
        model.fit_verifier([found[i] for i in others], [events[i] for i in others])
        ranked[fold::folds] = [model.verified(one) for one in found[fold::folds]]
    return ranked


def precision_at(recall: float, truths: list, found: list) -> float:
    """Precision of the highest threshold that reaches the recall; NaN where none does."""
    curve = precision_recall(truths, found, 5.0, SAMPLE_RATE)
    reached = np.flatnonzero(curve.recall >= recall)
    return float(curve.precision[reached[0]]) if len(reached) else np.nan


def scored(name: str, truths: list, found: list, threshold: float) -> dict[str, float]:
    """Measures of detections above the threshold, `name` behind each."""
    kept = [events.above(threshold) for events in found]
    matched = event_scores(truths, kept, 25.0, SAMPLE_RATE)
    measured = {
        "F1": f1(truths, kept),
        "precision at recall 0.95": precision_at(0.95, truths, found),
        "close events found": close_recall(truths, kept),
        "median error (ms)": matched.median_error_ms,
        "within 5 ms": matched.within(5.0),
    }
    return {f"{what}, {name}": value for what, value in measured.items()}


def measure(seed: int, part: str, snr_db: int) -> dict[str, float]:
    """What a part of the table says about one noise level: templates "learned", "true", "textbook", or "few" labels."""
    if part == "few":
        return few_labels(seed, snr_db)
    validation, test = windows("validation", VALIDATION, seed, snr_db), windows("test", TEST, seed, snr_db)
    validated, tested = window_events(*validation[1:]), window_events(*test[1:])
    level, measured = f"{snr_db} dB: ", {}
    if part == "textbook":
        white = np.array([10 ** (snr_db / 20)])  # divides by the noise's RMS
        pursuit = MatchingPursuit(true_kernels(), (1.0,), MARGIN, white, refits=0)
        found, at = ([f.detections() for f in pursuit(data[0], PROPOSE)] for data in (test, validation))
        return scored(level + "pursuit, true templates", tested, found, best_at_5_ms(validated, at))
    labelled = windows("labelled", LABELLED, seed, snr_db)
    started = time.process_time()
    bank = true_templates() if part == "true" else learn_templates(labelled, None, seed, rounds=2)
    model = train_detector(bank, labelled, labelled[0])
    seconds = time.process_time() - started
    candidates, proposed = model.propose(validation[0]), model.propose(test[0])
    verified = "full model" if part == "learned" else "true templates, verifier"
    for name, rank in (
        (f"{part} templates, no verifier", lambda found: found.detections()),
        (verified, model.verified),
    ):
        threshold = best_at_5_ms(validated, [rank(found) for found in candidates])
        measured |= scored(level + name, tested, [rank(found) for found in proposed], threshold)
    if part == "learned":
        measured[f"training (CPU s), {level}full model"] = seconds
        measured |= live(model, threshold, seed, snr_db)
    return measured


def live(model: TemplateDetector, threshold: float, seed: int, snr_db: int) -> dict[str, float]:
    """A stream of 120 s, detected live in chunks of 1000 samples."""
    found = over_stream(LiveDetector(model, threshold), seed, snr_db, 240)
    names = {"speed": "stream, times real time", "F1": "stream F1", "violations": "stream, refractory violations"}
    return {f"{text}, {snr_db} dB: full model": found[name] for name, text in names.items()}


def few_labels(seed: int, snr_db: int) -> dict[str, float]:
    """F1 with FEW labelled windows, and with 200 more of which only the threshold is taken."""
    count, measured = FEW[snr_db], {}
    more, test = windows("validation", VALIDATION, seed, snr_db), windows("test", TEST // 2, seed, snr_db)
    labelled, unlabelled = few_windows(count, seed, snr_db), windows("unlabelled", UNLABELLED, seed, snr_db)[0]
    truths, validated, tested = (window_events(*part[1:]) for part in (labelled, more, test))
    for name, rounds in (("averaged snippets", 0), ("averaged snippets and EM", 2)):
        bank = learn_templates(labelled, unlabelled, seed, rounds)
        model = TemplateDetector(bank, noise_filter(bank, unlabelled[:200]))
        own = model.propose(labelled[0])
        threshold = best_at_5_ms(truths, held_out(model, own, truths))
        model.fit_verifier(own, truths)
        found, label = model.detect(test[0]), f"F1, {snr_db} dB: {count} labelled windows, {name}"
        from_more = best_at_5_ms(validated, model.detect(more[0]))
        for source, least in (("", threshold), (", threshold from 200 more", from_more)):
            measured[label + source] = f1(tested, [events.above(least) for events in found])
    return measured


EXPERIMENT = Experiment(
    measure,
    settings=grid("{part}, {snr_db} dB", snr_db=FEW, part=("learned", "true", "textbook", "few")),
    cheapest="textbook, 0 dB",
    seeds=range(5),
    label="{what}",
    unchecked="CPU s|real time",
    details=by_seed,
)
