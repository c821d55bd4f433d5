"""What is exported: functions between tensors, around a layer's step, a layer, a model or an estimator's model."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from course_lib import layers as sl
from course_lib.export.runtime import split
from course_lib.sequence import Sequence, SequenceLayer

FLOOR = 1e-7  # under the power of a band, before the logarithm: that of `course_lib.data.log_mel`


class Step(nn.Module):
    """`layer.step` between tensors: (x, mask, *state) -> (y, mask, *state, *parts), the state's leaves in their order.

    Complex numbers come and go as pairs of real ones.  parts: see `export`; they are cut from y.
    """

    def __init__(self, layer: SequenceLayer, state: Any, is_complex: bool, parts: dict[str, tuple[int, int]]):
        super().__init__()
        self.layer, self.is_complex, self.parts = layer, is_complex, parts
        leaves, self.form = pytree.tree_flatten(state)
        self.complex_leaves = [leaf.is_complex() for leaf in leaves]

    def forward(self, x: Tensor, mask: Tensor, leaves: tuple[Tensor, ...] = ()) -> tuple[Tensor, ...]:
        pairs = zip(leaves, self.complex_leaves, strict=True)
        state = pytree.tree_unflatten([torch.view_as_complex(s) if c else s for s, c in pairs], self.form)
        x = torch.view_as_complex(x) if self.is_complex else x
        y, after = self.layer.step(Sequence(x, mask), state, training=False)
        cut = split(y.values, self.parts).values()
        return as_real(y.values), y.mask, *map(as_real, pytree.tree_leaves(after)), *cut


class Whole(nn.Module):
    """A layer or model on whole inputs, every step valid: x -> y."""

    def __init__(self, model: nn.Module, is_complex: bool):
        super().__init__()
        self.model, self.is_complex = model, is_complex

    def forward(self, x: Tensor) -> Tensor:
        return as_real(self.model(torch.view_as_complex(x) if self.is_complex else x))


class Frames(nn.Module):
    """A model of events on whole inputs: x (B, T, C) -> scores and onsets (B, F, E), see `events.FrameModel`.

    statistics: (mean, std), (C,) each, by which x is standardised first; None: it already is.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, statistics: tuple[np.ndarray, np.ndarray] | None):
        super().__init__()
        self.model = model
        for name, values in zip(("mean", "std"), statistics or (0.0, 1.0), strict=True):
            self.register_buffer(name, torch.as_tensor(np.asarray(values, np.float32)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.model.frame_scores((x - self.mean) / self.std)  # type: ignore[operator]


class Classifier(nn.Module):
    """Raw signals x (B, L, C) and which steps are there (B, L) -> probabilities (B, classes).

    Each channel is standardised, in float64 as the estimator does it; steps that are not there are 0, and masked where
    the model takes a `Sequence`.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, model: nn.Module, mean: np.ndarray, scale: np.ndarray, masks: bool, several: bool):
        super().__init__()
        self.model, self.masks, self.several = model, masks, several
        self.register_buffer("mean", torch.as_tensor(np.asarray(mean, np.float64)))
        self.register_buffer("scale", torch.as_tensor(np.asarray(scale, np.float64)))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        standardised = ((x.double() - self.mean) / self.scale).float()
        signals = torch.where(mask.unsqueeze(-1), standardised, 0.0)
        logits = self.model(Sequence(signals, mask) if self.masks else signals).float()
        return torch.sigmoid(logits) if self.several else torch.softmax(logits, dim=1)


class Sounds(nn.Module):
    """Clips x (B, samples, 1) and which samples are there (B, samples) -> probabilities (B, classes).

    On the way the picture that `course_lib.data.log_mel` gives: Hann windows centred on each hop, beyond it zeros.
    """

    def __init__(self, model: nn.Module, sample_rate: int, n_fft: int, hop_length: int, n_mels: int, several: bool):
        super().__init__()
        self.model, self.before, self.hop, self.several = model, n_fft // 2, hop_length, several
        self.spectra = sl.STFT(n_fft, hop_length, padding="reverse_causal", magnitude=True)
        self.bands = sl.LinearToMel(n_fft // 2 + 1, n_mels, sample_rate, scale="slaney")

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        wave = torch.where(mask, x.squeeze(2), 0.0)  # (B, samples)
        spectra = self.spectra(F.pad(wave, (self.before, 0)))[:, : 1 + wave.shape[1] // self.hop]  # (B, frames, bins)
        power = self.bands(spectra.square()).transpose(1, 2)  # (B, n_mels, frames)
        logits = self.model(torch.log10(power + FLOOR)).float()
        return torch.sigmoid(logits) if self.several else torch.softmax(logits, dim=1)


def as_real(values: Tensor) -> Tensor:
    """Complex numbers as pairs of real ones, on a last axis of 2; real ones as they are."""
    return torch.view_as_real(values) if values.is_complex() else values
