"""Streams whose labels need memory, generated or your own, and loaders that keep them in time order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor
from torch.utils.data import Dataset

IGNORED = -100  # the label that PyTorch's cross-entropy passes over: what windows are filled up with


class StreamManager:
    """Where streams and their labels come from, and how they are dealt out.

    Generated (no `data`): each step of a stream shows one of `num_cues + num_fillers` tokens. Cues, drawn evenly, come
    `gaps[0]` to `gaps[1]` steps apart, the first at step 0; fillers, drawn evenly too, fill the steps between. The
    label of a step is the last cue *before* it (at step 0, one before the recording began, which nobody can know). The
    token of a step says nothing about its own label, so a model without memory is right once in `num_cues` times.
    seed: of the manager's own generator. Two managers with one seed give the same streams; each call gives new ones.

    Your own: `data` and `labels`, one entry a stream, each an array or tensor or a list of them. A stream is (T,)
    integer tokens or (T, channels) vectors; its labels are (T,) integers. Lengths may differ.
    Raises ValueError saying which stream does not fit, and how.
    """

    def __init__(
        self,
        data: Iterable[ArrayLike] | None = None,
        labels: Iterable[ArrayLike] | None = None,
        *,
        num_cues: int = 4,
        num_fillers: int = 4,
        gaps: tuple[int, int] = (10, 30),
        seed: int = 0,
    ):
        if (data is None) != (labels is None):
            raise ValueError("data, labels: expected both or neither")
        if num_cues < 2 or num_fillers < 1:
            raise ValueError(f"num_cues, num_fillers: expected at least 2 and 1, got {num_cues}, {num_fillers}")
        if not 1 <= gaps[0] <= gaps[1]:
            raise ValueError(f"gaps: expected 1 <= first <= last, got {gaps}")
        self.num_cues, self.num_fillers, self.gaps = num_cues, num_fillers, gaps
        self._rng = np.random.default_rng(seed)
        self._own = None if data is None or labels is None else _streams(data, labels)

    def get_vocab_size(self) -> int:
        """Number of tokens; for vectors, of channels: the size of a model's input."""
        if self._own is None:
            return self.num_cues + self.num_fillers
        streams, _ = self._own
        return streams[0].shape[1] if streams[0].dim() == 2 else int(max(s.max() for s in streams)) + 1

    def get_num_classes(self) -> int:
        """Number of labels."""
        return self.num_cues if self._own is None else int(max(y.max() for y in self._own[1])) + 1

    def get_torch_batches(
        self, num_streams: int | None = None, sequence_length: int | None = None, one_hot: bool = True
    ) -> tuple[Tensor, Tensor] | tuple[list[Tensor], list[Tensor]]:
        """New generated streams, or the first `num_streams` of your own, cut to `sequence_length` steps.

        Returns x (num_streams, T, vocab_size) one-hot, or (num_streams, T) tokens without `one_hot`, or your own
        vectors; and y (num_streams, T). Where your streams differ in length, two lists with an entry for each.
        None: 4 streams of 200 steps, or all that there is. Raises ValueError where your own are too few or too short.
        """
        for name, value in (("num_streams", num_streams), ("sequence_length", sequence_length)):
            if value is not None and value < 1:
                raise ValueError(f"{name}: expected at least 1, got {value}")
        if self._own is None:
            streams, labels = self._generate(num_streams or 4, sequence_length or 200)
        else:
            streams, labels = self._own
            count = len(streams) if num_streams is None else num_streams
            if count > len(streams):
                raise ValueError(f"num_streams: there are {len(streams)} streams, got {count}")
            streams, labels = streams[:count], labels[:count]
            shortest = min(map(len, streams))
            if sequence_length is not None and shortest < sequence_length:
                raise ValueError(f"sequence_length: the shortest stream has {shortest} steps, got {sequence_length}")
            streams, labels = [s[:sequence_length] for s in streams], [y[:sequence_length] for y in labels]
        if one_hot and streams[0].dim() == 1:
            streams = [F.one_hot(s, self.get_vocab_size()).float() for s in streams]
        if len({len(s) for s in streams}) > 1:
            return streams, labels
        return torch.stack(streams), torch.stack(labels)

    def load_data(
        self, batch_size: int, x: Iterable[ArrayLike], y: Iterable[ArrayLike], steps: int | None = None
    ) -> StreamLoader:
        """A loader of the streams `x` with labels `y` in time order.  See `StreamLoader`."""
        return StreamLoader(x, y, batch_size, steps)

    def _generate(self, num_streams: int, length: int) -> tuple[list[Tensor], list[Tensor]]:
        tokens = self._rng.integers(self.num_cues, self.num_cues + self.num_fillers, (num_streams, length))
        labels = np.empty_like(tokens)
        for row, label in zip(tokens, labels, strict=True):
            at, before = 0, int(self._rng.integers(self.num_cues))
            while at < length:
                cue = int(self._rng.integers(self.num_cues))
                until = at + int(self._rng.integers(self.gaps[0], self.gaps[1] + 1))
                row[at], label[at], label[at + 1 : until + 1] = cue, before, cue
                at, before = until, cue
        return list(torch.from_numpy(tokens)), list(torch.from_numpy(labels))


class StreamDataset(Dataset):
    """The steps of all streams in time order, the streams side by side: items (x, y), one step of one stream."""

    def __init__(self, streams: list[Tensor], labels: list[Tensor]):
        self.streams, self.labels = streams, labels
        alive = torch.arange(max(map(len, streams)))[:, None] < torch.tensor([len(s) for s in streams])
        self.order = alive.nonzero()  # (steps of all streams, 2): step, stream

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        step, stream = self.order[index].tolist()
        return self.streams[stream][step], self.labels[stream][step]


class StreamLoader:
    """Batches of streams in time order: row i is the same stream from batch to batch, each batch the next in time.

    x, y: the streams and their labels, as in `StreamManager`.
    batch_size: streams side by side. Where streams differ in length, they are sorted, the longest first (`order` says
        how); those that have ended leave the batch, so that it shrinks and no row changes its stream.
    steps: None gives (inputs (B, ...), targets (B,)), one time step of every stream; all streams must then fit into one
        batch. A number k gives windows (inputs (B, k, ...), targets (B, k), first (B,)), the last ones shorter: `first`
        is True where a stream begins, so that its memory must begin anew. A stream that ends within a window is filled
        up with zeros and labels of -100. Groups of `batch_size` streams follow one another.
    dataset: the steps one by one; its length is how many there are.
    Raises ValueError saying which stream does not fit, and how.
    """

    def __init__(self, x: Iterable[ArrayLike], y: Iterable[ArrayLike], batch_size: int, steps: int | None = None):
        streams, labels = _streams(x, y)
        if batch_size < 1 or (steps is not None and steps < 1):
            raise ValueError(f"batch_size, steps: expected at least 1, got {batch_size}, {steps}")
        if steps is None and batch_size < len(streams):
            raise ValueError(
                f"batch_size: expected {len(streams)}, a row for every stream, got {batch_size}: single steps of one "
                "group after another would mix up their memories; give steps= for windows that say where streams begin"
            )
        self.batch_size, self.steps = batch_size, steps
        self.order = sorted(range(len(streams)), key=lambda i: -len(streams[i]))
        streams, labels = [streams[i] for i in self.order], [labels[i] for i in self.order]
        self.dataset = StreamDataset(streams, labels)
        self._lengths = [len(s) for s in streams]
        self._x = torch.nn.utils.rnn.pad_sequence(streams, batch_first=True)
        self._y = torch.nn.utils.rnn.pad_sequence(labels, batch_first=True, padding_value=IGNORED)

    def __len__(self) -> int:
        return sum(1 for _ in self._places())

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        for rows, start, stop in self._places():
            if self.steps is None:
                yield self._x[rows, start], self._y[rows, start]
            else:
                first = torch.full((rows.stop - rows.start,), start == 0)
                yield self._x[rows, start:stop], self._y[rows, start:stop], first

    def _places(self) -> Iterator[tuple[slice, int, int]]:
        """Rows, first step and step after the last of every batch."""
        steps = self.steps or 1
        for top in range(0, len(self._lengths), self.batch_size):
            lengths = self._lengths[top : top + self.batch_size]
            for start in range(0, lengths[0], steps):
                alive = sum(length > start for length in lengths)
                yield slice(top, top + alive), start, min(start + steps, lengths[0])


def _streams(x: Iterable[ArrayLike], y: Iterable[ArrayLike]) -> tuple[list[Tensor], list[Tensor]]:
    """Streams and labels as tensors, each checked.  Raises ValueError."""
    streams, labels = [_tensor(s) for s in x], [_tensor(s) for s in y]
    if not streams or len(streams) != len(labels):
        raise ValueError(f"x, y: expected labels for each of at least one stream, got {len(streams)} and {len(labels)}")
    for i, (stream, label) in enumerate(zip(streams, labels, strict=True)):
        tokens = not stream.is_floating_point()
        if stream.dim() != (1 if tokens else 2) or stream.shape[1:] != streams[0].shape[1:]:
            got = f"{tuple(stream.shape)} of {stream.dtype} at stream {i}"
            raise ValueError(
                f"x: expected (T,) integer tokens or (T, channels) vectors, alike in all streams, got {got}"
            )
        if len(stream) == 0 or label.shape != stream.shape[:1]:
            raise ValueError(
                f"x, y: expected a label for each of at least one step, got {len(stream)} steps and labels of shape "
                f"{tuple(label.shape)} at stream {i}"
            )
        if label.is_floating_point() or (tokens and stream.min() < 0):
            raise ValueError(f"x, y: expected tokens from 0 up and integer labels, got others at stream {i}")
        if not tokens and not stream.isfinite().all():
            step = int((~stream.isfinite()).any(dim=1).nonzero()[0])
            raise ValueError(f"x: got NaN or Inf in {stream.dtype} at stream {i}, step {step}: a memory would keep it")
    return streams, labels


def _tensor(values: ArrayLike) -> Tensor:
    """Integers as int64, real numbers in PyTorch's default precision."""
    tensor = values if isinstance(values, Tensor) else torch.from_numpy(np.array(values))
    return tensor.to(torch.get_default_dtype() if tensor.is_floating_point() else torch.int64)
