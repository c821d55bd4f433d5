"""What layers hold: fixed arrays, weights that learn their shape from the first data, and PyTorch's initial values."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter, is_lazy

from course_lib.sequence import at_least_float32


class FixedArray(nn.Module):
    """A constant float64 array that meets data in the precision of the data, in at least float32.

    A copy moves with the layer; it is rounded anew from the original whenever the layer's precision changes, so that a
    layer turned to `.double()` is exact. The array is not in the state dict.
    """

    exact: Tensor
    rounded: Tensor
    dtype_holder: Tensor

    def __init__(self, array: np.ndarray):
        super().__init__()
        self.exact = torch.tensor(np.asarray(array, dtype=np.float64))
        self.rounded = self.exact.to(torch.float32)
        self.register_buffer("dtype_holder", torch.empty(0), persistent=False)  # moves and is cast as parameters are

    def _apply(self, fn, recurse=True):
        super()._apply(fn, recurse)
        self.rounded = self.exact.to(at_least_float32(self.dtype_holder.dtype)).to(self.dtype_holder.device)
        return self

    def like(self, values: Tensor) -> Tensor:
        """The array on the device of `values`, in its precision (complex: that of its parts), at least float32."""
        dtype = at_least_float32(values.dtype.to_real() if values.dtype.is_complex else values.dtype)
        array = self.rounded if self.rounded.dtype == dtype else self.exact.to(dtype)
        return array.to(values.device)


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


def kernel_parameters(shape: tuple[int, ...], outputs: int, bias: bool) -> tuple[nn.Parameter, nn.Parameter | None]:
    """Weight (rows, columns, *kernel) and bias (outputs,) as PyTorch's convolutions begin: uniform in ±1/√fan_in."""
    bound = 1 / math.sqrt(math.prod(shape[1:]))
    weight = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
    return weight, nn.Parameter(torch.empty(outputs).uniform_(-bound, bound)) if bias else None
