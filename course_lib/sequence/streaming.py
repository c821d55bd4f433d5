"""`stream`: drives a layer block by block and returns what the run over the whole sequence returns."""

from __future__ import annotations

import itertools
from math import ceil

from course_lib.sequence.layer import Constants, SequenceLayer
from course_lib.sequence.sequence import Sequence


def stream(
    layer: SequenceLayer,
    x: Sequence,
    block_size: int | list[int] | None = None,
    training: bool | None = False,
    constants: Constants | None = None,
) -> Sequence:
    """Run `layer` over `x` block by block and return what `layer.layer(x)` returns: same length, values and mask.

    block_size: steps per block, or a list of lengths to go through in turn; multiples of `layer.block_size`, which is
    the default. The end is padded with invalid steps: to whole blocks, and by `input_latency`, so that nothing is lost;
    the first `output_latency` outputs are dropped.
    """
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
