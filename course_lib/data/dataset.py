"""Signals and labels as a PyTorch dataset."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

Values = ArrayLike | Tensor


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
