"""A layer run another way, with the same results: `Checkpoint` saves memory in training, `Blockwise` runs in blocks."""

from __future__ import annotations

import torch
from torch.utils.checkpoint import checkpoint

from course_lib.sequence import ChannelSpec, Reach, SequenceLayer, stream


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
