"""Changing the number of time steps by repeating or dropping some: `Upsample1D`, `Downsample1D`."""

from __future__ import annotations

from fractions import Fraction

from course_lib.sequence import Sequence, SequenceLayer


class _Resample(SequenceLayer):
    """A layer with a whole-number rate whose step is its layer."""

    def __init__(self, rate: int):
        super().__init__()
        if rate < 1:
            raise ValueError(f"rate: expected at least 1, got {rate}")
        self.rate = rate

    def _step(self, x, state, training, constants):
        return self._layer(x, training, constants), state

    def extra_repr(self):
        return f"rate={self.rate}"


class Upsample1D(_Resample):
    """Every step `rate` times: (B, T, *C) -> (B, T · rate, *C)."""

    def __init__(self, rate: int):
        super().__init__(rate)
        self.output_ratio = Fraction(rate)

    def _layer(self, x, training, constants):
        mask = x.mask.repeat_interleave(self.rate, dim=1)
        return Sequence(x.values.repeat_interleave(self.rate, dim=1), mask, x.all_valid)


class Downsample1D(_Resample):
    """Steps 0, rate, 2 · rate, …: (B, T, *C) -> (B, ⌈T / rate⌉, *C). Nothing is averaged; pooling avoids aliases."""

    def __init__(self, rate: int):
        super().__init__(rate)
        self.block_size, self.output_ratio = rate, Fraction(1, rate)

    def _layer(self, x, training, constants):
        return x[:, :: self.rate]
