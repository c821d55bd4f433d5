"""Accumulators: a running sum that leaks, a_t = decay · a_{t-1} + x_t, as a loop, as a parallel scan, as a layer.

The decay is all there is to choose: 1 keeps everything and grows without bound, 0 keeps nothing, and in between an
input fades to 1/e after 1 / (1 - decay) steps or so. Where the decay depends on the input, the layer chooses what to
keep as it goes along: the heart of a selective state-space model (Gu and Dao 2023).

The scan is the chunked one of Blelloch 1990: two stretches of time (decay p, sum a) and, after it, (q, b) join to
(p·q, q·a + b), and this joining is associative, so stretches may be summed side by side and joined later. Nothing is
ever divided by a decay, so no decay, small or near 1, and no length makes it overflow.

`RGLRU`, the real-gated linear recurrent unit, is the next rung: its decay is raised to a power by one gate, a second
gate scales the input, and √(1 − a²) keeps the state as large as the input, however slowly it leaks. The state enters no
gate, so that the same scan runs it.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.layers.windows import FixedArray
from course_lib.sequence import ChannelSpec, Reach, SequenceLayer, at_least_float32, check_positive

CHUNK = 16  # steps that run one after the other, in all chunks at once
KINDS = ("fixed", "learned", "input-dependent")
SHARPNESS = 8.0  # c: at a closed gate nothing is forgotten, at an open one a^8 is left


def accumulate(x: Tensor, decay: Tensor, initial: Tensor | None = None) -> Tensor:
    """a_t = decay_t · a_{t-1} + x_t for all t by a parallel scan: about 16 · log₁₆ T steps in place of T.

    x: (B, T, C).  decay: (C,), or (B, T, C) with one for each step; between 0 and 1.  initial: (B, C), a_{-1}; None: 0.
    Returns (B, T, C), the sums after each step. Differentiable, any number of times, with respect to all three.
    Equal to `accumulate_loop` but for rounding. It pays where a step is small: on one core, sums and gradients of 16
    signals of 16 channels over 1,024 steps are more than ten times as fast as the loop; at 32 signals of 64 channels
    both wait for memory, and the scan is one and a half to three times as fast.
    Raises ValueError where the shapes do not fit.
    """
    return _Scan.apply(*_checked(x, decay, initial))


def accumulate_loop(x: Tensor, decay: Tensor, initial: Tensor | None = None) -> Tensor:
    """What `accumulate` computes, one step after the other: the definition, and the reference it is tested against."""
    x, decay, a = _checked(x, decay, initial)
    return _loop(x, decay, a)


class Accumulator(SequenceLayer):
    """a_t = decay · a_{t-1} + x_t in each channel: (B, T, channels) to (B, T, channels), the sum after each step.

    channels: of the input, and of the sum.
    decay: between 0 and 1, one number or one a channel; where it is not fixed, what it is before training (then
        neither 0 nor 1).
    kind: "fixed"; "learned", one parameter a channel, decay = σ(decay_logit); or "input-dependent",
        decay_t = σ(weight · x_t + bias), one a channel and step.
    An invalid step leaves the sum as it is. The state is (sum,), (B, channels), in at least float32.
    Raises ValueError for another kind or a decay out of range.
    """

    receptive_field: Reach = (None, 0)

    def __init__(self, channels: int, decay: float | list[float] = 0.9, kind: str = "fixed"):
        super().__init__()
        check_positive(channels=channels)
        if kind not in KINDS:
            raise ValueError(f"kind: expected one of {', '.join(map(repr, KINDS))}, got {kind!r}")
        decays = np.asarray(decay, dtype=np.float64)
        if decays.shape not in ((), (channels,)):
            raise ValueError(f"decay: expected one number or {channels}, one a channel, got shape {decays.shape}")
        inside = (decays >= 0) & (decays <= 1) if kind == "fixed" else (decays > 0) & (decays < 1)
        if not inside.all():
            wanted = "from 0 to 1" if kind == "fixed" else f"between 0 and 1 where it is {kind}"
            raise ValueError(f"decay: expected numbers {wanted}, got {decay}")
        self.channels, self.kind = channels, kind
        decays = np.broadcast_to(decays, channels).copy()
        self.fixed = FixedArray(decays if kind == "fixed" else decays[:0])
        if kind == "fixed":
            if not decays.any():
                self.receptive_field = (0, 0)
            return
        logits = torch.tensor(np.log(decays / (1 - decays)), dtype=torch.float32)
        if kind == "learned":
            self.decay_logit = nn.Parameter(logits)
        else:
            self.weight = nn.Parameter(torch.empty(channels, channels))
            self.bias = nn.Parameter(logits)
            nn.init.uniform_(self.weight, -(channels**-0.5), channels**-0.5)

    def decays(self, x: Tensor) -> Tensor:
        """The decays that `x` (B, T, channels) meets: (channels,), or (B, T, channels) where they depend on it."""
        if self.kind == "fixed":
            return self.fixed.like(x)
        logits = self.decay_logit if self.kind == "learned" else F.linear(x, self.weight, self.bias)
        return torch.sigmoid(logits.to(at_least_float32(x.dtype)))  # in bfloat16, .999 would be 1

    @property
    def input_spec(self) -> ChannelSpec:
        one = next(self.parameters(), self.fixed.dtype_holder)
        return ChannelSpec((self.channels,), one.dtype)

    def _initial_state(self, batch_size, spec, device, constants):
        device = self.fixed.dtype_holder.device if device is None else device
        dtype = at_least_float32(self._known_spec(spec, self.input_spec).dtype)
        return (torch.zeros(batch_size, self.channels, dtype=dtype, device=device),)

    def _step(self, x, state, training, constants):
        (a,) = state
        values = x.masked().values
        decay = self.decays(values).to(a.dtype)  # under autocast, too, sums are kept in full precision
        if not x.all_valid:
            decay = torch.where(x.mask[..., None], decay, 1.0)  # (B, T, C): an invalid step keeps the sum
        if x.shape[1] <= CHUNK:
            sums = _loop(values.to(a.dtype), decay.expand(x.shape), a)
        else:
            sums = accumulate(values.to(a.dtype), decay, a)
        return x.with_values(sums.to(values.dtype)), (sums[:, -1] if x.shape[1] else a,)


def half_life(decay: float) -> float:
    """Steps after which an input has faded to one half: log ½ / log decay; 0 for decay 0, infinite for decay 1."""
    if not 0 <= decay <= 1:
        raise ValueError(f"decay: expected a number from 0 to 1, got {decay}")
    return 0.0 if decay == 0 else math.inf if decay == 1 else math.log(0.5) / math.log(decay)


def _checked(x: Tensor, decay: Tensor, initial: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """x, the decays as (1, 1, C) or (B, T, C), and the initial sums.  Raises ValueError where they do not fit."""
    if x.dim() != 3 or not x.is_floating_point():
        raise ValueError(f"x: expected (B, T, C) of real numbers, got {tuple(x.shape)} of {x.dtype}")
    if decay.shape not in (x.shape, x.shape[2:]):
        raise ValueError(f"decay: expected {tuple(x.shape[2:])} or {tuple(x.shape)}, got {tuple(decay.shape)}")
    if initial is None:
        initial = x.new_zeros(x.shape[0], x.shape[2])
    if initial.shape != (x.shape[0], x.shape[2]):
        raise ValueError(f"initial: expected {(x.shape[0], x.shape[2])}, got {tuple(initial.shape)}")
    return x, decay if decay.dim() == 3 else decay.reshape(1, 1, -1), initial


def _loop(x: Tensor, decay: Tensor, a: Tensor) -> Tensor:
    sums = []
    for x_t, decay_t in zip(x.unbind(1), decay.expand(x.shape).unbind(1), strict=True):
        a = torch.addcmul(x_t, decay_t, a)
        sums.append(a)
    return torch.stack(sums, dim=1) if sums else torch.zeros_like(x)


def _scan(x: Tensor, decay: Tensor, a: Tensor) -> Tensor:
    """The sums (B, T, C) of x (B, T, C) with decays (1, 1, C) or (B, T, C) from a (B, C), without gradients."""
    steps = x.shape[1]
    if steps <= CHUNK:
        return _loop(x, decay, a)
    decay, sums = decay.expand(-1, steps, -1), torch.empty_like(x, memory_format=torch.contiguous_format)
    xs, decays, whole = _chunks(x), _chunks(decay), steps // CHUNK * CHUNK
    last, kept = xs[0], decays[0]
    for x_t, decay_t in zip(xs[1:], decays[1:], strict=True):  # every chunk as if it began from zero
        last, kept = torch.addcmul(x_t, decay_t, last), kept * decay_t
    after = _scan(last, kept, a)  # (B, chunks, C): the chunks are steps of a shorter sequence
    before = torch.cat([a[:, None], after[:, :-1]], dim=1)
    for x_t, decay_t, sums_t in zip(xs, decays, _chunks(sums), strict=True):  # once more, from where it does begin
        before = torch.addcmul(x_t, decay_t, before, out=sums_t)
    sums[:, whole:] = _loop(x[:, whole:], decay[:, whole:], after[:, -1])
    return sums


def _scan_back(x: Tensor, decay: Tensor) -> Tensor:
    """The same from the last step to the first: g_t = x_t + decay_{t+1} · g_{t+1}, and the last g is the last x."""
    steps = x.shape[1]
    decay, g = decay.expand(-1, steps, -1), torch.empty_like(x, memory_format=torch.contiguous_format)
    whole = steps // CHUNK * CHUNK if steps > CHUNK else 0
    handed = x.new_zeros(x.shape[0], x.shape[2])  # decay_{t+1} · g_{t+1}
    for t in reversed(range(whole, steps)):
        handed = decay[:, t] * torch.add(x[:, t], handed, out=g[:, t])
    if not whole:
        return g
    xs, decays, gs = _chunks(x), _chunks(decay), _chunks(g)
    first, kept = xs[-1], decays[-1]
    for t in reversed(range(CHUNK - 1)):
        first, kept = torch.addcmul(xs[t], decays[t + 1], first), kept * decays[t]
    on = _scan((decays[0] * first).flip(1), kept.flip(1), handed).flip(1)  # what each chunk hands to the one before it
    later = torch.add(xs[-1], torch.cat([on[:, 1:], handed[:, None]], dim=1), out=gs[-1])
    for t in reversed(range(CHUNK - 1)):
        later = torch.addcmul(xs[t], decays[t + 1], later, out=gs[t])
    return g


def _chunks(x: Tensor) -> tuple[Tensor, ...]:
    """(B, T, C) as its steps 0, 1, ..., 15 of every whole chunk: 16 views (B, chunks, C)."""
    return x[:, : x.shape[1] // CHUNK * CHUNK].unflatten(1, (-1, CHUNK)).unbind(2)


def _times_before(g: Tensor, sums: Tensor, first: Tensor, decay: Tensor) -> Tensor:
    """The gradient of the decays, g_t · a_{t-1}, in their shape.  first: a_{-1}."""
    return (g * torch.cat([first[:, None], sums[:, :-1]], dim=1)).sum_to_size(decay.shape)


class _Scan(torch.autograd.Function):
    """The sums; the gradient of x is a scan back in time."""

    @staticmethod
    def forward(ctx, x, decay, initial):
        sums = _scan(x, decay, initial)
        ctx.save_for_backward(decay, initial, sums)
        return sums

    @staticmethod
    def backward(ctx, gradient):
        decay, initial, sums = ctx.saved_tensors
        if gradient.shape[1] == 0:
            return gradient, torch.zeros_like(decay), torch.zeros_like(initial)
        g = _ScanBack.apply(gradient, decay)
        to_decay = _times_before(g, sums, initial, decay) if ctx.needs_input_grad[1] else None
        return g, to_decay, decay.expand(sums.shape)[:, 0] * g[:, 0]


class _ScanBack(torch.autograd.Function):
    """The scan back in time; the gradient of its x is the scan."""

    @staticmethod
    def forward(ctx, x, decay):
        g = _scan_back(x, decay)
        ctx.save_for_backward(decay, g)
        return g

    @staticmethod
    def backward(ctx, gradient):
        decay, g = ctx.saved_tensors
        zeros = torch.zeros_like(g[:, 0])
        sums = _Scan.apply(gradient, decay, zeros)
        return sums, _times_before(g, sums, zeros, decay) if ctx.needs_input_grad[1] else None


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
