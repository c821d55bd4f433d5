"""`SequenceLayer`: one definition of a layer, run over a whole sequence or over one block of a stream at a time.

An ordinary `nn.Module` that also knows how to run on a stream, with its state passed in and out. After the
SequenceLayers report (arXiv 2507.23292), going past it where a layer looks into the future: such a layer states its
latency, and `stream` flushes what is left at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import ceil, floor
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.sequence.sequence import ChannelSpec, Sequence

State = Any  # nested tuples of tensors
Constants = Mapping[str, Sequence]


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
    receptive_field: tuple[int | None, int | None] = (0, 0)
    _accepted: ChannelSpec | None = None

    # What a subclass writes.

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        """Channel shape and dtype that come out for `spec` going in. Raises ValueError where `spec` does not fit."""
        return spec

    def output_length(self, length: int) -> int:
        """Number of output steps of `layer` for `length` input steps."""
        return ceil(length * self.output_ratio)

    @property
    def input_spec(self) -> ChannelSpec | None:
        """What goes in, where the layer knows it by itself; None where it takes several kinds of input."""
        return None

    def receptive_field_at(self, step: int) -> tuple[int | None, int | None]:
        """First and last input step that output `step` looks at (None: unbounded; first > last: it looks at none).

        `receptive_field` is the union of these, counted from each output's anchor, input step floor(step / ratio).
        Overridden where the outputs between two inputs see different ones, as in a transposed convolution.
        """
        anchor = floor(step / self.output_ratio)
        first, last = self.receptive_field
        return (None if first is None else anchor + first), (None if last is None else anchor + last)

    def _layer(self, x: Sequence, training: bool, constants: Constants) -> Sequence:
        raise NotImplementedError

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
        self._check_state(x, state)
        return self._step(x, state, self.training if training is None else training, constants or {})

    def initial_state(
        self, batch_size: int, spec: ChannelSpec | None = None, *, device=None, constants: Constants | None = None
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

    def why_no_step(self) -> str:
        """Completes the sentence "… cannot step: ". Overridden where `supports_step` is False."""
        return "an output may depend on inputs that a stream has not seen yet"

    # Checks shared by all layers.

    def _check(self, x: Sequence) -> None:
        if not isinstance(x, Sequence):
            raise ValueError(f"x: expected a Sequence in {type(self).__name__}, got {type(x).__name__}")
        spec = x.spec
        if spec != self._accepted:  # a stream asks at every step: what has been accepted once is not checked again
            self.output_spec(spec)
            if not torch.compiler.is_compiling():
                self._accepted = spec

    def _apply(self, fn, recurse=True):
        self._accepted = None  # .double(), .to(...): what is accepted may change
        return super()._apply(fn, recurse)

    def _check_state(self, x: Sequence, state: State) -> None:
        first = _first_tensor(state)
        if first is None:
            return
        if first.dim() and first.shape[0] != x.values.shape[0]:
            raise ValueError(
                f"state: made for a batch of {first.shape[0]}, got a block with a batch of {x.values.shape[0]} "
                f"in {type(self).__name__}"
            )
        if first.device != x.values.device:
            raise ValueError(
                f"state: is on {first.device}, the block on {x.values.device}, in {type(self).__name__}; "
                "make it with initial_state(..., device=...)"
            )

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


def _first_tensor(state: State) -> Tensor | None:
    if isinstance(state, tuple | list):
        return next((found for found in map(_first_tensor, state) if found is not None), None)
    return state if isinstance(state, Tensor) else None


def check_channels(
    layer: nn.Module, spec: ChannelSpec, shape: tuple[int, ...], dtype: torch.dtype | None = None
) -> None:
    """ValueError unless `spec` has the channel shape `shape` (and, outside autocast, the dtype `dtype`)."""
    if spec.shape != shape:
        wanted = ", ".join(["B", "T", *map(str, shape)])
        got = ", ".join(["B", "T", *map(str, spec.shape)])
        raise ValueError(f"x: expected ({wanted}), got ({got}) in {type(layer).__name__}: is the time axis second?")
    if dtype is not None:
        check_dtype(layer, spec, dtype)


def check_dtype(layer: nn.Module, spec: ChannelSpec, dtype: torch.dtype) -> None:
    """ValueError unless `spec` has the dtype `dtype`; under autocast, which casts by itself, any dtype will do."""
    if spec.dtype != dtype and not torch.is_autocast_enabled("cpu") and not _cuda_autocast():
        raise ValueError(f"x: expected {dtype}, got {spec.dtype} in {type(layer).__name__}")


def check_floating(layer: nn.Module, spec: ChannelSpec) -> None:
    """ValueError unless `spec` has a real floating dtype."""
    if not spec.dtype.is_floating_point:
        raise ValueError(f"x: expected a real floating dtype, got {spec.dtype} in {type(layer).__name__}")


def _cuda_autocast() -> bool:
    return torch.cuda.is_available() and torch.is_autocast_enabled("cuda")
