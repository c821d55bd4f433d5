"""The real-gated linear recurrent unit, RG-LRU: an accumulator that chooses at each step what to keep and what to add.

The rung after the accumulator with a decay that depends on the input: the decay is raised to a power by one gate, a
second gate scales the input, and √(1 − a²) keeps the state as large as the input, however slowly it leaks. The state
enters no gate, so a whole sequence is a parallel scan, as the accumulator's is.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.layers.accumulator import CHUNK, accumulate, accumulate_loop
from course_lib.sequence import ChannelSpec, Reach, SequenceLayer, at_least_float32, check_positive

SHARPNESS = 8.0  # c: at a closed gate nothing is forgotten, at an open one a^8 is left


class RGLRU(SequenceLayer):
    """h_t = a_t · h_{t-1} + √(1 − a_t²) · i_t · x_t in each channel: (B, T, channels) -> (B, T, channels).

    a_t = σ(Λ)^(8 r_t), with the recurrence gate r_t = σ(W_r x_t + b_r) and the input gate i_t = σ(W_i x_t + b_i).
    channels: of the input, and of the state.
    num_blocks: the matrices of the gates are block-diagonal with this many blocks; 1 is full.
    Parameters: `decay_logit` Λ (channels,), at first such that σ(Λ)⁸ lies evenly between .9 and .999;
    `recurrence_weight` and `input_weight` (num_blocks, size, size), rows for what comes out, size = channels /
    num_blocks; `recurrence_bias` and `input_bias` (channels,).
    An invalid step leaves the state as it is. The state is (h,), (B, channels), zeros at first, in at least float32.
    Raises ValueError where num_blocks does not divide the channels.  Source: De et al. 2024 (Griffin), eq. 1 to 4.
    """

    receptive_field: Reach = (None, 0)

    def __init__(self, channels: int, num_blocks: int = 1):
        super().__init__()
        check_positive(channels=channels, num_blocks=num_blocks)
        if channels % num_blocks:
            raise ValueError(f"num_blocks: expected a divisor of channels={channels}, got {num_blocks}")
        self.channels, self.num_blocks = channels, num_blocks
        size = channels // num_blocks
        kept = torch.empty(channels).uniform_(0.9, 0.999) ** (1 / SHARPNESS)
        self.decay_logit = nn.Parameter(torch.logit(kept))
        self.recurrence_weight, self.input_weight = (
            nn.Parameter(torch.empty(num_blocks, size, size).normal_(std=size**-0.5)) for _ in range(2)
        )
        self.recurrence_bias, self.input_bias = (nn.Parameter(torch.zeros(channels)) for _ in range(2))

    @property
    def input_spec(self) -> ChannelSpec:
        return ChannelSpec((self.channels,), self.decay_logit.dtype)

    def gates(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The decays a_t and what is added, √(1 − a_t²) · i_t · x_t, for x (B, T, channels): each of its shape."""
        wide = at_least_float32(self.decay_logit.dtype)
        opened = self._gate(x, self.recurrence_weight, self.recurrence_bias).to(wide)
        taken = self._gate(x, self.input_weight, self.input_bias).to(wide)
        log_decay = SHARPNESS * opened * F.logsigmoid(self.decay_logit.to(wide))  # the power, without rounding near 1
        room = -torch.expm1(2 * log_decay)  # 1 − a²
        # Where nothing leaks there is no room, and the root's slope has no bound: it ends at this smallest room.
        return log_decay.exp(), room.clamp(min=1e-12).sqrt() * taken * x.to(wide)

    def _gate(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        blocks = x.unflatten(-1, (self.num_blocks, -1))  # (B, T, blocks, size)
        return torch.sigmoid(torch.einsum("btni,noi->btno", blocks, weight).flatten(-2) + bias)

    def _initial_state(self, batch_size, spec, device, constants):
        dtype = at_least_float32(self.decay_logit.dtype)
        device = self.decay_logit.device if device is None else device
        return (torch.zeros(batch_size, self.channels, dtype=dtype, device=device),)

    def _step(self, x, state, training, constants):
        (h,) = state
        decay, added = self.gates(x.masked().values)
        if not x.all_valid:
            valid = x.mask[..., None]
            decay, added = torch.where(valid, decay, 1.0), torch.where(valid, added, 0.0)
        run = accumulate_loop if x.shape[1] <= CHUNK else accumulate
        states = run(added, decay, h)
        return x.with_values(states.to(x.values.dtype)), (states[:, -1] if x.shape[1] else h,)
