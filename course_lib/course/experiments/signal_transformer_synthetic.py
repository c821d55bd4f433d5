"""The signal transformer on ten kinds of generated signal in 5 epochs, and without each of its pieces.

Training set of seed s: `synthetic_signals(120, 256, seed=s)`, 1,200 signals; test set: 500 others, the same for all
seeds. 5 epochs of batches of 16 (375 steps) of AdamW 2e-3 with warm-up and cosine, focal loss with gamma 2, gradients
clipped at 1, bfloat16 autocast, the last epoch's weights. About 30 CPU seconds a training where bfloat16 is fast.
Every variant is trained with every seed, and scored after every epoch. Beside them: logistic regression on the samples.
"""

from functools import partial
from typing import Any

import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.utils.data import DataLoader

from course_lib.course.experiments import results
from course_lib.course.experiments._training import parameters, seeded
from course_lib.course.experiments.runner import Experiment, Found, by_item, column, grid, total_seconds
from course_lib.data import SignalDataset, synthetic_signals
from course_lib.losses import FocalLoss
from course_lib.models import SignalSequenceTransformer, SignalTransformerConfig
from course_lib.training import cosine_with_warmup, fit

LENGTH, PER_CLASS, EPOCHS, BATCH = 256, 120, 5, 16
ALL = "all pieces"
LINEAR = "logistic regression on samples"
VARIANTS: dict[str, dict[str, Any]] = {
    ALL: {},
    "no positions": {"positions": "none"},
    "sinusoids for RoPE": {"positions": "sinusoidal"},
    "GELU for SwiGLU": {"feed_forward": "gelu"},
    "LayerNorm for RMSNorm": {"norm_kind": "layer"},
    "mean for attention pooling": {"pooling": "mean"},
    "cross-entropy for focal loss": {"loss": nn.CrossEntropyLoss()},
    "no squeeze-and-excitation": {"squeeze": False},
    "plain convolution": {"dilations": (1,), "squeeze": False, "residual": False},
    "deep stack without residuals": {"residual": False},
    "no encoder": {"num_layers": 0},
}


def measure(seed: int, variant: str, epochs: int) -> dict:
    """Accuracy on the test signals, after each epoch too; of a network its parameters."""
    train_set, test = synthetic_signals(PER_CLASS, LENGTH, seed=seed), synthetic_signals(50, LENGTH, seed=1_000)
    if variant == LINEAR:
        return {"accuracy": LogisticRegression(max_iter=1_000).fit(*train_set).score(*test)}
    options = dict(VARIANTS[variant])
    loss = options.pop("loss", FocalLoss(gamma=2.0))
    model = seeded(seed, SignalSequenceTransformer, SignalTransformerConfig(10, LENGTH, **options))
    chance = torch.Generator().manual_seed(seed)
    history = fit(
        model,
        DataLoader(SignalDataset(*train_set), BATCH, shuffle=True, drop_last=True, generator=chance),
        validation=DataLoader(SignalDataset(*test), 250),
        epochs=epochs,
        loss=loss,
        optimizer=partial(torch.optim.AdamW, lr=2e-3, weight_decay=0.01),
        schedule=cosine_with_warmup,
        clip_norm=1.0,
        amp=True,
        generator=chance,
        progress=False,
    )
    accuracies = list(history.table.validation_accuracy)
    return {"accuracy": accuracies[-1], "parameters": parameters(model), "accuracies": accuracies}


def rows(found: Found) -> list[dict]:
    """Every variant's accuracy; of all pieces the size, the steps and the accuracy after every epoch."""
    made, steps = [], 10 * PER_CLASS // BATCH
    for variant, cells in found.items():
        accuracies = column(cells, "accuracy")
        made.append(results.over_seeds(f"accuracy: {variant}", accuracies, total_seconds(cells)))
    if ALL in found:
        curves = column(found[ALL], "accuracies")  # (seeds, epochs)
        sizes = {"steps": curves.shape[1] * steps, "parameters": found[ALL][0]["parameters"]}
        made += [{"measure": name, "value": value} for name, value in sizes.items()]
        for epoch, values in enumerate(curves.T, start=1):
            made.append(results.over_seeds(f"accuracy after epoch {epoch} ({epoch * steps} steps)", values))
    return made


def details(found: Found) -> dict[str, pd.DataFrame]:
    curves = by_item(found, "accuracies", "epoch", "accuracy", by="variant")
    return {} if curves.empty else {"epochs": curves}


EXPERIMENT = Experiment(
    measure,
    settings=grid("{variant}", variant=(LINEAR, *VARIANTS)),
    seeds=(0, 1, 2, 3, 4),
    options={"epochs": (EPOCHS, "passes over the training signals")},
    rows=rows,
    details=details,
    details_by="variant",
    cheapest="no encoder",
)
