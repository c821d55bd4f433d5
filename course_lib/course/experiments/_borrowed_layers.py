"""How layers of other packages are called, for `third_party_layers`: adaptors for `course_lib.layers.Adapted`.

Each one names its package and hands values on as the package's text says. Invalid steps are handed over as zeros
(Emformer gets lengths as well). What does not fit in channels or dtype is refused before it gets here. A package that
keeps its state inside gets a copy of ours put there before each block; one that takes it as an argument gets it as it
is.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable, Iterator
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.layers import Adaptor
from course_lib.sequence import Sequence, State

STEPS = 256  # the longest sequence that is handed over


class Borrowed(Adaptor):
    """Of a layer of `package`: (B, T, 4) -> (B, T, 4)."""

    package = ""
    channels = 4

    @property
    def version(self) -> str:
        return importlib.metadata.version(self.package)

    def whole(self, inner, x):
        return inner(x.values)


def one_by_one(step: Callable, values: Tensor, state: State) -> tuple[Tensor, State]:
    """A block for a package that takes one step a call: `step` has (B, C) and a state."""
    outputs = []
    for value in values.unbind(dim=1):
        y, state = step(value, state)
        outputs.append(y)
    return torch.stack(outputs, dim=1), state


class TorchGRU(Borrowed):
    """`nn.GRU(4, 4, batch_first=True)`: called with x; with x and h."""

    package = "torch"

    def make(self):
        return nn.GRU(4, 4, batch_first=True)

    def whole(self, inner, x):
        return inner(x.values)[0]

    def start(self, inner, batch_size, **like):
        return torch.zeros(1, batch_size, 4, **like)

    def block(self, inner, x, state):
        return inner(x.values, state)


class CfC(TorchGRU):
    """`CfC(4, 4)`: called with x; with x and hx."""

    package = "ncps"

    def make(self):
        return importlib.import_module("ncps.torch").CfC(4, 4)

    def start(self, inner, batch_size, **like):
        return torch.zeros(batch_size, 4, **like)


class MinGRU(Borrowed):
    """`minGRU(4)`: called with x; with x, prev_hidden (None until there is one) and return_next_prev_hidden=True."""

    package = "mingru-pytorch"
    name = "minGRU"

    def make(self):
        return getattr(importlib.import_module(f"minGRU_pytorch.{self.name}"), self.name)(4)

    def start(self, inner, batch_size, **like):
        return torch.zeros(batch_size, 1, 4, **like)  # what its first step without a state begins from

    def block(self, inner, x, state):
        return inner(x.values, state if state.any() else None, return_next_prev_hidden=True)


class MinLSTM(MinGRU):
    """`minLSTM(4)`: called as minGRU.

    inverted: to blocks of several steps hand over g⁻¹ of the state, since there the package puts the state through its
    g, with which it makes positive numbers of new values (log g(h) in the place of log h).
    """

    name = "minLSTM"

    def __init__(self, inverted: bool = False):
        self.inverted = inverted

    def block(self, inner, x, state):
        if self.inverted and x.shape[1] > 1 and state.any():
            state = torch.where(state >= 0.5, state - 0.5, state.clamp(max=0.5).logit())
        return super().block(inner, x, state)


class Mamba(Borrowed):
    """`MambaBlock(MambaConfig(4, 1))`: called with x; its step with (B, 4) and its cache, zeros at first."""

    package = "mambapy"

    def make(self):
        mamba = importlib.import_module("mambapy.mamba")
        return mamba.MambaBlock(mamba.MambaConfig(d_model=4, n_layers=1))

    def start(self, inner, batch_size, **like):
        config = inner.config
        sizes = (config.d_state, config.d_conv - 1)
        return tuple([torch.zeros(batch_size, config.d_inner, size, **like) for size in sizes])

    def block(self, inner, x, state):
        return one_by_one(inner.step, x.values, state)


class XLSTM(Borrowed):
    """`mLSTMLayer`, 2 heads: called with x; its step with (B, 1, 4), mlstm_state and conv_state, zeros at first.

    copied: hand over a copy of the convolution's state, where the package gets it as it is otherwise.
    """

    package = "xlstm"

    def __init__(self, copied: bool = False):
        self.copied = copied

    def make(self):
        module = importlib.import_module("xlstm.blocks.mlstm.layer")
        config = module.mLSTMLayerConfig(
            embedding_dim=4, num_heads=2, context_length=STEPS, qkv_proj_blocksize=4, conv1d_kernel_size=3
        )
        return module.mLSTMLayer(config)

    def start(self, inner, batch_size, **like):
        width = inner.config._inner_embedding_dim
        sizes = (2, width // 2, width // 2), (2, width // 2, 1), (2, 1, 1), (3, width)
        return tuple([torch.zeros(batch_size, *size, **like) for size in sizes])

    def block(self, inner, x, state):
        def step(value, state):
            *cell, past = state
            past = past.clone() if self.copied else past
            y, after = inner.step(value[:, None], mlstm_state=tuple(cell), conv_state=(past,))
            return y[:, 0], (*after["mlstm_state"], *after["conv_state"])

        return one_by_one(step, x.values, state)


class TCN(Borrowed):
    """`TCN(4, [5, 4], kernel_size=3, input_shape="NLC")`: called with x; with x, inference=True, an item at a time."""

    package = "pytorch-tcn"
    receptive_field = (-12, 0)  # two convolutions of 3 in a block, dilated by 1 and by 2

    def make(self):
        return importlib.import_module("pytorch_tcn").TCN(4, [5, 4], kernel_size=3, input_shape="NLC")

    def start(self, inner, batch_size, **like):
        inner.reset_buffers()
        return tuple([torch.zeros(batch_size, *b.shape[1:], **like) for b in inner.get_buffers()])

    def block(self, inner, x, state):
        outputs, after = [], []
        for item in range(x.shape[0]):  # its text says: for streaming inference the batch size must be 1
            inner.set_buffers([b[item : item + 1] for b in state])
            outputs.append(inner(x.values[item : item + 1], inference=True))
            after.append(inner.get_buffers())
        return torch.cat(outputs), tuple(map(torch.cat, zip(*after, strict=True)))


class CachedConv(Borrowed):
    """`Conv1d(4, 4, 3)` of the package, `depth` in a row, with its padding "centered"; in a stream the cached ones."""

    package = "cached-conv"

    def __init__(self, depth: int = 1):
        self.latency = depth
        self.receptive_field = (-depth, depth)

    def make(self):
        package = importlib.import_module("cached_conv")
        padding, cached, plain = package.get_padding(3), [], []
        for delay in range(self.latency):
            cached.append(package.CachedConv1d(4, 4, 3, padding=padding, cumulative_delay=delay))
            assert cached[-1].cumulative_delay == delay + 1
        package.use_cached_conv(False)
        for layer in cached:
            plain.append(package.Conv1d(4, 4, 3, padding=padding))
            plain[-1].weight, plain[-1].bias = layer.weight, layer.bias
        return nn.ModuleDict({"whole": nn.Sequential(*plain), "stream": package.CachedSequential(*cached)})

    def whole(self, inner, x):
        return inner["whole"](x.values.transpose(1, 2)).transpose(1, 2)

    def start(self, inner, batch_size, **like):
        return tuple([torch.zeros(batch_size, 4, 2, **like) for _ in inner["stream"]])

    def block(self, inner, x, state):
        for layer, past in zip(inner["stream"], state, strict=True):
            layer.cache.pad, layer.cache.initialized = past.clone(), 1
        y = inner["stream"](x.values.transpose(1, 2)).transpose(1, 2)
        return y, tuple([layer.cache.pad for layer in inner["stream"]])


class Moshi(Borrowed):
    """A `StreamingModule`: called in whole; in a stream inside `streaming(B)`, with our state copied in and out."""

    package = "moshi"

    def start(self, inner, batch_size, **like):
        with inner.streaming(batch_size):
            return tuple(_held(inner))

    def block(self, inner, x, state):
        with inner.streaming(x.shape[0]):
            for (holder, name), value in zip(list(_places(inner)), state, strict=True):
                setattr(holder, name, int(value) if name == "offset_cpu" else value.clone())
            return self.whole(inner, x), tuple(_held(inner))


def _places(inner: Any) -> Iterator[tuple[Any, str]]:
    """Where a streaming module of moshi keeps tensors and its count of steps: (object, name)."""
    objects = list(inner.get_streaming_state().values())
    for holder in objects:
        for name, value in vars(holder).items():
            if hasattr(value, "cache"):
                objects.append(value)
            elif isinstance(value, Tensor) or name == "offset_cpu":
                yield holder, name


def _held(inner: Any) -> list[Tensor]:
    return [torch.as_tensor(getattr(holder, name)).clone() for holder, name in _places(inner)]


class MoshiConv(Moshi):
    """`StreamingConv1d(4, 4, 3, causal=True)`."""

    receptive_field = (-2, 0)

    def make(self):
        return importlib.import_module("moshi.modules.conv").StreamingConv1d(4, 4, 3, causal=True)

    def whole(self, inner, x):
        return inner(x.values.transpose(1, 2)).transpose(1, 2)


class MoshiTransformer(Moshi):
    """`StreamingTransformer`, one layer of width 4, 2 heads, causal, context 6, rotary positions.

    single: hand a block over a step a call.
    """

    receptive_field = (-5, 0)

    def __init__(self, single: bool = False):
        self.single = single

    def make(self):
        module = importlib.import_module("moshi.modules.transformer")
        return module.StreamingTransformer(
            d_model=4, num_heads=2, num_layers=1, dim_feedforward=8, causal=True, context=6, positional_embedding="rope"
        )

    def block(self, inner, x, state):
        outputs, size = [], 1 if self.single else x.shape[1]
        for first in range(0, x.shape[1], size):
            y, state = super().block(inner, x[:, first : first + size], state)
            outputs.append(y)
        return torch.cat(outputs, dim=1), state


class Emformer(Borrowed):
    """`Emformer`, one layer, segments of 4 steps, 4 to the left: called with x and lengths; `infer` with its states."""

    package = "torchaudio"
    block_size = 4
    receptive_field = (-7, 3)  # a step sees its own segment and the one before

    def make(self):
        return _emformer_file().Emformer(4, 2, 8, num_layers=1, segment_length=4, left_context_length=4)

    def whole(self, inner, x):
        return inner(x.values, _lengths(x))[0]

    def start(self, inner, batch_size, dtype, device):
        state = inner.emformer_layers[0]._init_state(batch_size, device)  # what `infer` begins from by itself
        return tuple([part.to(dtype) if part.is_floating_point() else part for part in state])

    def block(self, inner, x, state):
        outputs = []
        for first in range(0, x.shape[1], 4):
            segment = x[:, first : first + 4]
            y, _, (state,) = inner.infer(segment.values, _lengths(segment), [list(state)])
            outputs.append(y)
        return torch.cat(outputs, dim=1), tuple(state)


def _lengths(x: Sequence) -> Tensor:
    """(B,) steps up to the last valid one"""
    return (x.mask * torch.arange(1, x.shape[1] + 1)).amax(dim=1)


def _emformer_file() -> ModuleType:
    """The file of torchaudio that Emformer stands in, by itself: the rest of the package asks for one PyTorch only."""
    package = importlib.util.find_spec("torchaudio")
    if package is None or package.submodule_search_locations is None:
        raise ImportError("No module named 'torchaudio'")
    module = ModuleType("emformer")
    path = f"{package.submodule_search_locations[0]}/models/emformer.py"
    SourceFileLoader("emformer", path).exec_module(module)
    return module
