"""Linear maps: of one time step, of each with weights of its own, of all the past.

`Dense` maps the last axis, `EinsumDense` any channel axes; `SequenceDense` has a matrix for every step, `MaskedDense`
one for every pair of a step and an earlier one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter, is_lazy

from course_lib.layers.delay import step_numbers
from course_lib.sequence import (
    ChannelSpec,
    Sequence,
    SequenceLayer,
    StatelessLayer,
    check_channels,
    check_dtype,
    check_positive,
)


class LazyWeight(nn.Module):
    """A module whose `weight` may wait for the first data to learn its shape, as in `nn.LazyLinear`.

    Until `_materialise` has run, `weight` is an uninitialised parameter: it moves, is cast, saves and loads (loading
    gives it its shape), but cannot be counted. A subclass creates it, and `bias`, and fills both in `_reset`.
    """

    weight: nn.Parameter | UninitializedParameter
    bias: nn.Parameter | None

    def _materialise(self, shape: tuple[int, ...], fan_in: int) -> None:
        """Give `weight` its shape, and weight and bias uniform values in ±1/√fan_in, as `nn.Linear` does."""
        bound = 1 / math.sqrt(max(fan_in, 1))
        with torch.no_grad():
            cast(UninitializedParameter, self.weight).materialize(shape)
            nn.init.uniform_(self.weight, -bound, bound)
            if self.bias is not None:
                nn.init.uniform_(self.bias, -bound, bound)

    def _load_from_state_dict(self, state_dict, prefix, *args):
        saved = state_dict.get(prefix + "weight")
        if saved is not None and is_lazy(self.weight) and not is_lazy(saved):
            with torch.no_grad():
                cast(UninitializedParameter, self.weight).materialize(saved.shape)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        for name, parameter in self._parameters.items():
            if parameter is not None:  # an uninitialised weight has no data to detach
                destination[prefix + name] = parameter if keep_vars or is_lazy(parameter) else parameter.detach()


class Dense(LazyWeight, StatelessLayer):
    """activation(x Wᵀ + b) at every time step: (B, T, ..., in_features) -> (B, T, ..., features).

    features: size of what comes out.  in_features: size of what goes in; None takes it from the first data, or the
    first `initial_state(spec)`, that the layer sees; make the optimiser after that, as with `nn.LazyLinear`.
    bias: whether to add b.  activation: a function of a tensor, or None.
    `weight` (features, in_features), `bias` (features,) and their initial values are those of `nn.Linear`.
    """

    def __init__(
        self,
        features: int,
        in_features: int | None = None,
        bias: bool = True,
        activation: Callable[[Tensor], Tensor] | None = None,
    ):
        super().__init__()
        check_positive(features=features, in_features=1 if in_features is None else in_features)
        self.features = features
        self.activation = activation
        self.weight = UninitializedParameter()
        self.bias = nn.Parameter(torch.zeros(features)) if bias else None
        if in_features is not None:
            self._materialise((features, in_features), in_features)

    @property
    def in_features(self) -> int | None:
        """Size of what goes in; None as long as no data has been seen."""
        return None if is_lazy(self.weight) else self.weight.shape[1]

    @property
    def input_spec(self) -> ChannelSpec | None:
        return None if self.in_features is None else ChannelSpec((self.in_features,), self.weight.dtype)

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        if not spec.shape:
            raise ValueError("x: expected (B, T, ..., C), got (B, T) in Dense")
        check_channels(self, spec, (..., self.in_features or spec.shape[-1]), self.weight.dtype)
        return ChannelSpec((*spec.shape[:-1], self.features), spec.dtype)

    def _initial_state(self, batch_size, spec, device, constants):
        if is_lazy(self.weight):
            size = self._known_spec(spec).shape[-1]
            self._materialise((self.features, size), size)
        return ()

    def _values(self, values, training):
        if is_lazy(self.weight):
            size = values.shape[-1]
            self._materialise((self.features, size), size)
        y = F.linear(values, self.weight, self.bias)
        return y if self.activation is None else self.activation(y)


class EinsumDense(LazyWeight, StatelessLayer):
    """A linear map of one time step, written as an Einstein sum: `EinsumDense("...nh,nhd->...d", (6,), "d", (2, 3))`.

    equation: "...<input axes>,<weight axes>->...<output axes>"; the dots stand for batch and time.
    output_shape: channel shape that comes out.  bias_axes: the output axes, by letter, along which a bias varies; ""
    for no bias.  input_shape: channel shape that goes in; None takes it from the first data.
    activation: a function of a tensor, or None.
    `weight` has the shape of its axes in the equation; `bias` that of `bias_axes`, 1 for output axes in between.
    Initial values are uniform in ±1/√n, n the number of inputs that one output sums over.
    """

    def __init__(
        self,
        equation: str,
        output_shape: tuple[int, ...],
        bias_axes: str = "",
        input_shape: tuple[int, ...] | None = None,
        activation: Callable[[Tensor], Tensor] | None = None,
    ):
        super().__init__()
        self.equation = equation.replace(" ", "")
        self.output_shape = tuple(output_shape)
        self.bias_axes = bias_axes
        self.activation = activation
        self._axes = _parse(self.equation)
        _, _, outputs = self._axes
        if len(outputs) != len(self.output_shape):
            raise ValueError(f"output_shape: expected sizes for {outputs!r}, got {self.output_shape}")
        if not set(bias_axes) <= set(outputs):
            raise ValueError(f"bias_axes: expected letters of {outputs!r}, got {bias_axes!r}")
        self.weight = UninitializedParameter()
        self.bias = None
        if bias_axes:
            first = min(outputs.index(axis) for axis in bias_axes)
            sizes = zip(outputs[first:], self.output_shape[first:], strict=True)
            self.bias = nn.Parameter(torch.zeros([size if axis in bias_axes else 1 for axis, size in sizes]))
        if input_shape is not None:
            self._materialise_for(tuple(input_shape))

    @property
    def input_spec(self) -> ChannelSpec | None:
        if is_lazy(self.weight):
            return None
        inputs, weights, outputs = self._axes
        sizes = dict(zip(outputs + weights, self.output_shape + tuple(self.weight.shape), strict=True))
        return ChannelSpec(tuple(sizes[axis] for axis in inputs), self.weight.dtype)

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        known = self.input_spec
        if known is None:
            self._sizes(spec.shape)
        elif tuple(spec.shape) != known.shape:
            raise ValueError(f"x: expected channels {known.shape}, got {tuple(spec.shape)} in EinsumDense")
        check_dtype(self, spec, self.weight.dtype)
        return ChannelSpec(self.output_shape, spec.dtype)

    def _sizes(self, input_shape: tuple[int, ...]) -> dict[str, int]:
        """Size of every axis of the equation, by letter."""
        inputs, _, outputs = self._axes
        if len(input_shape) != len(inputs):
            raise ValueError(f"x: expected channel axes {inputs!r}, got {tuple(input_shape)} in EinsumDense")
        sizes = dict(zip(outputs, self.output_shape, strict=True))
        for axis, size in zip(inputs, input_shape, strict=True):
            if sizes.setdefault(axis, size) != size:
                raise ValueError(f"x: expected {sizes[axis]} on axis {axis!r} of {self.equation!r}, got {size}")
        return sizes

    def _materialise_for(self, input_shape: tuple[int, ...]) -> None:
        sizes = self._sizes(input_shape)
        _, weights, outputs = self._axes
        fan_in = math.prod(sizes[axis] for axis in weights if axis not in outputs)
        self._materialise(tuple(sizes[axis] for axis in weights), fan_in)

    def _initial_state(self, batch_size, spec, device, constants):
        if is_lazy(self.weight):
            self._materialise_for(self._known_spec(spec).shape)
        return ()

    def _values(self, values, training):
        if is_lazy(self.weight):
            self._materialise_for(tuple(values.shape[2:]))
        y = torch.einsum(self.equation, values, self.weight)
        if self.bias is not None:
            y = y + self.bias
        return y if self.activation is None else self.activation(y)


def _parse(equation: str) -> tuple[str, str, str]:
    """The letters of "...ab,abc->...c": those of input, weight and output."""
    left, arrow, outputs = equation.partition("->")
    inputs, comma, weights = left.partition(",")
    letters = inputs.removeprefix("..."), weights, outputs.removeprefix("...")
    well_formed = arrow and comma and inputs.startswith("...") and outputs.startswith("...")
    if not well_formed or not all(part.isalpha() or not part for part in letters):
        raise ValueError(f'equation: expected the form "...ab,abc->...c", got {equation!r}')
    count = Counter("".join(letters))
    if any(len(set(part)) != len(part) for part in letters) or min(count.values(), default=2) < 2:
        raise ValueError(f"equation: expected each axis once in at least two of the three terms, got {equation!r}")
    return letters


class _PerStep(LazyWeight, SequenceLayer):
    """`num_steps` linear maps to `features`; in_features None takes the input size from the first data.

    Steps are numbered from an item's first valid one. Those from `num_steps` on have no weights: they come out invalid.
    """

    def __init__(
        self,
        features: int,
        num_steps: int,
        in_features: int | None = None,
        bias: bool = True,
        activation: Callable[[Tensor], Tensor] | None = None,
    ):
        super().__init__()
        check_positive(features=features, num_steps=num_steps, in_features=1 if in_features is None else in_features)
        self.features, self.num_steps = features, num_steps
        self.activation = activation
        self.weight = UninitializedParameter()
        self.bias = nn.Parameter(torch.zeros(num_steps, features)) if bias else None
        if in_features is not None:
            self._materialise_for(in_features)

    def _materialise_for(self, in_features: int) -> None:
        raise NotImplementedError

    @property
    def input_spec(self) -> ChannelSpec | None:
        return None if is_lazy(self.weight) else ChannelSpec((self.weight.shape[-1],), self.weight.dtype)

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        if is_lazy(self.weight):
            if len(spec.shape) != 1:
                raise ValueError(f"x: expected (B, T, C), got channels {tuple(spec.shape)} in {type(self).__name__}")
            check_dtype(self, spec, self.weight.dtype)
        else:
            check_channels(self, spec, (self.weight.shape[-1],), self.weight.dtype)
        return ChannelSpec((self.features,), spec.dtype)

    def _materialise_if_lazy(self, spec: ChannelSpec) -> None:
        if is_lazy(self.weight):
            self._materialise_for(spec.shape[-1])

    def _by_number(self, x: Sequence, numbers: Tensor, before: Tensor | None = None) -> Tensor:
        """Values (B, num_steps, C) by step number, zero where no valid step has it; added to `before`."""
        index = numbers.clamp(0, self.num_steps - 1)[..., None].expand(x.shape)
        values = Sequence(x.values, x.mask & (numbers < self.num_steps)).masked().values
        if before is None:
            before = values.new_zeros(x.shape[0], self.num_steps, x.shape[2])
        return before.scatter_add(1, index, values)

    def _finish(self, x: Sequence, y: Tensor, numbers: Tensor) -> Sequence:
        """Bias and activation on sums y (B, T, features) of the steps `numbers`."""
        if self.bias is not None:
            y = y + self.bias[numbers.clamp(0, self.num_steps - 1)]
        y = y if self.activation is None else self.activation(y)
        return Sequence(y, x.mask & (numbers < self.num_steps))

    def _pick(self, sums: Tensor, numbers: Tensor) -> Tensor:
        """Rows `numbers` (B, T) of sums (B, num_steps, features)."""
        index = numbers.clamp(0, self.num_steps - 1)[..., None].expand(*numbers.shape, self.features)
        return sums.gather(1, index)


class SequenceDense(_PerStep):
    """y[t] = activation(W[t] x[t] + b[t]): (B, T, in_features) -> (B, T, features), for t below `num_steps`.

    Steps are numbered from an item's first valid one; those from `num_steps` on come out invalid.
    `weight` (num_steps, features, in_features), `bias` (num_steps, features).  State: (B,) the number of steps seen.
    """

    def _materialise_for(self, in_features):
        self._materialise((self.num_steps, self.features, in_features), in_features)

    def _layer(self, x, training, constants):
        self._materialise_if_lazy(x.spec)
        numbers, _ = step_numbers(x.mask, x.mask.new_zeros(x.shape[0], dtype=torch.long))
        sums = torch.einsum("bsi,soi->bso", self._by_number(x, numbers), self.weight)
        return self._finish(x, self._pick(sums, numbers), numbers)

    def _initial_state(self, batch_size, spec, device, constants):
        self._materialise_if_lazy(self._known_spec(spec, self.input_spec))
        return (torch.zeros(batch_size, dtype=torch.long, device=device),)

    def _step(self, x, state, training, constants):
        numbers, count = step_numbers(x.mask, state[0])
        weight = self.weight[numbers.clamp(0, self.num_steps - 1)]  # (B, T, features, in_features)
        y = torch.einsum("bti,btoi->bto", x.masked().values, weight)
        return self._finish(x, y, numbers), (count,)


class MaskedDense(_PerStep):
    """y[t] = activation(b[t] + Σ_{s ≤ t} K[s, t] x[s]): one dense map from a whole sequence to a whole sequence, masked
    so that no output looks at a later input. (B, T, in_features) -> (B, T, features), for t below `num_steps`.

    Steps are numbered from an item's first valid one; those from `num_steps` on come out invalid, invalid ones add 0.
    `weight` (num_steps s, num_steps t, features, in_features), unused where s > t; `bias` (num_steps, features).
    State: (B,) the number of steps seen, (B, num_steps, in_features) the inputs so far.
    """

    def __init__(
        self,
        features: int,
        num_steps: int,
        in_features: int | None = None,
        bias: bool = True,
        activation: Callable[[Tensor], Tensor] | None = None,
    ):
        super().__init__(features, num_steps, in_features, bias, activation)
        self.receptive_field = (1 - num_steps, 0)

    def _materialise_for(self, in_features):
        shape = (self.num_steps, self.num_steps, self.features, in_features)
        self._materialise(shape, self.num_steps * in_features)

    def _layer(self, x, training, constants):
        self._materialise_if_lazy(x.spec)
        numbers, _ = step_numbers(x.mask, x.mask.new_zeros(x.shape[0], dtype=torch.long))
        steps = torch.arange(self.num_steps, device=x.values.device)
        causal = (steps[:, None] <= steps)[..., None, None]  # (s, t, 1, 1)
        weight = torch.where(causal, self.weight, 0.0)
        sums = torch.einsum("bsi,stoi->bto", self._by_number(x, numbers), weight)
        return self._finish(x, self._pick(sums, numbers), numbers)

    def _initial_state(self, batch_size, spec, device, constants):
        spec = self._known_spec(spec, self.input_spec)
        self._materialise_if_lazy(spec)
        history = torch.zeros(batch_size, self.num_steps, *spec.shape, dtype=spec.dtype, device=device)
        return torch.zeros(batch_size, dtype=torch.long, device=device), history

    def _step(self, x, state, training, constants):
        numbers, count = step_numbers(x.mask, state[0])
        history = self._by_number(x, numbers, state[1])
        earlier = torch.arange(self.num_steps, device=x.values.device) <= numbers[..., None]  # (B, T, s)
        seen = torch.where(earlier[..., None], history[:, None], 0.0)  # (B, T, s, in_features)
        weight = self.weight.transpose(0, 1)[numbers.clamp(0, self.num_steps - 1)]  # (B, T, s, features, in_features)
        return self._finish(x, torch.einsum("btsi,btsoi->bto", seen, weight), numbers), (count, history)
