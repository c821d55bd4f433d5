"""Three thin trainers over the one `fit`: each says what its kind of batch does, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from torch import Tensor, nn
from torch.optim import Optimizer

from course_lib.training.fit import fit
from course_lib.training.history import History
from course_lib.training.steps import describe, supervised_step


class SupervisedTrainer:
    """`SupervisedTrainer(model, loss, optimizer).fit(loader, num_epochs=…)` for models that learn from labels.

    A batch (inputs, targets): `loss(model(inputs), targets)`, as in `fit`.
    A batch with the fields x, lengths, labels, timings (an `EventBatch`): the model gets x and lengths, the loss what
    the model returns (a plain tuple entry by entry), labels, timings and lengths.
    """

    def __init__(self, model: nn.Module, loss: Callable, optimizer: Optimizer):
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self._pair_step = supervised_step(loss)

    def training_step(self, model: nn.Module, batch) -> Tensor | Mapping[str, Tensor]:
        """The loss of one batch, or a dict with "loss"."""
        if not hasattr(batch, "timings"):
            return self._pair_step(model, batch)
        outputs = _entries(model(batch.x, batch.lengths))
        return self.loss(*outputs, batch.labels, batch.timings, batch.lengths)

    def fit(self, loader: Iterable, num_epochs: int = 1, **options) -> History:
        """Train for `num_epochs`; `options` go to `course_lib.training.fit` (validation, schedule, clip_norm, ...)."""
        return _fit(self, loader, num_epochs, options)


class UnsupervisedTrainer:
    """For models that draw their input again.  Batches: x (B, T, C), or (x, lengths).

    The loss gets what the model returns (a plain tuple entry by entry), x and lengths.
    """

    def __init__(self, model: nn.Module, loss: Callable, optimizer: Optimizer):
        self.model, self.loss, self.optimizer = model, loss, optimizer

    def training_step(self, model: nn.Module, batch) -> Tensor | Mapping[str, Tensor]:
        """The loss of one batch, or a dict with "loss"."""
        x, lengths = (batch, None) if isinstance(batch, Tensor) else batch
        return self.loss(*_entries(model(x, lengths)), x, lengths)

    def fit(self, loader: Iterable, num_epochs: int = 1, **options) -> History:
        """Train for `num_epochs`; `options` go to `course_lib.training.fit`."""
        return _fit(self, loader, num_epochs, options)


class ContrastiveTrainer:
    """For models that learn from two views of each window.  Batches: (first, second, lengths), views (B, T, C).

    loss: `loss(projections of first, of second)`; None: the model's own, `model.loss`.
    Raises TypeError where neither is there.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, loss: Callable | None = None):
        self.model, self.optimizer = model, optimizer
        self.loss = getattr(model, "loss", None) if loss is None else loss
        if not callable(self.loss):
            raise TypeError(f"loss: expected one, since {type(model).__name__} has no loss of its own")

    def training_step(self, model: nn.Module, batch) -> Tensor | Mapping[str, Tensor]:
        """The loss of one batch, or a dict with "loss"."""
        if not isinstance(batch, list | tuple) or len(batch) != 3:
            raise ValueError(f"expected batches (first, second, lengths), got {describe(batch)}")
        first, second, lengths = batch
        return self.loss(model(first, lengths), model(second, lengths))

    def fit(self, loader: Iterable, num_epochs: int = 1, **options) -> History:
        """Train for `num_epochs`; `options` go to `course_lib.training.fit`."""
        return _fit(self, loader, num_epochs, options)


def _entries(outputs) -> tuple:
    """A plain tuple as it is; anything else, a named tuple too, as one entry."""
    return outputs if type(outputs) is tuple else (outputs,)


def _fit(trainer, loader: Iterable, num_epochs: int, options: dict) -> History:
    options = {"epochs": num_epochs, "optimizer": trainer.optimizer, "training_step": trainer.training_step} | options
    return fit(trainer.model, loader, **options)
