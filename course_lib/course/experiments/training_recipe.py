"""The training recipe on ESC-10, whole and with one part changed at a time: 2 seeds, 5 folds, paired differences.

LogMelCNN on small log-mel pictures (32 bands, 31 columns of 160 ms), 30 epochs, batches of 32. The recipe: AdamW 4e-3
with decay 0.05 on matrices, 10 % warm-up and cosine, gradients clipped at 1, label smoothing 0.1, the augmentation of
notebook 02 with every second clip mixed, a moving average of the weights (0.95), bfloat16; the last epoch's weights.
Rate, mixing and average were chosen in a few trials on the fifth fold.

Every fold of every seed is a training of its own; each variant has the same ones, from the same first weights, so its
change is a mean of paired differences. Two kinds of noise are told: the standard deviation over these trainings, and
the standard error over recordings (other sounds), with all clips of one recording counted together.
About 40 CPU seconds for a variant with two seeds, 8 CPU minutes in all. What was measured is kept in the cache until
all of it is, so a run that was stopped goes on.

Writes figures/results/training_recipe.csv and, under detail/, training_recipe_trainings.csv (one row a training).
"""

import shutil
import time
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd
import torch
from scipy.special import log_softmax, softmax
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from course_lib.course.experiments import results
from course_lib.course.experiments._resume import once
from course_lib.data import AudioData, LogMelAugmentation, load_esc10, log_mel
from course_lib.files import replacing
from course_lib.models import LogMelCNN
from course_lib.paths import RESULTS, cache_dir
from course_lib.training import adamw, cosine_with_warmup, fit, predict
from course_lib.training.rng import isolated

SAMPLE_RATE = 22_050
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
    pictures = np.asarray(log_mel(data.resample(SAMPLE_RATE).signals, SAMPLE_RATE, cache=True))  # (N, 64, frames)
    frames = pictures.shape[2] // 4
    power = 10 ** pictures[:, :, : 4 * frames].reshape(len(pictures), 32, 2, frames, 4)
    return torch.from_numpy(np.log10(power.mean(axis=(2, 4))).astype(np.float32))


def train(x: Tensor, y: Tensor, seed: int, *, epochs: int = EPOCHS, **changes) -> nn.Module:
    """A LogMelCNN trained on pictures x (N, bands, frames) and classes y (N,), 0 to 9, by `RECIPE` with `changes`.

    changes: arguments of `course_lib.training.fit`.  seed: of the first weights, the order and the augmentation.
    """
    with isolated(seed, torch.device("cpu")):
        model = LogMelCNN(10)
    order, chance = (torch.Generator().manual_seed(seed + offset) for offset in (1000, 2000))
    loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True, generator=order)
    fit(model, loader, epochs=epochs, generator=chance, progress=False, **RECIPE | changes)
    return model


def log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean of -log of the right class' probability.  logits (N, C), labels (N,)."""
    return float(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())


def ensemble(logits: np.ndarray) -> np.ndarray:
    """Log of the mean probability of several models: (models, N, C) to (N, C)."""
    return np.log(softmax(logits, axis=-1).mean(axis=0))


def clustered_error(values: np.ndarray, groups: np.ndarray) -> float:
    """Standard error of the mean of values (N,), where those of one group (N,) may go up and down together.

    Source: Liang and Zeger 1986, for a mean.
    """
    sums = pd.Series(values - values.mean()).groupby(np.asarray(groups)).sum().to_numpy()
    return float(np.sqrt(len(sums) / (len(sums) - 1) * (sums**2).sum()) / len(values))


def add_arguments(parser) -> None:
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="(default: 0 1)")


def run(arguments) -> None:
    data = load_esc10(sample_rate=SAMPLE_RATE)
    x, unfinished, found = small_pictures(data), cache_dir() / "training-recipe", {}
    for seed in arguments.seeds:
        for variant in CHANGES:
            file = unfinished / f"{variant.replace(' ', '-')}-{seed}.json"
            found[variant, seed] = once(file, partial(_measure, x, data, variant, seed))
            right = np.array(found[variant, seed]["logits"]).argmax(1) == data.labels
            print(f"seed {seed}, {variant}: {right.mean():.4f}, {found[variant, seed]['seconds']} s", flush=True)
    _record(found, data, arguments)
    shutil.rmtree(unfinished)


def _measure(x: Tensor, data: AudioData, variant: str, seed: int) -> dict:
    """Out-of-fold logits of one variant and seed, and CPU seconds."""
    started, y = time.process_time(), torch.from_numpy(data.labels)
    logits = np.zeros((len(x), 10))
    for fold in np.unique(data.folds):
        held_out = torch.from_numpy(data.folds == fold)
        model = train(x[~held_out], y[~held_out], 10 * seed + int(fold), **CHANGES[variant])
        logits[held_out] = predict(model, x[held_out])
    return {"logits": logits.round(4).tolist(), "seconds": round(time.process_time() - started, 1)}


def _record(found: dict, data: AudioData, arguments) -> None:
    seeds, labels, folds = arguments.seeds, data.labels, np.unique(data.folds)
    logits = {variant: np.array([found[variant, seed]["logits"] for seed in seeds]) for variant in CHANGES}
    clips = {  # variant -> score -> (seeds, N), of every clip
        variant: {
            "accuracy": (z.argmax(2) == labels).astype(float),
            "log loss": -np.take_along_axis(log_softmax(z, axis=2), labels[None, :, None], axis=2)[..., 0],
        }
        for variant, z in logits.items()
    }
    rows, trainings = [], []

    def row(measure: str, value: float, spread: float, **more) -> None:
        rows.append({"measure": measure, "value": round(float(value), 4), "seeds": len(seeds)} | more)
        if np.isfinite(spread):
            rows[-1]["std"] = round(float(spread), 4)

    def by_training(values: np.ndarray) -> np.ndarray:
        """(seeds, N) of clips to (seeds, folds)."""
        return np.stack([values[:, data.folds == fold].mean(1) for fold in folds], axis=1)

    for variant, scores in clips.items():
        seconds = sum(found[variant, seed]["seconds"] for seed in seeds)
        for name, values in scores.items():
            row(f"{variant}: {name}", values.mean(), results.spread(values.mean(1)), seconds=round(seconds))
        for place, (i, j) in enumerate(np.ndindex(len(seeds), len(folds))):
            of_training = {
                name.replace(" ", "_"): by_training(values).flat[place].round(4) for name, values in scores.items()
            }
            trainings.append({"variant": variant, "seed": seeds[i], "fold": folds[j]} | of_training)
    for variant in list(CHANGES)[1:]:
        for name, values in clips[variant].items():
            change = values - clips[WHOLE][name]  # (seeds, N), paired
            row(f"{variant}: change in {name}, over trainings", change.mean(), results.spread(by_training(change)))
            error = clustered_error(change.mean(0), data.groups)
            row(f"{variant}: change in {name}, over recordings", change.mean(), error)
    for variant in (WHOLE, NOTHING):
        for size in range(2, len(seeds) + 1):
            teams = [ensemble(logits[variant][list(team)]) for team in combinations(range(len(seeds)), size)]
            right = np.array([(team.argmax(1) == labels).mean() for team in teams])
            row(f"{variant}, ensemble of {size}: accuracy", right.mean(), results.spread(right))
            losses = np.array([log_loss(team, labels) for team in teams])
            row(f"{variant}, ensemble of {size}: log loss", losses.mean(), results.spread(losses))
    results.record("training_recipe", rows, arguments.command)
    with replacing(RESULTS / "detail" / "training_recipe_trainings.csv") as temporary:
        pd.DataFrame(trainings).to_csv(temporary, index=False, lineterminator="\n")
