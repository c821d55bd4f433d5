"""The training recipe on ESC-10, whole and with one part changed at a time: 2 seeds, 5 folds, paired differences.

LogMelCNN on small log-mel pictures (32 bands, 31 columns of 160 ms), 30 epochs, batches of 32. The recipe: AdamW 4e-3
with decay 0.05 on matrices, 10 % warm-up and cosine, gradients clipped at 1, label smoothing 0.1, the augmentation of
notebook 02 with every second clip mixed, a moving average of the weights (0.95), bfloat16; the last epoch's weights.
Rate, mixing and average were chosen in a few trials on the fifth fold.

Every fold of every seed is a training of its own; each variant has the same ones, from the same first weights, so its
change is a mean of paired differences. Two kinds of noise are told: `std`, the standard deviation over these
trainings, and `standard_error` over recordings (other sounds), with the clips of one recording averaged first.
About 40 CPU seconds for a variant with two seeds, 8 CPU minutes in all.
"""

from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd
import torch
from scipy.special import log_softmax
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from course_lib.course.experiments import results
from course_lib.course.experiments._esc10_runs import CLIPS, MEL_RATE, ensemble, five_folds, trained
from course_lib.course.experiments._training import seeded
from course_lib.course.experiments.runner import Experiment, Found, column, grid, total_seconds
from course_lib.data import AudioData, LogMelAugmentation, log_mel
from course_lib.models import LogMelCNN
from course_lib.training import adamw, compare, cosine_with_warmup

EPOCHS = 30
RATE = 4e-3
WHOLE, NOTHING = "whole recipe", "none of it"

RECIPE = {
    "optimizer": partial(adamw, lr=RATE, weight_decay=0.05),
    "schedule": cosine_with_warmup,
    "clip_norm": 1.0,
    "loss": nn.CrossEntropyLoss(label_smoothing=0.1),
    "train_transform": LogMelAugmentation(10, mixed=0.5),
    "average_decay": 0.95,
    "amp": True,
}
CHANGES = {
    WHOLE: {},
    "rate × 4": {"optimizer": partial(adamw, lr=4 * RATE, weight_decay=0.05)},
    "rate ÷ 4": {"optimizer": partial(adamw, lr=RATE / 4, weight_decay=0.05)},
    "constant rate": {"schedule": None},
    "constant rate, no average": {"schedule": None, "average_decay": None},
    "no warm-up": {"schedule": partial(cosine_with_warmup, warmup=0.0)},
    "no clipping": {"clip_norm": None},
    "no augmentation": {"train_transform": None},
    "no label smoothing": {"loss": nn.CrossEntropyLoss()},
    "no average": {"average_decay": None},
    "no weight decay": {"optimizer": partial(adamw, lr=RATE, weight_decay=0.0)},
    "float32": {"amp": False},
    NOTHING: {
        "optimizer": partial(adamw, lr=RATE, weight_decay=0.0),
        **dict.fromkeys(("schedule", "clip_norm", "loss", "train_transform", "average_decay")),
        "amp": False,
    },
}


def small_pictures(data: AudioData) -> Tensor:
    """Log-mel pictures (N, 32, frames) of log10 power, each value the mean power of 2 bands by 4 frames of 40 ms."""
    pictures = np.asarray(log_mel(data.resample(MEL_RATE).signals, MEL_RATE, cache=True))  # (N, 64, frames)
    frames = pictures.shape[2] // 4
    power = 10 ** pictures[:, :, : 4 * frames].reshape(len(pictures), 32, 2, frames, 4)
    return torch.from_numpy(np.log10(power.mean(axis=(2, 4))).astype(np.float32))


def train(x: Tensor, y: Tensor, seed: int, *, epochs: int = EPOCHS, **changes) -> nn.Module:
    """A LogMelCNN trained on pictures x (N, bands, frames) and classes y (N,), 0 to 9, by `RECIPE` with `changes`.

    changes: arguments of `course_lib.training.fit`.  seed: of the first weights, the order and the augmentation.
    """
    order, chance = (torch.Generator().manual_seed(seed + offset) for offset in (1000, 2000))
    return trained(seeded(seed, LogMelCNN, 10), TensorDataset(x, y), chance, order, epochs=epochs, **RECIPE | changes)


def measure(seed: int, data: AudioData, variant: str) -> dict:
    """Out-of-fold logits of one variant; for every variant the same first weights and order of clips."""
    options = {"epochs": EPOCHS, "curves": False} | RECIPE | CHANGES[variant]
    found = five_folds(partial(LogMelCNN, 10), small_pictures(data), data, seed, **options)
    right = float((found.predictions == data.labels).mean())
    return {"accuracy": right, "logits": found.logits.astype(float).round(4).tolist()}


def of_clips(logits: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """score → (models, N), of every clip.  logits: (models, N, C)."""
    right_class = np.take_along_axis(log_softmax(logits, axis=2), labels[None, :, None], axis=2)[..., 0]
    return {"accuracy": (logits.argmax(2) == labels).astype(float), "log loss": -right_class}


def by_training(values: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Means over the clips of each fold: (seeds, N) to (seeds, folds)."""
    return np.stack([values[:, folds == fold].mean(1) for fold in np.unique(folds)], axis=1)


def rows(found: Found, data: AudioData) -> list[dict]:
    """Every variant's scores, its changes from the whole recipe under two kinds of noise, and ensembles of two."""
    made = []
    clips = {variant: of_clips(column(cells, "logits"), data.labels) for variant, cells in found.items()}
    for variant, scores in clips.items():
        seconds = total_seconds(found[variant])
        made += [results.over_seeds(f"{variant}: {name}", v.mean(1), seconds) for name, v in scores.items()]
    for variant in clips.keys() - {WHOLE} if WHOLE in clips else ():
        for name, whole in clips[WHOLE].items():
            values, seeds = clips[variant][name], {"seeds": len(whole)}
            change = by_training(values - whole, data.folds).ravel()  # paired
            made.append(results.over_seeds(f"{variant}: change in {name}, over trainings", change) | seeds)
            found_change = compare(values.mean(0), whole.mean(0), groups=data.groups)
            made.append(results.difference(f"{variant}: change in {name}, over recordings", found_change) | seeds)
    for variant in (WHOLE, NOTHING):
        logits = column(found.get(variant, []), "logits")
        for size in range(2, len(logits) + 1):
            teams = [ensemble(logits[list(team)]) for team in combinations(range(len(logits)), size)]
            for name, values in of_clips(np.stack(teams), data.labels).items():
                row = results.over_seeds(f"{variant}, ensemble of {size}: {name}", values.mean(1))
                made.append(row | {"seeds": len(logits)})
    return made


def details(found: Found, data: AudioData) -> dict[str, pd.DataFrame]:
    """A row a training."""
    tables = []
    for variant, cells in found.items():
        scores = of_clips(column(cells, "logits"), data.labels)
        means = {name.replace(" ", "_"): by_training(v, data.folds) for name, v in scores.items()}
        for i, cell in enumerate(cells):
            values = {name: of_seeds[i] for name, of_seeds in means.items()}
            folds = np.unique(data.folds)
            tables.append(pd.DataFrame({"variant": variant, "seed": cell["seed"], "fold": folds} | values))
    return {"trainings": pd.concat(tables)}


EXPERIMENT = Experiment(
    measure,
    settings=grid("{variant}", variant=CHANGES),
    seeds=(0, 1),
    rows=rows,
    details=details,
    details_by="variant",
    cheapest=WHOLE,
    **CLIPS,
)
