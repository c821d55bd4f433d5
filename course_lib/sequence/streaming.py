"""`stream`: drives a layer block by block and returns what the run over the whole sequence returns."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from math import ceil
from typing import Any, overload

from course_lib.sequence.layer import Constants, SequenceLayer
from course_lib.sequence.live import stream_blocks
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
        return stream_blocks(layer, x, training, constants)
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
