"""Shifting a sequence in time: `Delay` into the past, `Lookahead` into the future, `StepDelay` in streams alone."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.sequence import Sequence, SequenceLayer


class _DelayLine(SequenceLayer):
    """A layer whose step gives out what came in `length` steps ago. State: the last `length` values and their mask."""

    channelwise = True

    def __init__(self, length: int):
        super().__init__()
        if length < 0:
            raise ValueError(f"length: expected at least 0 time steps, got {length}")
        self.length = length

    def _initial_state(self, batch_size, spec, device, constants):
        line = Sequence.invalid(batch_size, self.length, self._known_spec(spec), device)
        return line.values, line.mask

    def _step(self, x, state, training, constants):
        steps = x.shape[1]
        line = Sequence.concatenate([Sequence(*state), x.masked()])
        return line[:, :steps], (line.values[:, steps:], line.mask[:, steps:])


class Delay(_DelayLine):
    """y[t] = x[t - length]: `length` invalid steps come first, and the output is that much longer, in both ways.

    In a stream the last `length` steps come out when it is flushed (`input_latency`).
    """

    def __init__(self, length: int):
        super().__init__(length)
        self.input_latency = length
        self.receptive_field = (-length, -length)

    def output_length(self, length: int) -> int:
        return length + self.length

    def _layer(self, x, training, constants):
        x = x.masked()
        return Sequence.concatenate([Sequence.invalid(x.shape[0], self.length, x.spec, x.values.device), x])


class StepDelay(_DelayLine):
    """The identity, which in a stream answers `length` steps late: a latency of its own, to wait for a slower branch.

    `Sequential`, `Parallel` and `Residual` put such delays in by themselves.
    """

    def __init__(self, length: int):
        super().__init__(length)
        self.input_latency = self.output_latency = length

    def _layer(self, x, training, constants):
        return x


class Lookahead(SequenceLayer):
    """y[t] = x[t + length]: the first `length` steps are dropped, and the output is that much shorter.

    "First" counts from an item's first valid step, and what is dropped after leading invalid steps is masked: a stream
    cannot tell them from the latency of the layers before. In a stream the dropped steps are the latency.
    State: (B,) the number of steps since the first valid one, `length` at most.
    """

    channelwise = True

    def __init__(self, length: int):
        super().__init__()
        if length < 0:
            raise ValueError(f"length: expected at least 0 time steps, got {length}")
        self.length = length
        self.output_latency = length
        self.receptive_field = (length, length)

    def output_length(self, length: int) -> int:
        return max(length - self.length, 0)

    def _layer(self, x, training, constants):
        if x.all_valid:
            return x[:, self.length :]
        kept, _ = self._drop(x, torch.zeros(x.shape[0], dtype=torch.long, device=x.values.device))
        return kept[:, self.length :]

    def _initial_state(self, batch_size, spec, device, constants):
        return (torch.zeros(batch_size, dtype=torch.long, device=device),)

    def _step(self, x, state, training, constants):
        y, count = self._drop(x, state[0])
        return y, (count,)

    def _drop(self, x: Sequence, count: Tensor) -> tuple[Sequence, Tensor]:
        positions, count = step_numbers(x.mask, count)
        return Sequence(x.values, x.mask & (positions >= self.length)), count.clamp(max=self.length)


def step_numbers(mask: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """Number the steps of a block, the first valid step of the stream being 0.

    mask: (B, T) of the block.  count: (B,) int64, steps already numbered, 0 before the first valid step.
    Returns positions (B, T) int64, -1 before the first valid step, and the new count. Once an item has begun, invalid
    steps are numbered too. So leading invalid steps, which may be the latency of layers before, change nothing.
    """
    count = count[:, None]
    begun = (mask.cumsum(dim=1) + count) > 0
    numbered = count + begun.cumsum(dim=1)
    positions = torch.where(begun, numbered - 1, -1)
    return positions, (numbered[:, -1] if mask.shape[1] else count[:, 0])
