"""A transformer that predicts one class for every clip, repaired one cause at a time, on fold 5 of ESC-10.

The stuck one: the waveform as it comes (whole clip at 3,200 Hz), three convolutions of kernel 3, six post-norm encoder
blocks, Adam at a constant 3e-3, and a softmax in front of a cross-entropy that takes one itself. Each row of the table
keeps the repairs of the rows above it and adds one. All rows have 48 channels, 3 heads, 6 blocks, batches of 32 and 20
epochs (the last row 100), trained on folds 1 to 4; scored is the last epoch. Then the repaired one with one cause put
back, or augmentation left out, at a time. "long kernels" is the front end of `TransformerClassifier`, which has batch
normalisation and Mish as well. Computed in bfloat16 where autocast takes it; about a quarter of an hour on a CPU.
The rows on log-mel pictures are measured with all seeds, those on waveforms with the first.

Writes figures/results/encoder_repairs.csv and figures/results/detail/encoder_repairs_curves.csv. A run that was stopped
goes on after the last training that it finished.
"""

import re
import shutil
import time
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from course_lib.course.experiments import results
from course_lib.course.experiments._resume import once
from course_lib.course.experiments.audio_cnn import whole_clip
from course_lib.course.experiments.log_mel_cnn import average_pairs
from course_lib.data import AudioData, LogMelAugmentation, load_esc10, log_mel
from course_lib.files import replacing
from course_lib.models import LogMelFeatures, SmallKernelFeatures, TransformerClassifier
from course_lib.paths import RESULTS, cache_dir
from course_lib.training import cosine_with_warmup, fit, predict
from course_lib.training.rng import isolated

HELD_OUT = 5
EPOCHS, MORE_EPOCHS = 20, 100
LEARNING_RATE = 3e-3
PICTURE_RATE = 22_050


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


def train(model: nn.Module, x: Tensor, y: Tensor, setting: Setting, seed: int, **options) -> pd.DataFrame:
    """Train in place on clips `x` (N, ...) and classes `y` (N,); returns the history's table. options: for `fit`."""
    generator = torch.Generator().manual_seed(seed)
    adam = partial(torch.optim.Adam, lr=LEARNING_RATE)
    if setting.regularised:
        adam = partial(torch.optim.AdamW, lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.05)
    if setting.augmented:
        options["train_transform"] = LogMelAugmentation(int(y.max()) + 1)
    return fit(
        model,
        DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True, generator=generator),
        epochs=setting.epochs,
        loss=loss_of(setting),
        optimizer=adam,
        schedule=cosine_with_warmup if setting.scheduled else None,
        clip_norm=1.0 if setting.scheduled else None,
        generator=generator,
        progress=False,
        **options,
    ).table


def spread_over_clips(values: Tensor | np.ndarray) -> float:
    """How far a layer's outputs (N, ...) differ from clip to clip: the standard deviation over clips, root mean square
    over everything else, as a share of the root mean square of the outputs. 0: equal for all clips.
    """
    values = torch.as_tensor(values, dtype=torch.float64).flatten(1)
    return float(values.std(dim=0, correction=0).square().mean().sqrt() / values.square().mean().sqrt())


def add_arguments(parser) -> None:
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="(default: 0 1 2)")


def run(arguments) -> None:
    data = load_esc10()
    waveforms = whole_clip(data)  # (400, 1, 16000)
    pictures = log_mel(data.resample(PICTURE_RATE).signals, PICTURE_RATE, cache=True)  # (400, 64, 126)
    pictures = average_pairs(pictures)  # (400, 64, 63)
    unfinished = cache_dir() / "encoder-repairs"
    done = {}
    for name, setting in ladder().items():
        on_pictures = setting.tokens == "log-mel"
        for seed in arguments.seeds if on_pictures else arguments.seeds[:1]:
            file = unfinished / f"{re.sub('[^a-zA-Z0-9]+', '-', name)}-{seed}.json"
            x = pictures if on_pictures else prepared(waveforms, setting)
            done[name, seed] = once(file, partial(_measure, x, data, setting, seed))
            print(f"{name}, seed {seed}: {done[name, seed]['accuracy']:.3f}", flush=True)
    _record(done, arguments)
    shutil.rmtree(unfinished)


def _measure(x: np.ndarray, data: AudioData, setting: Setting, seed: int) -> dict:
    """One training: what the model says about the held-out fold, its learning curve and CPU seconds."""
    started = time.process_time()
    x, y = torch.from_numpy(np.asarray(x)), torch.from_numpy(data.labels)
    held_out = torch.from_numpy(data.folds == HELD_OUT)
    with isolated(seed, torch.device("cpu")):
        model = make_model(setting)
    curve = train(model, x[~held_out], y[~held_out], setting, seed, amp=True)
    seconds = time.process_time() - started
    outputs = torch.from_numpy(predict(model, x, batch_size=80, amp=True))
    right = outputs.argmax(dim=1) == y
    return {
        "accuracy": right[held_out].double().mean().item(),
        "training accuracy": right[~held_out].double().mean().item(),
        "classes predicted": len(outputs[held_out].argmax(dim=1).unique()),
        "spread of outputs": spread_over_clips(outputs[held_out]),
        "parameters": sum(p.numel() for p in model.parameters()),
        "loss": curve["train_loss"].tolist(),
        "seconds": seconds,
    }


def _record(done: dict, arguments) -> None:
    """Write the table (std is over seeds) and the training loss of the first seed, epoch by epoch."""
    rows, curves = [], []
    for name in dict.fromkeys(name for name, _ in done):
        runs = [found for (row, _), found in done.items() if row == name]
        common = {"seeds": len(runs), "seconds": round(sum(found["seconds"] for found in runs))}
        for measure in ("accuracy", "training accuracy", "classes predicted", "spread of outputs", "parameters"):
            values = np.array([found[measure] for found in runs], dtype=float)
            rows.append({"measure": f"{name} | {measure}", "value": round(values.mean(), 4)} | common)
            rows[-1]["std"] = results.spread(values)
        loss = runs[0]["loss"]
        curves.append(pd.DataFrame({"row": name, "epoch": range(1, len(loss) + 1), "train_loss": loss}))
    results.record("encoder_repairs", rows, arguments.command)
    with replacing(RESULTS / "detail" / "encoder_repairs_curves.csv") as temporary:
        pd.concat(curves).to_csv(temporary, index=False, float_format="%.4f", lineterminator="\n")
