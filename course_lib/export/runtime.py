"""Files that `export` wrote: what they say of themselves, and what runs them; PyTorch is not imported."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import os
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Metadata:
    """The words that a file carries.

    kind: "stream", a step with its state; "sequence", whole inputs; "classifier", signals to probabilities; "frames", a
        model of events on a grid of frames.
    channels, dtype: shape and number type of one step of the input.  out_dtype: of the outputs.
    version: of the library that wrote it.  error: largest difference from PyTorch in its check, relative to the
        largest output.  int8: whether weights are 8-bit integers.  sample_rate: steps a second, where known.
    stream: classes, where it has some; parts, what stands one after another in an output: {name: (columns a step,
        numbers a column)}; block, steps that the graph takes at a time; output_ratio, output steps per input step;
        latency, outputs that come before the first; input_latency, steps that bring out the last; lengths, outputs of
        0, 1, 2, … steps, which from the last `block` of them on grow evenly; state, what the stream begins with, for a
        batch of one.
    classifier: classes; several, whether a signal may have several of them; steps, to which signals are cut or padded;
        nan, "mask" where a NaN is a step to leave out.
    frames: events, how many types; resolution, samples a frame; refractory, samples, and threshold, the least score of
        an event, one for all types or one a type; classes, the types' names where known; live, the other arguments with
        which `LiveDetector` finds what the estimator's own stream does.
    """

    kind: str
    channels: tuple[int, ...]
    dtype: str
    out_dtype: str
    version: str
    error: float = 0.0
    int8: bool = False
    sample_rate: float | None = None
    block: int = 1
    output_ratio: str = "1"
    latency: int = 0
    input_latency: int = 0
    lengths: tuple[int, ...] = ()
    state: str = ""
    classes: tuple[Any, ...] = ()
    several: bool = False
    steps: int | None = None
    nan: str = "raise"
    events: int = 0
    resolution: int = 1
    refractory: int | tuple[float, ...] = 0
    threshold: float | tuple[float, ...] = 0.5
    live: dict[str, float] = field(default_factory=dict)
    parts: dict[str, tuple[int, int]] = field(default_factory=dict)

    def as_text(self) -> dict[str, str]:
        """{name: JSON} of every word."""
        return {name: json.dumps(value) for name, value in dataclasses.asdict(self).items()}

    @classmethod
    def from_text(cls, texts: dict[str, str]) -> Metadata:
        """The inverse.  ValueError where one of the first five words is missing: a file that `export` did not write."""
        names = [field.name for field in dataclasses.fields(cls)]
        missing = [name for name in names[:5] if name not in texts]
        if missing:
            raise ValueError(f"path: expected a file that course_lib.export wrote, got one without {missing[0]!r}")
        words: dict[str, Any] = {name: json.loads(texts[name]) for name in names if name in texts}
        words = {name: tuple(word) if isinstance(word, list) else word for name, word in words.items()}
        words["parts"] = {name: tuple(sizes) for name, sizes in words.get("parts", {}).items()}
        return cls(**words)

    @property
    def ratio(self) -> Fraction:
        return Fraction(self.output_ratio)

    def output_length(self, steps: int) -> int:
        """Output steps of a stream of so many."""
        if steps < len(self.lengths):
            return self.lengths[steps]
        blocks = -(-(steps - len(self.lengths) + 1) // self.block)
        return self.lengths[steps - blocks * self.block] + int(blocks * self.block * self.ratio)


def split(y: Any, parts: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """The parts of outputs y (B, N, C), an array or a tensor: {name: (B, N · columns, numbers)}."""
    cut, first = {}, 0
    for name, (columns, size) in parts.items():
        last = first + columns * size
        cut[name] = y[..., first:last].reshape(y.shape[0], y.shape[1] * columns, size)
        first = last
    return cut


def pack(state: list[np.ndarray]) -> str:
    """Arrays as text: a compressed .npz in base64."""
    file = io.BytesIO()
    np.savez_compressed(file, *state)
    return base64.b64encode(file.getvalue()).decode("ascii")


def unpack(text: str) -> list[np.ndarray]:
    """The inverse of `pack`."""
    with np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False) as arrays:
        return [arrays[f"arr_{i}"] for i in range(len(arrays.files))]


class _File:
    """An open file: onnxruntime's session, which several threads may run at once, and what the file says of itself."""

    def __init__(self, path: str | os.PathLike, threads: int, *kinds: str):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        self.session = onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
        self.metadata = Metadata.from_text(self.session.get_modelmeta().custom_metadata_map)
        if self.metadata.kind not in kinds:
            raise ValueError(f"path: expected a file of kind {' or '.join(kinds)}, got {self.metadata.kind}")
        self.inputs = [value.name for value in self.session.get_inputs()]

    def run(self, *arrays: np.ndarray) -> list[np.ndarray]:
        return self.session.run(None, dict(zip(self.inputs, arrays, strict=True)))

    def checked(self, x: ArrayLike, name: str) -> np.ndarray:
        """`x` as (B, T, *channels) in the file's own numbers.  ValueError for another shape, NaN and infinity."""
        array = np.asarray(x)
        channels = self.metadata.channels
        if array.ndim != 2 + len(channels) or array.shape[2:] != channels:
            wanted = ", ".join(["B", "T", *map(str, channels)])
            raise ValueError(f"{name}: expected ({wanted}), got {array.shape}: is the time axis second?")
        if np.iscomplexobj(array) and not self.metadata.dtype.startswith("complex"):
            raise ValueError(f"{name}: expected {self.metadata.dtype}, got {array.dtype}")
        whole = array.dtype.kind != "f" or np.array_equal(array, np.trunc(array))
        if np.dtype(self.metadata.dtype).kind in "iu" and not whole:
            raise ValueError(f"{name}: expected whole numbers, {self.metadata.dtype}, got others")
        with np.errstate(over="ignore", invalid="ignore"):  # what the dtype cannot hold is refused below
            array = array.astype(self.metadata.dtype)
        if not np.isfinite(array).all():
            raise ValueError(f"{name}: expected finite numbers, got NaN or infinity in {self.metadata.dtype}")
        return array


class Stream:
    """A stream on a file of kind "stream": blocks in, outputs out, as soon as they are known.

    path: the file.  batch_size: streams that run in step.  threads: of onnxruntime.
    The outputs of all calls, joined, are those of the layer for the whole input; invalid ones are 0.
    Raises ValueError where the file is of another kind.
    """

    def __init__(self, path: str | os.PathLike, batch_size: int = 1, threads: int = 1):
        self._file = _File(path, threads, "stream")
        self.metadata = self._file.metadata
        self.batch_size = batch_size
        self._first = unpack(self.metadata.state)
        self.reset()

    def fresh(self) -> Stream:
        """Another stream at its beginning; the weights are shared."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.reset()
        return other

    def reset(self) -> None:
        """Back to the beginning."""
        self._state = [np.repeat(part, self.batch_size, axis=0) for part in self._first]
        self._waiting = np.zeros((self.batch_size, 0, *self.metadata.channels), self.metadata.dtype)
        self._taken = self._given = 0  # input steps, output steps (those of the latency too)
        self._ended = False

    def push(self, x: ArrayLike) -> np.ndarray | None:
        """Take the next steps (B, T, *channels), any number; returns the outputs (B, N, …) now known, None for none.

        Steps that do not fill a block wait for the next call.
        Raises ValueError for another shape, NaN or infinity, and after `flush`.
        """
        if self._ended:
            raise ValueError("the stream has ended with flush; call reset for a new one")
        x = self._file.checked(x, "x")
        if len(x) != self.batch_size:
            raise ValueError(f"x: expected a batch of {self.batch_size}, got {len(x)}")
        self._taken += x.shape[1]
        return self._blocks(x, np.ones(x.shape[:2], bool))

    def flush(self) -> np.ndarray | None:
        """End the stream: the outputs that were still to come; None where there are none."""
        if self._ended:
            return None
        about, total = self.metadata, self.metadata.output_length(self._taken)
        needed = max(self._taken + about.input_latency, ceil((about.latency + total) / about.ratio))
        blank = ceil(needed / about.block) * about.block - self._taken
        zeros = np.zeros((self.batch_size, blank, *about.channels), about.dtype)
        outputs = self._blocks(zeros, np.zeros(zeros.shape[:2], bool), end=about.latency + total)
        self._ended = True
        return outputs

    def run_block(self, x: np.ndarray, mask: np.ndarray, state: list[np.ndarray]) -> list[np.ndarray]:
        """The graph itself, beside the stream: one block, its mask and a state; outputs, their mask, the next state."""
        return self._file.run(x, mask, *state)[: 2 + len(state)]

    def parts(self, y: np.ndarray) -> dict[str, np.ndarray]:
        """What stands one after another in outputs y (B, N, C): {name: (B, N · columns, numbers)}; see `export`."""
        return split(y, self.metadata.parts)

    def _blocks(self, x: np.ndarray, mask: np.ndarray, end: int | None = None) -> np.ndarray | None:
        """Run the whole blocks of what waits and x; outputs up to number `end`."""
        block, waits = self.metadata.block, self._waiting.shape[1]
        x = np.concatenate([self._waiting, x], axis=1)
        mask = np.concatenate([np.ones((self.batch_size, waits), bool), mask], axis=1)
        outputs = []
        whole = x.shape[1] // block * block
        for start in range(0, whole, block):
            part = _as_real(x[:, start : start + block])
            y, valid, *self._state = self.run_block(part, mask[:, start : start + block], self._state)
            y = np.where(valid.reshape(*valid.shape, *(1,) * (y.ndim - 2)), y, 0).astype(y.dtype)
            outputs.append(
                y[:, max(self.metadata.latency - self._given, 0) : None if end is None else end - self._given]
            )
            self._given += y.shape[1]
        self._waiting = x[:, whole:]
        outputs = [y for y in outputs if y.shape[1]]
        return _as_declared(np.concatenate(outputs, axis=1), self.metadata.out_dtype) if outputs else None


class Model:
    """A file of whole inputs, kind "sequence", "classifier" or "frames".  threads: of onnxruntime.

    `model(x)` gives the outputs of a sequence or a model; `predict_proba`, `predict` and `classes` are a classifier's;
    `frame_scores` and the sizes that go with it make a file of kind "frames" a `course_lib.events.FrameModel`, which
    `LiveDetector(model, model.metadata.threshold, **model.metadata.live)` runs on a stream.
    Raises ValueError where the file is of another kind.
    """

    def __init__(self, path: str | os.PathLike, threads: int = 1):
        self._file = _File(path, threads, "sequence", "classifier", "frames")
        self.metadata = about = self._file.metadata
        self.input_size, self.num_events = about.channels[0] if about.channels else 1, about.events
        self.timing_resolution_samples, self.refractory_period_samples = about.resolution, about.refractory

    takes_arrays = True  # not tensors: what LiveDetector asks of a FrameModel

    @property
    def classes(self) -> np.ndarray:
        """The labels, in the order of the columns of `predict_proba`."""
        return np.asarray(self.metadata.classes)

    def __call__(self, x: ArrayLike) -> np.ndarray:
        """Outputs of x (B, T, *channels), or of whatever shape the example had."""
        self._expect("sequence")
        return _as_declared(self._file.run(_as_real(self._file.checked(x, "x")))[0], self.metadata.out_dtype)

    def frame_scores(self, x: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Scores and onsets (B, F, E) of x (B, T, C), raw where the file standardises."""
        self._expect("frames")
        scores, onsets = self._file.run(self._file.checked(x, "x"))
        return scores, onsets

    def predict_proba(self, X: Any) -> np.ndarray:
        """(N, number of classes): the probability of each class, of signals as the estimator took them.

        X: (N, L), (N, L, C) or (N, 1, samples), or a list of signals whose lengths differ; raw, not normalised.
        Raises ValueError for other shapes, no signal, infinity, and NaN unless the estimator left such steps out.
        """
        self._expect("classifier")
        signals = [self._signal(signal, i) for i, signal in enumerate(X)]
        if not signals:
            raise ValueError("X: expected at least one signal, got none")
        steps = self.metadata.steps or max(map(len, signals))
        x = np.zeros((len(signals), steps, *self.metadata.channels), self.metadata.dtype)
        mask = np.zeros(x.shape[:2], bool)
        for i, signal in enumerate(signals):
            kept = signal[:steps]
            there = ~np.isnan(kept).any(axis=1)
            if not there.any() or (self.metadata.nan != "mask" and not there.all()):
                raise ValueError(f"X: expected finite numbers, got NaN in signal {i}")
            x[i, : len(kept)], mask[i, : len(kept)] = np.where(there[:, None], kept, 0), there
        return self._file.run(x, mask)[0]

    def predict(self, X: Any) -> np.ndarray:
        """(N,) the most probable class of each signal; (N, K) of 0 and 1 where a signal may have several."""
        probabilities = self.predict_proba(X)
        if self.metadata.several:
            return (probabilities >= 0.5).astype(int)
        return self.classes[probabilities.argmax(axis=1)]

    def _expect(self, kind: str) -> None:
        if self.metadata.kind != kind:
            raise ValueError(f"expected a file of kind {kind}, got {self.metadata.kind}")

    def _signal(self, signal: ArrayLike, number: int) -> np.ndarray:
        """One signal as (L, C)."""
        with np.errstate(over="ignore"):
            array = np.asarray(signal).astype(self.metadata.dtype)
        channels = self.metadata.channels[0]
        array = array[:, None] if array.ndim == 1 else array
        if array.ndim == 2 and channels == 1 and array.shape[0] == 1:
            array = array.T  # (1, samples), as audio libraries have it
        if array.ndim != 2 or array.shape[1] != channels or not len(array):
            raise ValueError(f"X: expected signals (L, {channels}), got {np.shape(signal)} as signal {number}")
        if np.isinf(array).any():
            raise ValueError(f"X: expected finite numbers, got infinity in signal {number}")
        return array


def _as_real(x: np.ndarray) -> np.ndarray:
    """Complex numbers as pairs of real ones, on a last axis of 2: the graph knows no others."""
    return np.stack([x.real, x.imag], axis=-1) if np.iscomplexobj(x) else x


def _as_declared(y: np.ndarray, dtype: str) -> np.ndarray:
    return (y[..., 0] + 1j * y[..., 1]).astype(dtype) if dtype.startswith("complex") else y
