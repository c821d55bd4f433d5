"""The event-specific classifier taken apart: F1 of each variant after the same CPU time, five seeds.

Four types, windows of 0.25 s at 0 dB, 320 of them labelled. The whole model has template scores that start from the
averaged snippets of these windows, the CNN for each type and the timing heads for each type. Without scores or CNN the
LSTM reads zeros in their place, which costs next to no time; without heads all types share one linear layer. Beside
these: random templates at the start, no loss on the scores, the refractory term of notebook 19 in the loss, and the
base model, `LSTMEventClassifier` as notebook 19 repaired it (strided front end, residual attention, presence from all
frames). EPOCHS gives each variant about as many CPU seconds; the table says how many it took. Batches of 16, AdamW
3e-3 with warm-up and cosine; the bank's templates with a rate ten times as high. Threshold from 100 validation windows,
F1 at 5 ms on 400 others, also counting only events that start within 1 ms.

About 8 CPU seconds a variant and seed. Writes figures/results/event_specific.csv, and each seed's numbers into detail.
"""

import time

import torch
from torch import nn

from course_lib.course.experiments.runner import Experiment, by_seed
from course_lib.data import make_events
from course_lib.events import SAMPLE_RATE, best_threshold, decode_peaks, event_scores, window_events
from course_lib.losses import EventSpecificLoss, EventTimingLoss
from course_lib.models import EventSpecificClassifier, LSTMEventClassifier, fill_from_snippets
from course_lib.training import cosine_with_warmup, fit
from course_lib.training.device import mode
from course_lib.training.rng import isolated

TYPES, LENGTH, BATCH, HIDDEN = 4, 500, 16, 16
LABELLED, VALIDATION, TEST = 320, 100, 400  # windows


def base() -> LSTMEventClassifier:
    """The base model without the flaws that notebook 19 found."""
    return LSTMEventClassifier(
        num_events=TYPES, hidden_size=HIDDEN, residual=True, presence="logsumexp", front_end=True
    )


VARIANTS: dict[str, dict] = {
    "whole model": {},
    "random templates": {"averages": False},
    "random templates, no loss on the scores": {"averages": False, "template_weight": 0.0},
    "with a refractory term": {"refractory_weight": 0.1},
    "without scores": {"parts": ("cnn", "heads")},
    "without CNN": {"parts": ("templates", "heads")},
    "without heads": {"parts": ("templates", "cnn")},
    "scores only": {"parts": ("templates",)},
    "none of the three": {"parts": ()},
    "base model, repaired": {"base_model": True},
}
EPOCHS = {
    "without scores": 5,
    "without CNN": 9,
    "without heads": 5,
    "scores only": 13,
    "none of the three": 26,
    "base model, repaired": 16,
}  # 4 for all others


def arrays(count: int, seed: int):
    """data, labels, timings of windows of 0.25 s with two events on average."""
    return make_events(count, LENGTH, TYPES, seed=seed, snr_db=0.0, event_rate=8.0)


def train_model(
    labelled,
    seed: int,
    epochs: int,
    averages: bool = True,
    template_weight: float = 0.5,
    refractory_weight: float = 0.0,
    base_model: bool = False,
    parts: tuple[str, ...] = EventSpecificClassifier.PARTS,
) -> nn.Module:
    """A model after so many passes over labelled (data, labels, timings)."""
    with isolated(seed, torch.device("cpu")):
        model = base() if base_model else EventSpecificClassifier(num_events=TYPES, hidden_size=HIDDEN, parts=parts)
    bank = [] if base_model or "templates" not in parts else list(model.templates.parameters())
    if bank and averages:
        fill_from_snippets(model.templates, *labelled)
    weights = {"template_weight": template_weight, "refractory_weight": refractory_weight}
    loss = EventTimingLoss() if base_model else EventSpecificLoss(**weights)
    tensors = torch.utils.data.TensorDataset(*(torch.as_tensor(array) for array in labelled))
    generator = torch.Generator().manual_seed(seed)
    loader = torch.utils.data.DataLoader(tensors, BATCH, shuffle=True, generator=generator)
    others = [p for p in model.parameters() if not any(p is q for q in bank)]
    groups = [{"params": others, "lr": 3e-3}] + ([{"params": bank, "lr": 3e-2}] if bank else [])
    fit(
        model,
        loader,
        epochs=epochs,
        training_step=lambda network, batch: loss(*network(batch[0]), *batch[1:]),
        optimizer=torch.optim.AdamW(groups, weight_decay=0.01),
        schedule=cosine_with_warmup,
        clip_norm=1.0,
        device="cpu",
        generator=generator,
        progress=False,
    )
    return model


def found_events(model: nn.Module, data) -> list:
    """The events of each window, scores from 0.02 on."""
    with mode(model, False):
        parts = [model.frame_scores(part) for part in torch.as_tensor(data).split(50)]
    return [
        decode_peaks(scores.numpy(), offsets.numpy(), threshold=0.02)
        for part in parts
        for scores, offsets in zip(*part, strict=True)
    ]


def measure(seed: int, name: str) -> dict[str, float]:
    """F1 of a variant under one seed, CPU seconds of its training, its steps and its parameters."""
    sizes = (LABELLED, VALIDATION, TEST)
    labelled, validation, test = (arrays(count, 3 * seed + part) for part, count in enumerate(sizes))
    started, epochs = time.process_time(), EPOCHS.get(name, 4)
    model = train_model(labelled, seed, epochs, **VARIANTS[name])
    seconds = time.process_time() - started
    threshold = best_threshold(window_events(*validation[1:]), found_events(model, validation[0]), 5.0, SAMPLE_RATE)
    found = [events.above(threshold) for events in found_events(model, test[0])]
    truths = window_events(*test[1:])
    return {
        "F1": event_scores(truths, found, 5.0, SAMPLE_RATE).f1,
        "F1 at 1 ms": event_scores(truths, found, 1.0, SAMPLE_RATE).f1,
        "training (CPU s)": seconds,
        "steps": epochs * -(-len(labelled[0]) // BATCH),
        "parameters": sum(p.numel() for p in model.parameters()),
    }


EXPERIMENT = Experiment(
    measure,
    settings={name: {"name": name} for name in VARIANTS},
    cheapest="whole model",
    seeds=range(5),
    label="{what}: {setting}",
    unchecked="CPU s",
    details=by_seed,
)
