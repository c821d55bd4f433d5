"""What the recorded runs on ESC-10 share: pictures, one recipe, cross-validation, a table of predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from scipy.special import softmax
from sklearn.model_selection import PredefinedSplit
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from course_lib.course.experiments._training import parameters
from course_lib.data import AudioData, LogMelAugmentation, load_esc10, log_mel
from course_lib.training import CrossValidation, adamw, cosine_with_warmup, cross_validate, fit, predict

M = TypeVar("M", bound=nn.Module)
MEL_RATE = 22_050
TEST_FOLD = 5
CLIPS: dict[str, Any] = {"source": "ESC-10", "load": partial(load_esc10, sample_rate=MEL_RATE)}  # of an `Experiment`
RECIPE: dict[str, Any] = {
    "epochs": 100,
    "batch_size": 32,
    "loss": nn.CrossEntropyLoss(label_smoothing=0.1),
    "optimizer": partial(torch.optim.AdamW, lr=4e-3, betas=(0.9, 0.98), weight_decay=0.05),
    "schedule": cosine_with_warmup,
    "clip_norm": 1.0,
    "train_transform": LogMelAugmentation(10),
    "amp": True,
}
ATTENTIVE: dict[str, Any] = {  # what the attentive CNN changes
    "optimizer": partial(adamw, lr=1e-3, betas=(0.9, 0.98), weight_decay=0.05),
    "train_transform": LogMelAugmentation(10, mixed=0.5),
}


def average_pairs(pictures: np.ndarray) -> np.ndarray:
    """The mean power of frames 0 and 1, 2 and 3, …: (N, n_mels, frames) log10 of power to (N, n_mels, frames // 2)."""
    frames = pictures.shape[2] // 2 * 2
    return np.log10((10 ** pictures[:, :, :frames:2] + 10 ** pictures[:, :, 1:frames:2]) / 2)


def columns(data: AudioData) -> np.ndarray:
    """Log-mel pictures of 80 ms a column: (N, 64, 63) float32 for clips of 5 s at 22.05 kHz."""
    return average_pairs(log_mel(data.signals, data.sample_rate, cache=True)).astype(np.float32)


def trained(
    model: M, clips: TensorDataset, generator: torch.Generator, order: torch.Generator | None = None, **changes: Any
) -> M:
    """The model after training on (pictures, classes) by `RECIPE` with `changes`.  order: shuffles the clips."""
    options = RECIPE | changes
    loader = DataLoader(clips, options.pop("batch_size"), shuffle=True, generator=order)
    fit(model, loader, generator=generator, progress=False, **options)
    return model


def five_folds(
    make_model: Callable[[], nn.Module], x: np.ndarray, data: AudioData, seed: int, **changes: Any
) -> CrossValidation:
    """The five official folds, by `RECIPE` with `changes`."""
    return cross_validate(
        make_model,
        x,
        data.labels,
        folds=data.folds,
        groups=data.groups,
        generator=torch.Generator().manual_seed(seed),
        progress=False,
        **RECIPE | changes,
    )


def four_folds(
    make_model: Callable[[], nn.Module], x: np.ndarray, data: AudioData, seed: int, folds: Iterable[int], **options: Any
) -> dict[str, list]:
    """Fold 5 held out; trained on three of the others, validated on one: a list over `folds` of each measure.

    Training accuracy is that of the last weights, in evaluation mode; curves and logits are of the validation fold.
    """
    models: list[nn.Module] = []

    def make() -> nn.Module:
        models.append(make_model())
        return models[-1]

    known = data.folds != TEST_FOLD
    numbers = data.folds[known]
    found = cross_validate(
        make,
        x[known],
        data.labels[known],
        splitter=PredefinedSplit(np.where(np.isin(numbers, list(folds)), numbers, -1)),
        generator=torch.Generator().manual_seed(seed),
        progress=False,
        **options,
    )
    values: dict[str, list] = {
        "validation accuracy": found.table["accuracy"].tolist(),
        "macro F1": found.table["macro_f1"].tolist(),
        "ROC AUC": found.table["roc_auc"].tolist(),
        "training accuracy": [],
        "test accuracy": [],
        "parameters": [parameters(model) for model in models],
        "curves": [history.table.to_dict("list") for history in found.histories.values()],
        "logits": [found.logits[numbers == fold].tolist() for fold in folds],
    }
    for model, fold in zip(models, folds, strict=True):
        right = predict(model, x, batch_size=80, amp=options["amp"]).argmax(1) == data.labels
        values["training accuracy"].append(float(right[known & (data.folds != fold)].mean()))
        values["test accuracy"].append(float(right[~known].mean()))
    return values


def ensemble(logits: np.ndarray) -> np.ndarray:
    """Log of the mean probability of several models: (models, N, C) to (N, C)."""
    return np.log(softmax(logits, axis=-1).mean(axis=0))


def predictions(
    data: AudioData, logits: np.ndarray | list, rows: np.ndarray | slice = slice(None), **named: Any
) -> pd.DataFrame:
    """A row a clip: file, label, fold, the columns in `named`, and the logits of each class.  rows: of the data."""
    clips = pd.DataFrame({"file": np.array(data.files)[rows], "label": data.labels[rows], "fold": data.folds[rows]})
    return pd.concat([clips.assign(**named), pd.DataFrame(logits).add_prefix("logit_")], axis=1)
