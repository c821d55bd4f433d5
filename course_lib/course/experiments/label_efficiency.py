"""How many labelled windows a finder of events needs: from scratch, pre-trained without labels, and from templates.

Generated windows of 0.5 s at 0 dB with 16 types, and steps of a walk (COURSE_DATA/gait, left out where it is not
there). 640 windows (gait: 320) may be used without labels, and 16, 64 or 320 of them with
(gait: also 4). Five ways to a network,
`LSTMEventClassifier` with both repairs of notebook 19, ten samples (gait: four) to a step of its LSTM: from scratch,
also with shifted, warped and scaled copies of the labelled windows, and with an LSTM pre-trained on all windows as an
autoencoder, as a variational one, or by contrasting views. All train for the same number of steps. Two ways without a
network: a matched filter from averaged snippets, and the templates of notebook 22, averaged snippets improved by
expectation maximisation on the windows without labels. Thresholds come from 100 more windows, with labels for every
method alike (gait: from an eighth of the walk). F1 at 5 ms on 200 windows (gait: 20 ms, second half of the walk).

About 20 CPU minutes. Writes figures/results/label_efficiency.csv: means and standard deviations over seeds.
"""

import numpy as np
import torch
from torch.utils.data import DataLoader

from course_lib.course.experiments._label_tasks import Task, Windows, gait, generated, steps_of
from course_lib.course.experiments._label_templates import matched_filter, snippets_and_em
from course_lib.course.experiments.runner import Experiment
from course_lib.data import (
    ContrastiveDataset,
    EventDataset,
    TemporalAugmentation,
    collate_fn_contrastive,
    collate_fn_supervised,
)
from course_lib.data.event_dataset import EventItem
from course_lib.events import Detections, best_threshold, decode_peaks, event_scores, window_events
from course_lib.losses import AutoencoderLoss, EventTimingLoss, VariationalLoss
from course_lib.models import ContrastiveLSTM, LSTMAutoencoder, LSTMEventClassifier, LSTMVariationalAutoencoder
from course_lib.training import ContrastiveTrainer, SupervisedTrainer, UnsupervisedTrainer, cosine_with_warmup
from course_lib.training.rng import isolated

PRETRAINED = ("autoencoder", "variational", "contrastive")
METHODS = ("scratch", "scratch, augmented", *PRETRAINED, "matched filter", "snippets and EM")
HIDDEN, LATENT = 64, 16
NEUTRAL_COLUMNS = ("loss", "total", "beta")  # of a pre-training's history, not worth a row


def train(trainer, loader, steps: int, seed: int):
    """`steps` steps with the recipe that all share: warm-up, cosine, clipping, bf16."""
    return trainer.fit(
        loader,
        num_epochs=max(1, round(steps / len(loader))),
        schedule=cosine_with_warmup,
        clip_norm=1.0,
        amp=True,
        generator=torch.Generator().manual_seed(seed),
        device="cpu",
        progress=False,
    )


def adam(model, rate: float):
    return torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)


def augmentation(task: Task) -> TemporalAugmentation:
    """Notebook 21 estimates these ranges from data; shift and mask are in samples, half an event long."""
    half = task.template_length // 2
    return TemporalAugmentation(noise=0.3, shift=half, warp=(0.95, 1.05), channel_drop=0.1, time_mask=half)


def pretrain(method: str, task: Task, seed: int, steps: int):
    """A model trained on all of task.train without labels, and what it measured of itself in the last epoch."""
    size = task.step * task.channels
    makers = {
        "autoencoder": lambda: LSTMAutoencoder(size, HIDDEN, 1, LATENT, latent_samples=1),
        "variational": lambda: LSTMVariationalAutoencoder(size, HIDDEN, 1, LATENT, latent_samples=1),
        "contrastive": lambda: ContrastiveLSTM(size, HIDDEN, 32, 1),
    }
    with isolated(seed, torch.device("cpu")):
        model = makers[method]()
    if method == "contrastive":
        neutral = np.zeros(task.channels), np.ones(task.channels)  # the data are normalised already
        views = ContrastiveDataset(task.train.data, augmentation(task), neutral)

        def collate(items):
            first, second, lengths = collate_fn_contrastive(items)
            return steps_of(first, task.step), steps_of(second, task.step), lengths // task.step

        loader = DataLoader(views, 32, shuffle=True, drop_last=True, collate_fn=collate)
        trainer = ContrastiveTrainer(model, adam(model, 3e-3))
    else:
        loss = AutoencoderLoss() if method == "autoencoder" else VariationalLoss(latent_samples=1)
        loader = DataLoader(torch.from_numpy(steps_of(task.train.data, task.step)), 32, shuffle=True, drop_last=True)
        trainer = UnsupervisedTrainer(model, loss, adam(model, 3e-3))
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


def fine_tune(task: Task, count: int, seed: int, steps: int, rate: float, encoder=None, change=None):
    """A function from windows to candidates: a classifier trained on the first `count` labelled windows.

    encoder: whose LSTM it begins with.  change: an augmentation of its windows.
    """
    with isolated(seed, torch.device("cpu")):
        model = LSTMEventClassifier(
            task.step * task.channels,
            HIDDEN,
            1,
            task.num_events,
            dropout=0.0,
            timing_resolution_samples=1,
            refractory_period_samples=400,
            residual=True,
            presence="logsumexp",
        )
    if encoder is not None:
        encoder.transfer_encoder_to_classifier(model)
    few = task.train.first(count)
    if change is None:
        neutral = np.zeros(model.input_size), np.ones(model.input_size)
        dataset = EventDataset(steps_of(few.data, task.step), few.labels, few.timings / task.step, 1, neutral)
    else:
        dataset = AugmentedWindows(few, change, task.step)
    loader = DataLoader(dataset, min(32, count), shuffle=True, collate_fn=collate_fn_supervised)
    loss = EventTimingLoss(timing_resolution_samples=1, refractory_period_samples=400)
    train(SupervisedTrainer(model, loss, adam(model, rate)), loader, steps, seed)
    model.eval()

    def find(windows: Windows) -> list[Detections]:
        parts = torch.from_numpy(steps_of(windows.data, task.step)).split(50)
        maps = [map_ for part in parts for map_ in zip(*model.frame_scores(part), strict=True)]
        options = {"resolution": task.step, "threshold": 0.02}
        return [decode_peaks(scores.numpy(), task.step * offsets.numpy(), **options) for scores, offsets in maps]

    return find


def score(task: Task, find) -> float:
    """F1 on the test windows, at the threshold that is best on the validation windows."""
    threshold = None
    for windows in (task.validation, task.test):
        truths = window_events(windows.labels, windows.timings)
        found = [_strongest(events) for events in find(windows)]
        if threshold is None:
            threshold = best_threshold(truths, found, task.tolerance_ms, task.sample_rate)
    return event_scores(truths, [f.above(threshold) for f in found], task.tolerance_ms, task.sample_rate).f1


def _strongest(found: Detections) -> Detections:
    """Of each type the best candidate only: a type happens at most once a window."""
    order = np.argsort(-found.scores, kind="stable")
    _, first = np.unique(found.types[order], return_index=True)
    return found[np.sort(order[first])]


def measure(seed: int, source: str, method: str, steps: int, rate: float, pretraining_steps: int) -> dict[str, float]:
    """F1 of one method with each number of labelled windows, and what a pre-training measured of itself."""
    task = gait(seed) if source == "gait" else generated(seed)
    encoder, measured = None, {}
    if method in PRETRAINED:
        encoder, reached = pretrain(method, task, seed, pretraining_steps)
        measured = {f"{method}: pre-training {name}": value for name, value in reached.items()}
    change = augmentation(task) if method.endswith("augmented") else None
    for count in task.counts:
        if method == "matched filter":
            find = matched_filter(task, count)
        elif method == "snippets and EM":
            find = snippets_and_em(task, count, seed)
        else:
            find = fine_tune(task, count, seed, steps, rate, encoder, change)
        measured[f"{method}: F1, {count} labelled"] = score(task, find)
    return measured


EXPERIMENT = Experiment(
    measure,
    settings={
        f"{source}, {method}": {"source": source, "method": method}
        for source in ("generated", "gait")
        for method in METHODS
    },
    options={
        "steps": (200, "of training with labels"),
        "rate": (0.01, "of training with labels"),
        "pretraining_steps": (300, "before it"),
    },
    label="{source}, {what}",
    source="generated and gait",
    threads=1,
    cheapest="generated, matched filter",
)
