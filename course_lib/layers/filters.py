"""Linear filters with fixed coefficients, of finite or infinite impulse response: those of `scipy.signal.lfilter`."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor
from torch.autograd.function import once_differentiable

from course_lib.layers.windows import FixedArray, WindowedLayer, Windows
from course_lib.sequence import ChannelSpec, Reach, SequenceLayer, check_floating, float64_on


def _coefficients(name: str, values: ArrayLike) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"{name}: expected a list of finite coefficients, got shape {array.shape}")
    return array


class FIRFilter(WindowedLayer):
    """y[t] = Σ_k b[k] x[t − k] for each channel by itself, (B, T, *C): equals `scipy.signal.lfilter(b, 1, x, axis=1)`.

    b: the impulse response. padding: a mode of `course_lib.layers.windows`; `same` takes the delay of a symmetric
    filter of odd length back. Invalid steps count as zeros.
    """

    def __init__(self, b: ArrayLike, padding: str = "causal"):
        b = _coefficients("b", b)
        super().__init__(Windows(len(b), padding=padding))
        self.kernel = FixedArray(b[::-1].reshape(1, 1, -1).copy())
        used = np.flatnonzero(b[::-1]) - self.windows.before
        self.receptive_field = (int(used[0]), int(used[-1])) if used.size else (0, 0)

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        check_floating(self, spec)
        return spec

    def _windowed(self, values, mask):
        signals = values.movedim(1, -1)  # (B, *C, T')
        kernel = self.kernel.like(values)
        y = F.conv1d(signals.flatten(0, -2).unsqueeze(1).to(kernel.dtype), kernel)
        return y.reshape(*signals.shape[:-1], y.shape[-1]).movedim(-1, 1).to(values.dtype)


class IIRFilter(SequenceLayer):
    """a[0] y[t] = Σ_k b[k] x[t − k] − Σ_{k≥1} a[k] y[t − k] for each channel by itself, (B, T, *C).

    Equals `scipy.signal.lfilter(b, a, x, axis=1)` and is computed by it, in float64 whatever the precision of the data:
    narrow filters need it, and no arrangement of matrix products is as exact for them as the recursion itself. Data on
    another device travels to the CPU and back; in a file each time step is a few nodes. Differentiable
    once, with respect to x. The state is that of the transposed direct form II, max(len(a), len(b)) − 1 numbers a
    channel. Invalid steps count as zeros, and the filter rings on through them. Raises ValueError where a[0] is 0.
    """

    receptive_field: Reach = (None, 0)

    def __init__(self, b: ArrayLike, a: ArrayLike):
        super().__init__()
        b, a = _coefficients("b", b), _coefficients("a", a)
        if a[0] == 0:
            raise ValueError("a: expected a first coefficient other than 0")
        self.order = max(len(a), len(b)) - 1
        self.b, self.a = np.zeros(self.order + 1), np.zeros(self.order + 1)
        self.b[: len(b)], self.a[: len(a)] = b / a[0], a / a[0]
        if not self.a[1:].any():
            self.receptive_field = (-int(np.flatnonzero(self.b).max(initial=0)), 0)

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        check_floating(self, spec)
        return spec

    def _initial_state(self, batch_size, spec, device, constants):
        shape, dtype = self._known_spec(spec)
        dtype = torch.promote_types(dtype, float64_on(device))
        return torch.zeros(batch_size, *shape, self.order, dtype=dtype, device=device)

    def _step(self, x, state, training, constants):
        if x.mask.shape[1] == 0:
            return x, state
        recursion = _traced if torch.compiler.is_exporting() else _Recursion.apply
        y, state = recursion(x.masked().values.movedim(1, -1), state, self.b, self.a)
        return x.with_values(y.movedim(-1, 1)), state


def _traced(x: Tensor, state: Tensor, b: np.ndarray, a: np.ndarray) -> tuple[Tensor, Tensor]:
    """`_Recursion` step by step in PyTorch's own operations, for a graph of so many steps."""
    b_on, a_on = (torch.as_tensor(c, dtype=state.dtype) for c in (b, a))
    outputs = []
    for value in x.to(state.dtype).unbind(-1):
        moved = F.pad(state, (0, 1)) + b_on * value.unsqueeze(-1)  # (..., n + 1)
        outputs.append(moved[..., 0])
        state = moved[..., 1:] - a_on[1:] * moved[..., :1]
    return torch.stack(outputs, dim=-1).to(x.dtype), state


class _Recursion(torch.autograd.Function):
    """The filter along the last axis, from a state: (x (..., T), state (..., n)) -> (y (..., T), state (..., n)).

    The gradient of a recursive filter is the recursion run backwards in time: with gradients g of the outputs,
    w[t] = g[t] − Σ_{k≥1} a[k] w[t + k], continued beyond the end by the gradient of the final state; then x[t] receives
    Σ_k b[k] w[t + k], and the k-th number of the first state w[k].
    """

    @staticmethod
    def forward(ctx, x, state, b, a):
        from scipy.signal import lfilter

        ctx.b, ctx.a, ctx.dtypes = b, a, (x.dtype, state.dtype)
        y, end = lfilter(b, a, _to_numpy(x), zi=_to_numpy(state))
        return _to_torch(y, x), _to_torch(end, state)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient_y, gradient_end):
        from scipy.signal import lfilter

        b, a, order = ctx.b, ctx.a, len(ctx.a) - 1
        beyond = _to_numpy(gradient_end)  # w[T], w[T + 1], …
        reached = np.add.outer(np.arange(order), np.arange(order)) + 1
        memory = np.where(reached <= order, a[np.minimum(reached, order)], 0)  # memory[m, k] = a[m + k + 1]
        backwards = _to_numpy(gradient_y)[..., ::-1]
        w, _ = lfilter([1.0], a, backwards, zi=-beyond @ memory.T)
        w = np.concatenate([w[..., ::-1], beyond], axis=-1)
        gradient_x = lfilter(b, [1.0], w[..., ::-1])[..., ::-1][..., : gradient_y.shape[-1]]
        dtype_x, dtype_state = ctx.dtypes
        return (
            _to_torch(gradient_x, gradient_y).to(dtype_x),
            _to_torch(w[..., :order], gradient_end).to(dtype_state),
            None,
            None,
        )


def _to_numpy(x: Tensor) -> np.ndarray:
    return x.detach().to("cpu", torch.float64).numpy()


def _to_torch(array: np.ndarray, like: Tensor) -> Tensor:
    return torch.tensor(np.ascontiguousarray(array)).to(like)
