"""Signals and windows as PyTorch datasets: with a label each, with events in time, as they are, or as two views."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Generator, Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset, get_worker_info

Values = ArrayLike | Tensor
_RESOLUTION = 0.005  # seconds a frame


class SignalDataset(Dataset):
    """Pairs (x, y): x float32, zero-padded or cut on the right to `max_length` time steps; y an int64 scalar tensor.

    signals: an array or tensor (N, L), (N, L, C) or (N, 1, samples), or a list of (L,), (L, C) or (1, samples) signals
    whose lengths may differ.  Items keep their shape but for the length: time is the first axis, except in
    (1, samples), as audio libraries have it, where it is the last.
    labels: N integers.  max_length: time steps; None takes the longest signal's.
    transform: called on each x, after padding.  generator: handed to it as `transform(x, generator=generator)`; a
    DataLoader's workers each get their own, seeded by the loader, so that no two draw alike.
    Raises ValueError naming the argument: signals empty, of mixed shapes, of wrong rank, with NaN or infinity; labels
    not integers or not one per signal.
    """

    def __init__(
        self,
        signals: np.ndarray | Tensor | Sequence,
        labels: np.ndarray | Tensor | Sequence,
        max_length: int | None = None,
        transform: Callable[..., Tensor] | None = None,
        generator: torch.Generator | None = None,
    ):
        self.signals = _checked_signals(signals)
        self.labels = _checked_labels(labels, len(self.signals))
        lengths = [signal.shape[_time_axis(signal.shape)] for signal in self.signals]
        if max_length is not None and (isinstance(max_length, bool) or int(max_length) != max_length or max_length < 1):
            raise ValueError(f"max_length: expected at least one time step, got {max_length!r}")
        self.max_length = max(lengths) if max_length is None else int(max_length)
        self.transform = transform
        self.generator = generator
        self._worker_seed: int | None = None

    def __len__(self) -> int:
        return len(self.signals)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        signal = self.signals[index]
        axis = _time_axis(signal.shape)
        shape = list(signal.shape)
        shape[axis] = self.max_length
        x = torch.zeros(shape, dtype=torch.float32)
        kept = min(self.max_length, signal.shape[axis])
        part = signal[:, :kept] if axis == 1 else signal[:kept]
        x.narrow(axis, 0, kept).copy_(torch.from_numpy(np.array(part, dtype=np.float32)))
        if self.transform is not None:
            x = self.transform(x) if self.generator is None else self.transform(x, generator=self._own_generator())
        return x, self.labels[index]

    def _own_generator(self) -> torch.Generator | None:
        worker = get_worker_info()
        if worker is not None and worker.seed != self._worker_seed:
            self.generator = torch.Generator().manual_seed(worker.seed)
            self._worker_seed = worker.seed
        return self.generator


def as_array(values: Values) -> np.ndarray:
    """An array of what may be a tensor on any device; bfloat16, which NumPy does not know, as float32."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = values.float() if values.dtype == torch.bfloat16 else values
    return np.asarray(values)


def as_float32(name: str, values: Values, where: str, gaps: bool = False) -> np.ndarray:
    """Real numbers as float32; ValueError, with `name` and `where`, for NaN, infinity and what float32 cannot hold.

    gaps: NaN is allowed and stays.
    """
    array = as_array(values)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name}: expected real numbers, got dtype {array.dtype} in {where}")
    with np.errstate(over="ignore"):
        narrow = array.astype(np.float32, copy=False)
    finite = np.isfinite(narrow) | (np.isnan(narrow) if gaps else False)
    if not finite.all():
        bad = array[~finite]
        kind = "NaN or infinite" if not np.isfinite(bad).all() else f"beyond float32 (such as {bad[0]:g})"
        raise ValueError(f"{name}: expected finite values, got {len(bad)} {kind} in {where}")
    return narrow


def _time_axis(shape: tuple[int, ...]) -> int:
    return 1 if len(shape) == 2 and shape[0] == 1 and shape[1] > 1 else 0


def _checked_signals(signals: np.ndarray | Tensor | Sequence) -> np.ndarray | list[np.ndarray]:
    """One array, or a list of arrays: all of one rank and channel count, not empty, finite."""
    items: np.ndarray | list[np.ndarray]
    if isinstance(signals, Tensor) or (isinstance(signals, np.ndarray) and signals.dtype != object):
        items = as_array(signals)
        if items.ndim not in (2, 3):
            raise ValueError(f"signals: expected (N, L), (N, L, C) or (N, 1, samples), got {items.shape}")
    else:
        items = [as_array(signal) for signal in signals]
    if len(items) == 0:
        raise ValueError("signals: expected at least one signal, got none")
    channels = set()
    for i, item in enumerate(items):
        if item.ndim not in (1, 2) or item.dtype.kind not in "fiu":
            shape = f"shape {item.shape}, dtype {item.dtype}"
            raise ValueError(f"signals: expected (L,), (L, C) or (1, samples) numbers, got signal {i} of {shape}")
        if item.size == 0:
            raise ValueError(f"signals: expected at least one time step, got signal {i} of shape {item.shape}")
        as_float32("signals", item, f"signal {i}")
        axis = _time_axis(item.shape)
        channels.add((item.ndim, axis) + tuple(np.delete(item.shape, axis).tolist()))
    if len(channels) > 1:
        shapes = ", ".join(str(shape) for shape in sorted({item.shape for item in items})[:4])
        raise ValueError(f"signals: expected one number of channels and one layout, got shapes {shapes}")
    return items


def _checked_labels(labels: np.ndarray | Tensor | Sequence, count: int) -> Tensor:
    array = as_array(labels)
    if array.ndim != 1 or len(array) != count:
        raise ValueError(f"labels: expected one per signal, shape ({count},), got shape {array.shape}")
    if array.dtype.kind not in "iu":
        raise ValueError(f"labels: expected integers, got dtype {array.dtype}")
    return torch.from_numpy(array.astype(np.int64))


Windows = np.ndarray | Tensor | Sequence[Values]  # (N, T, C), or a list of (T, C) of any lengths
Statistics = tuple[np.ndarray, np.ndarray]  # mean and standard deviation, (C,) each


class EventItem(NamedTuple):
    """One window.  x: (T, C) float32.  labels, frames: (E,), as in `EventBatch`.  timings: (E,) float64."""

    x: Tensor
    labels: Tensor
    timings: Tensor
    frames: Tensor


class EventBatch(NamedTuple):
    """A batch of windows, zero-padded on the right to the longest.

    x: (B, T, C) float32.  lengths: (B,) int64, valid samples.  labels: (B, E) float32, 0 or 1.
    timings: (B, E) float32, onsets in samples with their fractions; NaN where the type is absent. Some devices have no
        float64; within a window of two million samples float32 is right to an eighth of a sample.
    frames: (B, E) int64, the frame that the onset lies in, the target of a loss; -1 where absent.
    """

    x: Tensor
    lengths: Tensor
    labels: Tensor
    timings: Tensor
    frames: Tensor


class EventDataset(Dataset[EventItem]):
    """Items (x, labels, timings, frames) with x normalised per channel.

    data: (N, T, C), or a list of (T, C) of any lengths; real numbers of any type, finite in float32.
    labels: (N, E) of 0 and 1.  timings: (N, E) samples, within the window where labels are 1, NaN elsewhere.
    sample_rate: Hz, kept.  timing_resolution_samples: samples a frame; None: 5 ms at that rate, 10 where none is said.
    statistics: (mean, std), each (C,), of the training data; None: these data's own. A channel that never changes
    is only centred.
    Raises ValueError naming the argument.
    """

    def __init__(
        self,
        data: Windows,
        labels: Values,
        timings: Values,
        timing_resolution_samples: int | None = None,
        statistics: Statistics | None = None,
        sample_rate: float | None = None,
    ):
        if sample_rate is not None and not 0 < sample_rate < np.inf:
            raise ValueError(f"sample_rate: expected Hz above 0, got {sample_rate!r}")
        if timing_resolution_samples is None:
            timing_resolution_samples = 10 if sample_rate is None else max(1, round(_RESOLUTION * sample_rate))
        if timing_resolution_samples < 1:
            raise ValueError(f"timing_resolution_samples: expected at least 1, got {timing_resolution_samples}")
        self.windows, self.statistics = _normalised(data, statistics)
        self.labels, self.timings = _checked_targets([len(window) for window in self.windows], labels, timings)
        frames = (self.timings.nan_to_num() / timing_resolution_samples).floor().long()
        self.frames = torch.where(self.timings.isnan(), -1, frames)
        self.timing_resolution_samples, self.sample_rate = timing_resolution_samples, sample_rate

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> EventItem:
        return EventItem(self.windows[index], self.labels[index], self.timings[index], self.frames[index])


def collate_fn_supervised(items: list[EventItem]) -> EventBatch:
    """Join windows to an `EventBatch`."""
    x, lengths = collate_fn_unsupervised([item.x for item in items])
    labels, timings, frames = (torch.stack(parts) for parts in list(zip(*items, strict=True))[1:])
    narrow = timings.float()
    below = torch.nextafter(narrow, torch.zeros_like(narrow))  # rounded down, onsets stay in window and frame
    return EventBatch(x, lengths, labels, torch.where(narrow > timings, below, narrow), frames)


class UnsupervisedDataset(Dataset[Tensor]):
    """Items x (T, C) float32, normalised per channel.

    data: (N, T, C), or a list of (T, C) of any lengths, finite.  statistics: (mean, std), each (C,), of the training
    data; None: these data's own, found in `.statistics`.  Raises ValueError naming the argument.
    """

    def __init__(self, data: Windows, statistics: Statistics | None = None):
        self.windows, self.statistics = _normalised(data, statistics)

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> Tensor:
        return self.windows[index]


class ContrastiveDataset(Dataset[tuple[Tensor, Tensor]]):
    """Items (first, second): two views of one window, (T, C) each, made by `augmentation(x)` after normalisation.

    augmentation: such as `TemporalAugmentation(...)`; must keep the shape.  generator: handed to the augmentation as
    `generator=`; None: it draws from PyTorch's default.  Raises ValueError where a view has another shape.
    """

    def __init__(
        self,
        data: Windows,
        augmentation: Callable[..., Tensor],
        statistics: Statistics | None = None,
        generator: Generator | None = None,
    ):
        self.windows, self.statistics = _normalised(data, statistics)
        self.augmentation, self.generator = augmentation, generator

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        x = self.windows[index]
        options = {} if self.generator is None else {"generator": self.generator}
        first, second = self.augmentation(x, **options), self.augmentation(x, **options)
        if not x.shape == first.shape == second.shape:
            raise ValueError(
                f"augmentation: expected views {tuple(x.shape)}, got {tuple(first.shape)}, {tuple(second.shape)}"
            )
        return first, second


def collate_fn_unsupervised(items: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Windows of mixed lengths, zero-padded on the right: x (B, T, C) and lengths (B,)."""
    return pad_sequence(items, batch_first=True), torch.tensor([len(item) for item in items])


def collate_fn_contrastive(items: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs of views, zero-padded on the right: first and second (B, T, C), lengths (B,)."""
    first, second = zip(*items, strict=True)
    x, lengths = collate_fn_unsupervised(list(first))
    return x, collate_fn_unsupervised(list(second))[0], lengths


def channel_statistics(windows: Sequence[np.ndarray]) -> Statistics:
    """Mean and standard deviation of each channel over all windows, (C,) float32 each; 1 for one that is constant.

    NaN counts for nothing; of a channel without any value the mean is 0.
    Raises ValueError for no windows, and for what float32 does not hold.
    """
    windows = [as_float32("windows", window, f"window {i}", gaps=True) for i, window in enumerate(windows)]
    if not windows:
        raise ValueError("windows: expected at least one, got none")
    count = np.maximum(1, sum((~np.isnan(window)).sum(axis=0) for window in windows))
    mean = sum(np.nansum(window, axis=0, dtype=np.float64) for window in windows) / count
    variance = sum(np.nansum((window - mean) ** 2, axis=0, dtype=np.float64) for window in windows) / count
    std = np.sqrt(variance)
    return mean.astype(np.float32), np.where(std > np.maximum(1e-8 * np.abs(mean), 1e-37), std, 1).astype(np.float32)


def _normalised(data: Windows, statistics: Statistics | None) -> tuple[list[Tensor], Statistics]:
    """Checked windows, each channel normalised by `statistics`, by the data's own where None; and the statistics."""
    windows = [as_float32("data", window, f"window {i}") for i, window in enumerate(data)]
    if not windows:
        raise ValueError("data: expected at least one window, got none")
    for i, window in enumerate(windows):
        if window.ndim != 2 or window.size == 0:
            raise ValueError(f"data: expected windows (T, C), got shape {window.shape} for window {i}")
        if window.shape[1] != windows[0].shape[1]:
            raise ValueError(
                f"data: expected one number of channels, got {windows[0].shape[1]} and, in window {i}, "
                f"{window.shape[1]}: is the time axis last?"
            )
    channels = (windows[0].shape[1],)
    mean, std = channel_statistics(windows) if statistics is None else (np.asarray(v, np.float32) for v in statistics)
    if mean.shape != channels or std.shape != channels or not (np.isfinite(mean).all() and (std > 0).all()):
        shapes = f"{mean.shape}, {std.shape}"
        raise ValueError(f"statistics: expected finite mean and positive std, {channels} each, got {shapes}")
    return [torch.from_numpy((window - mean) / std) for window in windows], (mean, std)


def _checked_targets(lengths: list[int], labels: Values, timings: Values) -> tuple[Tensor, Tensor]:
    labels, timings = as_array(labels), as_array(timings).astype(np.float64)
    if labels.ndim != 2 or len(labels) != len(lengths):
        raise ValueError(f"labels: expected ({len(lengths)}, events), one row a window, got {labels.shape}")
    if timings.shape != labels.shape:
        raise ValueError(f"timings: expected the shape of labels, {labels.shape}, got {timings.shape}")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError(f"labels: expected 0 and 1, got {np.unique(labels)[:5].tolist()}")
    present = labels == 1
    if not np.isnan(timings[~present]).all():
        raise ValueError("timings: expected NaN where labels are 0")
    fits = (timings >= 0) & (timings < np.array(lengths)[:, None])
    if not fits[present].all():
        window, kind = np.argwhere(present & ~fits)[0]
        raise ValueError(
            f"timings: expected samples from 0 to below {lengths[window]} where labels are 1, "
            f"got {timings[window, kind]} in window {window}, type {kind}"
        )
    return torch.from_numpy(labels.astype(np.float32)), torch.from_numpy(timings)
