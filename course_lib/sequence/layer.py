"""`SequenceLayer`: one definition of a layer, run over a whole sequence or over one block of a stream at a time.

An ordinary `nn.Module` that also knows how to run on a stream, with its state passed in and out. After the
SequenceLayers report (arXiv 2507.23292), going past it where a layer looks into the future: such a layer states its
latency, and `stream` flushes what is left at the end. `emitted` collects what goes on inside while it runs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from math import ceil, floor
from types import EllipsisType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from course_lib.sequence.sequence import ChannelSpec, Device, Sequence

State = Any  # nested tuples of tensors
Constants = Mapping[str, Sequence]
Reach = tuple[int | None, int | None]  # first and last input step; None: unbounded on that side


class SequenceLayer(nn.Module):
    """A layer over time. A subclass states its timing and writes `_layer`, `_step`, `_initial_state`, `output_spec`.

    Timing, in time steps: `step` takes a multiple of `block_size`; `output_ratio` output steps come out per input step;
    the first `output_latency` outputs of a stream are invalid; `input_latency` invalid steps at the end of a stream
    bring out everything; output t looks at inputs t + `receptive_field[0]` to t + `receptive_field[1]` (in input steps,
    from the input step that output t is anchored to; None: unbounded on that side).
    """

    block_size: int = 1
    output_ratio: Fraction = Fraction(1)
    output_latency: int = 0
    input_latency: int = 0
    supports_step: bool = True
    receptive_field: Reach = (0, 0)
    channelwise: bool = False  # True: a channel that comes out depends on the same channel of the input alone
    _emitted: Callable[[str, Tensor], None] | None = None
    _accepted: tuple | None = None
    _accepted_state: tuple | None = None

    # What a subclass writes.

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        """Channel shape and dtype that come out for `spec` going in. Raises ValueError where `spec` does not fit.

        By default what goes in, which has to be `input_spec` where the layer knows that.
        """
        if self.input_spec is not None:
            check_channels(self, spec, *self.input_spec)
        return spec

    def output_length(self, length: int) -> int:
        """Number of output steps of `layer` for `length` input steps."""
        return ceil(length * self.output_ratio)

    @property
    def input_spec(self) -> ChannelSpec | None:
        """What goes in, where the layer knows it by itself; None where it takes several kinds of input."""
        return None

    def receptive_field_at(self, step: int) -> Reach:
        """First and last input step that output `step` looks at (None: unbounded; first > last: it looks at none).

        `receptive_field` is the union of these, counted from each output's anchor, input step floor(step / ratio).
        Overridden where the outputs between two inputs see different ones, as in a transposed convolution.
        """
        anchor = floor(step / self.output_ratio)
        first, last = self.receptive_field
        return (None if first is None else anchor + first), (None if last is None else anchor + last)

    def _layer(self, x: Sequence, training: bool, constants: Constants) -> Sequence:
        """The whole sequence; without more knowledge as one block of a stream."""
        state = self._initial_state(x.shape[0], x.spec, x.values.device, constants)
        return self._step(x, state, training, constants)[0]

    def _step(self, x: Sequence, state: State, training: bool, constants: Constants) -> tuple[Sequence, State]:
        raise NotImplementedError

    def _initial_state(self, batch_size: int, spec: ChannelSpec | None, device, constants: Constants) -> State:
        return ()

    # What a user calls.

    def forward(self, x: Tensor | Sequence, constants: Constants | None = None) -> Tensor | Sequence:
        """As an ordinary module: a tensor (B, T, *C), every step valid, gives a tensor; a `Sequence` a `Sequence`."""
        if isinstance(x, Sequence):
            return self.layer(x, constants=constants)
        if not isinstance(x, Tensor):
            raise ValueError(f"x: expected a Tensor or a Sequence, got {type(x).__name__}")
        return self.layer(Sequence.of(x), constants=constants).values

    def layer(self, x: Sequence, training: bool | None = None, constants: Constants | None = None) -> Sequence:
        """Run over a whole sequence. `training=None` means the module's own mode."""
        self._check(x)
        return self._layer(x, self.training if training is None else training, constants or {})

    def step(
        self, x: Sequence, state: State, training: bool | None = None, constants: Constants | None = None
    ) -> tuple[Sequence, State]:
        """Run over one block of a stream: a multiple of `block_size` steps. Returns the outputs and the next state.

        Arguments are not changed in place. Raises NotImplementedError where `supports_step` is False, ValueError where
        the block's length, the input or the state do not fit.
        """
        if not self.supports_step:
            raise NotImplementedError(f"{type(self).__name__} cannot step: {self.why_no_step()}")
        self._check(x)
        if x.values.shape[1] % self.block_size:
            raise ValueError(
                f"x: expected a multiple of block_size={self.block_size} steps, got {x.values.shape[1]} "
                f"in {type(self).__name__}"
            )
        self._check_state(x, state, constants or {})
        y, after = self._step(x, state, self.training if training is None else training, constants or {})
        return y, _cast_as(state, after) if autocast_enabled() else after

    def initial_state(
        self,
        batch_size: int,
        spec: ChannelSpec | None = None,
        *,
        device: Device = None,
        constants: Constants | None = None,
    ) -> State:
        """The state before the first step: nested tuples of tensors, never kept on the module.

        `spec` describes the input and may be omitted only where the layer knows it. `device=None` is the parameters'.
        """
        if batch_size < 0:
            raise ValueError(f"batch_size: expected at least 0, got {batch_size}")
        if not self.supports_step:
            raise NotImplementedError(f"{type(self).__name__} cannot step: {self.why_no_step()}")
        spec = self.input_spec if spec is None else ChannelSpec(tuple(spec[0]), spec[1])
        if spec is not None:
            self.output_spec(spec)
        if device is None:
            device = next((p.device for p in self.parameters()), None)
        return self._initial_state(batch_size, spec, device, constants or {})

    def _emit(self, name: str, value: Tensor) -> None:
        """Hand out something from inside, under a name; nobody may be listening. See `emitted`."""
        if self._emitted is not None:
            self._emitted(name, value)

    def why_no_step(self) -> str:
        """Completes the sentence "… cannot step: ". Overridden where `supports_step` is False."""
        return "an output may depend on inputs that a stream has not seen yet"

    def extra_repr(self) -> str:
        """The arguments that the layer was made with, as far as it holds them as plain values."""
        held = {name: getattr(self, name, None) for name in inspect.signature(type(self)).parameters}
        return ", ".join(f"{k}={v!r}" for k, v in held.items() if isinstance(v, int | float | str | tuple))

    # Checks shared by all layers.

    def _check(self, x: Sequence) -> None:
        if not isinstance(x, Sequence):
            raise ValueError(f"x: expected a Sequence in {type(self).__name__}, got {type(x).__name__}")
        accepted = x.spec, autocast_enabled()
        if accepted != self._accepted:  # a stream asks at every step: what has been accepted once is not checked again
            self.output_spec(x.spec)
            if not torch.compiler.is_compiling():
                self._accepted = accepted

    def _check_state(self, x: Sequence, state: State, constants: Constants) -> None:
        """ValueError unless `state` has the form of `initial_state`'s own: asked once for each form that comes."""
        if torch.compiler.is_compiling():
            return
        batch, device = x.values.shape[0], x.values.device
        accepted = x.spec, batch, device, autocast_enabled(), _form(state)
        if accepted == self._accepted_state:
            return
        own = _form(self._initial_state(batch, x.spec, device, FormOnly(constants)))
        if misfit := _misfit(accepted[-1], own, "state", any_float=autocast_enabled()):
            raise ValueError(
                f"{misfit} in {type(self).__name__}, for a batch of {batch} on {device}: "
                "is it the state of another layer, batch or device?"
            )
        self._accepted_state = accepted

    def _apply(self, fn, recurse=True):
        self._accepted = self._accepted_state = None  # .double(), .to(...): what is accepted may change
        return super()._apply(fn, recurse)

    def _known_spec(self, spec: ChannelSpec | None, known: ChannelSpec | None = None) -> ChannelSpec:
        """`spec`, or the layer's own knowledge of its input; ValueError where there is neither."""
        spec = known if spec is None else spec
        if spec is None:
            raise ValueError(f"spec: {type(self).__name__} does not know its input: pass a ChannelSpec")
        return spec


class StatelessLayer(SequenceLayer):
    """A layer that treats every time step alone: `layer` and `step` are one function, `_values`.

    Invalid steps are set to zero before it, so that what stands there reaches no gradient of a parameter. Where no
    gradients are recorded there is nothing to guard: an invalid step stays in its place, and stays invalid. (Integers
    are always masked: they may be indices.)
    """

    def _values(self, values: Tensor, training: bool) -> Tensor:
        """(B, T, *C) -> (B, T, *C'), each time step by itself."""
        raise NotImplementedError

    def _layer(self, x, training, constants):
        guarded = torch.is_grad_enabled() or not x.values.is_floating_point()
        return x.with_values(self._values(x.masked().values if guarded else x.values, training))

    def _step(self, x, state, training, constants):
        return self._layer(x, training, constants), state


class TensorForm(NamedTuple):
    """What a tensor of a state looks like; a size of None is any."""

    shape: tuple[int | None, ...]
    dtype: torch.dtype
    device: torch.device


class FormOnly(dict[str, Sequence]):
    """Constants for an `_initial_state` of which only the form counts: there a `TensorForm` may stand for a tensor."""


def _form(state: State) -> Any:
    """A state with a `TensorForm` in place of each tensor."""
    if type(state) in (tuple, list):
        return tuple([_form(part) for part in state])
    if isinstance(state, Tensor):
        return TensorForm(state.shape, state.dtype, state.device)
    return state if isinstance(state, TensorForm) else type(state)


def _misfit(got: Any, own: Any, name: str, any_float: bool) -> str | None:
    """What is wrong with the form `got` where `own` is right; None where nothing is."""
    if isinstance(own, TensorForm):
        if isinstance(got, TensorForm) and len(got.shape) == len(own.shape) and got.device == own.device:
            same = got.dtype == own.dtype or (any_float and got.dtype.is_floating_point and own.dtype.is_floating_point)
            if same and all(size in (None, n) for n, size in zip(got.shape, own.shape, strict=True)):
                return None
        return f"{name}: expected {_said(own)}, got {_said(got)}"
    if not isinstance(own, tuple):
        return None if got is own else f"{name}: expected {_said(own)}, got {_said(got)}"
    if not isinstance(got, tuple) or isinstance(got, TensorForm) or len(got) != len(own):
        return f"{name}: expected {_said(own)}, got {_said(got)}"
    parts = (_misfit(g, o, f"{name}[{i}]", any_float) for i, (g, o) in enumerate(zip(got, own, strict=True)))
    return next((part for part in parts if part is not None), None)


def _said(form: Any) -> str:
    if isinstance(form, TensorForm):
        sizes = ", ".join("any" if size is None else str(size) for size in form.shape)
        return f"a tensor ({sizes}) of {form.dtype} on {form.device}"
    return f"a tuple of {len(form)}" if isinstance(form, tuple) else form.__name__


def _cast_as(before: State, after: State) -> State:
    """`after` in the dtypes of `before`: a state keeps its own, whatever autocast chose on the way."""
    if isinstance(after, Tensor):
        return after.to(before.dtype)
    return tuple(map(_cast_as, before, after)) if isinstance(after, tuple | list) else after


def check_channels(
    layer: nn.Module,
    spec: ChannelSpec,
    shape: tuple[int | EllipsisType, ...],
    dtype: torch.dtype | None = None,
) -> None:
    """ValueError unless `spec` has the channel shape `shape` (and, outside autocast, the dtype `dtype`).

    An `...` in `shape` stands for any number of further axes.
    """
    if ... in shape:
        before, after = shape[: shape.index(...)], shape[shape.index(...) + 1 :]
        others = len(spec.shape) - len(before) - len(after)
        if others >= 0:
            shape = (*before, *spec.shape[len(before) :][:others], *after)
    if spec.shape != shape:
        wanted = ", ".join(["B", "T", *("..." if size is ... else str(size) for size in shape)])
        got = ", ".join(["B", "T", *map(str, spec.shape)])
        raise ValueError(f"x: expected ({wanted}), got ({got}) in {type(layer).__name__}: is the time axis second?")
    if dtype is not None:
        check_dtype(layer, spec, dtype)


def check_dtype(layer: nn.Module, spec: ChannelSpec, dtype: torch.dtype) -> None:
    """ValueError unless `spec` has the dtype `dtype`; under autocast, which casts by itself, any dtype will do."""
    if spec.dtype != dtype and not autocast_enabled():
        raise ValueError(f"x: expected {dtype}, got {spec.dtype} in {type(layer).__name__}")


def check_positive(**sizes: int) -> None:
    """ValueError unless each of the arguments is at least 1."""
    if min(sizes.values()) < 1:
        got = ", ".join(map(str, sizes.values()))
        raise ValueError(f"{', '.join(sizes)}: expected at least 1, got {got}")


def check_floating(layer: nn.Module, spec: ChannelSpec, or_complex: bool = False) -> None:
    """ValueError unless `spec` has a real floating dtype, or a complex one where that will do."""
    if not (spec.dtype.is_floating_point or (or_complex and spec.dtype.is_complex)):
        wanted = "floating-point or complex" if or_complex else "real floating-point"
        raise ValueError(f"x: expected {wanted} numbers, got {spec.dtype} in {type(layer).__name__}")


def autocast_enabled() -> bool:
    """Whether PyTorch chooses the dtypes at the moment."""
    return any(torch.is_autocast_enabled(device) for device in ("cpu", "cuda", "mps"))


def parameter_dtype(module: nn.Module) -> torch.dtype:
    """The dtype of its first parameter; float32 where there is none: quantised layers keep theirs elsewhere."""
    return next((p.dtype for p in module.parameters()), torch.float32)


def at_least_float32(dtype: torch.dtype) -> torch.dtype:
    """The dtype to compute sums, moments, shares and angles of `dtype` in: float32 for the half precisions."""
    return torch.promote_types(dtype, torch.float32)


def float64_on(device: torch.device | str | None) -> torch.dtype:
    """float64, or float32 on a device that lacks it, as Apple's MPS does."""
    return torch.float64 if torch.device(device or "cpu").type in ("cpu", "cuda") else torch.float32


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
