"""Six ways to pool over time on one backbone: mean, max, statistics, attention, its statistics, CLS; ESC-10, 5 folds.

The convolutions of LogMelCNN make eight tokens of a clip, 640 ms each; a head makes one vector of them; a linear layer
names the class. Data, augmentation and recipe are those of `log_mel_cnn` (100 epochs, the last epoch's weights), so
that only the head differs. About 2.5 CPU minutes for five folds of one head where bfloat16 is fast. What was measured
is kept in the cache until every head and seed is done, so a run that was stopped goes on.

Writes figures/results/pooling.csv: for each head the accuracy (std over seeds, over the folds where there is one seed),
its parameters, and the gain over the mean, paired clip by clip (std: the standard error of that difference).
"""

import shutil
import time
from functools import partial

import numpy as np
import torch
from torch import nn

from course_lib.course.experiments import results
from course_lib.course.experiments._resume import once
from course_lib.course.experiments.log_mel_cnn import SAMPLE_RATE, average_pairs
from course_lib.data import LogMelAugmentation, load_esc10, log_mel
from course_lib.models import LogMelFeatures, PooledClassifier
from course_lib.models.pooled_classifier import HEADS
from course_lib.paths import cache_dir
from course_lib.training import cosine_with_warmup, cross_validate

EPOCHS = 100
EMBED_DIM = 128


def make_model(head: str) -> PooledClassifier:
    """The recorded run's model for log-mel pictures (B, 64, frames) and ten classes."""
    return PooledClassifier(LogMelFeatures(EMBED_DIM), head, EMBED_DIM, 10)


def add_arguments(parser) -> None:
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="(default: 0 1 2)")
    parser.add_argument("--heads", nargs="+", choices=list(HEADS), default=list(HEADS), help="(default: all)")


def run(arguments) -> None:
    data = load_esc10(sample_rate=SAMPLE_RATE)
    x = average_pairs(log_mel(data.signals, SAMPLE_RATE, cache=True))  # (400, 64, 63)
    unfinished = cache_dir() / "pooling"
    found = {}
    for head in arguments.heads:
        for seed in arguments.seeds:
            file = unfinished / f"{head.replace(' ', '-')}-{seed}.json"
            found[head, seed] = once(file, partial(_measure, x, data, head, seed))
            print(f"{head}, seed {seed}: {np.mean(found[head, seed]['right']):.4f}", flush=True)
    results.record("pooling", _rows(found, data.folds, arguments), arguments.command)
    if arguments.heads == list(HEADS):
        shutil.rmtree(unfinished)


def _measure(x: np.ndarray, data, head: str, seed: int) -> dict:
    """Five folds of one head: which clips came out right, and CPU seconds."""
    started = time.process_time()
    cv = cross_validate(
        partial(make_model, head),
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
        train_transform=LogMelAugmentation(10),
        amp=True,
        generator=torch.Generator().manual_seed(seed),
        progress=False,
    )
    return {"right": (cv.predictions == data.labels).tolist(), "seconds": time.process_time() - started}


def _rows(found: dict, folds: np.ndarray, arguments) -> list[dict]:
    rows, seeds = [], arguments.seeds
    right = {head: np.array([found[head, seed]["right"] for seed in seeds], float) for head in arguments.heads}
    for head, clips in right.items():  # (seeds, clips)
        parts = [clips[0, folds == fold].mean() for fold in np.unique(folds)]
        took = {"seeds": len(seeds), "seconds": round(sum(found[head, seed]["seconds"] for seed in seeds))}
        spread = results.spread(clips.mean(1) if len(seeds) > 1 else parts)
        rows.append({"measure": f"{head}: accuracy", "value": clips.mean(), "std": spread} | took)
        if "mean" in right and head != "mean":
            gain = (clips - right["mean"]).mean(0)  # (clips,), mean over seeds
            error = np.std(gain, ddof=1) / len(gain) ** 0.5
            rows.append({"measure": f"{head}: gain over the mean", "value": gain.mean(), "std": error} | took)
        count = sum(p.numel() for p in make_model(head).parameters())
        rows.append({"measure": f"{head}: parameters", "value": count})
    return [row | {key: round(float(row[key]), 4) for key in ("value", "std") if key in row} for row in rows]
