"""Layers side by side: `Parallel`; `Residual`, with a shortcut; `ChannelGroups`, each with channels of its own;
`Bidirectional`, one of them backwards in time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce
from math import ceil, lcm, prod
from typing import cast

import torch
from torch import Tensor

from course_lib.layers.delay import StepDelay
from course_lib.layers.elementwise import Identity
from course_lib.layers.sequential import union_of_receptive_fields, why_children_do_not_step, widest
from course_lib.sequence import ChannelSpec, Reach, Sequence, SequenceLayer, autocast_enabled

_COMBINATIONS = ("stack", "concatenate", "add", "mean", "product")


class Parallel(SequenceLayer):
    """Every branch sees the same input; their outputs are combined step by step.

    branches: SequenceLayers of one output ratio.
    combine: "stack" on a new first channel axis, "concatenate" on the last channel axis, "add", "mean" or "product".
    An output step is valid where it is valid in every branch. Where one branch gives fewer steps than another (a
    `Lookahead` beside an `Identity`), the output has as many as the shortest. In a stream the branches with less
    latency wait for the slowest. State: for each branch its own, then that of its delay, if there is one.
    Raises ValueError where ratios, channels or dtypes of the branches do not fit together.
    """

    def __init__(self, branches: Iterable[SequenceLayer], combine: str = "add"):
        super().__init__()
        self._set_branches({str(i): branch for i, branch in enumerate(branches)}, combine)

    def _set_branches(self, branches: dict[str, SequenceLayer], combine: str) -> None:
        if combine not in _COMBINATIONS:
            raise ValueError(f"combine: expected one of {', '.join(_COMBINATIONS)}, got {combine!r}")
        if not branches:
            raise ValueError("branches: expected at least one layer, got none")
        for name, branch in branches.items():
            if not isinstance(branch, SequenceLayer):
                raise ValueError(f"branches: expected SequenceLayers, got {type(branch).__name__} for {name!r}")
            self.add_module(name, branch)
        self.combine = combine
        ratios = {branch.output_ratio for branch in self}
        if len(ratios) > 1:
            raise ValueError(f"branches: expected one output ratio, got {', '.join(map(str, sorted(ratios)))}")
        (self.output_ratio,) = ratios
        self.block_size = lcm(*(branch.block_size for branch in self))
        self.output_latency = max(branch.output_latency for branch in self)
        self._waits = [StepDelay(self.output_latency - branch.output_latency) for branch in self]
        self.input_latency = max(
            branch.input_latency + ceil(wait.length / self.output_ratio)
            for branch, wait in zip(self, self._waits, strict=True)
        )
        self.supports_step = all(branch.supports_step for branch in self)
        self.receptive_field = union_of_receptive_fields(self)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[SequenceLayer]:
        return iter(cast("dict[str, SequenceLayer]", self._modules).values())

    def __getitem__(self, index: int) -> SequenceLayer:
        return list(self)[index]

    @property
    def input_spec(self) -> ChannelSpec | None:
        return next((branch.input_spec for branch in self if branch.input_spec is not None), None)

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        part = self._part_spec(spec)
        return combined_spec(type(self).__name__, [branch.output_spec(part) for branch in self], self.combine)

    def _part_spec(self, spec: ChannelSpec) -> ChannelSpec:
        """What each branch sees of an input of this spec."""
        return spec

    def _parts(self, x: Sequence) -> list[Sequence]:
        """What each of the branches sees of x."""
        return [x] * len(self)

    def output_length(self, length: int) -> int:
        return min(branch.output_length(length) for branch in self)

    def receptive_field_at(self, step: int) -> Reach:
        return widest(branch.receptive_field_at(step) for branch in self) or (1, 0)

    def _layer(self, x, training, constants):
        parts = zip(self, self._parts(x), strict=True)
        outputs = [branch._layer(part, training, constants) for branch, part in parts]
        length = min(y.shape[1] for y in outputs)
        return combined([y if y.shape[1] == length else y[:, :length] for y in outputs], self.combine)

    def _initial_state(self, batch_size, spec, device, constants):
        state = []
        spec = None if spec is None else self._part_spec(spec)
        for branch, wait in zip(self, self._waits, strict=True):
            state.append(branch._initial_state(batch_size, spec, device, constants))
            if wait.length:
                out = branch.output_spec(self._known_spec(spec))
                state.append(wait._initial_state(batch_size, out, device, constants))
        return tuple(state)

    def _step(self, x, state, training, constants):
        parts = iter(state)
        outputs, after = [], []
        for branch, wait, seen in zip(self, self._waits, self._parts(x), strict=True):
            y, part = branch._step(seen, next(parts), training, constants)
            after.append(part)
            if wait.length:
                y, part = wait._step(y, next(parts), training, constants)
                after.append(part)
            outputs.append(y)
        return combined(outputs, self.combine), tuple(after)

    def why_no_step(self) -> str:
        return why_children_do_not_step(self)


class Residual(Parallel):
    """body(x) + shortcut(x); the shortcut is the identity where it is None.

    In a stream the shortcut waits for a body that looks ahead. Raises ValueError where the two outputs differ in
    ratio, channels or dtype.
    """

    body: SequenceLayer
    shortcut: SequenceLayer

    def __init__(self, body: SequenceLayer, shortcut: SequenceLayer | None = None):
        SequenceLayer.__init__(self)
        self._set_branches({"body": body, "shortcut": Identity() if shortcut is None else shortcut}, "add")


class ChannelGroups(Parallel):
    """The channels of the last axis in as many equal groups as there are branches, one for each: (B, T, *S, C).

    combine: as in `Parallel`; "concatenate" puts the groups back side by side.
    Raises ValueError where the number of branches does not divide C.
    """

    def __init__(self, branches: Iterable[SequenceLayer], combine: str = "concatenate"):
        super().__init__(branches, combine)

    @property
    def input_spec(self) -> ChannelSpec | None:
        part = super().input_spec
        return None if part is None or not part.shape else self._of_last(part, part.shape[-1] * len(self))

    def _part_spec(self, spec):
        if not spec.shape or spec.shape[-1] % len(self):
            raise ValueError(
                f"x: expected a multiple of {len(self)} channels in the last axis, got {tuple(spec.shape)} in "
                f"{type(self).__name__}"
            )
        return self._of_last(spec, spec.shape[-1] // len(self))

    def _parts(self, x):
        return [Sequence(part, x.mask, x.all_valid) for part in x.values.chunk(len(self), dim=-1)]

    @staticmethod
    def _of_last(spec: ChannelSpec, channels: int) -> ChannelSpec:
        return ChannelSpec((*spec.shape[:-1], channels), spec.dtype)


class Bidirectional(SequenceLayer):
    """forward(x) combined with backward(x reversed in time) reversed back. It cannot step: it begins at the end.

    combine: "stack", "concatenate", "add", "mean" or "product", as in `Parallel`. Padding at the end becomes leading
    invalid steps for `backward`, which leave its state alone. Raises ValueError where one of the layers
    changes the number of time steps, on the way too, or the outputs do not fit together.
    """

    supports_step = False

    def __init__(self, forward: SequenceLayer, backward: SequenceLayer, combine: str = "concatenate"):
        super().__init__()
        for name, layer in (("forward", forward), ("backward", backward)):
            if not isinstance(layer, SequenceLayer):
                raise ValueError(f"{name}: expected a SequenceLayer, got {type(layer).__name__}")
            if layer.output_ratio != 1 or layer.block_size != 1 or layer.output_length(100) != 100:
                raise ValueError(f"{name}: expected a layer that keeps every time step, got {layer}")
        self.forwards, self.backwards = forward, backward
        self.combine = combine
        begin, end = forward.receptive_field
        last, first = backward.receptive_field  # turned round: what lies ahead of it lies behind
        self.receptive_field = (
            None if begin is None or first is None else min(begin, -first),
            None if end is None or last is None else max(end, -last),
        )

    @property
    def input_spec(self) -> ChannelSpec | None:
        return self.forwards.input_spec or self.backwards.input_spec

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        specs = [self.forwards.output_spec(spec), self.backwards.output_spec(spec)]
        return combined_spec("Bidirectional", specs, self.combine)

    def _layer(self, x, training, constants):
        ahead = self.forwards._layer(x, training, constants)
        behind = self.backwards._layer(_reversed(x), training, constants)
        return combined([ahead, _reversed(behind)], self.combine)

    def why_no_step(self) -> str:
        return "its backward half begins at the end of the sequence, which a stream has not seen"


def _reversed(x: Sequence) -> Sequence:
    return Sequence(x.values.flip(1), x.mask.flip(1), x.all_valid)


def combined_spec(name: str, specs: list[ChannelSpec], combine: str) -> ChannelSpec:
    """What comes out of combining outputs of these specs; ValueError, naming the layer, where they do not fit."""
    shapes = [spec.shape for spec in specs]
    if combine == "concatenate":
        fits = all(shapes) and len({shape[:-1] for shape in shapes}) == 1
    else:
        fits = len(set(shapes)) == 1
    if not fits or (len({spec.dtype for spec in specs}) > 1 and not autocast_enabled()):
        got = ", ".join(f"{tuple(spec.shape)} {spec.dtype}" for spec in specs)
        raise ValueError(f"x: the outputs to {combine} do not fit together in {name}: {got}")
    shape = tuple(shapes[0])
    if combine == "stack":
        shape = (len(specs), *shape)
    elif combine == "concatenate":
        shape = (*shape[:-1], sum(s[-1] for s in shapes))
    return ChannelSpec(shape, reduce(torch.promote_types, (spec.dtype for spec in specs)))


def combined(sequences: list[Sequence], combine: str) -> Sequence:
    """Sequences of one length, combined step by step; valid where all of them are."""
    all_valid = all(s.all_valid for s in sequences)
    mask = sequences[0].mask
    if not all_valid and any(s.mask is not mask for s in sequences):
        mask = reduce(torch.logical_and, (s.mask for s in sequences))
    values = [s.values for s in sequences]
    if combine == "product" and not all_valid:  # each factor's gradient is the other: keep NaN in padding out of it
        values = [Sequence(v, mask).masked().values for v in values]
    return Sequence(_combine_values(values, combine), mask, all_valid)


def _combine_values(values: list[Tensor], combine: str) -> Tensor:
    if combine == "stack":
        return torch.stack(values, dim=2)
    if combine == "concatenate":
        return torch.cat(values, dim=-1)
    if combine == "product":
        return prod(values[1:], start=values[0])
    total = sum(values[1:], start=values[0])
    return total / len(values) if combine == "mean" else total
