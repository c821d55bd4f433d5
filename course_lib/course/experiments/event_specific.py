"""The event-specific classifier taken apart: F1 of each variant after the same CPU time, five seeds.

Four types, windows of 0.25 s at 0 dB, 320 of them labelled. The whole model has template scores that start from the
averaged snippets of these windows, the CNN for each type and the timing heads for each type. Without scores or CNN the
LSTM reads zeros in their place, which costs next to no time; without heads all types share one linear layer. Beside
these: random templates at the start, no loss on the scores, the refractory term of notebook 19 in the loss, and the
base model, `LSTMEventClassifier` as notebook 19 repaired it (strided front end, residual attention, presence from all
frames). EPOCHS gives each variant about as many CPU seconds; the table says how many it took. Batches of 16, AdamW
3e-3 with warm-up and cosine; the bank's templates with a rate ten times as high. Threshold from 100 validation windows,
F1 at 5 ms on 400 others, also counting only events that start within 1 ms.

About 8 CPU seconds a variant and seed.
"""

import time
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from course_lib.course.experiments._event_runs import best_at_5_ms, candidates, f1
from course_lib.course.experiments._training import fitted, parameters, seeded
from course_lib.course.experiments.runner import Experiment, by_seed, grid
from course_lib.data import make_events
from course_lib.events import window_events
from course_lib.losses import EventSpecificLoss, EventTimingLoss
from course_lib.models import EventSpecificClassifier, LSTMEventClassifier, fill_from_snippets

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
    """A model after so many passes over labelled (data, labels, timings), in evaluation mode."""
    specific = partial(EventSpecificClassifier, num_events=TYPES, hidden_size=HIDDEN, parts=parts)
    model: Any = seeded(seed, base if base_model else specific)
    bank = [] if base_model or "templates" not in parts else list(model.templates.parameters())
    if bank and averages:
        fill_from_snippets(model.templates, *labelled)
    loss: nn.Module = EventTimingLoss()
    if not base_model:
        loss = EventSpecificLoss(template_weight=template_weight, refractory_weight=refractory_weight)
    tensors = TensorDataset(*(torch.as_tensor(array) for array in labelled))
    generator = torch.Generator().manual_seed(seed)
    others = [p for p in model.parameters() if not any(p is q for q in bank)]

    def optimizer(_, lr: float) -> torch.optim.Optimizer:
        groups = [{"params": others}, {"params": bank, "lr": 10 * lr}]
        return torch.optim.AdamW(groups, lr, weight_decay=0.01)

    return fitted(
        model,
        DataLoader(tensors, BATCH, shuffle=True, generator=generator),
        3e-3,
        optimizer,
        epochs=epochs,
        training_step=lambda network, batch: loss(*network(batch[0]), *batch[1:]),
        generator=generator,
    )


def measure(seed: int, name: str) -> dict[str, float]:
    """F1 of a variant under one seed, CPU seconds of its training, its steps and its parameters."""
    sizes = (LABELLED, VALIDATION, TEST)
    labelled, *others = (arrays(count, 3 * seed + part) for part, count in enumerate(sizes))
    started, epochs = time.process_time(), EPOCHS.get(name, 4)
    model = train_model(labelled, seed, epochs, **VARIANTS[name])
    seconds = time.process_time() - started
    (validated, at), (tested, found) = (
        (window_events(*rest), candidates(model, torch.as_tensor(data), 50)) for data, *rest in others
    )
    threshold = best_at_5_ms(validated, at)
    kept = [events.above(threshold) for events in found]
    return {
        "F1": f1(tested, kept),
        "F1 at 1 ms": f1(tested, kept, 1.0),
        "training (CPU s)": seconds,
        "steps": epochs * -(-len(labelled[0]) // BATCH),
        "parameters": parameters(model),
    }


EXPERIMENT = Experiment(
    measure,
    settings=grid("{name}", name=VARIANTS),
    cheapest="whole model",
    seeds=range(5),
    label="{what}: {setting}",
    unchecked="CPU s",
    details=by_seed,
)
