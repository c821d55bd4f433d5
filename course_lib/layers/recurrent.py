"""Recurrent layers from their equations: VanillaRNN, GRU, LSTM.

Each is one cell, a function from (input, state) to the next state, applied step by step: (B, T, input_size) to
(B, T, hidden_size), the hidden state after each step. The state is a tuple of (B, hidden_size), zeros at first; an
invalid step leaves it as it is. Where a whole sequence is given, PyTorch's fused kernel runs the same equations in one
call. All take the same arguments:

input_size, hidden_size: channels of the input and of the hidden state.
bias: whether to add both of PyTorch's biases.
implementation: "fused" takes PyTorch's kernel for whole sequences, "loop" the equations as written; results agree.

Parameters have the names and layout of nn.RNN, nn.GRU and nn.LSTM with one layer, so that their state dicts load:
`weight_ih_l0` (gates * hidden_size, input_size), `weight_hh_l0` (gates * hidden_size, hidden_size), `bias_ih_l0` and
`bias_hh_l0` (gates * hidden_size,).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.sequence import ChannelSpec, Sequence, SequenceLayer, autocast_enabled, check_channels, check_positive

Hidden = tuple[Tensor, ...]  # (h,), or (h, c) for the LSTM, each (B, hidden_size)


class _Recurrent(SequenceLayer):
    """What the three share: parameters, the loop over time, the way to the fused kernel. A layer writes its cell."""

    gates = 1
    tensors_in_state = 1
    receptive_field = (None, 0)

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, implementation: str = "fused"):
        super().__init__()
        check_positive(input_size=input_size, hidden_size=hidden_size)
        if implementation not in ("fused", "loop"):
            raise ValueError(f'implementation: expected "fused" or "loop", got {implementation!r}')
        self.input_size, self.hidden_size, self.implementation = input_size, hidden_size, implementation
        rows = self.gates * hidden_size
        self.weight_ih_l0 = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh_l0 = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias_ih_l0 = nn.Parameter(torch.empty(rows)) if bias else None
        self.bias_hh_l0 = nn.Parameter(torch.empty(rows)) if bias else None
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(hidden_size**-0.5), hidden_size**-0.5)

    @property
    def input_spec(self) -> ChannelSpec:
        return ChannelSpec((self.input_size,), self.weight_ih_l0.dtype)

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        check_channels(self, spec, *self.input_spec)
        return ChannelSpec((self.hidden_size,), spec.dtype)

    # What a layer writes.

    def _cell(self, x: Tensor, state: Hidden) -> Hidden:
        """The state after one step. x: (B, gates * hidden_size), W_ih x + b_ih."""
        raise NotImplementedError

    def _fused(self, x: Tensor, state: list[Tensor], parameters: list[Tensor]) -> tuple[Tensor, ...]:
        """PyTorch's kernel: outputs (B, T, hidden_size), then the final state, each (1, B, hidden_size)."""
        raise NotImplementedError

    # Whole sequences and streams.

    def _initial_state(self, batch_size, spec, device, constants):
        size = batch_size, self.hidden_size
        # one tensor each: torch.export takes a tensor that is passed twice for one input
        return tuple(
            torch.zeros(size, dtype=self.weight_ih_l0.dtype, device=device) for _ in range(self.tensors_in_state)
        )

    def _layer(self, x, training, constants):
        state = self._initial_state(x.shape[0], None, x.values.device, constants)
        if self.implementation == "loop" or x.mask.numel() == 0:
            return self._loop(x, state)[0]
        if x.all_valid:
            return x.with_values(self._run_fused(x.values, state)[0])
        # A recurrent layer passes over an invalid step as if it were not there. So: move the valid steps to the front,
        # run over them without a gap, and take each step's output from where its input went.
        front = torch.argsort(~x.mask, dim=1, stable=True)
        values = x.masked().values.gather(1, front[..., None].expand(x.shape))
        outputs, _ = self._run_fused(values, state)
        place = (x.mask.cumsum(dim=1) - 1).clamp(min=0)
        return x.with_values(outputs.gather(1, place[..., None].expand(outputs.shape)))

    def _step(self, x, state, training, constants):
        if x.all_valid and self.implementation == "fused" and x.shape[1] > 1 and x.shape[0]:
            values, state = self._run_fused(x.values, state)
            return x.with_values(values), state
        return self._loop(x, state)

    def _loop(self, x: Sequence, state: Hidden) -> tuple[Sequence, Hidden]:
        inputs = F.linear(x.masked().values, self.weight_ih_l0, self.bias_ih_l0)  # (B, T, gates * hidden_size)
        outputs = []
        # unbind, not inputs[:, t]: the gradient of an index is as large as what was indexed, at every step
        for x_t, valid in zip(inputs.unbind(1), x.mask.unsqueeze(-1).unbind(1), strict=True):
            new = self._cell(x_t, state)
            state = new if x.all_valid else tuple(torch.where(valid, n, s) for n, s in zip(new, state, strict=True))
            outputs.append(state[0])
        if not outputs:
            return x.with_values(x.values.new_zeros(*x.shape[:2], self.hidden_size)), state
        return x.with_values(torch.stack(outputs, dim=1)), state

    def _run_fused(self, x: Tensor, state: Hidden) -> tuple[Tensor, Hidden]:
        named = self.weight_ih_l0, self.weight_hh_l0, self.bias_ih_l0, self.bias_hh_l0
        parameters: list[Tensor] = [parameter for parameter in named if parameter is not None]
        start = [s.unsqueeze(0) for s in state]
        if x.device.type == "cpu" and autocast_enabled() and torch.get_autocast_dtype("cpu") == torch.float16:
            with torch.autocast("cpu", enabled=False):  # PyTorch has no such kernel: in the weights' own precision
                own = self.weight_ih_l0.dtype
                outputs, *final = self._fused(x.to(own), [s.to(own) for s in start], parameters)
        else:
            outputs, *final = self._fused(x, start, parameters)
        return outputs, tuple(s.squeeze(0) for s in final)

    def _kernel_options(self) -> tuple:
        """Biases, one layer, no dropout, keep what the backward pass needs, one direction, batch first."""
        return self.bias_ih_l0 is not None, 1, 0.0, torch.is_grad_enabled(), False, True


class VanillaRNN(_Recurrent):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh).  Arguments: see the module.  Source: Elman 1990."""

    def _cell(self, x, state):
        (h,) = state
        return (torch.tanh(x + F.linear(h, self.weight_hh_l0, self.bias_hh_l0)),)

    def _fused(self, x, state, parameters):
        return torch.rnn_tanh(x, state[0], parameters, *self._kernel_options())


class GRU(_Recurrent):
    """Gated recurrent unit: gates r (reset) and z (keep), candidate n, in this order in the weights.

    r = σ(W_ir x + b_ir + W_hr h + b_hr),  z = σ(W_iz x + b_iz + W_hz h + b_hz),
    n = tanh(W_in x + b_in + r · (W_hn h + b_hn)),  h' = (1 - z) · n + z · h.
    Arguments: see the module.  Source: Cho et al. 2014, the reset gate after the product as in cuDNN.
    """

    gates = 3

    def _cell(self, x, state):
        (h,) = state
        x_r, x_z, x_n = x.chunk(3, dim=-1)
        h_r, h_z, h_n = F.linear(h, self.weight_hh_l0, self.bias_hh_l0).chunk(3, dim=-1)
        reset, keep = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
        candidate = torch.tanh(x_n + reset * h_n)
        return ((1 - keep) * candidate + keep * h,)

    def _fused(self, x, state, parameters):
        return torch.gru(x, state[0], parameters, *self._kernel_options())


class LSTM(_Recurrent):
    """Long short-term memory: gates i (input), f (forget), g (candidate), o (output), in this order in the weights.

    (i, f, g, o) = (σ, σ, tanh, σ)(W_ih x + b_ih + W_hh h + b_hh),  c' = f · c + i · g,  h' = o · tanh(c').
    Arguments: see the module.  Source: Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000.
    """

    gates = 4
    tensors_in_state = 2

    def _cell(self, x, state):
        h, c = state
        i, f, g, o = (x + F.linear(h, self.weight_hh_l0, self.bias_hh_l0)).chunk(4, dim=-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    def _fused(self, x, state, parameters):
        return torch.lstm(x, state, parameters, *self._kernel_options())
