"""The candidates of the run `nested_esc10`: three CNNs and a support vector machine, each with its own recipe."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from scipy.fft import dct
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import Generator, Tensor
from torch.nn.functional import interpolate, one_hot
from torch.utils.data import TensorDataset

from course_lib.course.experiments._esc10_runs import ATTENTIVE, MEL_RATE, average_pairs, columns, trained
from course_lib.course.experiments._training import seeded
from course_lib.data import AudioData, log_mel, spec_augment, synthetic_soundscape, time_shift, time_warp
from course_lib.data.augment import mel_shift, mix_classes
from course_lib.models import AttentiveCNN, LogMelFeatures

TODAY, GENERATED, WIDER, CEPSTRA = "today's recipe", "pre-trained", "wider", "cepstra"
PRE_TRAINING = {"portions": 5, "clips_per_class": 20, "epochs": 20}


def three_pictures(data: AudioData) -> np.ndarray:
    """Columns of 80 ms: usual windows (93 ms), mean and largest power of 14 short ones: (N, 3, 64, columns) float32."""
    usual, hop = columns(data), round(0.04 * data.sample_rate) // 7
    short = log_mel(data.signals, data.sample_rate, n_fft=4 * hop, hop_length=hop, cache=True)
    n = min(usual.shape[2], short.shape[2] // 14)
    short = short[:, :, : 14 * n].reshape(*short.shape[:2], n, 14)  # (N, 64, columns, 14)
    return np.stack([usual[:, :, :n], np.log10((10**short).mean(3)), short.max(3)], axis=1).astype(np.float32)


def wider(x: Tensor, y: Tensor, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
    """Speed, roll, pitch, a random equaliser, mixing of every second clip, masks.  x: (B, 3, 64, columns)."""
    _, pictures, bands, n = x.shape
    x = time_shift(time_warp(x, generator=generator), n // 2, generator=generator)
    x = mel_shift(x.transpose(1, 2).flatten(2), 3, generator)  # (B, 64, 3 columns)
    knots = 1.2 * torch.rand(len(x), 1, 5, generator=generator) - 0.6  # up to 6 dB either way at five pitches
    x = x + interpolate(knots, bands, mode="linear", align_corners=True).transpose(1, 2)
    x = x.unflatten(2, (pictures, n)).transpose(1, 2).flatten(1, 2)  # (B, 3 · 64, columns)
    targets = one_hot(y, 10).to(x)
    both, shared = mix_classes(x, targets, generator)
    mixed = torch.rand(len(x), 1, generator=generator) < 0.5
    x, targets = torch.where(mixed[:, :, None], both, x), torch.where(mixed, shared, targets)
    x = spec_augment(x, 0, n // 8, generator=generator).unflatten(1, (pictures, bands))
    x = spec_augment(x.transpose(1, 2).flatten(2), 8, 0, generator=generator)  # (B, 64, 3 columns)
    return x.unflatten(2, (pictures, n)).transpose(1, 2), targets


@cache
def generated() -> TensorDataset:
    """Pictures (N, 64, columns) of the soundscape, at the level of 22.05 kHz, and kinds (N,) in ESC-10's order."""
    portions = [
        synthetic_soundscape(PRE_TRAINING["clips_per_class"], seed=seed, cache=False, progress=False)
        for seed in range(101, 101 + PRE_TRAINING["portions"])
    ]
    pictures = [log_mel(p.signals, p.sample_rate, fmax=MEL_RATE / 2) - np.log10(4) for p in portions]
    labels = torch.from_numpy(np.concatenate([p.labels for p in portions]))
    return TensorDataset(torch.from_numpy(average_pairs(np.concatenate(pictures)).astype(np.float32)), labels)


@cache
def pre_trained(seed: int) -> AttentiveCNN:
    """The CNN after its epochs on generated sound."""
    generator = torch.Generator().manual_seed(seed)
    changes = ATTENTIVE | {"epochs": PRE_TRAINING["epochs"]}
    return trained(seeded(seed, AttentiveCNN, 10), generated(), generator, generator, **changes)


CNNS: dict[str, tuple[Callable, Callable, dict[str, Any]]] = {
    # name: (what makes it of a seed, its pictures, what changes in the recipe)
    TODAY: (lambda seed: AttentiveCNN(10), columns, ATTENTIVE | {"epochs": 100}),
    GENERATED: (lambda seed: copy.deepcopy(pre_trained(seed)), columns, ATTENTIVE | {"epochs": 60}),
    WIDER: (
        lambda seed: AttentiveCNN(10, features=LogMelFeatures(128, pictures=3)),
        three_pictures,
        ATTENTIVE | {"train_transform": wider, "epochs": 60},
    ),
}


def machine(data: AudioData, train: np.ndarray) -> GridSearchCV:
    """The support vector machine on cepstra (N, 60), fitted to the clips `train`."""
    grid = {"svc__C": (3, 10, 30), "svc__gamma": (0.3 / 60, 1 / 60)}
    search = GridSearchCV(make_pipeline(StandardScaler(), SVC()), grid, cv=PredefinedSplit(data.folds[train]))
    return search.fit(cepstra(data)[train], data.labels[train])


def cepstra(data: AudioData) -> np.ndarray:
    """Mean and std over time of 20 cepstra of log-mel frames of 40 ms, and std of their steps: (N, 60)."""
    c = dct(log_mel(data.signals, data.sample_rate, cache=True), axis=1, norm="ortho")[:, :20]
    return np.concatenate([c.mean(2), c.std(2), np.diff(c, axis=2).std(2)], axis=1)
