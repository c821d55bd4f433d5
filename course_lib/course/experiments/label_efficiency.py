"""Do 32 labelled windows go further? From scratch, pre-trained without labels, with changed copies, by templates.

Generated windows of 0.2 s at 0 dB with 8 types, and steps of a walk (COURSE_DATA/gait, left out where it is not
there). 640 windows (gait: 320) may be used without labels, and 32 of them with. Networks are `LSTMEventClassifier`
with both repairs of notebook 19, ten samples (gait: four) to a step of its LSTM: from scratch (also with 64 labelled
windows), with an LSTM pre-trained on all windows as an autoencoder, and on the generated windows also with changed
copies of the labelled ones, and pre-trained by contrasting views. Of the random LSTM and the autoencoder's, three uses:
all weights go on learning; the LSTM stays as it is; it stays and one linear layer learns on top of it. Every network
trains for the same number of steps at each of three rates. Two ways without a network: a matched filter from averaged
snippets, and the templates of notebook 22, averaged snippets improved by expectation maximisation on the windows
without labels.
100 more windows (gait: an eighth of the walk) have labels for every method alike: rate and threshold are the best on
them, and views and copies have the ranges that notebook 21 estimates, from them. F1 at 5 ms on 200 windows (gait: at
20 ms on the second half of the walk).

About 9 CPU minutes.
"""

from functools import partial

import numpy as np
import torch
from torch.utils.data import DataLoader

from course_lib.course.experiments._event_runs import candidates
from course_lib.course.experiments._label_tasks import (
    COUNTS,
    Task,
    Windows,
    collate_steps,
    few_steps,
    gait,
    generated,
    steps_of,
)
from course_lib.course.experiments._label_templates import matched_filter, snippets_and_em
from course_lib.course.experiments._training import seeded
from course_lib.course.experiments.runner import Experiment, by_measure
from course_lib.data import ContrastiveDataset, TemporalAugmentation, collate_fn_supervised
from course_lib.data.datasets import EventItem
from course_lib.events import Detections, best_threshold, event_scores, window_events
from course_lib.losses import AutoencoderLoss, EventTimingLoss
from course_lib.models import ContrastiveLSTM, LSTMAutoencoder, LSTMEventClassifier, augmentation_ranges
from course_lib.training import ContrastiveTrainer, SupervisedTrainer, UnsupervisedTrainer, cosine_with_warmup

PRETRAINED = ("autoencoder", "contrastive")
METHODS = ("scratch", *PRETRAINED, "scratch, augmented", "matched filter", "snippets and EM")
ON_GENERATED = ("contrastive", "scratch, augmented")  # only
RATES = (0.003, 0.01, 0.03)
HIDDEN, LATENT, BATCH = 64, 16, 16
GRID = {"timing_resolution_samples": 1, "refractory_period_samples": 400}  # in steps
TEMPLATES = {
    "matched filter": lambda task, count, seed: matched_filter(task, count),
    "snippets and EM": snippets_and_em,
}
NEUTRAL_COLUMNS = ("loss", "total")  # of a pre-training's history, not worth a row


def train(trainer, loader, steps: int, seed: int):
    """`steps` steps with the recipe that all share: warm-up, cosine, clipping."""
    return trainer.fit(
        loader,
        num_epochs=max(1, round(steps / len(loader))),
        schedule=cosine_with_warmup,
        clip_norm=1.0,
        generator=torch.Generator().manual_seed(seed),
        device="cpu",
        progress=False,
    )


def adam(model, rate: float):
    return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=rate, weight_decay=0.01)


def augmentation(task: Task) -> TemporalAugmentation:
    """Of the ranges that notebook 21 estimates, from the validation windows."""
    return TemporalAugmentation(**augmentation_ranges(*task.validation, task.template_length))


def pretrain(method: str, task: Task, seed: int, steps: int):
    """A model trained on all of task.train without labels, and what it measured of itself in the last epoch."""
    size = task.step * task.channels
    if method == "contrastive":
        model = seeded(seed, ContrastiveLSTM, size, HIDDEN, 32, 1)
        neutral = np.zeros(task.channels), np.ones(task.channels)  # the data are normalised already
        data = ContrastiveDataset(task.train.data, augmentation(task), neutral)
        collate = partial(collate_steps, size=task.step)
        trainer = ContrastiveTrainer(model, adam(model, 3e-3))
    else:
        model = seeded(seed, LSTMAutoencoder, size, HIDDEN, 1, LATENT, latent_samples=1)
        data, collate = torch.from_numpy(steps_of(task.train.data, task.step)), None
        trainer = UnsupervisedTrainer(model, AutoencoderLoss(), adam(model, 3e-3))
    loader = DataLoader(data, 32, shuffle=True, drop_last=True, collate_fn=collate)
    last = train(trainer, loader, steps, seed).table.iloc[-1]
    names = [name.removeprefix("train_") for name in last.index if name.startswith("train_")]
    return model, {name: float(last[f"train_{name}"]) for name in names if name not in NEUTRAL_COLUMNS}


class AugmentedWindows(torch.utils.data.Dataset):
    """Labelled windows, shifted, warped and scaled anew at every look; an onset that leaves takes its label along."""

    def __init__(self, windows: Windows, change: TemporalAugmentation, step: int):
        self.windows, self.change, self.step = windows, change, step

    def __len__(self) -> int:
        return len(self.windows.data)

    def __getitem__(self, index: int) -> EventItem:
        x, timings = self.change(*(torch.from_numpy(v[index]) for v in (self.windows.data, self.windows.timings)))
        labels = (~timings.isnan()).float()
        return EventItem(steps_of(x, self.step), labels, timings / self.step, labels.long())


def fine_tune(task: Task, count: int, seed: int, steps: int, rate: float, encoder=None, change=None, use: str = "all"):
    """A function from windows to candidates: a classifier trained on the first `count` labelled windows.

    encoder: whose LSTM it begins with.  change: an augmentation of its windows.  use: "all" weights learn, or all but
    the LSTM's ("frozen"), or only a linear layer on it ("probe").
    """
    model = seeded(
        seed,
        LSTMEventClassifier,
        task.step * task.channels,
        HIDDEN,
        1,
        task.num_events,
        dropout=0.0,
        attention=use != "probe",
        residual=True,
        presence="logsumexp",
        **GRID,
    )
    if encoder is not None:
        encoder.transfer_encoder_to_classifier(model)
    model.lstm.requires_grad_(use == "all")
    few = task.train.first(count)
    if change is None:
        loader = few_steps(steps_of(few.data, task.step), few.labels, few.timings, task.step, min(BATCH, count))
    else:
        copies = AugmentedWindows(few, change, task.step)
        loader = DataLoader(copies, min(BATCH, count), shuffle=True, collate_fn=collate_fn_supervised)
    train(SupervisedTrainer(model, EventTimingLoss(**GRID), adam(model, rate)), loader, steps, seed)
    model.eval()
    return lambda windows: candidates(model, torch.from_numpy(steps_of(windows.data, task.step)), 50, task.step)


def score(task: Task, find) -> tuple[float, float]:
    """F1 on the test windows, at the threshold that is best on the validation windows; and F1 on these."""
    scale = (task.tolerance_ms, task.sample_rate)
    (validated, at), (tested, found) = (
        (window_events(windows.labels, windows.timings), [_strongest(events) for events in find(windows)])
        for windows in (task.validation, task.test)
    )
    threshold = best_threshold(validated, at, *scale)
    return tuple(
        event_scores(truths, [events.above(threshold) for events in founds], *scale).f1
        for truths, founds in ((tested, found), (validated, at))
    )


def _strongest(found: Detections) -> Detections:
    """Of each type the best candidate only: a type happens at most once a window."""
    order = np.argsort(-found.scores, kind="stable")
    _, first = np.unique(found.types[order], return_index=True)
    return found[np.sort(order[first])]


def measure(seed: int, source: str, method: str, steps: int, pretraining_steps: int) -> dict[str, float]:
    """F1 of one method with few labelled windows, and what a pre-training measured of itself."""
    task = gait(seed) if source == "gait" else generated(seed)
    few, more = COUNTS
    if method in TEMPLATES:
        return {f"{method}: F1, {few} labelled": score(task, TEMPLATES[method](task, few, seed))[0]}
    encoder, measured = None, {}
    if method in PRETRAINED:
        encoder, reached = pretrain(method, task, seed, pretraining_steps)
        measured = {f"{method}: pre-training {name}": value for name, value in reached.items()}
    change = augmentation(task) if method.endswith("augmented") else None
    runs = [("all", few)]
    if method in ("scratch", "autoencoder"):
        runs += [("frozen", few), ("probe", few)]
    if method == "scratch":
        runs += [("all", more)]
    for use, count in runs:
        scored = [score(task, fine_tune(task, count, seed, steps, r, encoder, change, use)) for r in RATES]
        name = f"{method}{'' if use == 'all' else f', {use}'}: F1, {count} labelled"
        best = max(range(len(RATES)), key=lambda i: scored[i][1])  # on the validation windows
        measured[name] = scored[best][0]
        measured |= {f"{name}, rate {rate}": test for rate, (test, _) in zip(RATES, scored, strict=True)}
    return measured


EXPERIMENT = Experiment(
    measure,
    settings={
        f"{source}, {method}": {"source": source, "method": method}
        for method in METHODS
        for source in (("generated",) if method in ON_GENERATED else ("generated", "gait"))
    },
    seeds=range(5),
    options={"steps": (100, "of training with labels"), "pretraining_steps": (200, "before it")},
    label="{source}, {what}",
    details=by_measure,
    source="generated and gait",
    threads=1,
    cheapest="generated, matched filter",
)
