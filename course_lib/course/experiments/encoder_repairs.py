"""A transformer on fold 5 of ESC-10: from waveform to log-mel tokens, its recipe, and the same without an encoder.

The first row has the four repairs that `encoder_flaws` is about: one softmax, each clip scaled, warm-up with cosine and
clipping, pre-norm. Each row keeps what the rows above it have and adds one thing. 48 channels, 3 heads, 6 blocks,
batches of 32 and 20 epochs (where a row says so, 100), trained on folds 1 to 4; scored is the last epoch on fold 5,
which the course has chosen by. Three seeds. The rows without encoder are `LogMelCNN`, whose convolutions make the
tokens of the others: mean and maximum over the picture in place of positions, CLS token and blocks. Computed in
bfloat16 where autocast takes it; about twelve minutes on a CPU.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from course_lib.course.experiments._esc10_runs import MEL_RATE, TEST_FOLD, columns
from course_lib.course.experiments._training import parameters, seeded
from course_lib.course.experiments.audio_cnn import whole_clip
from course_lib.course.experiments.runner import Experiment, by_seed, grid
from course_lib.data import AudioData, LogMelAugmentation, load_esc10
from course_lib.models import LogMelCNN, LogMelFeatures, SmallKernelFeatures, TransformerClassifier
from course_lib.training import History, cosine_with_warmup, fit, predict

EPOCHS, MORE_EPOCHS = 20, 100
LEARNING_RATE = 3e-3


@dataclass(frozen=True)
class Setting:
    """What the rows differ in; as it stands, the stuck transformer."""

    softmax_twice: bool = True
    scaled: bool = False  # each clip to mean 0 and standard deviation 1
    scheduled: bool = False  # warm-up, cosine, gradients clipped at norm 1
    norm: str = "post"
    log_mel: bool = False  # tokens from log-mel pictures, not from waveforms by convolutions of kernel 3
    encoder: bool = True  # without: LogMelCNN, which needs log_mel
    regularised: bool = False  # AdamW with decay on all weights, label smoothing 0.1
    augmented: bool = False  # LogMelAugmentation, every clip mixed
    epochs: int = EPOCHS


FOUR_REPAIRS = Setting(softmax_twice=False, scaled=True, scheduled=True, norm="pre")
LOG_MEL = replace(FOUR_REPAIRS, log_mel=True)
REGULARISED = replace(LOG_MEL, regularised=True)
AUGMENTED = replace(REGULARISED, augmented=True)
REPAIRED = replace(AUGMENTED, epochs=MORE_EPOCHS)
LADDER = {  # each change on top of those before it, then changes of the last row or of the one named
    "waveform tokens": FOUR_REPAIRS,
    "log-mel tokens": LOG_MEL,
    "AdamW, label smoothing": REGULARISED,
    "augmentation": AUGMENTED,
    "100 epochs": REPAIRED,
    "100 epochs: no augmentation": replace(REPAIRED, augmented=False),
    "log-mel tokens: no encoder": replace(LOG_MEL, encoder=False),
    "100 epochs: no encoder": replace(REPAIRED, encoder=False),
}


def make_model(setting: Setting) -> nn.Module:
    if not setting.encoder:
        return LogMelCNN(10)
    features = LogMelFeatures(48) if setting.log_mel else SmallKernelFeatures(48)
    return TransformerClassifier(10, 48, 3, 6, features=features, norm=setting.norm)


def prepared(x: np.ndarray, setting: Setting) -> np.ndarray:
    """Clips (N, 1, samples) as the row's model takes them."""
    if not setting.scaled:
        return x
    x = x - x.mean(axis=-1, keepdims=True)
    return x / (x.std(axis=-1, keepdims=True) + 1e-5)


def fit_options(setting: Setting) -> dict[str, Any]:
    """The row's recipe, as `fit` takes it."""
    loss = nn.CrossEntropyLoss(label_smoothing=0.1 if setting.regularised else 0.0)
    adam = partial(torch.optim.Adam, lr=LEARNING_RATE)
    if setting.regularised:
        adam = partial(torch.optim.AdamW, lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.05)
    return {
        "epochs": setting.epochs,
        "loss": (lambda outputs, targets: loss(outputs.softmax(dim=1), targets)) if setting.softmax_twice else loss,
        "optimizer": adam,
        "schedule": cosine_with_warmup if setting.scheduled else None,
        "clip_norm": 1.0 if setting.scheduled else None,
        "train_transform": LogMelAugmentation(10) if setting.augmented else None,
    }


def spread_over_clips(values: Tensor | np.ndarray) -> float:
    """How far a layer's outputs (N, ...) differ from clip to clip: the standard deviation over clips, root mean square
    over everything else, as a share of the root mean square of the outputs. 0: equal for all clips.
    """
    values = torch.as_tensor(values, dtype=torch.float64).flatten(1)
    return float(values.std(dim=0, correction=0).square().mean().sqrt() / values.square().mean().sqrt())


def trained(
    clips: np.ndarray, data: AudioData, setting: Setting, seed: int, amp: bool = False
) -> tuple[nn.Module, History, dict[str, float]]:
    """A row's network after its training, and what it says of the held-out fold.  clips: (N, ...)."""
    x, y, held_out = (torch.from_numpy(values) for values in (clips, data.labels, data.folds == TEST_FOLD))
    model, generator = seeded(seed, make_model, setting), torch.Generator().manual_seed(seed)
    known = TensorDataset(x[~held_out], y[~held_out])
    loader = DataLoader(known, batch_size=32, shuffle=True, generator=generator)
    history = fit(model, loader, generator=generator, amp=amp, progress=False, **fit_options(setting))
    outputs = torch.from_numpy(predict(model, x, batch_size=80, amp=amp))
    right = outputs.argmax(dim=1) == y
    scores = {
        "accuracy": right[held_out].double().mean().item(),
        "training accuracy": right[~held_out].double().mean().item(),
        "classes predicted": float(len(outputs[held_out].argmax(dim=1).unique())),
        "spread of outputs": spread_over_clips(outputs[held_out]),
    }
    return model, history, scores


def measure(seed: int, data: AudioData, row: str) -> dict[str, float]:
    """One training: what the model says about the held-out fold."""
    setting = LADDER[row]
    if setting.log_mel:
        x = columns(data.resample(MEL_RATE))  # (400, 64, 63)
    else:
        x = prepared(whole_clip(data), setting)  # (400, 1, 16000)
    model, _, scores = trained(x, data, setting, seed, amp=True)
    return scores | {"parameters": parameters(model)}


EXPERIMENT = Experiment(
    measure,
    settings=grid("{row}", row=LADDER),
    label="{setting} | {what}",
    details=by_seed,
    source="ESC-10",
    load=load_esc10,
    cheapest="log-mel tokens: no encoder",
)
