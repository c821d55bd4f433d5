"""Layers one after another: `Sequential`, and `Repeat` of one kind of layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from fractions import Fraction
from functools import partial
from math import ceil, floor, lcm
from typing import Any, cast

from torch import nn

from course_lib.layers.delay import StepDelay
from course_lib.layers.overlap_add import OverlapAdd
from course_lib.layers.windows import Frame, Window
from course_lib.sequence import ChannelSpec, Reach, SequenceLayer


class Sequential(SequenceLayer):
    """The layers in turn. Indexing, `len` and the names in the state dict are those of `nn.Sequential`.

    Timing follows from the layers': ratios multiply, latencies add up in the units of the steps that they count, and
    where a layer with blocks follows one with a latency, a delay that exists in streams only fills the latency up to
    whole blocks. State: one a layer, that of the delay before it, if there is one, in front of it.
    Raises ValueError where something that is not a SequenceLayer is among `layers`.
    """

    def __init__(self, layers: Iterable[SequenceLayer]):
        super().__init__()
        for i, layer in enumerate(layers):
            if not isinstance(layer, SequenceLayer):
                raise ValueError(f"layers[{i}]: expected a SequenceLayer, got {type(layer).__name__}")
            self.add_module(str(i), layer)
        self.supports_step = all(layer.supports_step for layer in self)
        self._delays = self._compose()
        self._looks = _looks(list(_flattened(self)))
        self.receptive_field = union_of_receptive_fields(self)

    def _compose(self) -> list[StepDelay | None]:
        """Set block size, ratio and latencies; return the delay that a stream needs before each layer, if any."""
        delays: list[StepDelay | None] = []
        block, ratio, input_latency, output_latency = 1, Fraction(1), 0, 0
        for layer in self:
            delay = -output_latency % layer.block_size
            delays.append(StepDelay(delay) if delay else None)
            block = int(lcm(int(block * ratio), layer.block_size) / ratio)
            input_latency += ceil((layer.input_latency + delay) / ratio)
            output_latency = int((output_latency + delay) * layer.output_ratio) + layer.output_latency
            ratio *= layer.output_ratio
        self.block_size, self.output_ratio = block, ratio
        self.input_latency, self.output_latency = input_latency, output_latency
        return delays

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[SequenceLayer]:
        return iter(cast("dict[str, SequenceLayer]", self._modules).values())

    def __getitem__(self, index: int | slice) -> Any:
        """Layer `index`; a slice gives a `Sequential` of the same layers, in the same mode, training or evaluation."""
        if not isinstance(index, slice):
            return list(self)[index]
        part = Sequential(list(self)[index])
        part.training = self.training
        return part

    @property
    def input_spec(self) -> ChannelSpec | None:
        for layer in self:
            if layer.input_spec is not None:
                return layer.input_spec
            if type(layer).output_spec is not SequenceLayer.output_spec:  # the others keep what comes in
                return None
        return None

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        for layer in self:
            spec = layer.output_spec(spec)
        return spec

    def output_length(self, length: int) -> int:
        for layer in self:
            length = layer.output_length(length)
        return length

    def receptive_field_at(self, step: int) -> Reach:
        first: int | None = step
        last: int | None = step
        for period, seen_by in reversed(self._looks):
            if first is not None and last is not None and first > last:
                break  # no output of this layer is looked at
            first, last = _seen_between(period, seen_by, first, last)
        return first, last

    def _layer(self, x, training, constants):
        for layer in self:
            x = layer._layer(x, training, constants)
        return x

    def _initial_state(self, batch_size, spec, device, constants):
        state = []
        for layer, delay in zip(self, self._delays, strict=True):
            spec = layer.input_spec if spec is None else spec
            if delay is not None:
                state.append(delay._initial_state(batch_size, spec, device, constants))
            state.append(layer._initial_state(batch_size, spec, device, constants))
            spec = None if spec is None else layer.output_spec(spec)
        return tuple(state)

    def _step(self, x, state, training, constants):
        parts, after = iter(state), []
        for layer, delay in zip(self, self._delays, strict=True):
            if delay is not None:
                x, part = delay._step(x, next(parts), training, constants)
                after.append(part)
            x, part = layer._step(x, next(parts), training, constants)
            after.append(part)
        return x, tuple(after)

    def why_no_step(self) -> str:
        return why_children_do_not_step(self)


class Repeat(Sequential):
    """`count` layers in turn, each with weights of its own.

    layer: a function that makes a layer, called `count` times; or a layer, of which copies are made that begin with
    the same weights, as `nn.TransformerEncoder` does.
    """

    def __init__(self, layer: Callable[[], SequenceLayer] | SequenceLayer, count: int):
        if count < 0:
            raise ValueError(f"count: expected at least 0, got {count}")
        super().__init__(deepcopy(layer) if isinstance(layer, SequenceLayer) else layer() for _ in range(count))


def why_children_do_not_step(layer: nn.Module) -> str:
    """Completes "… cannot step: " for a layer that holds others."""
    held = [child for child in layer.children() if isinstance(child, SequenceLayer) and not child.supports_step]
    return "; ".join(f"{type(child).__name__} cannot ({child.why_no_step()})" for child in held)


def union_of_receptive_fields(layer: SequenceLayer) -> Reach:
    """`receptive_field` from `receptive_field_at`: the widest reach of one period's outputs from their anchors."""
    steps = range(_period(layer))
    anchors = [floor(step / layer.output_ratio) for step in steps]
    reaches = zip([layer.receptive_field_at(step) for step in steps], anchors, strict=True)
    moved = [(None if a is None else a - anchor, None if b is None else b - anchor) for (a, b), anchor in reaches]
    return widest(moved) or (0, 0)


def widest(reaches: Iterable[Reach]) -> Reach | None:
    """The smallest reach that covers all of `reaches`; None where all are empty (first > last)."""
    reaches = [(first, last) for first, last in reaches if first is None or last is None or first <= last]
    if not reaches:
        return None
    first, last = zip(*reaches, strict=True)
    return (None if None in first else min(first)), (None if None in last else max(last))


def _flattened(layers: Iterable[SequenceLayer]) -> Iterator[SequenceLayer]:
    for layer in layers:
        yield from _flattened(layer) if isinstance(layer, Sequential) else [layer]


def _looks(layers: list[SequenceLayer]) -> list[tuple[int, Callable[[int], Reach]]]:
    """For each layer its period, and which input steps an output step looks at.

    That is its `receptive_field_at`, except where a `Window` leaves some samples of the frames out: a `Frame` before it
    looks only at the others, and so does an `OverlapAdd` after it. Where an `OverlapAdd` sums the frames again, with
    nothing between that mixes their samples, the layers from `Frame` to there count as one.
    """
    looks: list[tuple[int, Callable[[int], Reach]]] = []
    through = 0
    for i, layer in enumerate(layers):
        if i < through:
            continue
        seen_by: Callable[[int], Reach] = layer.receptive_field_at
        if isinstance(layer, Frame) and (end := _summed_again(layers, i)):
            through, last = end + 1, cast(OverlapAdd, layers[end])
            looks.append((last.frame_step, partial(_through_frames, layer, layers[i + 1 : end], last)))
            continue
        if isinstance(layer, Frame | OverlapAdd):
            taps = set(range(layer.frame_length))
            for other in layers[i + 1 :] if isinstance(layer, Frame) else layers[:i][::-1]:
                if not other.channelwise:
                    break
                taps &= other.taps if isinstance(other, Window) else taps
            seen_by = partial(layer.seen_by, taps=taps)
        looks.append((_period(layer), seen_by))
    return looks


def _summed_again(layers: list[SequenceLayer], start: int) -> int | None:
    """Where the frames that layer `start` makes are summed, if each sample of a frame stays by itself until there."""
    for i, layer in enumerate(layers[start + 1 :], start + 1):
        if isinstance(layer, OverlapAdd):
            return i
        if not layer.channelwise or layer.block_size != 1 or layer.output_ratio != 1:
            return None
    return None


def _through_frames(frame: Frame, between: list[SequenceLayer], summed: OverlapAdd, step: int) -> Reach:
    """The samples before framing that sample `step` of the sum looks at, by way of one sample of each frame there."""
    taps = set(range(frame.frame_length))
    for layer in between:
        taps &= layer.taps if isinstance(layer, Window) else taps
    at = step + summed.overlaps.shift
    reaches = []
    for tap in range(at % summed.frame_step, frame.frame_length, summed.frame_step):
        if tap not in taps:
            continue
        first: int | None = (at - tap) // summed.frame_step
        last = first
        for layer in reversed(between):
            first = None if first is None else layer.receptive_field_at(first)[0]
            last = None if last is None else layer.receptive_field_at(last)[1]
        origin = tap - frame.windows.before
        ends = [None if end is None else end * frame.frame_step + origin for end in (first, last)]
        reaches.append((ends[0], ends[1]))
    return widest(reaches) or (1, 0)


def _seen_between(period: int, seen_by: Callable[[int], Reach], first: int | None, last: int | None) -> Reach:
    """The inputs that the outputs `first` to `last` look at: those within a period of either end decide."""
    near = [] if first is None else [step for step in range(first, first + period) if last is None or step <= last]
    if last is not None:
        near += [step for step in range(last - period + 1, last + 1) if first is None or step >= first]
    begin, end = widest(map(seen_by, near)) or (1, 0)
    return (None if first is None else begin), (None if last is None else end)


def _period(layer: SequenceLayer) -> int:
    """Number of outputs after which the pattern of what they look at repeats."""
    return int(layer.block_size * layer.output_ratio)
