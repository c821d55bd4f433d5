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
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, column_or_1d
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from course_lib.data import LogMelAugmentation, log_mel, pad_or_cut
from course_lib.data.audio import check_format, is_number
from course_lib.data.decoding import read_clip
from course_lib.data.folder import in_windows
from course_lib.estimator.artefact import Saved, classes_from_list, classes_to_list, settings_of
from course_lib.estimator.held_out import hold_out
from course_lib.estimator.signals import time_first
from course_lib.models import LogMelCNN, LogMelFeatures, TransformerClassifier
from course_lib.training import cosine_with_warmup, fit, predict, resolve_device
from course_lib.training.checkpoint import put_weights, weights_of
from course_lib.training.rng import isolated

_FEW_STEPS = 200
_WIDTH = 128  # of the transformer's tokens


class AudioClassifier(Saved, ClassifierMixin, BaseEstimator):
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
        if self.early_stopping is not None and not self.validation:
            raise ValueError("early_stopping: needs a part to watch, such as validation=0.2")
        clips = _clips(X)
        self.several_ = y is not None and type_of_target(y) == "multilabel-indicator"
        y = np.asarray(y) if self.several_ else column_or_1d(y, warn=True)
        check_consistent_length(clips, y, groups)
        check_classification_targets(y)
        if self.several_:
            self.classes_, labels = np.arange(y.shape[1]), y.astype(np.float32)
        else:
            self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y: expected at least two classes, got one class: {self.classes_[0]!r}")
        longest = max(len(clip) for clip in clips)
        self.samples_ = longest if self.duration is None else round(self.duration * self.sample_rate)
        self.front_end_ = self._front_end()
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        train, held = hold_out(labels, self.validation, groups, seed)
        weight = None
        if self.class_weight is not None and self.several_:
            raise ValueError("class_weight: expected None where a clip may have several labels")
        if self.class_weight is not None:
            weight = torch.tensor(compute_class_weight(self.class_weight, classes=self.classes_, y=y[train])).float()
        size = max(4, min(32, len(train) // 8)) if self.batch_size is None else self.batch_size
        pictures, targets = torch.from_numpy(self._pictures(clips)), torch.from_numpy(labels)
        device = resolve_device(self.device)
        with isolated(seed, device):
            self.model_ = self._new_model()
        own = torch.Generator().manual_seed(seed)

        def loader(part: np.ndarray, **options: Any) -> DataLoader:
            return DataLoader(TensorDataset(pictures[part], targets[part]), size, generator=own, **options)

        training = loader(train, shuffle=True, drop_last=len(train) > size)
        if len(training) * self.epochs < _FEW_STEPS:
            steps = (
                f"{len(training) * self.epochs} steps: {len(train)} clips in batches of {size}, {self.epochs} epochs"
            )
            warnings.warn(f"training has {steps}; under {_FEW_STEPS} it may end early", stacklevel=2)
        parts = [part for part in LogMelAugmentation.PARTS if part != "mixing"]
        augmentation = LogMelAugmentation(len(self.classes_), parts)

        def changed(x, y, generator=None):
            if self.several_:  # the changes leave the labels alone
                return augmentation(x, torch.zeros(len(x), dtype=torch.long, device=x.device), generator)[0], y
            return augmentation(x, y, generator)

        self.history_ = fit(
            self.model_,
            training,
            epochs=self.epochs,
            validation=loader(held) if len(held) else None,
            loss=nn.BCEWithLogitsLoss() if self.several_ else nn.CrossEntropyLoss(weight).to(device),
            train_transform=changed if self.augment else None,
            optimizer=lambda p: torch.optim.AdamW(p, lr=self.learning_rate, weight_decay=self.weight_decay),
            schedule=cosine_with_warmup,
            clip_norm=1.0,
            device=device,
            early_stopping=self.early_stopping,
            restore_best=len(held) > 0,
            generator=torch.Generator().manual_seed(seed),
            progress=False,
        )
        self.model_.eval()
        return self

    def predict_proba(self, X) -> np.ndarray:
        """(N, number of classes): the probability of each of `classes_`, rows of sum 1 but for several labels."""
        check_is_fitted(self)
        answers = predict(self.model_, self._pictures(_clips(X)), device=self.device, batch_size=64)
        logits = torch.from_numpy(answers).double()
        return (torch.sigmoid(logits) if self.several_ else torch.softmax(logits, dim=1)).numpy()

    def predict(self, X) -> np.ndarray:
        """(N,) the most probable label of each clip; (N, K) of 0 and 1 where a clip may have several."""
        probabilities = self.predict_proba(X)
        return (probabilities >= 0.5).astype(int) if self.several_ else self.classes_[probabilities.argmax(axis=1)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

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
        with isolated(0, resolve_device("cpu")):
            self.model_ = self._new_model()
        put_weights(self.model_, state["weights"])
        self.model_.eval()
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
