"""The event-specific classifier beside the base model: parameters, CPU time and F1 at an equal number of steps.

Windows of 0.5 s at 0 dB, 160 of them labelled, 80 steps of 16 windows, AdamW 3e-3 with warm-up and cosine; the bank's
templates with a rate ten times as high. The base model is `LSTMEventClassifier` as published, and repaired (strided
front end, residual attention, presence from all frames). The event-specific classifier starts from random templates, or
from the averaged snippets of the 160 windows. Since its steps take eight times as long, the repaired base model is also
trained for eight times as many. Threshold from 100 validation windows, F1 at 5 ms on 200 others.

4 to 45 CPU seconds a model and seed. Writes figures/results/event_specific.csv.
"""

import time

import numpy as np
import torch

from course_lib.course.experiments.runner import Experiment
from course_lib.data import make_events
from course_lib.events import best_threshold, decode_peaks, event_scores, window_events
from course_lib.losses import EventSpecificLoss, EventTimingLoss
from course_lib.models import EventSpecificClassifier, LSTMEventClassifier, fill_from_snippets
from course_lib.training import cosine_with_warmup, fit
from course_lib.training.device import mode
from course_lib.training.rng import isolated

LENGTH, BATCH, EPOCHS = 1000, 16, 8
LONGER = ", 8 times the steps"


def repaired() -> LSTMEventClassifier:
    """The base model without the flaws that notebook 19 found."""
    return LSTMEventClassifier(hidden_size=32, residual=True, presence="logsumexp", front_end=True)


MODELS = {
    "base, as published": lambda: LSTMEventClassifier(hidden_size=32),
    "base, repaired": repaired,
    f"base, repaired{LONGER}": repaired,
    "event-specific, random templates": lambda: EventSpecificClassifier(hidden_size=32),
    "event-specific, averaged snippets": lambda: EventSpecificClassifier(hidden_size=32),
}


def arrays(count: int, seed: int):
    """data, labels, timings of windows of 0.5 s with three events on average."""
    return make_events(count, LENGTH, seed=seed, snr_db=0.0, event_rate=6.0)


def train_model(name: str, labelled, seed: int) -> torch.nn.Module:
    """The model `name` of MODELS after EPOCHS passes over labelled (data, labels, timings)."""
    with isolated(seed, torch.device("cpu")):
        model = MODELS[name]()
    specific = isinstance(model, EventSpecificClassifier)
    if name.endswith("averaged snippets"):
        fill_from_snippets(model.templates, *labelled)
    loss = EventSpecificLoss() if specific else EventTimingLoss()
    tensors = torch.utils.data.TensorDataset(*(torch.as_tensor(array) for array in labelled))
    generator = torch.Generator().manual_seed(seed)
    loader = torch.utils.data.DataLoader(tensors, BATCH, shuffle=True, generator=generator)
    bank = list(model.templates.parameters()) if specific else []
    others = [p for p in model.parameters() if not any(p is q for q in bank)]
    groups = [{"params": others, "lr": 3e-3}] + ([{"params": bank, "lr": 3e-2}] if bank else [])
    fit(
        model,
        loader,
        epochs=8 * EPOCHS if name.endswith(LONGER) else EPOCHS,
        training_step=lambda network, batch: loss(*network(batch[0]), *batch[1:]),
        optimizer=torch.optim.AdamW(groups, weight_decay=0.01),
        schedule=cosine_with_warmup,
        clip_norm=1.0,
        device="cpu",
        generator=generator,
        progress=False,
    )
    return model


def found_events(model, data: np.ndarray) -> list:
    """The events of each window, scores from 0.02 on."""
    with mode(model, False):
        scores, offsets = zip(
            *(model.frame_scores(torch.tensor(part)) for part in np.array_split(data, 10)), strict=True
        )
    scores, offsets = torch.cat(scores).numpy(), torch.cat(offsets).numpy()
    return [decode_peaks(s, o, threshold=0.02) for s, o in zip(scores, offsets, strict=True)]


def measure(seed: int, name: str) -> dict[str, float]:
    """F1 of the model `name` under one seed, CPU seconds of its training, and its parameters."""
    labelled, validation, test = (arrays(count, 3 * seed + part) for part, count in enumerate((160, 100, 200)))
    started = time.process_time()
    model = train_model(name, labelled, seed)
    seconds = time.process_time() - started
    threshold = best_threshold(window_events(*validation[1:]), found_events(model, validation[0]))
    found = [events.above(threshold) for events in found_events(model, test[0])]
    f1 = event_scores(window_events(*test[1:]), found).f1
    return {"F1": f1, "training (CPU s)": seconds, "parameters": sum(p.numel() for p in model.parameters())}


EXPERIMENT = Experiment(
    measure,
    settings={name: {"name": name} for name in MODELS},
    cheapest="base, repaired",
    label="{what}: {setting}",
    unchecked="CPU s",
)
