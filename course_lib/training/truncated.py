"""Training on streams too long to keep: gradients go back through one window, the memory goes on to the next."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from course_lib.training.steps import Step, describe

IGNORED = -100


def truncated_step(loss: Callable[[Tensor, Tensor], Tensor] | None = None) -> Step:
    """A `training_step` of `fit` for truncated back-propagation through time (Williams and Peng 1990).

    It takes batches (inputs (B, k, ...), targets (B, k), first (B,)): the next k steps of B streams, and which of them
    begin here. It calls `model(inputs, first=first)`, which returns (B, k, C) and keeps, cut from its graph, what the
    next batch needs. So the memory reaches back to the start of a stream, and the gradient to that of the window.
    loss: `loss(outputs (N, C), targets (N,))` -> scalar, a mean; None: cross-entropy. Steps whose target is -100 are
    left out. Returns the loss and the accuracy over the steps that count.
    Raises ValueError for other batches or outputs, and for a window in which no step counts.
    """
    criterion = nn.functional.cross_entropy if loss is None else loss

    def step(model: nn.Module, batch) -> dict[str, Tensor]:
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
            accuracy = (outputs.argmax(dim=-1) == targets).float().mean()
        return {"loss": criterion(outputs, targets), "accuracy": accuracy}

    return step
