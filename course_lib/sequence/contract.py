"""The contract of a `SequenceLayer`, as a check that runs on any layer: yours too.

    check_contract(lambda: sl.Conv1D(4, 5, kernel_size=3, padding="causal"), ragged(4))

asserts eight properties and says in plain words which one failed, for which block size, and by how much:

1 spec       channel shape, dtype and length are as declared, for empty batches and sequences too
2 padding    NaN in invalid steps, or more of them, changes no valid output and no gradient
3 batch      the other items, NaN ones too, change nothing
4 stream     `stream` equals `layer` in values and masks, for several block sizes
5 gradients  those with respect to inputs, constants and parameters agree between the two ways
6 reach      the receptive field that shows is the declared one
7 latency    the first `output_latency` outputs are masked; leading invalid steps leave the initial state
8 errors     what does not fit is refused with a ValueError, stepping the unsteppable with a NotImplementedError

Everything runs in float64 and with `training=False`. The tests keep one `Case` a configuration in
tests/layers/cases/<family>.py, as `CASES = {"Conv1D causal": lambda: Case(lambda: sl.Conv1D(...), ragged(4)), ...}`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import ceil
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from course_lib.sequence.layer import Constants, SequenceLayer, State
from course_lib.sequence.receptive_field import shown_receptive_field
from course_lib.sequence.sequence import ChannelSpec, Sequence, over_channels
from course_lib.sequence.streaming import stream

PROPERTIES = ("spec", "padding", "batch", "stream", "gradients", "reach", "latency", "errors")


@dataclass(frozen=True)
class Case:
    """One configuration to check: the arguments of `check_contract`."""

    make_layer: Callable[[], SequenceLayer]
    x: Sequence
    constants: Constants | None = None
    properties: tuple[str, ...] = PROPERTIES
    tolerance: float = 1e-9


def check_contract(
    make_layer: Callable[[], SequenceLayer] | SequenceLayer,
    x: Sequence,
    constants: Constants | None = None,
    properties: tuple[str, ...] = PROPERTIES,
    tolerance: float = 1e-9,
) -> None:
    """Assert that the layer which `make_layer()` returns keeps its promises.

    make_layer: a function without arguments; or a layer, which is copied.
    x: an example input with at least two items; some steps should be invalid. More values are drawn from its own.
    constants: what else the layer looks at.  properties: names out of PROPERTIES, to check only these.
    tolerance: largest difference allowed, absolute and relative to the largest value.
    Parameters are moved at random first, so that zeros hide nothing.
    Raises AssertionError saying which promise it broke, where, and by how much; ValueError naming a wrong argument.
    """
    unknown = set(properties) - set(PROPERTIES)
    if unknown:
        raise ValueError(f"properties: expected names out of {PROPERTIES}, got {sorted(unknown)}")
    if x.shape[0] < 2:
        raise ValueError(f"x: expected at least two items, to see whether they mix, got a batch of {x.shape[0]}")
    layer = deepcopy(make_layer) if isinstance(make_layer, SequenceLayer) else make_layer()
    check = _Check(layer, x, constants or {}, tolerance)
    for name in properties:
        getattr(check, name)()


class _Check:
    """One layer under examination. Each property of PROPERTIES is a method of that name."""

    def __init__(self, layer: SequenceLayer, x: Sequence, constants: Constants, tolerance: float):
        self.x, self.constants = _double(x), {name: _double(c) for name, c in constants.items()}
        self.tolerance = tolerance
        self.name = type(layer).__name__
        self.layer = layer.double().eval()
        self.layer.layer(self.x, training=False, constants=self.constants)  # lazy parameters take their shapes here
        generator = _generator(1)
        with torch.no_grad():
            for parameter in self.layer.parameters():
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.add_(0.3 * noise.to(parameter.dtype))
        holes = self.x.mask.clone()  # and, in the second item, invalid steps before the first valid one
        holes[:, 4::5] = False
        holes[1, :3] = False
        self.inputs = {"": self.x, " (mask with holes)": Sequence(self.x.values, holes)}
        self._known: dict[tuple, tuple] = {}  # outputs and gradients of whole sequences and streams

    # The properties.

    def spec(self):
        """Channel shape, dtype and length, for whole sequences and blocks."""
        for steps in sorted({0, 1, 2, self.x.shape[1]}):
            for items in (0, self.x.shape[0]):
                x, constants = self.x[:items, :steps], self._items(slice(0, items))
                length = self.layer.output_length(steps)
                self._as_declared(self._run(x, constants), x.spec, length, f"spec: {tuple(x.shape)} in")
        promised = {name: Sequence.of(c.values) for name, c in self.constants.items()}
        known = {name: Sequence(c.values, c.mask) for name, c in promised.items()}
        y, every = self._run(Sequence.of(self.x.values), promised), torch.ones_like(self.x.mask)
        self._equal(self.layer(self.x.values, constants=promised), y.values, "spec: called on a plain tensor")
        self._equal_sequences(y, self._run(Sequence(self.x.values, every), known), "spec: all_valid promised")
        if not self.layer.supports_step:
            return
        for what, x in (("steps", self.x[:, :0]), ("items", self.x[:0])):
            constants = self._items(slice(0, x.shape[0]))
            y, expected = self._stream(None, x, constants), self._run(x, constants)
            self._equal_sequences(y, expected, f"spec: stream without {what}")
        state = self._initial_state(self.x)
        for blocks in (1, 3):
            block = Sequence.of(_repeat_to(self.x, blocks * self.layer.block_size).values)
            y, after = self._step(block, state)
            self._as_declared(y, block.spec, int(block.shape[1] * self.layer.output_ratio), "spec: a block in step")
            y_known, after_known = self._step(Sequence(block.values, block.mask), state)
            self._equal_sequences(y, y_known, "spec: all_valid promised for a block")
            for a, b in zip(pytree.tree_leaves(after), pytree.tree_leaves(after_known), strict=True):
                self._equal(a, b, "spec: all_valid promised for a block: state")

    def padding(self):
        """NaN in the padding, and more padding."""
        for kind, x in self.inputs.items():
            expected, gradients = self._outcome(kind)
            spoiled = Sequence(_spoil(x.values, ~x.mask), x.mask)
            constants = {n: Sequence(_spoil(c.values, ~c.mask), c.mask) for n, c in self.constants.items()}
            y, got = self._run_backwards(spoiled, self._run, constants=constants)
            self._equal_sequences(y, expected, f"padding: NaN in invalid steps{kind}")
            self._equal_gradients(got, gradients, f"padding: NaN in invalid steps{kind}")

            extra = 2 * self.layer.block_size + 1
            values = torch.cat([spoiled.values, _repeat_to(spoiled, extra).values], dim=1)
            mask = torch.cat([x.mask, torch.zeros(x.shape[0], extra, dtype=torch.bool)], dim=1)
            longer = Sequence(_spoil(values, ~mask), mask)
            length = expected.shape[1]
            y, got = self._run_backwards(longer, self._run, cotangent_length=length)
            self._that(not y.mask[:, length:].any(), f"padding: {extra} more invalid steps gave valid outputs{kind}")
            self._equal_sequences(y[:, :length], expected, f"padding: {extra} more invalid steps{kind}")
            got[0] = got[0][:, : x.shape[1]]
            self._equal_gradients(got, gradients, f"padding: {extra} more invalid steps{kind}")

    def batch(self):
        """Other items, NaN ones too."""
        for kind, x in self.inputs.items():
            expected, gradients = self._run_backwards(x, self._run, items=1)
            first = slice(0, 1)
            y, got = self._run_backwards(x[first], self._run, constants=self._items(first))
            self._equal_sequences(y, expected[first], f"batch: item 0 by itself{kind}")
            self._equal(got[0], gradients[0][first], f"batch: gradient of item 0 by itself{kind}")
            others = torch.arange(x.shape[0])[:, None].expand_as(x.mask) > 0
            values = _spoil(x.values, others) if x.values.dtype.is_floating_point else x.values.roll(1, dims=1)
            values = torch.where(over_channels(others, values), values, x.values)
            y, got = self._run_backwards(Sequence(values, x.mask | others), self._run, items=1)
            self._equal_sequences(y[first], expected[first], f"batch: item 0 beside NaN items{kind}")
            self._equal(got[0][first], gradients[0][first], f"batch: gradient of item 0 beside NaN items{kind}")

    def stream(self):
        """Stream equals layer."""
        for kind, size in self._streams():
            what = f"stream: blocks of {size} steps{kind}"
            self._equal_sequences(self._outcome(kind, size)[0], self._outcome(kind)[0], what)

    def gradients(self):
        """Gradients of stream and layer."""
        for kind, size in self._streams():
            what = f"gradients: blocks of {size} steps{kind}"
            self._equal_gradients(self._outcome(kind, size)[1], self._outcome(kind)[1], what)

    def reach(self):
        """The receptive field."""
        declared = self.layer.receptive_field
        shown = shown_receptive_field(self.layer, self.x, self.constants)
        for side, found, said in zip(("first", "last"), shown, declared, strict=True):
            self._that(
                found == said,
                f"reach: receptive_field is declared as {declared}, {shown} shows: the {side} input step that changes "
                f"an output is at {'no bound' if found is None else found}, counted from the output's own",
            )

    def latency(self):
        """Masked first outputs, and a state that leading invalid steps leave alone."""
        layer = self.layer
        if not layer.supports_step:
            return
        size = layer.block_size
        every = Sequence.of(self.x.values)
        masks: list[Tensor] = []
        state = self._initial_state(every)
        while sum(m.shape[1] for m in masks) < layer.output_latency:
            y, state = self._step(_repeat_to(every, size), state)
            masks.append(y.mask)
        early = masks and torch.cat(masks, dim=1)[:, : layer.output_latency].any()
        self._that(not early, f"latency: of the first {layer.output_latency} outputs of a stream one is valid")

        longer = ceil(layer.output_latency / layer.output_ratio) + 1  # a sequence that outlasts the latency
        for length in range(longer, longer + 2 * size):  # is the flush long enough to bring out its end?
            steps = ceil((length + layer.input_latency) / size) * size
            came, due = int(steps * layer.output_ratio) - layer.output_latency, layer.output_length(length)
            self._that(
                came >= due or due == 0,
                f"latency: {length} steps and input_latency={layer.input_latency} invalid ones bring out {came} of "
                f"{due} outputs: the end of a stream is lost",
            )

        initial = state = self._initial_state(self.x)
        blank = _repeat_to(self.x, size)
        blank = Sequence(_spoil(blank.values, torch.ones_like(blank.mask)), torch.zeros_like(blank.mask))
        for blocks in (1, 2, 3):
            y, state = self._step(blank, state)
            self._that(not y.mask.any(), f"latency: {blocks} blocks of invalid steps gave a valid output")
            self._equal_states(state, initial, f"latency: the state after {blocks} leading blocks of invalid steps")

    def errors(self):
        """What does not fit is refused."""
        layer, x = self.layer, self.x
        if not layer.supports_step:
            self._refused(NotImplementedError, "errors: initial_state", lambda: self._initial_state(x))
            self._refused(NotImplementedError, "errors: step", lambda: layer.step(x, ()))
        for what, values in self._misfits().items():
            self._refused_or_right(Sequence(values, x.mask), what)
        if not layer.supports_step:
            return
        state, block = self._initial_state(x), _repeat_to(x, layer.block_size)
        if layer.block_size > 1:
            wrong = _repeat_to(x, layer.block_size + 1)
            self._refused(ValueError, f"errors: a block of {wrong.shape[1]} steps", lambda: layer.step(wrong, state))
        if pytree.tree_leaves(state):
            other = self._initial_state(x[:-1], self._items(slice(0, -1)))
            self._refused(ValueError, "errors: the state of another batch size", lambda: self._step(block, other))
            away = pytree.tree_map_only(Tensor, lambda leaf: leaf.to("meta"), state)
            self._refused(ValueError, "errors: a state on another device", lambda: self._step(block, away))
        before = pytree.tree_map(torch.clone, (block, state))
        self._step(block, state)
        self._equal_states((block, state), before, "errors: step changed its arguments in place; they")

    # Running the layer.

    def _run(self, x: Sequence, constants: Constants | None = None) -> Sequence:
        return self.layer.layer(x, training=False, constants=constants or self.constants)

    def _stream(self, size, x: Sequence, constants: Constants | None = None) -> Sequence:
        return stream(self.layer, x, size, constants=constants or self.constants)

    def _step(self, block: Sequence, state: State) -> tuple[Sequence, State]:
        return self.layer.step(block, state, training=False, constants=self.constants)

    def _initial_state(self, x: Sequence, constants: Constants | None = None) -> State:
        return self.layer.initial_state(x.shape[0], x.spec, constants=constants or self.constants)

    def _items(self, items: slice) -> Constants:
        return {name: c[items] for name, c in self.constants.items()}

    def _streams(self) -> Iterator[tuple[str, Any]]:
        """Kinds of input and sizes of blocks to stream them in; nothing where the layer cannot step."""
        size = self.layer.block_size
        sizes = [size, 2 * size, 3 * size, [size, 3 * size, 2 * size]] if self.layer.supports_step else []
        return product(self.inputs, sizes)

    def _outcome(self, kind: str, size: int | list[int] | None = None) -> tuple[Sequence, list[Tensor]]:
        """Output and gradients of the input of that kind: streamed in blocks of `size`, whole where it is None."""
        key = kind, str(size)
        if key not in self._known:
            run = self._run if size is None else partial(self._stream, size)
            self._known[key] = self._run_backwards(self.inputs[kind], run)
        return self._known[key]

    def _run_backwards(self, x, run, constants=None, items=None, cotangent_length=None):
        """Output and gradients of a fixed random weighting of its valid steps: [x, *constants, *parameters]."""
        constants = constants or self.constants
        leaf = _leaf(x.values)
        others = {n: _leaf(c.values) for n, c in constants.items()}
        y = run(Sequence(leaf, x.mask), {n: Sequence(others[n], c.mask) for n, c in constants.items()})
        counted = y[:items, :cotangent_length]  # None: all of them
        weights = torch.randn(self.x.shape[0], *counted.shape[1:], generator=_generator(2), dtype=torch.float64)
        masked = counted.masked().values
        leaves = [leaf, *others.values(), *self.layer.parameters()]
        live = [v for v in leaves if v.requires_grad]
        if not masked.requires_grad:  # tokens through a layer without parameters
            return y, [torch.zeros_like(v) for v in leaves]
        weighed = weights[: masked.shape[0]] * masked
        loss = (weighed.real + 0.7 * weighed.imag).sum() if masked.is_complex() else weighed.sum()
        found = iter(torch.autograd.grad(loss, live, allow_unused=True))
        gradients = [next(found) if v.requires_grad else None for v in leaves]
        y = y.with_values(y.values.detach())
        return y, [torch.zeros_like(v) if g is None else g for v, g in zip(leaves, gradients, strict=True)]

    def _misfits(self) -> dict[str, Tensor]:
        """Inputs that a layer might well refuse: other channels, ranks, dtypes."""
        values = self.x.values
        misfits = {"one more channel axis": values[..., None]}
        if values.dim() > 2:
            misfits["one channel more"] = torch.cat([values, values[..., :1]], dim=-1)
            misfits["no channel axis"] = values.flatten(2)[..., 0]
        misfits["integers"] = torch.zeros(values.shape, dtype=torch.long)
        misfits["float32"] = torch.zeros(values.shape, dtype=torch.float32)
        return misfits

    # Comparing. Every failure goes through `_that`.

    def _that(self, holds: bool, message: str) -> None:
        if not holds:
            raise AssertionError(f"{self.name}: property {message}")

    def _equal(self, got: Tensor, expected: Tensor, what: str) -> None:
        self._that(got.shape == expected.shape, f"{what}: shape {tuple(got.shape)}, expected {tuple(expected.shape)}")
        if not got.numel() or torch.equal(got, expected):
            return
        got, expected = got.detach(), expected.detach()
        wide = torch.complex128 if got.is_complex() else torch.float64
        difference = (got.to(wide) - expected.to(wide)).abs()
        self._that(bool(difference.isfinite().all()), f"{what}: NaN or Inf came through")
        largest = difference.max().item()
        if largest > self.tolerance * (1 + expected.abs().max().item()):
            worst = [int(i) for i in torch.unravel_index(difference.argmax(), difference.shape)]
            self._that(False, f"{what}: differs by up to {largest:.3g} at index {worst}")

    def _equal_sequences(self, got: Sequence, expected: Sequence, what: str) -> None:
        self._that(got.shape == expected.shape, f"{what}: shape {tuple(got.shape)}, expected {tuple(expected.shape)}")
        wrong = (got.mask != expected.mask).nonzero().tolist()
        self._that(not wrong, f"{what}: the mask differs at (item, step) {wrong[:3]}")
        got, expected = (Sequence(s.values, s.mask).masked() for s in (got, expected))
        self._equal(got.values, expected.values, f"{what}: values")

    def _equal_gradients(self, got: list[Tensor], expected: list[Tensor], what: str) -> None:
        parameters = [name for name, _ in self.layer.named_parameters()]
        for name, g, e in zip(["x", *self.constants, *parameters], got, expected, strict=True):
            self._equal(g, e, f"{what}: gradient of {name}")

    def _equal_states(self, got: State, expected: State, what: str) -> None:
        got, expected = pytree.tree_leaves(got), pytree.tree_leaves(expected)
        self._that(len(got) == len(expected), f"{what}: {len(got)} tensors, expected {len(expected)}")
        for g, e in zip(got, expected, strict=True):
            same = g.shape == e.shape and g.dtype == e.dtype and torch.equal(g, e)
            self._that(same, f"{what}: differ, expected no change")

    def _as_declared(self, y: Sequence, spec: ChannelSpec, length: int, what: str) -> None:
        declared = self.layer.output_spec(spec)
        self._that(
            y.spec == ChannelSpec(tuple(declared[0]), declared[1]),
            f"{what}: {y.spec} came out, {declared} declared",
        )
        self._that(y.shape[1] == length, f"{what}: {y.shape[1]} steps came out, {length} declared")
        self._that(y.all_valid <= bool(y.mask.all()), f"{what}: all_valid is promised, the mask says otherwise")

    def _refused(self, error: type[Exception], what: str, run: Callable) -> None:
        try:
            run()
        except error:
            return
        except Exception as other:
            self._that(False, f"{what}: raised {type(other).__name__} ({other}), expected {error.__name__}")
        self._that(False, f"{what} was accepted, expected {error.__name__}")

    def _refused_or_right(self, x: Sequence, what: str) -> None:
        try:
            y = self._run(x)
        except ValueError:
            return
        except Exception as other:
            self._that(False, f"errors: {what}: raised {type(other).__name__} ({other}), expected ValueError")
        self._as_declared(y, x.spec, self.layer.output_length(x.shape[1]), f"errors: {what}")


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _double(x: Sequence) -> Sequence:
    wide = torch.promote_types(x.values.dtype, torch.float64)
    return x.to(wide) if x.values.is_floating_point() or x.values.is_complex() else x


def _leaf(values: Tensor) -> Tensor:
    values = values.detach().clone()
    return values.requires_grad_() if values.is_floating_point() or values.is_complex() else values


def _spoil(values: Tensor, where: Tensor) -> Tensor:
    """NaN at the steps `where`; for integers a number that no table has."""
    bad = float("nan") if values.is_floating_point() or values.is_complex() else torch.iinfo(values.dtype).max
    return torch.where(over_channels(where, values), bad, values)


def _repeat_to(x: Sequence, steps: int) -> Sequence:
    """The first `steps` steps of `x`, over and over if it is shorter."""
    index = torch.arange(steps) % x.shape[1]
    return Sequence(x.values[:, index], x.mask[:, index])
