"""LogMelCNN on the five official folds of ESC-10, with and without augmentation, and without each part of it.

Log-mel at 22.05 kHz (window 2,048, hop 882, 64 Slaney mels), powers of neighbouring frames averaged (80 ms a column);
100 epochs of AdamW 4e-3 with warm-up and cosine, batches of 32, label smoothing 0.1, gradients clipped at 1, the last
epoch's weights. About 2.5 CPU minutes for five folds where bfloat16 is fast. Seeds are repeated for "all parts"; each
other variant is measured with the first seed.
The recipe was put together with an eye on these five folds (a dozen settings), so its score is a little too good.

Writes figures/results/log_mel_cnn.csv and, under figures/results/detail/, log_mel_cnn_curves.csv and
log_mel_cnn_predictions.csv (out-of-fold logits of the first seed). A run that was stopped goes on after the last
variant that it finished.
"""

import shutil
import time
from functools import partial

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import accuracy_score, f1_score
from torch import nn

from course_lib.course.experiments import results
from course_lib.course.experiments._resume import once
from course_lib.data import LogMelAugmentation, load_esc10, log_mel
from course_lib.files import replacing
from course_lib.models import LogMelCNN
from course_lib.paths import RESULTS, cache_dir
from course_lib.training import cosine_with_warmup, cross_validate

SAMPLE_RATE = 22_050
EPOCHS = 100
ALL, NONE = "all parts", "no augmentation"
VARIANTS = {ALL: LogMelAugmentation.PARTS, NONE: ()} | {
    f"without {part}": tuple(p for p in LogMelAugmentation.PARTS if p != part) for part in LogMelAugmentation.PARTS
}


def average_pairs(pictures: np.ndarray) -> np.ndarray:
    """The mean power of frames 0 and 1, 2 and 3, …: (N, n_mels, frames) log10 of power to (N, n_mels, frames // 2)."""
    frames = pictures.shape[2] // 2 * 2
    return np.log10((10 ** pictures[:, :, :frames:2] + 10 ** pictures[:, :, 1:frames:2]) / 2)


def add_arguments(parser) -> None:
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="(default: 0 1 2)")


def run(arguments) -> None:
    data = load_esc10(sample_rate=SAMPLE_RATE)
    x = average_pairs(log_mel(data.signals, SAMPLE_RATE, cache=True))  # (400, 64, 63)
    unfinished = cache_dir() / "log-mel-cnn"
    done = {}
    for variant, parts in VARIANTS.items():
        for seed in arguments.seeds if variant == ALL else arguments.seeds[:1]:
            file = unfinished / f"{variant.replace(' ', '-')}-{seed}.json"
            done[variant, seed] = once(file, partial(_measure, x, data, parts, seed))
            logits = np.array(done[variant, seed]["logits"])
            print(f"{variant}, seed {seed}: {accuracy_score(data.labels, logits.argmax(1)):.3f}", flush=True)
    _record(done, data, arguments)
    shutil.rmtree(unfinished)


def _measure(x: np.ndarray, data, parts: tuple[str, ...], seed: int) -> dict:
    """Five folds of one variant: out-of-fold logits, learning curves and CPU seconds."""
    started = time.process_time()
    found = cross_validate(
        LogMelCNN,
        x,
        data.labels,
        folds=data.folds,
        groups=data.groups,
        epochs=EPOCHS,
        batch_size=32,
        loss=nn.CrossEntropyLoss(label_smoothing=0.1),
        optimizer=partial(torch.optim.AdamW, lr=4e-3, betas=(0.9, 0.98), weight_decay=0.05),
        schedule=cosine_with_warmup,
        clip_norm=1.0,
        train_transform=LogMelAugmentation(10, parts),
        amp=True,
        generator=torch.Generator().manual_seed(seed),
    )
    seconds = time.process_time() - started
    curves = [
        history.table.drop(columns=["learning_rate", "seconds"]).assign(fold=fold)
        for fold, history in found.histories.items()
    ]
    return {
        "logits": found.logits.tolist(),
        "curves": pd.concat(curves).to_dict("list"),
        "seconds": seconds,
    }


def _record(done: dict, data, arguments) -> None:
    """Write the table and the detail files.  std is over seeds where there are several, else over the five folds."""
    accuracy, f1, seconds = {}, {}, {}  # (variant, seed) -> per fold, pooled, CPU seconds
    for key, found in done.items():
        predictions = np.array(found["logits"]).argmax(1)
        right = predictions == data.labels
        accuracy[key] = np.array([right[data.folds == fold].mean() for fold in np.unique(data.folds)])
        f1[key] = f1_score(data.labels, predictions, average="macro")
        seconds[key] = found["seconds"]
    rows = []

    def row(measure: str, values: np.ndarray, seeds: int, took: float) -> None:
        value, std = round(float(np.mean(values)), 4), results.spread(values)
        rows.append({"measure": measure, "value": value, "std": std, "seeds": seeds, "seconds": round(took)})

    first = arguments.seeds[0]
    repeated = [(ALL, seed) for seed in arguments.seeds]
    took = sum(seconds[key] for key in repeated)
    row("accuracy", np.array([accuracy[key].mean() for key in repeated]), len(repeated), took)
    row("macro F1", np.array([f1[key] for key in repeated]), len(repeated), took)
    for fold in range(5):
        row(f"accuracy, fold {fold + 1}", np.array([accuracy[key][fold] for key in repeated]), len(repeated), took)
    for variant in VARIANTS:
        row(f"ablation: {variant}", accuracy[variant, first], 1, seconds[variant, first])
    results.record("log_mel_cnn", rows, arguments.command)

    curves = [pd.DataFrame(done[variant, first]["curves"]).assign(variant=variant) for variant in (ALL, NONE)]
    predictions = []
    for variant in (ALL, NONE):
        logits = np.array(done[variant, first]["logits"])
        clips = pd.DataFrame({"file": data.files, "label": data.labels, "fold": data.folds, "variant": variant})
        columns = [f"logit_{i}" for i in range(logits.shape[1])]
        predictions.append(pd.concat([clips, pd.DataFrame(logits, columns=columns)], axis=1))
    for name, tables in (("curves", curves), ("predictions", predictions)):
        with replacing(RESULTS / "detail" / f"log_mel_cnn_{name}.csv") as temporary:
            pd.concat(tables).to_csv(temporary, index=False, float_format="%.4f", lineterminator="\n")
