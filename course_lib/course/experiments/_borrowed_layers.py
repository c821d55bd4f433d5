"""Layers of other packages behind this course's interface, for `third_party_layers`.

Each adaptor names its package and hands values on: `whole` for a sequence, `block` for a block of a stream with the
state that the package asks for, begun as its text says. Invalid steps are handed over as zeros (Emformer gets lengths
as well), and an empty block not at all. What does not fit in channels or dtype is refused by the adaptor. A package
that keeps its state inside gets a copy of ours put there before each block; one that takes it as an argument gets it
as it is.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.sequence import ChannelSpec, Sequence, SequenceLayer, State
from course_lib.sequence.layer import Reach

STEPS = 256  # the longest sequence that is handed over


class Borrowed(SequenceLayer):
    """A layer of `package`, (B, T, 4) -> (B, T, 4)."""

    package = ""
    receptive_field: Reach = (None, 0)
    channels = 4
    inner: Any

    def __init__(self) -> None:
        super().__init__()
        self.inner = self.make()

    def make(self) -> Any:
        """The package's layer, an `nn.Module`."""
        raise NotImplementedError

    def whole(self, values: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)"""
        return self.inner(values)

    def start(self, items: int, dtype: torch.dtype) -> State:
        """The state that the package begins with."""
        raise NotImplementedError

    def block(self, values: Tensor, state: State) -> tuple[Tensor, State]:
        """(B, n, C) and a state -> (B, n, C) and the next state"""
        raise NotImplementedError

    @property
    def version(self) -> str:
        return importlib.metadata.version(self.package)

    @property
    def input_spec(self) -> ChannelSpec:
        return ChannelSpec((self.channels,), next(self.inner.parameters()).dtype)

    def _layer(self, x, training, constants):
        return x.with_values(self.whole(x.masked().values) if x.values.numel() else x.values)

    def _initial_state(self, batch_size, spec, device, constants):
        return self.start(batch_size, self.input_spec.dtype)

    def _step(self, x, state, training, constants):
        if not x.values.numel():
            return x, state
        y, state = self.block(x.masked().values, state)
        return x.with_values(y), state


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
        return nn.GRU(self.channels, self.channels, batch_first=True)

    def whole(self, values):
        return self.inner(values)[0]

    def start(self, items, dtype):
        return (torch.zeros(1, items, self.channels, dtype=dtype),)

    def block(self, values, state):
        y, h = self.inner(values, *state)
        return y, (h,)


class CfC(TorchGRU):
    """`CfC(4, 4)`: called with x; with x and hx."""

    package = "ncps"

    def make(self):
        return importlib.import_module("ncps.torch").CfC(self.channels, self.channels)

    def start(self, items, dtype):
        return (torch.zeros(items, self.channels, dtype=dtype),)


class MinGRU(Borrowed):
    """`minGRU(4)`: called with x; with x, prev_hidden (None until there is one) and return_next_prev_hidden=True."""

    package = "mingru-pytorch"
    name = "minGRU"

    def make(self):
        return getattr(importlib.import_module(f"minGRU_pytorch.{self.name}"), self.name)(self.channels)

    def start(self, items, dtype):
        return (torch.zeros(items, 1, self.channels, dtype=dtype),)  # what its first step without a state begins from

    def block(self, values, state):
        before = state[0] if state[0].any() else None
        y, after = self.inner(values, before, return_next_prev_hidden=True)
        return y, (after,)


class MinLSTM(MinGRU):
    """`minLSTM(4)`: called as minGRU.

    inverted: to blocks of several steps hand over g⁻¹ of the state, since there the package puts the state through its
    g, with which it makes positive numbers of new values (log g(h) in the place of log h).
    """

    name = "minLSTM"

    def __init__(self, inverted: bool = False):
        self.inverted = inverted
        super().__init__()

    def block(self, values, state):
        if self.inverted and values.shape[1] > 1 and state[0].any():
            state = (torch.where(state[0] >= 0.5, state[0] - 0.5, state[0].clamp(max=0.5).logit()),)
        return super().block(values, state)


class Mamba(Borrowed):
    """`MambaBlock(MambaConfig(4, 1))`: called with x; its step with (B, 4) and its cache, zeros at first."""

    package = "mambapy"

    def make(self):
        mamba = importlib.import_module("mambapy.mamba")
        return mamba.MambaBlock(mamba.MambaConfig(d_model=self.channels, n_layers=1))

    def start(self, items, dtype):
        config = self.inner.config
        h = torch.zeros(items, config.d_inner, config.d_state, dtype=dtype)
        return h, torch.zeros(items, config.d_inner, config.d_conv - 1, dtype=dtype)

    def block(self, values, state):
        return one_by_one(self.inner.step, values, state)


class XLSTM(Borrowed):
    """`mLSTMLayer`, 2 heads: called with x; its step with (B, 1, 4), mlstm_state and conv_state, zeros at first."""

    package = "xlstm"

    def __init__(self, copied: bool = False):
        """copied: hand over a copy of the convolution's state, where the package gets it as it is otherwise."""
        self.copied = copied
        super().__init__()

    def make(self):
        module = importlib.import_module("xlstm.blocks.mlstm.layer")
        config = module.mLSTMLayerConfig(
            embedding_dim=self.channels, num_heads=2, context_length=STEPS, qkv_proj_blocksize=4, conv1d_kernel_size=3
        )
        return module.mLSTMLayer(config)

    def start(self, items, dtype):
        heads, width = 2, self.inner.config._inner_embedding_dim
        c = torch.zeros(items, heads, width // heads, width // heads, dtype=dtype)
        n = torch.zeros(items, heads, width // heads, 1, dtype=dtype)
        return c, n, torch.zeros(items, heads, 1, 1, dtype=dtype), torch.zeros(items, 3, width, dtype=dtype)

    def block(self, values, state):
        def step(value, state):
            past = (state[3].clone() if self.copied else state[3],)
            y, after = self.inner.step(value[:, None], mlstm_state=state[:3], conv_state=past)
            return y[:, 0], (*after["mlstm_state"], *after["conv_state"])

        return one_by_one(step, values, state)


class TCN(Borrowed):
    """`TCN(4, [5, 4], kernel_size=3, input_shape="NLC")`: called with x; with x, inference=True, an item at a time."""

    package = "pytorch-tcn"
    receptive_field = (-12, 0)  # two convolutions of 3 in a block, dilated by 1 and by 2

    def make(self):
        tcn = importlib.import_module("pytorch_tcn").TCN
        return tcn(self.channels, [5, 4], kernel_size=3, input_shape="NLC")

    def start(self, items, dtype):
        self.inner.reset_buffers()
        return tuple(torch.zeros(items, *b.shape[1:], dtype=dtype) for b in self.inner.get_buffers())

    def block(self, values, state):
        outputs, after = [], []
        for item in range(len(values)):  # its text says: for streaming inference the batch size must be 1
            self.inner.set_buffers([b[item : item + 1] for b in state])
            outputs.append(self.inner(values[item : item + 1], inference=True))
            after.append(self.inner.get_buffers())
        return torch.cat(outputs), tuple(map(torch.cat, zip(*after, strict=True)))


class CachedConv(Borrowed):
    """`Conv1d(4, 4, 3)` of the package, `depth` in a row, with its padding "centered"; in a stream the cached ones."""

    package = "cached-conv"

    def __init__(self, depth: int = 1):
        self.depth = depth
        self.receptive_field = (-depth, depth)
        self.output_latency = self.input_latency = depth
        super().__init__()

    def make(self):
        package = importlib.import_module("cached_conv")
        padding, delay, layers = package.get_padding(3), 0, []
        for _ in range(self.depth):
            layers.append(
                package.CachedConv1d(self.channels, self.channels, 3, padding=padding, cumulative_delay=delay)
            )
            delay = layers[-1].cumulative_delay
        assert delay == self.depth
        self.plain = nn.ModuleList()
        package.use_cached_conv(False)
        for layer in layers:
            plain = package.Conv1d(self.channels, self.channels, 3, padding=padding)
            plain.weight, plain.bias = layer.weight, layer.bias
            self.plain.append(plain)
        return package.CachedSequential(*layers)

    def whole(self, values):
        values = values.transpose(1, 2)  # (B, C, T)
        for layer in self.plain:
            values = layer(values)
        return values.transpose(1, 2)

    def start(self, items, dtype):
        caches = [torch.zeros(items, self.channels, 2, dtype=dtype) for _ in range(self.depth)]
        return (*caches, torch.zeros(items, self.depth, dtype=torch.bool))

    def _step(self, x, state, training, constants):
        *caches, mask = state
        for layer, cache in zip(self.inner, caches, strict=True):
            layer.cache.pad, layer.cache.initialized = cache.clone(), 1
        y = self.inner(x.masked().values.transpose(1, 2)).transpose(1, 2) if x.values.numel() else x.values
        mask = torch.cat([mask, x.mask], dim=1)
        after = [layer.cache.pad for layer in self.inner]
        return Sequence(y, mask[:, : x.shape[1]]), (*after, mask[:, x.shape[1] :])


class Moshi(Borrowed):
    """A `StreamingModule`: called in whole; in a stream inside `streaming(B)`, with our state copied in and out."""

    package = "moshi"

    def start(self, items, dtype):
        with self.inner.streaming(items):
            return tuple(_held(self.inner))

    def block(self, values, state):
        with self.inner.streaming(len(values)):
            _put(self.inner, state)
            return self.whole(values), tuple(_held(self.inner))


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


def _put(inner: Any, state: State) -> None:
    for (holder, name), value in zip(list(_places(inner)), state, strict=True):
        setattr(holder, name, int(value) if name == "offset_cpu" else value.clone())


class MoshiConv(Moshi):
    """`StreamingConv1d(4, 4, 3, causal=True)`."""

    receptive_field = (-2, 0)

    def make(self):
        return importlib.import_module("moshi.modules.conv").StreamingConv1d(4, 4, 3, causal=True)

    def whole(self, values):
        return self.inner(values.transpose(1, 2)).transpose(1, 2)


class MoshiTransformer(Moshi):
    """`StreamingTransformer`, one layer of width 4, 2 heads, causal, context 6, rotary positions.

    single: hand a block over a step a call.
    """

    receptive_field = (-5, 0)

    def __init__(self, single: bool = False):
        self.single = single
        super().__init__()

    def block(self, values, state):
        outputs = []
        for part in values.split(1 if self.single else values.shape[1], dim=1):
            y, state = super().block(part, state)
            outputs.append(y)
        return torch.cat(outputs, dim=1), state

    def make(self):
        module = importlib.import_module("moshi.modules.transformer")
        return module.StreamingTransformer(
            d_model=4, num_heads=2, num_layers=1, dim_feedforward=8, causal=True, context=6, positional_embedding="rope"
        )


class Emformer(Borrowed):
    """`Emformer`, one layer, segments of 4 steps, 4 to the left: called with x and lengths; `infer` with its states."""

    package = "torchaudio"
    block_size = 4
    receptive_field = (-7, 3)  # a step sees its own segment and the one before

    def make(self):
        return _emformer_file().Emformer(4, 2, 8, num_layers=1, segment_length=4, left_context_length=4)

    def start(self, items, dtype):
        state = self.inner.emformer_layers[0]._init_state(items, None)  # what `infer` begins from by itself
        return tuple([part.to(dtype) if part.is_floating_point() else part for part in state])

    def _layer(self, x, training, constants):
        return x.with_values(self.inner(x.masked().values, _lengths(x))[0] if x.values.numel() else x.values)

    def _step(self, x, state, training, constants):
        if not x.values.numel():
            return x, state
        outputs = []
        for first in range(0, x.shape[1], 4):
            segment = x[:, first : first + 4]
            y, _, (state,) = self.inner.infer(segment.masked().values, _lengths(segment), [list(state)])
            outputs.append(y)
        return x.with_values(torch.cat(outputs, dim=1)), tuple(state)


def _lengths(x: Sequence) -> Tensor:
    """(B,) steps up to the last valid one"""
    return (x.mask * torch.arange(1, x.shape[1] + 1)).amax(dim=1)


def _emformer_file() -> ModuleType:
    """The file of torchaudio that Emformer stands in, by itself: the rest of the package asks for one PyTorch only."""
    package = importlib.util.find_spec("torchaudio")
    if package is None or package.submodule_search_locations is None:
        raise ImportError("No module named 'torchaudio'")
    path = f"{package.submodule_search_locations[0]}/models/emformer.py"
    spec = importlib.util.spec_from_file_location("emformer", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not there")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
