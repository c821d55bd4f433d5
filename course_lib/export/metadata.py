"""What a file says of itself, beside its graph: ONNX's metadata, one JSON value a name."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np


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
