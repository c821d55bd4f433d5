"""`stream`: drives a layer block by block and returns what the run over the whole sequence returns.

The blocks are cut from a sequence, or come as they will, from a device, a file or a generator: then each output is
given as soon as it can be told.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from math import ceil
from typing import Any, overload

import torch

from course_lib.sequence.layer import Constants, SequenceLayer
from course_lib.sequence.sequence import Sequence


@overload
def stream(
    layer: SequenceLayer,
    x: Sequence,
    block_size: int | list[int] | None = ...,
    training: bool | None = ...,
    constants: Constants | None = ...,
) -> Sequence: ...
@overload
def stream(
    layer: SequenceLayer,
    x: Iterable[Any],
    block_size: None = ...,
    training: bool | None = ...,
    constants: Constants | None = ...,
) -> Iterator[Sequence]: ...
def stream(
    layer: SequenceLayer,
    x: Any,
    block_size: int | list[int] | None = None,
    training: bool | None = False,
    constants: Constants | None = None,
) -> Sequence | Iterator[Sequence]:
    """Run `layer` over `x` block by block and return what `layer.layer(x)` returns: same length, values and mask.

    block_size: steps per block, or a list of lengths to go through in turn; multiples of `layer.block_size`, which is
    the default. The end is padded with invalid steps: to whole blocks, and by `input_latency`, so that nothing is lost;
    the first `output_latency` outputs are dropped.

    x may also be blocks that are still to come, of any lengths: arrays or tensors (n, *C), sequences (B, n, *C), or
    pairs of the number of a block's first step and such a block, as the sources of `course_lib.data` give. Then an
    iterator comes back; it gives outputs as soon as they can be told, and the rest when the blocks have ended. Steps
    that a number skips were lost on the way and are invalid. What the source raises is raised after its last outputs.
    Raises ValueError for a number that goes back, blocks that are unlike the first, or a `block_size` for such blocks.
    """
    if not isinstance(x, Sequence):
        if block_size is not None:
            raise ValueError(f"block_size: blocks that come have their own lengths, got {block_size}")
        return _stream_blocks(layer, x, training, constants)
    sizes = block_size if isinstance(block_size, list | tuple) else [block_size or layer.block_size]
    if any(size < 1 or size % layer.block_size for size in sizes):
        raise ValueError(f"block_size: expected multiples of {layer.block_size}, got {block_size}")
    batch_size, length = x.shape[:2]
    device = x.values.device
    state = layer.initial_state(batch_size, x.spec, device=device, constants=constants)
    first, out_length = layer.output_latency, layer.output_length(length)
    needed = max(length + layer.input_latency, ceil((first + out_length) / layer.output_ratio))
    steps = list(_whole_blocks(sizes, needed))
    x = Sequence.concatenate([x, Sequence.invalid(batch_size, sum(steps) - length, x.spec, device)])
    outputs, start = [], 0
    for size in steps:
        y, state = layer.step(x[:, start : start + size], state, training=training, constants=constants)
        outputs.append(y)
        start += size
    if not outputs:  # a sequence of no steps, and no latency: nothing to feed
        return layer.layer(x, training=training, constants=constants)
    return Sequence.concatenate(outputs)[:, first : first + out_length]


def _whole_blocks(sizes, needed: int):
    """Block lengths, in turn from `sizes`, until `needed` steps are covered."""
    covered = 0
    for size in itertools.cycle(sizes):
        if covered >= needed:
            return
        covered += size
        yield size


def _stream_blocks(
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
