"""What one batch does: the supervised step and its metrics, a window of a long stream, and what a step may return."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

Step = Callable[[nn.Module, Any], Tensor | Mapping[str, Tensor]]
IGNORED = -100


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Share of largest outputs that are the target.  outputs (B, C, ...); targets (B, ...) or, soft, (B, C, ...)."""
    hard = targets.argmax(1) if targets.shape == outputs.shape else targets
    return (outputs.argmax(1) == hard).float().mean()


def supervised_step(loss: Callable | None = None, metrics: Mapping[str, Callable] | None = None) -> Step:
    """A step for batches (inputs, targets): the loss of `model(inputs)` against the targets, and the metrics beside it.

    Inputs that are numbers of another type than the model's, such as float64, are turned into its own.
    loss: `loss(outputs, targets)` -> scalar, or a dict of scalars with a "loss"; None: cross-entropy.
    metrics: name -> `metric(outputs, targets)` -> scalar, a mean over the batch; None: accuracy, for targets that are
    classes.
    """
    criterion = nn.functional.cross_entropy if loss is None else loss
    classifies = loss is None or isinstance(loss, nn.CrossEntropyLoss)

    def step(model: nn.Module, batch: Any) -> dict[str, Tensor]:
        if not isinstance(batch, list | tuple) or len(batch) != 2:
            raise ValueError(
                f"expected batches (inputs, targets), got {describe(batch)}: give a training_step for other batches"
            )
        inputs, targets = batch
        outputs = model(as_the_model(inputs, model))
        value = criterion(outputs, targets)
        values = dict(value) if isinstance(value, Mapping) else {"loss": value}
        chosen = metrics
        if chosen is None:
            chosen = {"accuracy": accuracy} if _are_classes(outputs, targets, classifies) else {}
        with torch.no_grad():
            values.update({name: metric(outputs, targets) for name, metric in chosen.items()})
        return values

    return step


def checked(values: Tensor | Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a step returned as a dict with a scalar "loss".  Raises TypeError or ValueError saying what is missing."""
    if isinstance(values, Tensor):
        values = {"loss": values}
    if not isinstance(values, Mapping) or not isinstance(values.get("loss"), Tensor):
        raise TypeError(f"expected a step to return the loss, or a dict with a tensor 'loss', got {describe(values)}")
    for name, value in values.items():
        if isinstance(value, Tensor) and value.numel() != 1:
            raise ValueError(f"expected scalars from a step, got {name!r} of shape {tuple(value.shape)}")
    return dict(values)


def as_the_model(inputs: Any, model: nn.Module) -> Any:
    """`inputs` in the number type of the model's parameters, where both are real numbers; anything else as it is.

    Raises ValueError where a finite number becomes infinite (1e39 in float64 is beyond float32).
    """
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), None)
    if not isinstance(inputs, Tensor) or dtype is None or not inputs.is_floating_point() or inputs.dtype == dtype:
        return inputs
    turned = inputs.to(dtype)
    if turned.isinf().any() and not inputs.isinf().any():
        raise ValueError(f"inputs: expected numbers within {dtype}, the model's type, got {inputs.abs().max():.3g}")
    return turned


def batch_size(batch: Any) -> int:
    """The number of samples: the length of the first tensor in `batch`.  Raises TypeError where there is none."""
    first = _first_tensor(batch)
    if first is None:
        raise TypeError(f"expected tensors in the batch, got {describe(batch)}")
    return 1 if first.ndim == 0 else len(first)


def describe(value: Any) -> str:
    """What `value` is, in a few words, for an error message."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, Mapping):
        return f"a dict with keys {sorted(map(str, value))}"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    return type(value).__name__


def _first_tensor(batch: Any) -> Tensor | None:
    if isinstance(batch, Tensor):
        return batch
    parts = batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, list | tuple) else ()
    return next((tensor for tensor in map(_first_tensor, parts) if tensor is not None), None)


def _are_classes(outputs: Any, targets: Any, classifies: bool) -> bool:
    if not isinstance(outputs, Tensor) or not isinstance(targets, Tensor) or outputs.ndim < 2 or outputs.size(1) < 2:
        return False
    if targets.is_floating_point():
        return classifies and targets.shape == outputs.shape
    return targets.shape == outputs.shape[:1] + outputs.shape[2:]


def truncated_step(loss: Callable[[Tensor, Tensor], Tensor] | None = None) -> Step:
    """A `training_step` of `fit` for truncated back-propagation through time (Williams and Peng 1990).

    It takes batches (inputs (B, k, ...), targets (B, k), first (B,)): the next k steps of B streams, and which of them
    begin here. It calls `model(inputs, first=first)`, which returns (B, k, C) and keeps, cut from its graph, what the
    next batch needs. So the memory reaches back to the start of a stream, and the gradient to that of the window.
    loss: `loss(outputs (N, C), targets (N,))` -> scalar, a mean; None: cross-entropy. Steps whose target is -100 are
    left out. Returns the loss and the accuracy over the steps that count, and their number as "samples", by which `fit`
    weighs the window in its means.
    Raises ValueError for other batches or outputs, and for a window in which no step counts.
    """
    criterion = nn.functional.cross_entropy if loss is None else loss

    def step(model: nn.Module, batch: Any) -> dict[str, Tensor]:
        if not isinstance(batch, list | tuple) or len(batch) != 3:
            raise ValueError(f"expected batches (inputs, targets, first), got {describe(batch)}")
        inputs, targets, first = batch
        outputs = model(inputs, first=first)
        if outputs.shape[:-1] != targets.shape:
            raise ValueError(
                f"expected outputs (*{tuple(targets.shape)}, classes) for the targets, got {tuple(outputs.shape)}"
            )
        counts = targets != IGNORED
        outputs, targets = outputs[counts], targets[counts]  # (N, C), (N,)
        if len(targets) == 0:
            raise ValueError("targets: expected at least one step that counts, got only -100")
        with torch.no_grad():
            right = (outputs.argmax(dim=-1) == targets).float().mean()
        return {"loss": criterion(outputs, targets), "accuracy": right, "samples": counts.sum()}

    return step
