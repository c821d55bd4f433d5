"""A transformer that predicts one class for every clip, repaired one cause at a time, on fold 5 of ESC-10.

The stuck one: the waveform as it comes (whole clip at 3,200 Hz), three convolutions of kernel 3, six post-norm encoder
blocks, Adam at a constant 3e-3, and a softmax in front of a cross-entropy that takes one itself. Each row of the table
keeps the repairs of the rows above it and adds one. All rows have 48 channels, 3 heads, 6 blocks, batches of 32 and 20
epochs (the last row 100), trained on folds 1 to 4; scored is the last epoch. Then the repaired one with one cause put
back, or augmentation left out, at a time. "long kernels" is the front end of `TransformerClassifier`, which has batch
normalisation and Mish as well. Computed in bfloat16 where autocast takes it; about a quarter of an hour on a CPU.
The rows on log-mel pictures are measured with all seeds, those on waveforms with the first.

Writes figures/results/encoder_repairs.csv and figures/results/detail/encoder_repairs_curves.csv.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from course_lib.course.experiments._esc10_runs import MEL_RATE, columns
from course_lib.course.experiments.audio_cnn import whole_clip
from course_lib.course.experiments.runner import Experiment, Found
from course_lib.data import AudioData, LogMelAugmentation, load_esc10
from course_lib.models import LogMelFeatures, SmallKernelFeatures, TransformerClassifier
from course_lib.training import cosine_with_warmup, fit, predict
from course_lib.training.rng import isolated

HELD_OUT = 5
EPOCHS, MORE_EPOCHS = 20, 100
LEARNING_RATE = 3e-3


@dataclass(frozen=True)
class Setting:
    """What the rows differ in; as it stands, the stuck transformer."""

    softmax_twice: bool = True
    scaled: bool = False  # each clip to mean 0 and standard deviation 1
    scheduled: bool = False  # warm-up, cosine, gradients clipped at norm 1
    norm: str = "post"
    tokens: str = "kernel 3"  # or "long kernels", "log-mel"
    regularised: bool = False  # AdamW with decay on all weights, label smoothing 0.1
    augmented: bool = False  # LogMelAugmentation, every clip mixed
    epochs: int = EPOCHS


def repaired() -> Setting:
    """All repairs."""
    return Setting(
        softmax_twice=False,
        scaled=True,
        scheduled=True,
        norm="pre",
        tokens="log-mel",
        regularised=True,
        augmented=True,
        epochs=MORE_EPOCHS,
    )


def ladder() -> dict[str, Setting]:
    """Row → setting: every repair on top of those before it, then the causes put back one at a time."""
    rows = {"stuck": Setting()}
    for name, change in (
        ("logits into the loss", {"softmax_twice": False}),
        ("scaled waveform", {"scaled": True}),
        ("warm-up, cosine, clipping", {"scheduled": True}),
        ("pre-norm", {"norm": "pre"}),
        ("long kernels", {"tokens": "long kernels"}),
        ("log-mel tokens", {"tokens": "log-mel"}),
        ("AdamW, label smoothing", {"regularised": True}),
        ("augmentation", {"augmented": True}),
        ("100 epochs", {"epochs": MORE_EPOCHS}),
    ):
        rows[name] = replace(list(rows.values())[-1], **change)
    return rows | {
        "put back: softmax twice": replace(repaired(), softmax_twice=True),
        "put back: constant rate, no clipping": replace(repaired(), scheduled=False),
        "put back: post-norm": replace(repaired(), norm="post"),
        "left out: augmentation": replace(repaired(), augmented=False),
    }


def make_model(setting: Setting, num_classes: int = 10, num_layers: int = 6) -> TransformerClassifier:
    """The transformer of a row."""
    kinds = {"kernel 3": SmallKernelFeatures, "long kernels": lambda embed_dim: None, "log-mel": LogMelFeatures}
    return TransformerClassifier(num_classes, 48, 3, num_layers, features=kinds[setting.tokens](48), norm=setting.norm)


def prepared(x: np.ndarray, setting: Setting) -> np.ndarray:
    """Clips (N, 1, samples) as the row's model takes them."""
    if not setting.scaled:
        return x
    x = x - x.mean(axis=-1, keepdims=True)
    return x / (x.std(axis=-1, keepdims=True) + 1e-5)


def loss_of(setting: Setting):
    """The row's loss: (outputs (B, C), targets) -> scalar."""
    loss = nn.CrossEntropyLoss(label_smoothing=0.1 if setting.regularised else 0.0)
    return (lambda outputs, targets: loss(outputs.softmax(dim=1), targets)) if setting.softmax_twice else loss


def fit_options(setting: Setting, num_classes: int) -> dict[str, Any]:
    """The row's recipe, as `fit` takes it."""
    adam = partial(torch.optim.Adam, lr=LEARNING_RATE)
    if setting.regularised:
        adam = partial(torch.optim.AdamW, lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.05)
    return {
        "epochs": setting.epochs,
        "loss": loss_of(setting),
        "optimizer": adam,
        "schedule": cosine_with_warmup if setting.scheduled else None,
        "clip_norm": 1.0 if setting.scheduled else None,
        "train_transform": LogMelAugmentation(num_classes) if setting.augmented else None,
    }


def train(model: nn.Module, x: Tensor, y: Tensor, setting: Setting, seed: int, **options) -> pd.DataFrame:
    """Train in place on clips `x` (N, ...) and classes `y` (N,); returns the history's table. options: for `fit`."""
    generator = torch.Generator().manual_seed(seed)
    loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True, generator=generator)
    recipe = fit_options(setting, int(y.max()) + 1)
    return fit(model, loader, generator=generator, progress=False, **recipe | options).table


def spread_over_clips(values: Tensor | np.ndarray) -> float:
    """How far a layer's outputs (N, ...) differ from clip to clip: the standard deviation over clips, root mean square
    over everything else, as a share of the root mean square of the outputs. 0: equal for all clips.
    """
    values = torch.as_tensor(values, dtype=torch.float64).flatten(1)
    return float(values.std(dim=0, correction=0).square().mean().sqrt() / values.square().mean().sqrt())


def measure(seed: int, data: AudioData, row: str) -> dict:
    """One training: what the model says about the held-out fold, and its learning curve."""
    setting = ladder()[row]
    if setting.tokens == "log-mel":
        pictures = columns(data.resample(MEL_RATE))  # (400, 64, 63)
        x = torch.from_numpy(pictures)
    else:
        x = torch.from_numpy(prepared(whole_clip(data), setting))  # (400, 1, 16000)
    y, held_out = torch.from_numpy(data.labels), torch.from_numpy(data.folds == HELD_OUT)
    with isolated(seed, torch.device("cpu")):
        model = make_model(setting)
    curve = train(model, x[~held_out], y[~held_out], setting, seed, amp=True)
    outputs = torch.from_numpy(predict(model, x, batch_size=80, amp=True))
    right = outputs.argmax(dim=1) == y
    return {
        "accuracy": right[held_out].double().mean().item(),
        "training accuracy": right[~held_out].double().mean().item(),
        "classes predicted": float(len(outputs[held_out].argmax(dim=1).unique())),
        "spread of outputs": spread_over_clips(outputs[held_out]),
        "parameters": sum(p.numel() for p in model.parameters()),
        "loss": curve["train_loss"].tolist(),
    }


def details(found: Found) -> dict[str, pd.DataFrame]:
    """The training loss of the first seed, epoch by epoch."""
    curves = []
    for row, (first, *_) in found.items():
        epochs = range(1, len(first["loss"]) + 1)
        curves.append(pd.DataFrame({"row": row, "epoch": epochs, "train_loss": first["loss"]}))
    return {"curves": pd.concat(curves)}


EXPERIMENT = Experiment(
    measure,
    settings={row: {"row": row} for row in ladder()},
    once=[row for row, setting in ladder().items() if setting.tokens != "log-mel"],
    label="{setting} | {what}",
    details=details,
    details_by="row",
    source="ESC-10",
    load=load_esc10,
    cheapest="log-mel tokens",
)
