"""Where a time step stands in its sequence, and sinusoids that tell it."""

from __future__ import annotations

from math import log, prod

import torch
from torch import Tensor, nn

from course_lib.sequence import ChannelSpec, Sequence, SequenceLayer


def positions_of(mask: Tensor, before: Tensor | None = None) -> Tensor:
    """Position of each time step: the number of valid steps before it, (B, T) int64.

    mask: (B, T) boolean.  before: (B,) int64, valid steps in the earlier blocks of a stream.
    The first valid step is at 0, whatever invalid steps lead up to it; padding does not count.
    """
    count = mask.cumsum(dim=1)
    if before is not None:
        count = count + before[:, None]
    return (count - 1).clamp(min=0)


def layer_positions(x: Sequence) -> Tensor:
    """Positions of a whole sequence: (T,) where all items share them, (B, T) otherwise."""
    return torch.arange(x.shape[1], device=x.values.device) if x.all_valid else positions_of(x.mask)


def sinusoids(positions: Tensor, channels: int, min_timescale: float = 1.0, max_timescale: float = 10_000.0) -> Tensor:
    """Sines, then cosines, of positions over geometrically spaced timescales: (..., channels) in float64.

    positions: (...), in time steps.  The timescales run from `min_timescale` to `max_timescale`; one period is 2π
    timescales.  An odd number of channels ends in a 0.
    Source: Vaswani et al. 2017, section 3.5, in the layout of tensor2tensor's timing signal.
    """
    count = channels // 2
    exponents = torch.arange(count, dtype=torch.float64, device=positions.device)
    rates = torch.exp(-exponents * (log(max_timescale / min_timescale) / max(count - 1, 1))) / min_timescale
    angles = positions.to(torch.float64).unsqueeze(-1) * rates
    signal = torch.cat([torch.sin(angles), torch.cos(angles)], dim=-1)
    return nn.functional.pad(signal, (0, channels % 2))


class AddPositions(SequenceLayer):
    """Adds a signal of each step's position to it: (B, T, *C) -> (B, T, *C). A subclass writes `_signal`.

    The state is the position, (B,): the number of valid steps so far.
    """

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        return _check_floating(self, spec)

    def _signal(self, at: Tensor, channels: int) -> Tensor:
        """(..., channels) for positions (...), int64."""
        raise NotImplementedError

    def _add(self, x: Sequence, at: Tensor) -> Sequence:
        x = x.masked()
        signal = self._signal(at, prod(x.shape[2:])).to(x.values.dtype)
        return x.with_values(x.values + signal.reshape(at.shape + x.shape[2:]))

    def _layer(self, x, training, constants):
        return self._add(x, layer_positions(x))

    def _initial_state(self, batch_size, spec, device, constants):
        return torch.zeros(batch_size, dtype=torch.long, device=device)

    def _step(self, x, state, training, constants):
        return self._add(x, positions_of(x.mask, state)), state + x.mask.sum(dim=1)


class AddTimingSignal(AddPositions):
    """Adds sinusoids of each step's position (B, T, *C) -> (B, T, *C); the state is the position.

    min_timescale, max_timescale: see `sinusoids`; the channels of one step are numbered together.
    trainable_scale: multiplies the sinusoids by a learned factor, 1 at first.
    """

    def __init__(self, min_timescale: float = 1.0, max_timescale: float = 10_000.0, trainable_scale: bool = False):
        super().__init__()
        if not 0 < min_timescale <= max_timescale:
            raise ValueError(
                f"min_timescale, max_timescale: expected 0 < min <= max, got {min_timescale}, {max_timescale}"
            )
        self.min_timescale, self.max_timescale = min_timescale, max_timescale
        self.scale = nn.Parameter(torch.ones(())) if trainable_scale else None

    def _signal(self, at: Tensor, channels: int) -> Tensor:
        signal = sinusoids(at, channels, self.min_timescale, self.max_timescale)
        return signal if self.scale is None else signal * self.scale


def _check_floating(layer: nn.Module, spec: ChannelSpec) -> ChannelSpec:
    if not spec.dtype.is_floating_point:
        raise ValueError(f"x: expected floating-point values, got {spec.dtype} in {type(layer).__name__}")
    return spec
