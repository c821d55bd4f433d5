"""Signals into classes, behind scikit-learn's interface."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import validate_data
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset, default_collate

from course_lib.data import SignalDataset
from course_lib.data.audio_data import is_whole
from course_lib.data.datasets import as_array
from course_lib.estimator.artefact import classes_from_list, classes_to_list, settings_of
from course_lib.estimator.network_classifier import NetworkClassifier
from course_lib.models import SignalSequenceTransformer, SignalTransformerConfig
from course_lib.sequence import Sequence
from course_lib.training import predict
from course_lib.training.checkpoint import weights_of

_ENOUGH_TOKENS = 16


class SignalClassifier(NetworkClassifier):
    """Classifies signals with a `SignalSequenceTransformer`, or a model of your own, trained by `course_lib.training`.

    X: an array (N, L), (N, L, C) or (N, 1, samples), any real dtype; or a list of signals (L,), (L, C) or (1, samples)
    whose lengths may differ.  y: N labels of any kind, or (N, K) of 0 and 1 where a signal may have several labels.
    In training, signals of one row are taken for (1, samples); after a training on several channels, one row is one
    step of them.
    Each channel is brought to mean 0 and standard deviation 1 by the training signals' moments; then signals are
    zero-padded or cut on the right to `max_length` steps (None: the longest signal in training). A
    SignalSequenceTransformer gets a mask with them, so that padding changes nothing; a model of your own sees zeros.

    model: a function (in_channels, max_length, num_classes) -> nn.Module, whose input is (B, L, C) and output logits;
        None: a SignalSequenceTransformer of model_dim, num_heads, num_layers, channels, dropout, with as many stages
        of stride 2 as leave 16 tokens.
    epochs, batch_size, learning_rate, weight_decay: AdamW under a cosine with 10 % warm-up, gradients clipped to 1.
    loss: loss(logits, classes); None: cross-entropy, for (N, K) labels the binary one of each label.
    class_weight: None, "balanced" (each class counts the same in the loss, however rare), or {label: weight}.
    nan: what a NaN in X is. "raise": an error; "interpolate": filled in on a line between the values beside it in its
        channel; "mask": its time step is left out by the transformer's mask, in all channels.
    validation: share of the signals that training does not see, in `fit` divided by `groups` where they are given; the
        weights kept are those of the epoch with the least loss on it.  early_stopping: end after so many epochs without
        a lower one; None: never.
    device: "auto", "cpu", "cuda", ….  random_state: an int makes fits repeatable on one machine; PyTorch's and NumPy's
        global generators are left alone.
    After fit: classes_, model_ (in evaluation mode), history_ (course_lib.training.History), max_length_, n_channels_,
    mean_ and scale_ (C,), and n_features_in_ where X was (N, L), which must then keep its L.
    Raises ValueError where X or y are no such thing, hold infinity, or NaN that `nan` forbids, or y has one class only.
    `save` keeps all but `loss`; a file of an estimator with a model of your own is read by `load(path, model=...)`.
    """

    def __init__(
        self,
        model: Callable[[int, int, int], nn.Module] | None = None,
        *,
        model_dim: int = 64,
        num_heads: int = 4,
        num_layers: int = 2,
        channels: tuple[int, ...] = (32, 64, 128),
        dropout: float = 0.1,
        epochs: int = 30,
        batch_size: int = 32,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.01,
        loss: Callable[[Tensor, Tensor], Tensor] | None = None,
        class_weight: dict | str | None = None,
        nan: str = "raise",
        validation: float = 0.0,
        early_stopping: int | None = None,
        max_length: int | None = None,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ):
        self.model = model
        self.model_dim = model_dim
        self.num_heads = num_heads
        self.num_layers = num_layers
        self.channels = channels
        self.dropout = dropout
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.loss = loss
        self.class_weight = class_weight
        self.nan = nan
        self.validation = validation
        self.early_stopping = early_stopping
        self.max_length = max_length
        self.device = device
        self.random_state = random_state

    def fit(self, X, y, groups=None) -> SignalClassifier:
        """Train a new model on signals X and labels y.  groups: (N,) what the validation part must not divide."""
        self._check_options()
        self.several_ = y is not None and type_of_target(y) == "multilabel-indicator"
        if _is_table(X):
            X, y = validate_data(
                self,
                X,
                y,
                dtype=np.float32,
                ensure_all_finite=self._finite(),
                multi_output=self.several_,
            )
        else:
            y = y if self.several_ else validate_data(self, y=y)
            self.__dict__.pop("n_features_in_", None)
        signals = self._signals(X)
        labels = self._numbered(signals, y, groups)
        train, held, seed = self._held_out(labels, groups)
        loss = self._loss(labels[train]) if self.loss is None else self.loss
        self.n_channels_ = signals[0].shape[1]
        self.mean_, self.scale_ = _moments([signals[i] for i in train])
        self.max_length_ = max(map(len, signals)) if self.max_length is None else self.max_length
        tensors = [*self._padded(signals), torch.from_numpy(labels)]
        self._train(tensors, train, held, seed, batch_size=self.batch_size, loss=loss, collate=self._batch)
        return self

    def _logits(self, X) -> np.ndarray:
        if hasattr(self, "n_features_in_") and _is_table(X):
            X = validate_data(self, X, dtype=np.float32, reset=False, ensure_all_finite=self._finite())
        signals = self._signals(X, self.n_channels_)
        if signals[0].shape[1] != self.n_channels_:
            raise ValueError(f"X: expected signals of {self.n_channels_} channels, got {signals[0].shape[1]}")
        own = torch.Generator()  # a loader without one draws from PyTorch's global generator
        loader = DataLoader(TensorDataset(*self._padded(signals)), 256, collate_fn=self._batch, generator=own)
        return predict(self.model_, loader, device=self.device)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.nan != "raise"
        return tags

    def _state(self) -> dict[str, Any]:
        fitted = ("max_length_", "n_channels_", "several_", "mean_", "scale_")
        return {
            "settings": settings_of(self, "model", "loss", "device"),
            "own model": self.model is not None,
            "classes": classes_to_list(self.classes_),
            "fitted": {name: getattr(self, name) for name in fitted},
            "features": getattr(self, "n_features_in_", None),
            "weights": weights_of(self.model_),
        }

    @classmethod
    def _from_state(cls, state: dict[str, Any], **options: Any) -> SignalClassifier:
        if state["own model"] != (options.get("model") is not None):
            expected = "the function that made the model" if state["own model"] else "None, since the model is known"
            raise ValueError(f"model: expected {expected}, got {options.get('model')!r}")
        self = cls(**state["settings"] | options)
        self.classes_ = classes_from_list(state["classes"])
        for name, value in state["fitted"].items():
            setattr(self, name, value)
        if state["features"] is not None:
            self.n_features_in_ = state["features"]
        self._restored(state["weights"])
        return self

    def _check_options(self) -> None:
        if self.nan not in ("raise", "interpolate", "mask"):
            raise ValueError(f'nan: expected "raise", "interpolate" or "mask", got {self.nan!r}')
        if self.nan == "mask" and self.model is not None:
            raise ValueError('nan: expected "raise" or "interpolate", got "mask": a model of your own gets no mask')
        if self.max_length is not None and not is_whole(self.max_length, 1):
            raise ValueError(f"max_length: expected a whole number above 0, or None, got {self.max_length!r}")
        if self.class_weight is not None and self.loss is not None:
            raise ValueError("class_weight: expected None beside a loss of your own, which weighs as it likes")

    def _finite(self) -> bool | str:
        return True if self.nan == "raise" else "allow-nan"

    def _new_model(self) -> nn.Module:
        make = self._signal_transformer if self.model is None else self.model
        return make(self.n_channels_, self.max_length_, len(self.classes_))

    def _signals(self, X, n_channels: int | None = None) -> list[np.ndarray]:
        """Signals (L, C), checked; NaN only where it stands for a step to be masked."""
        if self.nan == "raise":
            return time_first(X, n_channels)
        arrays = [as_array(signal) for signal in X]
        gaps = [np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool) for array in arrays]
        filled = [np.where(gap, 0, array) for gap, array in zip(gaps, arrays, strict=True)]
        layouts = [time_first(part, n_channels) for part in (filled, [gap.astype(int) for gap in gaps])]
        signals = [np.where(gap, np.nan, signal) for signal, gap in zip(*layouts, strict=True)]
        for i, signal in enumerate(signals):
            if np.isnan(signal).all(axis=0 if self.nan == "interpolate" else None).any():
                raise ValueError(f"X: expected a value in every channel of every signal, got only NaN in signal {i}")
        return [_interpolated(signal) for signal in signals] if self.nan == "interpolate" else signals

    def _signal_transformer(self, in_channels: int, max_length: int, num_classes: int) -> SignalSequenceTransformer:
        halvings = max(0, int(np.log2(max(1, max_length / _ENOUGH_TOKENS))))
        config = SignalTransformerConfig(
            num_classes,
            max_length,
            in_channels,
            self.model_dim,
            self.num_layers,
            self.num_heads,
            channels=tuple(self.channels),
            strides=tuple(2 if stage < halvings else 1 for stage in range(len(self.channels))),
            dropout=self.dropout,
        )
        return SignalSequenceTransformer(config)

    def _padded(self, signals: list[np.ndarray]) -> tuple[Tensor, Tensor]:
        """(N, max_length_, n_channels_) float32: standardised, then cut or followed by zeros; and the mask (N, L)."""
        padded = torch.zeros(len(signals), self.max_length_, self.n_channels_)
        valid = torch.zeros(len(signals), self.max_length_, dtype=torch.bool)
        for i, signal in enumerate(signals):
            kept = torch.from_numpy((signal[: self.max_length_] - self.mean_) / self.scale_)
            there = ~kept.isnan().any(dim=1)
            if not there.any():
                raise ValueError(f"X: expected a step without NaN among the first {len(kept)} of signal {i}, got none")
            valid[i, : len(kept)] = there
            padded[i, : len(kept)] = torch.where(there[:, None], kept, 0)
            if not padded[i].isfinite().all():
                raise ValueError(f"X: signal {i}, standardised by the training signals, is beyond what float32 holds")
        return padded, valid

    def _batch(self, items: list[tuple[Tensor, ...]]) -> tuple[Sequence | Tensor, ...]:
        """Padded signals, as a `Sequence` where the model knows what a mask is, and, in training, their labels."""
        signals, valid, *labels = default_collate(items)
        if isinstance(self.model_, SignalSequenceTransformer):
            signals = Sequence.of(signals) if valid.all() else Sequence(signals, valid)
        return signals, *labels


def _is_table(X) -> bool:
    """Whether X is what scikit-learn calls X, one row of numbers a sample, rather than arrays of signals."""
    if isinstance(X, list | tuple) or (isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1):
        return not len(X) or not all(getattr(item, "ndim", 0) for item in X)
    return not (isinstance(X, np.ndarray | Tensor) and X.ndim == 3)


def time_first(X, n_channels: int | None = None) -> list[np.ndarray]:
    """Signals (L, C), checked as `SignalDataset` checks them.  n_channels: C, where a training has settled it."""
    try:
        checked = SignalDataset(X, np.zeros(len(X), dtype=np.int64)).signals
    except ValueError as error:
        raise ValueError(f"X: {error}") from None
    one_row = [signal.ndim == 2 and len(signal) == 1 for signal in checked]  # (1, samples), or one step of C channels
    audio = all(one_row) if n_channels is None else n_channels == 1
    return [
        signal.T if audio and row else signal.reshape(len(signal), -1)
        for signal, row in zip(checked, one_row, strict=True)
    ]


def _moments(signals: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (C,) of each channel over all time steps; a constant channel has deviation 1."""
    values = np.concatenate(signals).astype(np.float64)  # (steps, C)
    values = values[~np.isnan(values).any(axis=1)]  # steps that a mask will leave out
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    return mean, np.where(deviation > 1e-12 * np.maximum(1, np.abs(mean)), deviation, 1.0)


def _interpolated(signal: np.ndarray) -> np.ndarray:
    """(L, C) each channel's NaN on lines between the values beside it; at the ends, as the nearest value."""
    filled, steps = signal.copy(), np.arange(len(signal))
    for channel in filled.T:
        gap = np.isnan(channel)
        channel[gap] = np.interp(steps[gap], steps[~gap], channel[~gap])
    return filled
