"""Recordings of sound into classes, behind scikit-learn's interface."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted
from torch import nn

from course_lib.data import LogMelAugmentation, log_mel, pad_or_cut
from course_lib.data.audio_data import check_format, is_number
from course_lib.data.decoding import read_clip
from course_lib.data.folder import in_windows
from course_lib.estimator.artefact import classes_from_list, classes_to_list, settings_of
from course_lib.estimator.network_classifier import NetworkClassifier
from course_lib.estimator.signals import time_first
from course_lib.models import LogMelCNN, LogMelFeatures, TransformerClassifier
from course_lib.training import predict
from course_lib.training.checkpoint import weights_of

_FEW_STEPS = 200
_WIDTH = 128  # of the transformer's tokens


class AudioClassifier(NetworkClassifier):
    """Classifies clips of sound: log-mel spectrograms and a network, the `LogMelCNN` of notebook 02 by default.

    X: (N, samples), (N, 1, samples) or a list of clips (samples,) or (1, samples) at `sample_rate`; shorter clips get
        zeros on the right, longer ones are cut.
    y: N labels of any kind, or (N, K) of 0 and 1 where a clip may have several of K labels: then each probability
        stands by itself, and `predict` gives (N, K).
    model: "cnn", or "transformer": notebook 07's `TransformerClassifier`, its CLS token over the CNN's frames.
    duration: seconds of a clip; None: the longest clip in training.
    hop: seconds from one spectrum to the next; None: 64 spectra a clip, 40 ms at most.  window: seconds that one
        spectrum sees; None: 2.3 hops.  num_mels: bands; None: 64, fewer where the window holds too few samples.
    epochs, learning_rate, weight_decay: AdamW under a cosine with warm-up.  batch_size: None: 32, fewer where an epoch
        would have under eight steps.
    augment: change every training clip at random by `LogMelAugmentation`, its mixing of two clips aside.
    class_weight, validation, early_stopping, device, random_state: as in `SignalClassifier`.
    After fit: classes_, model_, history_, samples_ (of a clip), front_end_ (n_fft, hop_length, n_mels).
    Raises ValueError naming the argument.
    """

    def __init__(
        self,
        sample_rate: int,
        *,
        model: str = "cnn",
        duration: float | None = None,
        hop: float | None = None,
        window: float | None = None,
        num_mels: int | None = None,
        epochs: int = 40,
        batch_size: int | None = None,
        learning_rate: float = 2e-3,
        weight_decay: float = 0.01,
        augment: bool = True,
        class_weight: dict | str | None = None,
        validation: float = 0.0,
        early_stopping: int | None = None,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ):
        self.sample_rate = sample_rate
        self.model = model
        self.duration = duration
        self.hop = hop
        self.window = window
        self.num_mels = num_mels
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.augment = augment
        self.class_weight = class_weight
        self.validation = validation
        self.early_stopping = early_stopping
        self.device = device
        self.random_state = random_state

    def fit(self, X, y, groups=None) -> AudioClassifier:
        """Train a new model on clips X and labels y.  groups: (N,) what the validation part must not divide.

        Warns where training has fewer than 200 steps.
        """
        check_format(self.sample_rate, 1.0 if self.duration is None else self.duration)
        if self.model not in ("cnn", "transformer"):
            raise ValueError(f'model: expected "cnn" or "transformer", got {self.model!r}')
        clips = _clips(X)
        self.several_ = y is not None and type_of_target(y) == "multilabel-indicator"
        labels = self._numbered(clips, y, groups)
        longest = max(len(clip) for clip in clips)
        self.samples_ = longest if self.duration is None else round(self.duration * self.sample_rate)
        self.front_end_ = self._front_end()
        train, held, seed = self._held_out(labels, groups)
        loss = self._loss(labels[train])
        size = max(4, min(32, len(train) // 8)) if self.batch_size is None else self.batch_size
        steps = max(1, len(train) // size) * self.epochs
        if steps < _FEW_STEPS:
            warnings.warn(
                f"training has {steps} steps: {len(train)} clips in batches of {size}, {self.epochs} epochs; "
                f"under {_FEW_STEPS} it may end early",
                stacklevel=2,
            )
        parts = [part for part in LogMelAugmentation.PARTS if part != "mixing"]
        augmentation = LogMelAugmentation(len(self.classes_), parts)

        def changed(x, y, generator=None):
            if self.several_:  # the changes leave the labels alone
                return augmentation(x, torch.zeros(len(x), dtype=torch.long, device=x.device), generator)[0], y
            return augmentation(x, y, generator)

        self._train(
            [torch.from_numpy(self._pictures(clips)), torch.from_numpy(labels)],
            train,
            held,
            seed,
            batch_size=size,
            loss=loss,
            drop_last=len(train) > size,
            transform=changed if self.augment else None,
        )
        return self

    def _logits(self, X) -> np.ndarray:
        return predict(self.model_, self._pictures(_clips(X)), device=self.device, batch_size=64)

    def predict_files(self, files: Iterable[str | os.PathLike]) -> pd.DataFrame:
        """One row a sound file: file, label, probability, problem.

        A file longer than a clip is cut into windows of that length, and the mean of their probabilities counts.

        A file that cannot be used (unreadable, silent, …) has label None, probability NaN and says why in `problem`.
        Where a clip may have several labels, `label` is a tuple of those of at least 0.5, and the probability that of
        the likeliest.
        """
        check_is_fitted(self)
        names = [os.fspath(file) for file in files]
        read = [read_clip(Path(name).expanduser(), self.sample_rate, None) for name in names]
        problems = [clip if isinstance(clip, str) else "" for clip in read]
        labels: list[Any] = [None] * len(names)
        probabilities = np.full(len(names), np.nan)
        good = {i: in_windows(clip.samples, self.samples_) for i, clip in enumerate(read) if not isinstance(clip, str)}
        if good:
            found = self.predict_proba([window for windows in good.values() for _, window in windows])
            ends = np.cumsum([len(windows) for windows in good.values()])
            for i, own in zip(good, np.split(found, ends[:-1]), strict=True):
                row = own.mean(axis=0)
                chosen = tuple(np.flatnonzero(row >= 0.5).tolist()) if self.several_ else self.classes_[row.argmax()]
                labels[i], probabilities[i] = chosen, row.max()
        said = pd.Series(labels, dtype=object)  # None stays None
        return pd.DataFrame({"file": names, "label": said, "probability": probabilities, "problem": problems})

    def _front_end(self) -> dict[str, int]:
        """Arguments of `log_mel` in samples.  ValueError naming what lies outside a clip."""
        seconds = self.samples_ / self.sample_rate
        hop = min(0.04, seconds / 64) if self.hop is None else self.hop
        window = self.window
        if window is None:
            window = 2.3 * hop if is_number(hop) else hop
        for name, value in (("hop", hop), ("window", window)):
            if not (is_number(value) and 0 < value <= seconds):
                raise ValueError(f"{name}: expected seconds above 0, up to the clip's {seconds:g}, got {value!r}")
        n_fft = max(16, 2 * round(window * self.sample_rate / 2))
        n_mels = max(8, min(64, n_fft // 4)) if self.num_mels is None else self.num_mels
        return {"n_fft": n_fft, "hop_length": max(1, round(hop * self.sample_rate)), "n_mels": n_mels}

    def _new_model(self) -> nn.Module:
        if self.model == "cnn":
            return LogMelCNN(len(self.classes_))
        features = LogMelFeatures(_WIDTH, self.front_end_["n_mels"])
        return TransformerClassifier(len(self.classes_), _WIDTH, num_heads=4, num_layers=2, features=features)

    def _pictures(self, clips: list[np.ndarray]) -> np.ndarray:
        """(N, n_mels, frames) log-mel of clips brought to one length."""
        waves = np.stack([pad_or_cut(clip, self.samples_) for clip in clips]).astype(np.float32)
        sizes = self.front_end_
        return log_mel(waves, self.sample_rate, sizes["n_fft"], sizes["hop_length"], sizes["n_mels"])

    def _state(self) -> dict[str, Any]:
        return {
            "settings": settings_of(self, "device"),
            "classes": classes_to_list(self.classes_),
            "several": self.several_,
            "samples": self.samples_,
            "front end": self.front_end_,
            "weights": weights_of(self.model_),
        }

    @classmethod
    def _from_state(cls, state: dict[str, Any], **options: Any) -> AudioClassifier:
        self = cls(**state["settings"] | options)
        self.classes_, self.several_ = classes_from_list(state["classes"]), state.get("several", False)
        self.samples_, self.front_end_ = state["samples"], state["front end"]
        self._restored(state["weights"])
        return self


def _clips(X) -> list[np.ndarray]:
    """Clips (samples,), checked."""
    if isinstance(X, np.ndarray) and X.ndim == 3 and X.shape[1] == 1:
        X = X[:, 0]
    clips = time_first(X, n_channels=1)
    wrong = [clip.shape for clip in clips if clip.shape[1] != 1]
    if wrong:
        raise ValueError(
            f"X: expected clips of one channel, (samples,) or (1, samples), got {wrong[0]}: mix them first"
        )
    return [clip[:, 0] for clip in clips]
