"""Layers that look through a window sliding over time: the arithmetic of padding, latency and masks, written once.

Convolution, pooling and framing differ in what they compute from a window and in nothing else. A window of
`kernel_size` taps, `dilation` steps apart, spans e = (kernel_size − 1)·dilation + 1 steps. Output n is anchored to
input step n·stride; its window begins p steps before the anchor and ends f = e − 1 − p steps after it. The padding mode
is a choice of p, of the number of outputs, and of the rule for the mask:

    mode                   p               outputs for T steps     an output is valid where
    causal                 e − 1           ⌈T / stride⌉            the anchor is
    reverse_causal         0               ⌈T / stride⌉            the anchor is
    same                   ⌊(e − 1) / 2⌋   ⌈T / stride⌉            the anchor is
    semicausal             max(e − s, 0)   ⌈T / stride⌉            the anchor is
    valid                  0               whole windows only      the whole window is
    causal_valid           e − 1           ⌈T / stride⌉            anchor and window are, steps before the first valid
                                                                   step of an item counting as valid
    reverse_causal_valid   0               ⌈T / stride⌉            the whole window is
    semicausal_full        max(e − s, 0)   ⌈(T + p) / stride⌉      any step of the window is

On a stream an output whose window ends f steps in the future comes ⌊f / stride⌋ outputs later.

`Frame` hands out the windows themselves, and `Window` weighs them by a window function, such as Hann's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.sequence import (
    ChannelSpec,
    Reach,
    Sequence,
    SequenceLayer,
    StatelessLayer,
    at_least_float32,
    check_channels,
    check_floating,
)

PADDING_MODES = (
    "causal",
    "reverse_causal",
    "same",
    "semicausal",
    "valid",
    "causal_valid",
    "reverse_causal_valid",
    "semicausal_full",
)


@dataclass(frozen=True)
class Taps:
    """`kernel_size` taps, `dilation` steps apart, once every `stride` steps, and a mode of padding.

    Raises ValueError where a number is below 1 or the mode is unknown.
    """

    kernel_size: int
    stride: int = 1
    dilation: int = 1
    padding: str = "causal"

    modes: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        for name in ("kernel_size", "stride", "dilation"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}: expected an integer of at least 1, got {value!r}")
        if self.padding not in self.modes:
            raise ValueError(f"padding: expected one of {', '.join(self.modes)}, got {self.padding!r}")

    @cached_property
    def extent(self) -> int:
        """e: steps from the first tap to the last, both included."""
        return (self.kernel_size - 1) * self.dilation + 1

    def output_length(self, length: int) -> int:
        """Steps that come out for `length` steps going in."""
        raise NotImplementedError


class Windows(Taps):
    """Where the windows of `kernel_size` taps lie on an axis: see the table above."""

    modes = PADDING_MODES

    @cached_property
    def before(self) -> int:
        """p: how many steps a window begins before its anchor; the padding on the left."""
        if self.padding in ("causal", "causal_valid"):
            return self.extent - 1
        if self.padding in ("semicausal", "semicausal_full"):
            return max(self.extent - self.stride, 0)
        return (self.extent - 1) // 2 if self.padding == "same" else 0

    @cached_property
    def ahead(self) -> int:
        """f: how many steps after its anchor a window ends."""
        return self.extent - 1 - self.before

    @cached_property
    def output_latency(self) -> int:
        return self.ahead // self.stride

    @cached_property
    def input_latency(self) -> int:
        return self.before if self.padding == "semicausal_full" else self.output_latency * self.stride

    @cached_property
    def buffer(self) -> int:
        """Past input steps that a stream has to keep."""
        return self.before + self.output_latency * self.stride

    def output_length(self, length: int) -> int:
        if self.padding == "valid":
            return max((length - self.extent) // self.stride + 1, 0)
        if self.padding == "semicausal_full":
            length += self.before
        return -(-length // self.stride)  # in integers, which torch.export can follow

    def pads(self, length: int) -> tuple[int, int]:
        """Steps to add on the left and on the right so that exactly `output_length` windows fit."""
        right = {"valid": 0, "semicausal_full": self.extent - 1}.get(self.padding, self.ahead)
        if not isinstance(length, torch.SymInt):  # no more than the last window needs
            right = max(right - (self.before + length + right - self.extent) % self.stride, 0)
        return self.before, right

    def of(self, x: Tensor) -> Tensor:
        """The windows that fit into `x` (B, T, *C), without padding: (B, N, *C, kernel_size), a view."""
        return x.unfold(1, self.extent, self.stride)[..., :: self.dilation]

    @cached_property
    def masks_by_anchor(self) -> bool:
        return self.padding in ("causal", "reverse_causal", "same", "semicausal")

    def any_valid(self, mask: Tensor) -> Tensor:
        """(B, N) True where a window of `mask` (B, T'), padded already, has a valid tap."""
        return self.of(mask).any(dim=-1)

    def valid(self, mask: Tensor, started: Tensor) -> Tensor:
        """(B, N) the rule of the modes whose mask is not the anchor's, for a `mask` (B, T') that is padded already.

        started: (B, T'), True from the first valid step of each item on.
        """
        if self.padding == "semicausal_full":
            return self.any_valid(mask)
        anchors = mask[:, self.before : mask.shape[1] - self.ahead : self.stride]
        return self.of(mask | ~started).all(dim=-1) & anchors


def pad_axis(values: Tensor, axis: int, pads: tuple[int, int], fill: float = 0.0) -> Tensor:
    """`fill` added `pads` times before and after `axis`. Unlike `F.pad` exact for the largest 64-bit integers."""
    parts = [values]
    for side, count in zip((0, 1), pads, strict=True):
        if count:
            shape = values.shape[:axis] + (count,) + values.shape[axis + 1 :]
            parts.insert(side * len(parts), values.new_full(shape, fill))
    return torch.cat(parts, dim=axis) if len(parts) > 1 else values


class WindowedLayer(SequenceLayer):
    """A layer whose output n depends on one window of the input. A subclass writes `_windowed` and `output_spec`.

    `_fill` is the neutral value that stands at invalid steps and in the padding. A stream keeps the last `buffer`
    values and, where the mask rule looks back, the mask of these steps and whether an item has begun.
    """

    looks_at_mask: bool = False  # True: `_windowed` needs the mask of every step in the window

    def __init__(self, windows: Windows):
        super().__init__()
        self.windows = windows
        self.block_size = windows.stride
        self.output_ratio = Fraction(1, windows.stride)
        self.output_latency = windows.output_latency
        self.input_latency = windows.input_latency
        self.receptive_field = (-windows.before, windows.ahead)

    # What a subclass writes.

    def _windowed(self, values: Tensor, mask: Tensor) -> Tensor:
        """(B, T', *C) -> (B, N, *C'): all N windows that fit. Padding and invalid steps hold the neutral value.

        mask: (B, T'), only where `looks_at_mask`; else whatever is at hand.
        """
        raise NotImplementedError

    def _fill(self, dtype: torch.dtype) -> float:
        """The neutral value."""
        return 0.0

    # The contract.

    def output_length(self, length: int) -> int:
        return self.windows.output_length(length)

    def _layer(self, x, training, constants):
        windows, length = self.windows, x.mask.shape[1]
        if windows.output_length(length) == 0:
            return self._nothing(x)
        pads = windows.pads(length)
        fill = self._fill(x.values.dtype)
        values, mask = x.masked(fill).values, x.mask
        if pads != (0, 0):
            values = pad_axis(values, 1, pads, fill)
            if self.looks_at_mask or not windows.masks_by_anchor:
                mask = F.pad(mask, pads)
        y = self._windowed(values, mask)
        if windows.masks_by_anchor:
            return Sequence(y, x.mask[:, :: windows.stride] if windows.stride > 1 else x.mask, x.all_valid)
        all_valid = x.all_valid and windows.padding in ("valid", "causal_valid")
        return Sequence(y, windows.valid(mask, mask.cumsum(dim=1) > 0), all_valid)

    def _initial_state(self, batch_size, spec, device, constants):
        windows = self.windows
        shape, dtype = self._known_spec(spec, self.input_spec)
        values = torch.full((batch_size, windows.buffer, *shape), self._fill(dtype), dtype=dtype, device=device)
        looks_back = self.looks_at_mask or not windows.masks_by_anchor
        kept = windows.buffer if looks_back else windows.buffer - windows.before
        mask = torch.zeros(batch_size, kept, dtype=torch.bool, device=device)
        if windows.masks_by_anchor:
            return values, mask
        return values, mask, torch.zeros(batch_size, 1, dtype=torch.bool, device=device)

    def _step(self, x, state, training, constants):
        windows, steps = self.windows, x.mask.shape[1]
        if steps == 0:
            return self._nothing(x), state
        values = x.masked(self._fill(x.values.dtype)).values
        if windows.buffer:
            values = torch.cat([state[0], values], dim=1)
        mask = torch.cat([state[1], x.mask], dim=1) if state[1].shape[1] else x.mask
        kept = (values[:, steps:], mask[:, steps:])
        y = self._windowed(values, mask)
        if windows.masks_by_anchor:
            first = windows.before if self.looks_at_mask else 0
            all_valid = x.all_valid and windows.output_latency == 0
            return Sequence(y, mask[:, first : first + steps : windows.stride], all_valid), kept
        started = (mask.cumsum(dim=1) > 0) | state[2]
        return Sequence(y, windows.valid(mask, started)), (*kept, started[:, steps - 1 : steps])

    def _nothing(self, x: Sequence) -> Sequence:
        return Sequence.invalid(x.mask.shape[0], 0, self.output_spec(x.spec), x.values.device)


WindowLike = str | tuple | np.ndarray | Callable[[int], np.ndarray] | None


class FixedArray(nn.Module):
    """A constant float64 array that meets data in the precision of the data, in at least float32.

    A copy moves with the layer; it is rounded anew from the original whenever the layer's precision changes, so that a
    layer turned to `.double()` is exact. The array is not in the state dict.
    """

    exact: Tensor
    rounded: Tensor
    dtype_holder: Tensor

    def __init__(self, array: np.ndarray):
        super().__init__()
        self.exact = torch.tensor(np.asarray(array, dtype=np.float64))
        self.rounded = self.exact.to(torch.float32)
        self.register_buffer("dtype_holder", torch.empty(0), persistent=False)  # moves and is cast as parameters are

    def _apply(self, fn, recurse=True):
        super()._apply(fn, recurse)
        self.rounded = self.exact.to(at_least_float32(self.dtype_holder.dtype)).to(self.dtype_holder.device)
        return self

    def like(self, values: Tensor) -> Tensor:
        """The array on the device of `values`, in its precision (complex: that of its parts), at least float32."""
        dtype = at_least_float32(values.dtype.to_real() if values.dtype.is_complex else values.dtype)
        array = self.rounded if self.rounded.dtype == dtype else self.exact.to(dtype)
        return array.to(values.device)


def window_array(window: WindowLike, length: int) -> np.ndarray:
    """`length` samples of a window in float64.

    window: a name or tuple that `scipy.signal.get_window` knows (periodic, as spectra need it), a function of the
    length, an array, or None for the rectangle. Raises ValueError where the result has another length.
    """
    if window is None:
        return np.ones(length)
    if isinstance(window, str | tuple):
        from scipy.signal import get_window

        return get_window(window, length, fftbins=True)
    array = np.asarray(window(length) if callable(window) else window, dtype=np.float64)
    if array.shape != (length,):
        raise ValueError(f"window: expected {length} samples, got an array of shape {array.shape}")
    return array


def inverse_window_array(window: WindowLike, length: int, step: int) -> np.ndarray:
    """The window that undoes `window` in overlap-add: divided by the sum of its squares over all frames at a sample.

    Where no frame has weight at a sample, that sample is lost, and the inverse is 0 there.
    Source: Griffin and Lim 1984, eq. 7.
    """
    forward = window_array(window, length)
    squares = np.zeros(-(-length // step) * step)
    squares[:length] = forward**2
    total = np.tile(squares.reshape(-1, step).sum(axis=0), len(squares) // step)[:length]
    return np.divide(forward, total, out=np.zeros(length), where=total > 0)


class Frame(WindowedLayer):
    """Overlapping frames of a signal, (B, T, *C) -> (B, N, frame_length, *C), one every `frame_step` samples.

    padding: a mode of `course_lib.layers.windows`; with `reverse_causal` frame n begins at sample n · frame_step, with
    `causal` it ends there. Samples beyond the ends are zeros.
    """

    def __init__(self, frame_length: int, frame_step: int, padding: str = "reverse_causal"):
        super().__init__(Windows(frame_length, frame_step, 1, padding))
        self.frame_length, self.frame_step = frame_length, frame_step

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        return ChannelSpec((self.frame_length, *spec.shape), spec.dtype)

    def _windowed(self, values, mask):
        return self.windows.of(values).movedim(-1, 2)

    def seen_by(self, step: int, taps: set[int]) -> Reach:
        """As `receptive_field_at`, if only these samples of a frame are looked at."""
        first = step * self.frame_step - self.windows.before
        return (first + min(taps), first + max(taps)) if taps else (1, 0)


class Window(StatelessLayer):
    """Frames (B, T, frame_length, *C) weighed by a window.

    window: a name of `scipy.signal.get_window`, a function of the length, an array, or None.
    """

    channelwise = True

    def __init__(self, frame_length: int, window: WindowLike = "hann"):
        super().__init__()
        self.frame_length = frame_length
        weights = window_array(window, frame_length)
        self.window = FixedArray(weights)
        self.taps = set(np.flatnonzero(weights).tolist())  # a window may be zero at its ends

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        check_channels(self, spec, (self.frame_length, ...))
        check_floating(self, spec, or_complex=True)
        return spec

    def _values(self, values, training):
        window = self.window.like(values).reshape(-1, *(1,) * (values.dim() - 3))
        return (values * window).to(values.dtype)
