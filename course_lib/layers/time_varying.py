"""Linear maps with weights of their own for every time step: `SequenceDense`, and `MaskedDense` over all the past."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter, is_lazy

from course_lib.layers.delay import step_numbers
from course_lib.layers.parameters import LazyWeight
from course_lib.sequence import ChannelSpec, Sequence, SequenceLayer, check_channels, check_dtype, check_positive


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
