"""The signal transformer on ten kinds of generated signal in 5 epochs, and without each of its pieces.

Training set of seed s: `synthetic_signals(120, 256, seed=s)`, 1,200 signals; test set: 500 others, the same for all
seeds. 5 epochs of batches of 16 (375 steps) of AdamW 2e-3 with warm-up and cosine, focal loss with gamma 2, gradients
clipped at 1, bfloat16 autocast, the last epoch's weights. About 30 CPU seconds a training where bfloat16 is fast.
Every variant is trained with every seed. Beside them: logistic regression on the samples.

Writes figures/results/signal_transformer_synthetic.csv and, under figures/results/detail/,
signal_transformer_synthetic_epochs.csv (accuracy after every epoch, of every variant and seed). Rows are written as
soon as a variant is done; `--only` measures some of the variants. A run that was stopped goes on after the last
training that it finished.
"""

import time
from functools import partial

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.utils.data import DataLoader

from course_lib.course.experiments import results
from course_lib.course.experiments._resume import once
from course_lib.data import SignalDataset, synthetic_signals
from course_lib.files import replacing
from course_lib.losses import FocalLoss
from course_lib.models import SignalSequenceTransformer, SignalTransformerConfig
from course_lib.paths import RESULTS, cache_dir
from course_lib.training import cosine_with_warmup, fit

LENGTH, PER_CLASS, EPOCHS, BATCH = 256, 120, 5, 16
ALL = "all pieces"
VARIANTS = {
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


def add_arguments(parser) -> None:
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="(default: 0 to 4)")
    parser.add_argument("--only", nargs="+", choices=[*VARIANTS, "logistic regression"], help="(default: all)")


def run(arguments) -> None:
    wanted = arguments.only or [*VARIANTS, "logistic regression"]
    test = synthetic_signals(50, LENGTH, seed=1_000)
    if "logistic regression" in wanted:
        _record("logistic regression on samples", [_logistic(seed, test) for seed in arguments.seeds], arguments)
    for variant in [name for name in VARIANTS if name in wanted]:
        files = [
            cache_dir() / "signal-transformer" / f"{variant.replace(' ', '-')}-{seed}.json" for seed in arguments.seeds
        ]
        found = [
            once(file, lambda variant=variant, seed=seed: train(seed, test, **VARIANTS[variant]))
            for file, seed in zip(files, arguments.seeds, strict=True)
        ]
        _record(variant, [(one["accuracies"][-1], one["seconds"]) for one in found], arguments)
        _record_epochs(variant, found, arguments)
        for file in files:
            file.unlink()


def train(seed: int, test: tuple[np.ndarray, np.ndarray], loss: nn.Module | None = None, **options) -> dict:
    """Test "accuracies" after each epoch, CPU "seconds" and "parameters". options: of SignalTransformerConfig."""
    torch.manual_seed(seed)
    model = SignalSequenceTransformer(SignalTransformerConfig(10, LENGTH, **options))
    chance = torch.Generator().manual_seed(seed)
    train_set = SignalDataset(*synthetic_signals(PER_CLASS, LENGTH, seed=seed))
    started = time.process_time()
    history = fit(
        model,
        DataLoader(train_set, BATCH, shuffle=True, drop_last=True, generator=chance),
        validation=DataLoader(SignalDataset(*test), 250),
        epochs=EPOCHS,
        loss=loss or FocalLoss(gamma=2.0),
        optimizer=partial(torch.optim.AdamW, lr=2e-3, weight_decay=0.01),
        schedule=cosine_with_warmup,
        clip_norm=1.0,
        amp=True,
        generator=chance,
        progress=False,
    )
    return {
        "accuracies": list(history.table.validation_accuracy),
        "seconds": time.process_time() - started,
        "parameters": sum(p.numel() for p in model.parameters()),
    }


def _logistic(seed: int, test: tuple[np.ndarray, np.ndarray]) -> tuple[float, float]:
    started = time.process_time()
    linear = LogisticRegression(max_iter=1_000).fit(*synthetic_signals(PER_CLASS, LENGTH, seed=seed))
    return linear.score(*test), time.process_time() - started


def _record(name: str, found: list[tuple[float, float]], arguments) -> None:
    accuracies, seconds = zip(*found, strict=True)
    row = results.over_seeds(f"accuracy: {name}", accuracies, sum(seconds))
    results.record("signal_transformer_synthetic", [row], arguments.command)
    print(f"{name}: {row['value']:.3f} ± {row['std']}, {row['seconds']} CPU s", flush=True)


def _record_epochs(variant: str, found: list[dict], arguments) -> None:
    """The accuracy after each epoch: of all pieces in the table too, of any variant in the file under detail/."""
    steps = EPOCHS * (10 * PER_CLASS // BATCH)
    curves = np.array([one["accuracies"] for one in found])  # (seeds, epochs)
    if variant == ALL:
        sizes = {"steps": steps, "parameters": found[0]["parameters"]}
        rows = [{"measure": name, "value": value} for name, value in sizes.items()]
        rows += [
            results.over_seeds(f"accuracy after epoch {epoch} ({epoch * steps // EPOCHS} steps)", curves[:, epoch - 1])
            for epoch in range(1, EPOCHS + 1)
        ]
        results.record("signal_transformer_synthetic", rows, arguments.command)
    table = pd.DataFrame(
        [
            {"variant": variant, "seed": seed, "epoch": epoch, "accuracy": round(accuracy, 4)}
            for seed, one in zip(arguments.seeds, found, strict=True)
            for epoch, accuracy in enumerate(one["accuracies"], 1)
        ]
    )
    file = RESULTS / "detail" / "signal_transformer_synthetic_epochs.csv"
    if file.exists():  # variants that were measured before keep their rows
        before = pd.read_csv(file)
        table = pd.concat([before[before["variant"] != variant], table])
    with replacing(file) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
