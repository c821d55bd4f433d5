"""Which inputs an output looks at, found out by changing the inputs one step at a time."""

from __future__ import annotations

from math import floor

import torch
from torch import Tensor

from course_lib.sequence.layer import Constants, SequenceLayer
from course_lib.sequence.sequence import Sequence


def influence(
    layer: SequenceLayer,
    x: Sequence,
    length: int,
    constants: Constants | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Boolean (length, output steps): True where replacing one input step changes a valid output step.

    All `length + 1` versions of the input go through `layer` as one batch. Values are drawn from the valid ones of `x`,
    so that they stay in the layer's domain; tokens work as well as numbers. This is the pattern of non-zero entries of
    the Jacobian, for large changes: a maximum or a rectifier may hide some in one draw, so join several.
    A change counts above 10⁻¹² of the largest output, in float64.
    """
    constants = constants or {}
    steps = torch.arange(length)
    versions = _drawn(x, (1, length, *x.shape[2:]), generator).repeat(length + 1, *(1 for _ in x.shape[1:]))
    versions[steps, steps] = _drawn(x, (length, *x.shape[2:]), generator)
    beside = {}
    for name, c in constants.items():
        whole = _drawn(c, (1, max(c.shape[1] + length - x.shape[1], 1), *c.shape[2:]), generator)
        beside[name] = Sequence.of(whole.repeat(length + 1, *(1 for _ in whole.shape[1:])))
    with torch.no_grad():
        y = layer.layer(Sequence.of(versions), training=False, constants=beside)
    if not y.values.numel():
        return torch.zeros(length, y.shape[1], dtype=torch.bool)
    values = y.masked().values.reshape(*y.shape[:2], -1)
    change = (values[:-1] - values[-1:]).abs().amax(dim=-1)
    return change > 1e-12 * max(1.0, values[-1].abs().max().item())


def shown_receptive_field(
    layer: SequenceLayer, x: Sequence, constants: Constants | None = None
) -> tuple[int | None, int | None]:
    """First and last input step, counted from an output's own, that change the output; (0, 0) where none does.

    An output's own input step is floor(step / output_ratio). A side that grows with the length of the sequence is
    None, unbounded. `x` shows the kind of input; the lengths that are tried follow from the declared field, and inputs
    are drawn until that shows, at least twice and at most 40 times.
    """
    first, last = declared = layer.receptive_field
    reach = max(abs(first or 0), abs(last or 0), (last or 0) - (first or 0))
    enough, more = reach + 2 * layer.block_size + 2, layer.block_size + 2  # a period of outputs sees all that it can
    lengths = [enough, enough + more]
    if None in declared:  # memory may fade within a few steps, but the first valid output may come after as many
        lengths += [length + x.shape[1] for length in lengths]
    generator = torch.Generator().manual_seed(0)
    ends = [_offsets(layer, x, length, constants, generator) for length in lengths]
    sides = []
    for said, found in zip(declared, zip(*ends, strict=True), strict=True):
        grows = len(set(found if said is None else found[-2:])) > 1
        sides.append(None if grows else found[-1])
    return sides[0], sides[1]


def _offsets(layer, x, length, constants, generator) -> tuple[int, int]:
    """First and last input step that change an output of a sequence of that length, counted from the output's own."""
    seen = torch.zeros(1, 1, dtype=torch.bool)
    for draw in range(40):
        seen = seen | influence(layer, x, length, constants, generator)
        offsets = [source - floor(target / layer.output_ratio) for source, target in seen.nonzero().tolist()] or [0]
        ends = min(offsets), max(offsets)
        if draw and all(said in (None, end) for said, end in zip(layer.receptive_field, ends, strict=True)):
            break
    return ends


def _drawn(x: Sequence, shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
    """A tensor of that shape whose entries are drawn from those at the valid steps of `x`."""
    pool = x.values[x.mask].flatten()
    index = torch.randint(len(pool), (torch.Size(shape).numel(),), generator=generator)
    return pool[index].reshape(shape)
