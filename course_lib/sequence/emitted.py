"""What goes on inside a layer while it runs: attention's weights, or whatever passes an `Emit`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from torch import Tensor, nn

from course_lib.sequence.layer import SequenceLayer


@contextmanager
def emitted(model: nn.Module) -> Iterator[dict[str, list[Tensor]]]:
    """Collects what the layers inside `model` hand out, in `layer` and in `step` alike.

        with emitted(model) as seen:
            y, state = model.step(block, state)
        seen["0.attention.weights"]  # a list, one tensor a call

    Each name is the layer's path in the model and what it hands out: attention its "weights" (B, H, Q, K), without
    dropout; K counts the steps that a stream has kept, then those of the block, and in a stream with a future horizon
    the queries are those whose outputs come out. `Emit` hands out all that passes through it. Gradients flow.
    Attention by blocks of queries is taken in one piece meanwhile: the cost grows with T².
    """
    seen: dict[str, list[Tensor]] = {}

    def keep(path: str, name: str, value: Tensor) -> None:
        seen.setdefault(f"{path}.{name}" if path else name, []).append(value)

    layers = {path: layer for path, layer in model.named_modules() if isinstance(layer, SequenceLayer)}
    before = {path: layer._emitted for path, layer in layers.items()}
    try:
        for path, layer in layers.items():
            layer._emitted = partial(keep, path)
        yield seen
    finally:
        for path, layer in layers.items():
            layer._emitted = before[path]
