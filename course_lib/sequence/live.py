"""A layer on blocks as they come, from a device, a file or a generator: each output as soon as it can be told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import ceil
from typing import Any

import torch

from course_lib.sequence.layer import Constants, SequenceLayer
from course_lib.sequence.sequence import Sequence


def stream_blocks(
    layer: SequenceLayer, blocks: Iterable[Any], training: bool | None, constants: Constants | None
) -> Iterator[Sequence]:
    """The outputs of `layer`, in pieces that together are `layer.layer` of all blocks.  See `stream`."""
    incoming, failure = _Blocks(), None
    state, skip, given = None, layer.output_latency, 0
    source = iter(blocks)
    while True:
        try:
            block = next(source)
        except StopIteration:
            break
        except Exception as error:  # the source died: what it had sent comes out before the error does
            failure = error
            break
        incoming.add(block)
        if state is None:
            held = incoming.held
            state = layer.initial_state(held.shape[0], held.spec, device=held.values.device, constants=constants)
        x = incoming.take(len(incoming) // layer.block_size * layer.block_size)
        if x.shape[1]:
            y, state = layer.step(x, state, training=training, constants=constants)
            y, skip = y[:, skip:], max(skip - y.shape[1], 0)
            given += y.shape[1]
            if y.shape[1]:
                yield y
    if state is not None:
        heard = incoming.taken + len(incoming)
        length = layer.output_length(heard)
        needed = max(heard + layer.input_latency, ceil((layer.output_latency + length) / layer.output_ratio))
        incoming.pad(ceil(needed / layer.block_size) * layer.block_size - heard)
        x = incoming.take(len(incoming))
        if x.shape[1]:
            y, _ = layer.step(x, state, training=training, constants=constants)
            y = y[:, skip : skip + length - given]
            if y.shape[1]:
                yield y
    if failure is not None:
        raise failure


class _Blocks:
    """Steps that came and were not fed yet, joined; steps that never came stand among them as invalid ones."""

    def __init__(self) -> None:
        self.held: Sequence = None  # type: ignore[assignment]  # until the first block says what a step looks like
        self.taken = 0

    def __len__(self) -> int:
        return self.held.shape[1]

    def add(self, block: Any) -> None:
        first, values = block[:2] if isinstance(block, tuple) else (None, block)
        part = values if isinstance(values, Sequence) else Sequence.of(torch.as_tensor(values)[None])  # (1, n, *C)
        if self.held is None:
            self.held = part[:, :0]
        here = self.taken + len(self)
        if (part.shape[0], part.spec) != (self.held.shape[0], self.held.spec):
            shapes = [f"{tuple(s.shape[:1])} × {tuple(s.spec.shape)} of {s.spec.dtype}" for s in (self.held, part)]
            raise ValueError(f"x: expected blocks like the first, batch × channels {shapes[0]}, got {shapes[1]}")
        if first is not None and first < here:
            raise ValueError(
                f"x: expected the block that begins at step {here} or later, got one that begins at {first}"
            )
        if first is not None:
            self.pad(first - here)
        self.held = Sequence.concatenate([self.held, part])

    def pad(self, steps: int) -> None:
        if steps > 0:
            nothing = Sequence.invalid(self.held.shape[0], steps, self.held.spec, self.held.values.device)
            self.held = Sequence.concatenate([self.held, nothing])

    def take(self, steps: int) -> Sequence:
        x, self.held = self.held[:, :steps], self.held[:, steps:]
        self.taken += steps
        return x
