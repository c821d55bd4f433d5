"""What the classifiers of signals and of sound share: labels, the training of a network, probabilities, the file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from course_lib.estimator.artefact import Saved
from course_lib.estimator.groups import hold_out
from course_lib.training import History, cosine_with_warmup, fit, resolve_device
from course_lib.training.checkpoint import put_weights
from course_lib.training.rng import isolated


class NetworkClassifier(Saved, ClassifierMixin, BaseEstimator):
    """A classifier around a network, which `_new_model` makes; one answer an item, or several where `several_`.

    A subclass has the parameters below, whose text is `SignalClassifier`'s, and says what its inputs are.
    """

    epochs: int
    learning_rate: float
    weight_decay: float
    class_weight: dict | str | None
    validation: float
    early_stopping: int | None
    device: str
    random_state: int | np.random.RandomState | None
    model_: nn.Module
    classes_: np.ndarray
    several_: bool
    history_: History

    def _new_model(self) -> nn.Module:
        raise NotImplementedError

    def _logits(self, X: Any) -> np.ndarray:
        """(N, K) what the network says of each item."""
        raise NotImplementedError

    def _numbered(self, items: Sequence, y: Any, groups: ArrayLike | None) -> np.ndarray:
        """Labels as numbers: (N,) places in `classes_`, which is set here; (N, K) float32 where `several_`."""
        y = np.asarray(y) if self.several_ else column_or_1d(y, warn=True)
        check_consistent_length(items, y, groups)
        check_classification_targets(y)
        if self.several_:
            self.classes_, labels = np.arange(y.shape[1]), y.astype(np.float32)
        else:
            self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y: expected at least two classes, got one class: {self.classes_[0]!r}")
        return labels

    def _held_out(self, labels: np.ndarray, groups: ArrayLike | None) -> tuple[np.ndarray, np.ndarray, int]:
        """Indices of the training and of the validation part, and the seed of the training."""
        if self.early_stopping is not None and not self.validation:
            raise ValueError("early_stopping: needs a part to watch, such as validation=0.2")
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        return *hold_out(labels, self.validation, groups, seed), seed

    def _loss(self, labels: np.ndarray) -> Callable[[Tensor, Tensor], Tensor] | None:
        """By the class weights of the labels of the training part; None: cross-entropy."""
        if self.class_weight is None:
            return F.binary_cross_entropy_with_logits if self.several_ else None
        if self.several_:
            raise ValueError("class_weight: expected None where an item of X may have several labels")
        weights = compute_class_weight(self.class_weight, classes=self.classes_, y=self.classes_[labels])
        return nn.CrossEntropyLoss(torch.tensor(weights, dtype=torch.float32)).to(resolve_device(self.device))

    def _train(
        self,
        tensors: Sequence[Tensor],
        train: np.ndarray,
        held: np.ndarray,
        seed: int,
        *,
        batch_size: int,
        loss: Callable[[Tensor, Tensor], Tensor] | None,
        collate: Callable | None = None,
        drop_last: bool = False,
        transform: Callable | None = None,
    ) -> None:
        """A new `model_`, trained on the rows `train` of all tensors, and `history_`.  held: rows for validation."""
        device = resolve_device(self.device)
        with isolated(seed, device):
            self.model_ = self._new_model()
        own = torch.Generator().manual_seed(seed)

        def loader(part: np.ndarray, **options: Any) -> DataLoader:
            data = TensorDataset(*(tensor[part] for tensor in tensors))
            return DataLoader(data, batch_size, generator=own, collate_fn=collate, **options)

        self.history_ = fit(
            self.model_,
            loader(train, shuffle=True, drop_last=drop_last),
            epochs=self.epochs,
            validation=loader(held) if len(held) else None,
            loss=loss,
            train_transform=transform,
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

    def _restored(self, weights: dict[str, Tensor]) -> None:
        """`model_` as it was when its weights were saved; the initial ones draw from no one's generator."""
        with isolated(0, resolve_device("cpu")):
            self.model_ = self._new_model()
        put_weights(self.model_, weights)
        self.model_.eval()

    def predict_proba(self, X: Any) -> np.ndarray:
        """(N, number of classes): the probability of each of `classes_`.

        Rows have sum 1; where an item may have several labels, each probability stands by itself.
        """
        check_is_fitted(self)
        logits = torch.from_numpy(self._logits(X)).double()
        return (torch.sigmoid(logits) if self.several_ else torch.softmax(logits, dim=1)).numpy()

    def predict(self, X: Any) -> np.ndarray:
        """(N,) the most probable label of each item; (N, K) of 0 and 1 where an item may have several."""
        probabilities = self.predict_proba(X)
        return (probabilities >= 0.5).astype(int) if self.several_ else self.classes_[probabilities.argmax(axis=1)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
