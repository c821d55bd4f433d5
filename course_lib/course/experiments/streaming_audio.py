"""The classifier that listens, `StreamingAudioCNN`: trained on folds 1 to 4, then played the clips of fold 5.

ESC-10 at 16 kHz, the generated soundscape where it is not here. 80 epochs of AdamW 4e-3 with warm-up and cosine,
batches of 32, label smoothing 0.1, gradients clipped at 1, in bfloat16; the last epoch's weights. The loss is taken
after each quarter of a clip, later ones weigh more. Clips are augmented as log-mel pictures (`LogMelAugmentation`),
then heard through another microphone: level, tilt and noise are drawn anew. The recipe was chosen on fold 4, training
on folds 1 to 3 (160 epochs with averaged weights were no better), before fold 5 was looked at. About 2 CPU minutes a
seed.

Each of fold 5's clips begins with a state that has heard nothing: is the answer right after 1, 2 and 5 s? Once as
recorded, once 12 dB quieter, once with pink noise 20 dB below the clip. "One of each class" is the first clip of each
class in fold 5, by file name. With --weights FILE the last seed's weights are kept, with the classes' names: the model
of the page that listens is one of seed 0.
"""

import json
import os
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from course_lib.course.experiments import _training
from course_lib.course.experiments._esc10_runs import TEST_FOLD
from course_lib.course.experiments._training import fitted, seeded
from course_lib.course.experiments.runner import Experiment
from course_lib.data import AudioData, LogMelAugmentation, load_audio
from course_lib.models import StreamingAudioCNN

RATE = 16_000
SHARES = (0.1, 0.2, 0.3, 0.4)  # of the loss, after each quarter of a clip
SECONDS = (1, 2, 5)


def measure(seed: int, data: AudioData, epochs: int, weights: str | None = None) -> dict[str, float]:
    """Shares of fold 5 that are right after so many seconds, in three conditions."""
    model = trained(seed, data, epochs)
    if weights:
        about = {"classes": json.dumps(data.classes), "sample_rate": str(data.sample_rate), "trained_on": data.name}
        _training.keep(model, Path(weights), **about)
    held_out = np.flatnonzero(data.folds == TEST_FOLD)
    signals, labels = data.signals[held_out, 0], data.labels[held_out]  # (n, samples)
    values: dict[str, float] = {}
    for name, change in CONDITIONS.items():
        heard = answers(model, change(signals, np.random.default_rng(seed)))  # (n, steps, classes)
        for seconds in SECONDS:
            step = min(round(seconds * data.sample_rate / model.block_size), heard.shape[1]) - 1
            values[f"{name}, right after {seconds} s"] = float((heard[:, step].argmax(1) == labels).mean())
        if name == "as recorded":
            ones = one_of_each(data)
            right = heard[np.isin(held_out, ones), -1].argmax(1) == data.labels[ones]
            values["one of each class, right after 5 s"] = float(right.mean())
    return values | {"parameters": _training.parameters(model)}


def trained(seed: int, data: AudioData, epochs: int) -> StreamingAudioCNN:
    """The model, in evaluation mode, trained on all folds but the held-out one."""
    model = seeded(seed, StreamingAudioCNN, len(data.classes), data.sample_rate, dropout=0.2)
    train = data.folds != TEST_FOLD
    with torch.no_grad():
        parts = torch.from_numpy(data.signals[train, 0, :, None]).split(32)
        pictures = torch.cat([model.pictures(part) for part in parts])  # (n, steps, 4, mels)
    generator = torch.Generator().manual_seed(seed)
    clips = TensorDataset(pictures, torch.from_numpy(data.labels[train]))
    loader = DataLoader(clips, 32, shuffle=True, drop_last=len(clips) > 32, generator=generator)
    adamw = partial(torch.optim.AdamW, betas=(0.9, 0.98), weight_decay=0.05)
    heard = partial(as_heard, num_classes=len(data.classes))
    options = {"epochs": epochs, "training_step": _loss, "train_transform": heard, "amp": True, "generator": generator}
    return fitted(model, loader, 4e-3, adamw, **options)


def as_heard(x: Tensor, y: Tensor, num_classes: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Pictures (B, N, 4, mels) and classes (B,), augmented, through another microphone: pictures, targets (B, classes).

    The level changes by -18 to 6 dB, the spectrum tilts by up to 6 dB at either end, and a noise is added whose bands
    lie somewhere between the silence of a file and that of a room, the lower ones louder.
    """
    pictures = x.flatten(1, 2).transpose(1, 2)  # (B, mels, 4 N)
    pictures, targets = LogMelAugmentation(num_classes)(pictures, y, generator)

    def drawn(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(len(x), 1, 1, generator=generator)

    ramp = torch.linspace(-1, 1, pictures.shape[1])[:, None]  # (mels, 1)
    pictures = pictures + drawn(-1.8, 0.6) + drawn(-0.6, 0.6) * ramp
    noise = drawn(-7.0, -3.5) - drawn(0.0, 1.0) * ramp + 0.15 * torch.randn(pictures.shape, generator=generator)
    pictures = torch.log10(10**pictures + 10**noise)
    return pictures.transpose(1, 2).unflatten(1, (-1, x.shape[2])), targets


def _loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    pictures, targets = batch
    logits = model.logits(pictures)  # type: ignore[operator]  # (B, N, classes)
    ends = [round(logits.shape[1] * (i + 1) / len(SHARES)) - 1 for i in range(len(SHARES))]
    losses = [nn.functional.cross_entropy(logits[:, end], targets, label_smoothing=0.1) for end in ends]
    return sum((share * loss for share, loss in zip(SHARES, losses, strict=True)), torch.zeros(()))


@torch.no_grad()
def answers(model: StreamingAudioCNN, signals: np.ndarray) -> np.ndarray:
    """Probabilities (n, steps, classes) while signals (n, samples) are heard, each from the beginning."""
    parts = torch.from_numpy(np.ascontiguousarray(signals, np.float32))[..., None].split(40)
    return torch.cat([model(part)[..., : model.parts["probabilities"][1]] for part in parts]).numpy()


def one_of_each(data: AudioData) -> np.ndarray:
    """Which clips are the first of their class in the held-out fold, by file name: (classes,)."""
    order = [int(i) for i in np.argsort(np.array(data.files)) if data.folds[i] == TEST_FOLD]
    return np.array([next(i for i in order if data.labels[i] == label) for label in range(len(data.classes))])


def pink(signals: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Signals (n, samples) with noise 20 dB below each, whose power falls as 1 / f."""
    spectrum = np.fft.rfft(generator.standard_normal(signals.shape))
    spectrum /= np.sqrt(np.maximum(np.arange(spectrum.shape[1]), 1))
    noise = np.fft.irfft(spectrum, signals.shape[1])
    return signals + noise * (0.1 * signals.std(1) / noise.std(1))[:, None]


CONDITIONS = {
    "as recorded": lambda signals, generator: signals,
    "12 dB quieter": lambda signals, generator: signals / 4,
    "in pink noise": pink,
}


def kept(path: str | os.PathLike) -> tuple[StreamingAudioCNN, tuple[str, ...], str]:
    """The model of such a file, in evaluation mode, its classes and the set that it was trained on."""
    weights, about = _training.kept(path)
    classes = tuple(json.loads(about["classes"]))
    model = StreamingAudioCNN(len(classes), int(about["sample_rate"]))
    model.load_state_dict(weights)
    return model.eval(), classes, about["trained_on"]


EXPERIMENT = Experiment(
    measure,
    settings={"fold 5 held out": {}},
    label="{what}",
    options={
        "epochs": (80, "passes over the training clips"),
        "weights": (None, "a file that takes the trained weights"),
    },
    source="ESC-10, or the generated soundscape",
    load=partial(load_audio, sample_rate=RATE, verbose=False),
    cheapest="fold 5 held out",
    threads=1,
)
