"""The models behind scikit-learn's interface: fit, predict, predict_proba, score."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset, default_collate

from course_lib.data import SignalDataset
from course_lib.models import SignalSequenceTransformer, SignalTransformerConfig
from course_lib.sequence import Sequence
from course_lib.training import cosine_with_warmup, fit, predict, resolve_device
from course_lib.training.rng import isolated

_ENOUGH_TOKENS = 16


class SignalClassifier(ClassifierMixin, BaseEstimator):
    """Classifies signals with a `SignalSequenceTransformer`, or a model of your own, trained by `course_lib.training`.

    X: an array (N, L), (N, L, C) or (N, 1, samples), any real dtype; or a list of signals (L,), (L, C) or (1, samples)
    whose lengths may differ.  y: N labels of any kind.  In training, signals of one row are taken for (1, samples);
    after a training on several channels, one row is one step of them.
    Each channel is brought to mean 0 and standard deviation 1 by the training signals' moments; then signals are
    zero-padded or cut on the right to `max_length` steps (None: the longest signal in training). A
    SignalSequenceTransformer gets a mask with them, so that padding changes nothing; a model of your own sees zeros.

    model: a function (in_channels, max_length, num_classes) -> nn.Module, whose input is (B, L, C) and output logits;
        None: a SignalSequenceTransformer of model_dim, num_heads, num_layers, channels, dropout, with as many stages
        of stride 2 as leave 16 tokens.
    epochs, batch_size, learning_rate, weight_decay: AdamW under a cosine with 10 % warm-up, gradients clipped to 1.
    loss: loss(logits, classes); None: cross-entropy.
    device: "auto", "cpu", "cuda", ….  random_state: an int makes fits repeatable on one machine; PyTorch's and NumPy's
        global generators are left alone.
    After fit: classes_, model_ (in evaluation mode), history_ (course_lib.training.History), max_length_, n_channels_,
    mean_ and scale_ (C,), and n_features_in_ where X was (N, L), which must then keep its L.
    Raises ValueError where X or y are no such thing, hold NaN or infinity, or y has one class only.
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
        self.max_length = max_length
        self.device = device
        self.random_state = random_state

    def fit(self, X, y) -> SignalClassifier:
        """Train a new model on signals X and labels y."""
        if _is_table(X):
            X, y = validate_data(self, X, y, dtype=np.float32)
        else:
            y = validate_data(self, y=y)
            self.__dict__.pop("n_features_in_", None)
        signals = _time_first(X)
        y = column_or_1d(y, warn=True)
        check_consistent_length(signals, y)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y: expected at least two classes, got one class: {self.classes_[0]!r}")
        self.n_channels_ = signals[0].shape[1]
        self.mean_, self.scale_ = _moments(signals)
        self.max_length_ = max(map(len, signals)) if self.max_length is None else self.max_length

        seed = check_random_state(self.random_state).randint(2**31 - 1)
        device = resolve_device(self.device)
        make_model = self._signal_transformer if self.model is None else self.model
        with isolated(seed, device):
            self.model_ = make_model(self.n_channels_, self.max_length_, len(self.classes_))
        loader = DataLoader(
            TensorDataset(*self._padded(signals), torch.from_numpy(labels)),
            self.batch_size,
            shuffle=True,
            generator=torch.Generator().manual_seed(seed),
            collate_fn=self._batch,
        )
        self.history_ = fit(
            self.model_,
            loader,
            epochs=self.epochs,
            loss=self.loss,
            optimizer=lambda p: torch.optim.AdamW(p, lr=self.learning_rate, weight_decay=self.weight_decay),
            schedule=cosine_with_warmup,
            clip_norm=1.0,
            device=device,
            generator=torch.Generator().manual_seed(seed),
            progress=False,
        )
        self.model_.eval()
        return self

    def predict_proba(self, X) -> np.ndarray:
        """(N, number of classes): the probability of each of `classes_`, rows of sum 1."""
        check_is_fitted(self)
        if hasattr(self, "n_features_in_") and _is_table(X):
            X = validate_data(self, X, dtype=np.float32, reset=False)
        signals = _time_first(X, self.n_channels_)
        if signals[0].shape[1] != self.n_channels_:
            raise ValueError(f"X: expected signals of {self.n_channels_} channels, got {signals[0].shape[1]}")
        own = torch.Generator()  # a loader without one draws from PyTorch's global generator
        loader = DataLoader(TensorDataset(*self._padded(signals)), 256, collate_fn=self._batch, generator=own)
        logits = predict(self.model_, loader, device=self.device)
        return torch.softmax(torch.from_numpy(logits).double(), dim=1).numpy()

    def predict(self, X) -> np.ndarray:
        """(N,) the most probable label of each signal."""
        chosen = self.predict_proba(X).argmax(axis=1)
        return self.classes_[chosen]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

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
        """(N, max_length_, n_channels_) float32: standardised, then cut or followed by zeros; and the lengths (N,)."""
        padded = torch.zeros(len(signals), self.max_length_, self.n_channels_)
        for i, signal in enumerate(signals):
            kept = torch.from_numpy((signal[: self.max_length_] - self.mean_) / self.scale_)
            padded[i, : len(kept)] = kept
            if not padded[i].isfinite().all():
                raise ValueError(f"X: signal {i}, standardised by the training signals, is beyond what float32 holds")
        return padded, torch.tensor([min(len(signal), self.max_length_) for signal in signals])

    def _batch(self, items: list[tuple[Tensor, ...]]) -> tuple[Sequence | Tensor, ...]:
        """Padded signals, as a `Sequence` where the model knows what a mask is, and, in training, their labels."""
        signals, lengths, *labels = default_collate(items)
        if isinstance(self.model_, SignalSequenceTransformer):
            inside = torch.arange(signals.shape[1]) < lengths[:, None]  # (B, L)
            signals = Sequence.of(signals) if inside.all() else Sequence(signals, inside)
        return signals, *labels


def _is_table(X) -> bool:
    """Whether X is what scikit-learn calls X, one row of numbers a sample, rather than arrays of signals."""
    if isinstance(X, list | tuple) or (isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1):
        return not len(X) or not all(getattr(item, "ndim", 0) for item in X)
    return not (isinstance(X, np.ndarray | Tensor) and X.ndim == 3)


def _time_first(X, n_channels: int | None = None) -> list[np.ndarray]:
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
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    return mean, np.where(deviation > 1e-12 * np.maximum(1, np.abs(mean)), deviation, 1.0)
