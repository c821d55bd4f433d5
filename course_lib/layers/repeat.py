"""The same kind of layer several times in a row: `Repeat`."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

from course_lib.layers.sequential import Sequential
from course_lib.sequence import SequenceLayer


class Repeat(Sequential):
    """`count` layers in turn, each with weights of its own.

    layer: a function that makes a layer, called `count` times; or a layer, of which copies are made that begin with
    the same weights, as `nn.TransformerEncoder` does.
    """

    def __init__(self, layer: Callable[[], SequenceLayer] | SequenceLayer, count: int):
        if count < 0:
            raise ValueError(f"count: expected at least 0, got {count}")
        copies = isinstance(layer, SequenceLayer)
        super().__init__([deepcopy(layer) if copies else layer() for _ in range(count)])
