"""Arrays that a layer computes once and never trains: windows, filter coefficients, mel matrices."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn


class FixedArray(nn.Module):
    """A constant float64 array that meets data in the precision of the data.

    It is held as a buffer, outside the state dict, that moves and changes precision with the layer, in float32 at
    first. Whenever the precision changes it is rounded anew from the original, so that a layer turned to `.double()` is
    exact.
    """

    def __init__(self, array: np.ndarray):
        super().__init__()
        self.exact = torch.tensor(np.asarray(array, dtype=np.float64))
        self.register_buffer("rounded", self.exact.to(torch.float32), persistent=False)

    def _apply(self, fn, recurse=True):
        super()._apply(fn, recurse)
        self.rounded = self.exact.to(self.rounded.device, self.rounded.dtype)
        return self

    def like(self, values: Tensor) -> Tensor:
        """The array on the device of `values` and in its precision (complex: that of its parts)."""
        dtype = values.dtype.to_real() if values.dtype.is_complex else values.dtype
        array = self.rounded if self.rounded.dtype == dtype else self.exact
        return array.to(values.device, dtype)
