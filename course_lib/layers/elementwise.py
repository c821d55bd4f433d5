"""Layers that treat every time step, and mostly every channel, alone: activations, gates, dropout, arithmetic, shapes.

`layer` and `step` are one function here and there is no state. Invalid steps are set to zero on the way in.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.sequence import ChannelSpec, StatelessLayer, at_least_float32, check_floating


class Identity(StatelessLayer):
    """Returns its input, untouched."""

    channelwise = True

    def _layer(self, x, training, constants):
        return x


class _Activation(StatelessLayer):
    """A function of real floating-point numbers; ValueError for another dtype."""

    channelwise = True

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        check_floating(self, spec)
        return spec


class ReLU(_Activation):
    """max(x, 0)."""

    def _values(self, values, training):
        return F.relu(values)


class GELU(_Activation):
    """x Φ(x), Φ the normal distribution function; `approximate="tanh"` is its approximation by a hyperbolic tangent.

    Source: Hendrycks and Gimpel 2016, eq. 1 and 2.
    """

    def __init__(self, approximate: str = "none"):
        super().__init__()
        if approximate not in ("none", "tanh"):
            raise ValueError(f'approximate: expected "none" or "tanh", got {approximate!r}')
        self.approximate = approximate

    def _values(self, values, training):
        return F.gelu(values, approximate=self.approximate)


class SiLU(_Activation):
    """x σ(x), also called swish."""

    def _values(self, values, training):
        return F.silu(values)


class Mish(_Activation):
    """x tanh(log(1 + eˣ)).  Source: Misra 2019."""

    def _values(self, values, training):
        return F.mish(values)


class Sigmoid(_Activation):
    """σ(x) = 1 / (1 + e⁻ˣ)."""

    def _values(self, values, training):
        return torch.sigmoid(values)


class Tanh(_Activation):
    """The hyperbolic tangent."""

    def _values(self, values, training):
        return torch.tanh(values)


class Softmax(StatelessLayer):
    """eˣ / Σ eˣ over one channel axis, computed in float32 at least and returned in the input's dtype.

    axis: counted in (B, T, *C), from either end. Raises ValueError where it is batch or time, which no stream can sum.
    """

    def __init__(self, axis: int = -1):
        super().__init__()
        self.axis = axis

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        rank = 2 + len(spec.shape)
        if not 2 <= (self.axis + rank if self.axis < 0 else self.axis) < rank:
            raise ValueError(
                f"axis: expected a channel axis of (B, T, *{tuple(spec.shape)}), got {self.axis} in Softmax"
            )
        check_floating(self, spec)
        return spec

    def _values(self, values, training):
        return F.softmax(values, dim=self.axis, dtype=at_least_float32(values.dtype)).to(values.dtype)


class GLU(StatelessLayer):
    """(B, T, ..., 2 C) -> (B, T, ..., C): the first half times the sigmoid of the second, as `nn.GLU` has it.

    The linear maps before and after it are `Dense` layers. Raises ValueError where the last axis is odd.
    Source: Dauphin et al. 2017, eq. 1.
    """

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        if not spec.shape or spec.shape[-1] % 2:
            raise ValueError(
                f"x: expected an even last axis, got channels {tuple(spec.shape)} in {type(self).__name__}"
            )
        check_floating(self, spec)
        return ChannelSpec(spec.shape[:-1] + (spec.shape[-1] // 2,), spec.dtype)

    def _values(self, values, training):
        first, second = values.chunk(2, dim=-1)
        return self._gated(first, second)

    def _gated(self, first: Tensor, second: Tensor) -> Tensor:
        return first * torch.sigmoid(second)


class SwiGLU(GLU):
    """The first half's x σ(x) times the second half, which stays linear.  Source: Shazeer 2020, eq. 5: W, then V."""

    def _gated(self, first, second):
        return F.silu(first) * second


class GEGLU(GLU):
    """The first half's GELU (exact) times the second half, which stays linear.  Source: Shazeer 2020, eq. 5."""

    def _gated(self, first, second):
        return F.gelu(first) * second


class Dropout(StatelessLayer):
    """In training, zeroes each value with probability `p` and divides the others by 1 - p; otherwise the identity.

    The draws come from PyTorch's default generator of the values' device.
    """

    channelwise = True

    def __init__(self, p: float = 0.5):
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"p: expected a probability from 0 to 1, got {p}")
        self.p = p

    def _layer(self, x, training, constants):
        return super()._layer(x, training, constants) if training and self.p else x

    def _values(self, values, training):
        return dropout(values, self.p)


def dropout(x: Tensor, p: float) -> Tensor:
    """Zeroes each value with probability `p`, from PyTorch's default generator, and divides the others by 1 - p.

    On a CPU sixteen random bits decide each value of a large tensor, where PyTorch draws a number for each: forwards
    and backwards that takes less than half the time (16 against 36 ms for 5 million float32). The probability is then
    the nearest multiple of 2⁻¹⁶, which 1 - p follows.
    """
    dropped = round(p * _LEVELS)
    many = x.device.type == "cpu" and not torch.compiler.is_compiling() and x.numel() >= 4096
    if not many or not 0 < dropped < _LEVELS:
        return F.dropout(x, p)
    draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)  # four values from each
    kept = draws.view(torch.int16)[: x.numel()].view(x.shape) >= dropped - _LEVELS // 2
    return x * kept.to(x.dtype).mul_(_LEVELS / (_LEVELS - dropped))


_LEVELS = 1 << 16  # what sixteen random bits can tell apart


class Lambda(StatelessLayer):
    """Any function of the values (B, T, *C) that treats each time step alone and returns (B, T, *C').

    A module of PyTorch will do, Lambda(nn.ELU()) or Lambda(nn.Linear(4, 8)); its parameters become the layer's. Whether
    the function looks at other time steps is not seen here; `check_contract` finds it out.
    output_spec: what comes out, where it does not depend on what goes in. Without it one step of zeros is tried, once
    for each kind of input. Raises ValueError where that fails or the function does not keep (B, T).
    """

    def __init__(self, function: Callable[[Tensor], Tensor], output_spec: ChannelSpec | None = None):
        super().__init__()
        self.function = function
        self._declared = None if output_spec is None else ChannelSpec(tuple(output_spec[0]), output_spec[1])
        self._inferred: dict[ChannelSpec, ChannelSpec] = {}

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        if self._declared is not None:
            return self._declared
        if spec not in self._inferred:
            device = next((p.device for p in self.parameters()), None)
            zeros = torch.zeros(1, 1, *spec.shape, dtype=spec.dtype, device=device)
            try:
                with torch.no_grad():
                    y = self.function(zeros)
            except Exception as error:
                raise ValueError(f"function: does not take zeros of {tuple(zeros.shape)} in Lambda: {error}") from error
            if not isinstance(y, Tensor) or y.shape[:2] != (1, 1):
                got = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
                raise ValueError(
                    f"function: expected (1, 1, ...) for (1, 1, *{tuple(spec.shape)}), got {got} in Lambda"
                )
            self._inferred[spec] = ChannelSpec(tuple(y.shape[2:]), y.dtype)
        return self._inferred[spec]

    def _values(self, values, training):
        return self.function(values)

    def extra_repr(self) -> str:
        if isinstance(self.function, nn.Module):
            return ""  # shown as a child
        return getattr(self.function, "__name__", repr(self.function))


class Emit(Identity):
    """Returns its input, and hands it out under `name` to whoever listens: see `course_lib.sequence.emitted`."""

    def __init__(self, name: str):
        super().__init__()
        self.name = name

    def _layer(self, x, training, constants):
        self._emit(self.name, x.values)
        return x


class _Constant(StatelessLayer):
    """A number or a tensor that broadcasts to the channels; a tensor is a buffer, so it moves and saves."""

    channelwise = True

    def __init__(self, value: float | Tensor):
        super().__init__()
        if isinstance(value, Tensor):
            self.register_buffer("value", value)
        else:
            self.value = value

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        shape = tuple(getattr(self.value, "shape", ()))
        pairs = zip(reversed(shape), reversed(spec.shape), strict=False)
        if len(shape) > len(spec.shape) or any(n not in (1, channels) for n, channels in pairs):
            raise ValueError(
                f"x: channels {tuple(spec.shape)} do not take a value of shape {shape} in {type(self).__name__}"
            )
        return ChannelSpec(spec.shape, torch.result_type(torch.empty(1, dtype=spec.dtype), self.value))


class Scale(_Constant):
    """x times a number, or times a tensor that broadcasts to the channels."""

    def _values(self, values, training):
        return values * self.value


class Add(_Constant):
    """x plus a number, or plus a tensor that broadcasts to the channels."""

    def _values(self, values, training):
        return values + self.value


class Reshape(StatelessLayer):
    """(B, T, *C) -> (B, T, *shape). One entry of `shape` may be -1. Raises ValueError where the sizes differ."""

    def __init__(self, shape: tuple[int, ...]):
        super().__init__()
        self.shape = tuple(shape)
        if self.shape.count(-1) > 1 or any(n < -1 for n in self.shape):
            raise ValueError(f"shape: expected sizes of at least 0, one of them -1 at most, got {self.shape}")

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        size, known = prod(spec.shape), prod(n for n in self.shape if n != -1)
        if -1 not in self.shape:
            fits, shape = size == known, self.shape
        else:
            fits = known > 0 and size % known == 0
            shape = tuple(size // known if n == -1 and fits else n for n in self.shape)
        if not fits:
            raise ValueError(f"x: expected channels of {self.shape} in all, got {tuple(spec.shape)} in Reshape")
        return ChannelSpec(shape, spec.dtype)

    def _values(self, values, training):
        shape = self.output_spec(ChannelSpec(tuple(values.shape[2:]), values.dtype)).shape
        return values.reshape(values.shape[:2] + shape)


class Flatten(StatelessLayer):
    """(B, T, *C) -> (B, T, product of C)."""

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        return ChannelSpec((prod(spec.shape),), spec.dtype)

    def _values(self, values, training):
        return values.reshape(*values.shape[:2], prod(values.shape[2:]))
