"""Layers around a layer. `Checkpoint` saves memory in training and `Blockwise` runs in blocks, with the same results;
`Adapted` gives a layer that is no `SequenceLayer`, PyTorch's or another package's, the interface of one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from course_lib.sequence import ChannelSpec, Reach, Sequence, SequenceLayer, State, parameter_dtype, stream


class _Wrapper(SequenceLayer):
    """Declares what the layer `inner` declares."""

    def __init__(self, inner: SequenceLayer):
        super().__init__()
        if not isinstance(inner, SequenceLayer):
            raise ValueError(f"inner: expected a SequenceLayer, got {type(inner).__name__}")
        self.inner = inner
        self.block_size, self.output_ratio = inner.block_size, inner.output_ratio
        self.output_latency, self.input_latency = inner.output_latency, inner.input_latency
        self.supports_step, self.receptive_field = inner.supports_step, inner.receptive_field
        self.channelwise = inner.channelwise

    @property
    def input_spec(self) -> ChannelSpec | None:
        return self.inner.input_spec

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        return self.inner.output_spec(spec)

    def output_length(self, length: int) -> int:
        return self.inner.output_length(length)

    def receptive_field_at(self, step: int) -> Reach:
        return self.inner.receptive_field_at(step)

    def _layer(self, x, training, constants):
        return self.inner._layer(x, training, constants)

    def _initial_state(self, batch_size, spec, device, constants):
        return self.inner._initial_state(batch_size, spec, device, constants)

    def _step(self, x, state, training, constants):
        return self.inner._step(x, state, training, constants)

    def why_no_step(self) -> str:
        return self.inner.why_no_step()


class Checkpoint(_Wrapper):
    """`inner`, whose inside is forgotten after the forward pass and computed again in the backward pass.

    A training step then keeps the input of each checkpoint instead of all that is computed inside, for one more
    forward pass: put around every block of a deep model, memory grows with the blocks' inputs alone. Streams keep
    what they always keep. Dropout draws the same again.  Source: Chen et al. 2016.
    """

    def _layer(self, x, training, constants):
        if not torch.is_grad_enabled():
            return self.inner._layer(x, training, constants)
        return checkpoint(self.inner._layer, x, training, constants, use_reentrant=False)


class Blockwise(_Wrapper):
    """`inner` in blocks of `block_size` steps, in whole sequences too: what it holds at a time grows with the block.

    block_size: a multiple of the layer's own; `step` takes multiples of it.
    Raises ValueError for another block size or a layer that cannot step.
    """

    def __init__(self, inner: SequenceLayer, block_size: int):
        super().__init__(inner)
        if block_size < 1 or block_size % inner.block_size:
            raise ValueError(f"block_size: expected a multiple of {inner.block_size}, got {block_size}")
        if not inner.supports_step:
            raise ValueError(f"inner: {type(inner).__name__} cannot step: {inner.why_no_step()}")
        self.block_size = block_size

    def _layer(self, x, training, constants):
        return stream(self.inner, x, self.block_size, training=training, constants=constants)


class Adaptor:
    """How a layer over time that is no `SequenceLayer` is called. A subclass writes the four methods for `Adapted`.

    `inner` is what `make` made. `x` is (B, T, channels), B and T at least 1, with zeros in its invalid steps; `x.mask`
    says which these are.
    channels: of the input.  out_channels: of the output; None: as many.
    latency: by how many steps the outputs of a stream come later than those of the whole.
    block_size, receptive_field: as in `SequenceLayer`.
    """

    channels: int
    out_channels: int | None = None
    block_size: int = 1
    latency: int = 0
    receptive_field: Reach = (None, 0)

    def make(self) -> nn.Module:
        """The layer, with its first weights."""
        raise NotImplementedError

    def whole(self, inner: Any, x: Sequence) -> Tensor:
        """What comes out for a whole sequence: (B, T, out_channels)."""
        raise NotImplementedError

    def start(self, inner: Any, batch_size: int, **like: Any) -> State:
        """The state before a stream: nested tuples of tensors, items first.  like: dtype and device of new ones."""
        raise NotImplementedError

    def block(self, inner: Any, x: Sequence, state: State) -> tuple[Tensor, State]:
        """What comes out for a block of a stream, (B, n, out_channels), and the next state; `state` stays as it was."""
        raise NotImplementedError


class Adapted(SequenceLayer):
    """The layer that `adaptor` makes and calls: (B, T, channels) -> (B, T, out_channels), in its parameters' dtype.

    Masks go round it: an output is valid where its input is. Most such layers take no mask, and invalid steps are
    zeros to them. Where zeros move the state, as in a GRU with biases, the steps behind a gap depend on its length
    (promise 7 of `check_contract`), unless the adaptor keeps the state there.
    State: the adaptor's, and the mask of the last `latency` steps.
    Raises ValueError for what is no `Adaptor`, and where `make` makes no module.
    """

    def __init__(self, adaptor: Adaptor):
        super().__init__()
        if not isinstance(adaptor, Adaptor):
            raise ValueError(f"adaptor: expected an Adaptor, got {type(adaptor).__name__}")
        self.adaptor, self.inner = adaptor, adaptor.make()
        if not isinstance(self.inner, nn.Module):
            raise ValueError(f"adaptor: expected `make` to make an nn.Module, got {type(self.inner).__name__}")
        self.block_size, self.receptive_field = adaptor.block_size, adaptor.receptive_field
        self.output_latency = self.input_latency = adaptor.latency

    @property
    def input_spec(self) -> ChannelSpec:
        return ChannelSpec((self.adaptor.channels,), parameter_dtype(self.inner))

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        spec = super().output_spec(spec)
        return ChannelSpec((self.adaptor.out_channels or self.adaptor.channels,), spec.dtype)

    def _layer(self, x, training, constants):
        if not x.values.numel():
            return self._nothing(x)
        with _in_mode(self.inner, training):
            return x.with_values(self.adaptor.whole(self.inner, x.masked()))

    def _initial_state(self, batch_size, spec, device, constants):
        start = self.adaptor.start(self.inner, batch_size, dtype=self.input_spec.dtype, device=device)
        return start, torch.zeros(batch_size, self.output_latency, dtype=torch.bool, device=device)

    def _step(self, x, state, training, constants):
        held, mask = state
        if x.values.numel():
            with _in_mode(self.inner, training):
                y, held = self.adaptor.block(self.inner, x.masked(), held)
        else:
            y = self._nothing(x).values
        mask, steps = torch.cat([mask, x.mask], dim=1), x.shape[1]
        return Sequence(y, mask[:, :steps]), (held, mask[:, steps:])

    def _nothing(self, x: Sequence) -> Sequence:
        """The output where there is no item or no step."""
        return x.with_values(x.values.new_zeros(*x.shape[:2], *self.output_spec(x.spec).shape))


@contextmanager
def _in_mode(module: nn.Module, training: bool) -> Iterator[None]:
    """Inside the block the module is in training mode or not, as asked; afterwards as it was."""
    before = module.training
    if before != training:
        module.train(training)
    try:
        yield
    finally:
        if before != training:
            module.train(before)
