"""Overlap-add: each time step becomes a frame of samples, frames start `stride` samples apart, overlaps are summed.

Transposed convolution, overlap-add and the inverse STFT differ in how a step becomes a frame and in nothing else. A
frame of `kernel_size` taps, `dilation` apart, spans e = (kernel_size − 1)·dilation + 1 samples, so that T steps give a
sum of (T − 1)·s + e samples. What comes out is its part y = sum[h : h + N]; o = max(e − s, 0) is the overlap:

    mode              h                    N            a sample is valid where
    causal            0                    T·s          the frame that starts last there is
    same              about half of o      T·s          as causal, moved by h
    full              0                    T·s + o      any frame that covers it is
    semicausal_full   o                    T·s          any frame that covers it is, but for the first o samples after
                                                        an item's first valid frame begins: the padding on the left
                                                        that framing with this mode has added

A frame also owns the gap to the next one, where the stride exceeds e. On a stream the sum of all frames so far is
complete up to where the next frame begins; what lies beyond is the state. The output is h samples late.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import cached_property
from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.layers.windows import Taps, pad_axis
from course_lib.sequence import ChannelSpec, Reach, Sequence, SequenceLayer, check_channels, check_floating

OVERLAP_MODES = ("causal", "same", "full", "semicausal_full")


class Overlaps(Taps):
    """Where frames of `kernel_size` taps lie on the axis that they are summed on: see the table above.

    `valid` is another name of `full`.
    """

    modes = OVERLAP_MODES

    def __post_init__(self) -> None:
        if self.padding == "valid":
            object.__setattr__(self, "padding", "full")
        super().__post_init__()

    @cached_property
    def overlap(self) -> int:
        """o: samples of a frame that lie beyond the start of the next."""
        return max(self.extent - self.stride, 0)

    @cached_property
    def shift(self) -> int:
        """h: samples dropped at the start of the sum."""
        if self.padding == "same":
            return self.overlap // 2
        return self.overlap if self.padding == "semicausal_full" else 0

    @cached_property
    def masks_by_frame(self) -> bool:
        return self.padding in ("causal", "same")

    @cached_property
    def input_latency(self) -> int:
        late = self.overlap if self.padding == "full" else self.shift
        return ceil(late / self.stride)

    def receptive_field(self, taps: Iterable[int]) -> tuple[int, int]:
        """The frames, relative to t, that the samples from t·s to (t + 1)·s are summed from, if only `taps` count."""
        moved = [self.shift - tap * self.dilation for tap in taps]
        return -(-min(moved) // self.stride), (max(moved) + self.stride - 1) // self.stride

    def reaches(self, taps: Iterable[int]) -> dict[int, tuple[int, int]]:
        """For each place p between two frames' starts, the nearest and furthest offset of a tap that falls on it.

        Only `taps` count; places that none falls on are missing. y[n] is summed from the frames that start at
        n + shift − offset, for the offsets at p = (n + shift) mod s.
        """
        found: dict[int, tuple[int, int]] = {}
        for offset in (tap * self.dilation for tap in taps):
            place = offset % self.stride
            nearest, furthest = found.get(place, (offset, offset))
            found[place] = min(nearest, offset), max(furthest, offset)
        return found

    def seen_by(self, step: int, reaches: dict[int, tuple[int, int]]) -> Reach:
        """First and last frame that sample `step` is summed from; (1, 0) where none is."""
        at = step + self.shift
        if at % self.stride not in reaches:
            return 1, 0
        nearest, furthest = reaches[at % self.stride]
        return (at - furthest) // self.stride, (at - nearest) // self.stride

    def output_length(self, length: int) -> int:
        return length * self.stride + (self.overlap if self.padding == "full" else 0)

    def owned(self, mask: Tensor) -> Tensor:
        """(B, T) -> (B, T·s): for each sample, `mask` of the frame that starts last."""
        return mask.repeat_interleave(self.stride, dim=1) if self.stride > 1 else mask

    def covered(self, mask: Tensor) -> Tensor:
        """(B, T) -> (B, T·s + o): whether any frame that covers a sample, or owns it, is True in `mask`."""
        return overlap_add(mask.unsqueeze(-1).expand(*mask.shape, self.stride + self.overlap), self.stride)


def overlap_add(frames: Tensor, stride: int) -> Tensor:
    """Sum of T ≥ 1 frames (B, T, e, *C) that start `stride` samples apart, and the gap after the last one, if any:
    (B, (T − 1)·stride + max(e, stride), *C). For booleans the sum is "or"."""
    count, extent = frames.shape[1:3]
    parts = ceil(extent / stride)
    frames = pad_axis(frames, 2, (0, parts * stride - extent)).unflatten(2, (parts, stride))  # (B, T, parts, s, *C)
    total = frames[:, :, 0] if parts == 1 else pad_axis(frames[:, :, 0], 1, (0, parts - 1))
    for part in range(1, parts):
        if total.dtype == torch.bool:
            total[:, part : part + count] |= frames[:, :, part]
        else:
            total[:, part : part + count] += frames[:, :, part]
    return total.flatten(1, 2)[:, : (count - 1) * stride + max(extent, stride)]


class OverlappingLayer(SequenceLayer):
    """A layer that turns each step into a frame and sums the frames. A subclass writes `_summed` and `output_spec`."""

    def __init__(self, overlaps: Overlaps):
        super().__init__()
        self.overlaps = overlaps
        self.output_ratio = Fraction(overlaps.stride)
        self.output_latency = overlaps.shift
        self.input_latency = overlaps.input_latency
        self._look_at(range(overlaps.kernel_size))

    def _look_at(self, taps: Iterable[int]) -> None:
        """State which taps of a frame count: those that a window leaves."""
        taps = list(taps)
        self._reaches = self.overlaps.reaches(taps)
        self.receptive_field = self.overlaps.receptive_field(taps)

    def receptive_field_at(self, step: int) -> Reach:
        return self.overlaps.seen_by(step, self._reaches)

    # What a subclass writes.

    def _summed(self, values: Tensor) -> Tensor:
        """(B, T, *C) -> (B, T·s + o, *C'): the complete sum of T ≥ 1 frames; linear, without a bias."""
        raise NotImplementedError

    def _finished(self, values: Tensor) -> Tensor:
        """What is done to each sample alone once the sum is complete, such as adding a bias."""
        return values

    # The contract.

    def output_length(self, length: int) -> int:
        return self.overlaps.output_length(length)

    def _layer(self, x, training, constants):
        overlaps = self.overlaps
        count = overlaps.output_length(x.mask.shape[1])
        if x.mask.shape[1] == 0:
            return Sequence.invalid(x.mask.shape[0], count, self.output_spec(x.spec), x.values.device)
        summed = self._summed(x.masked().values)
        first = overlaps.shift
        y = self._finished(summed[:, first : first + count] if summed.shape[1] != count else summed)
        if overlaps.masks_by_frame:
            return Sequence(y, overlaps.owned(x.mask), x.all_valid)
        mask = overlaps.covered(x.mask)
        if first:
            mask = mask[:, first : first + count] & overlaps.owned(x.mask.cumsum(dim=1) > 0)
        return Sequence(y, mask, x.all_valid)

    def _initial_state(self, batch_size, spec, device, constants):
        overlaps = self.overlaps
        shape, dtype = self.output_spec(self._known_spec(spec, self.input_spec))
        values = torch.zeros(batch_size, overlaps.overlap, *shape, dtype=dtype, device=device)
        late = torch.zeros(batch_size, overlaps.shift, dtype=torch.bool, device=device)
        if overlaps.masks_by_frame:
            return values, late
        return values, late, torch.zeros(batch_size, overlaps.overlap, dtype=torch.bool, device=device)

    def _step(self, x, state, training, constants):
        overlaps = self.overlaps
        if x.mask.shape[1] == 0:
            return Sequence.invalid(x.mask.shape[0], 0, self.output_spec(x.spec), x.values.device), state
        ready = x.mask.shape[1] * overlaps.stride
        values = self._summed(x.masked().values)
        if overlaps.overlap:
            begun = F.pad(state[0], (0, 0) * (values.dim() - 2) + (0, values.shape[1] - overlaps.overlap))
            values = values + begun
        y = self._finished(values[:, :ready])
        if overlaps.masks_by_frame:
            mask, late = _delayed(overlaps.owned(x.mask), state[1])
            return Sequence(y, mask, x.all_valid and overlaps.shift == 0), (values[:, ready:], late)
        covered = overlaps.covered(x.mask)
        if overlaps.overlap:
            covered = covered | F.pad(state[2], (0, ready))
        mask, late = covered[:, :ready], state[1]
        if overlaps.shift:
            started = (x.mask.cumsum(dim=1) > 0) | late[:, -1:]
            started, late = _delayed(overlaps.owned(started), late)
            mask = mask & started
        return Sequence(y, mask), (values[:, ready:], late, covered[:, ready:])


def _delayed(mask: Tensor, late: Tensor) -> tuple[Tensor, Tensor]:
    """`mask` (B, N) behind the `late` (B, h) steps that wait; and the h that wait from now on."""
    if late.shape[1] == 0:
        return mask, late
    joined = torch.cat([late, mask], dim=1)
    return joined[:, : mask.shape[1]], joined[:, mask.shape[1] :]


class OverlapAdd(OverlappingLayer):
    """Sum frames (B, T, frame_length, *C) that start `frame_step` samples apart into a signal (B, N, *C).

    padding: `causal`, `same`, `full` (also called `valid`) or `semicausal_full`, as in the table of this file: with
    `full` nothing is lost at the end. The inverse of `Frame`, up to the number of frames that cover a sample.
    Raises ValueError where the frames have another length, or are neither floating point nor complex.
    """

    def __init__(self, frame_length: int, frame_step: int, padding: str = "causal"):
        super().__init__(Overlaps(frame_length, frame_step, 1, padding))
        self.frame_length, self.frame_step = frame_length, frame_step

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        check_channels(self, spec, (self.frame_length, ...))
        check_floating(self, spec, or_complex=True)
        return ChannelSpec(spec.shape[1:], spec.dtype)

    def _summed(self, values):
        return overlap_add(values, self.frame_step)

    def seen_by(self, step: int, taps: set[int]) -> Reach:
        """As `receptive_field_at`, if only these samples of a frame count."""
        return self.overlaps.seen_by(step, self.overlaps.reaches(taps))
