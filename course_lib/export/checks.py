"""Does a file give what PyTorch gives?  Random and extreme inputs, several lengths and batches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from course_lib.export.graphs import Step, as_real
from course_lib.export.runtime import Model, Stream
from course_lib.sequence import ChannelSpec, Sequence, SequenceLayer, over_channels


def difference(got: np.ndarray, expected: np.ndarray, least: float = 0.0) -> float:
    """The largest difference, relative to the largest finite number expected, or to `least` where that is larger.

    Infinite where shapes differ.
    """
    if got.shape != expected.shape:
        return np.inf
    if not expected.size:
        return 0.0
    got, expected = (a if np.iscomplexobj(a) else a.astype(np.float64) for a in (got, expected))
    with np.errstate(invalid="ignore"):
        apart = np.abs(got - expected)
    apart[(got == expected) | (np.isnan(got) & np.isnan(expected))] = 0
    if not np.isfinite(apart).all():
        return np.inf
    return float(apart.max() / (max(_largest(expected), least) or 1))


def _largest(values: np.ndarray) -> float:
    return float(np.abs(values[np.isfinite(values)]).max(initial=0))


def differences(pairs: list[tuple[np.ndarray, np.ndarray]]) -> list[float]:
    """`difference` of what came and what was expected for `inputs` of one shape, the first of which is noise.

    What another input should cancel to 0 is rounding, and no smaller than the outputs for the noise allow.
    """
    least = _largest(pairs[0][1]) if pairs else 0.0
    return [difference(got, expected, least) for got, expected in pairs]


def inputs(spec: ChannelSpec, batch: int, steps: int) -> Iterator[Tensor]:
    """(batch, steps, *C): noise, nothing, and one large value at the end."""
    shape = (batch, steps, *spec.shape)
    generator = torch.Generator().manual_seed(0)
    if not (spec.dtype.is_floating_point or spec.dtype.is_complex):
        yield torch.randint(0, 2, shape, generator=generator).to(spec.dtype)
        return
    yield torch.randn(shape, generator=generator, dtype=spec.dtype)
    yield torch.zeros(shape, dtype=spec.dtype)
    last = torch.zeros(shape, dtype=spec.dtype)
    last[:, -1:] = 10.0
    yield last


def stay_open(model: Any, open_axes: tuple[Any, ...]) -> None:
    """NotImplementedError where an axis that is to stay open has a size in the graph, as a loop over it settles it.

    model: an onnx.ModelProto.  open_axes: {axis: name} of each input, those of a state in a tuple.
    """
    axes: list[dict[int, Any]] = []
    for one in open_axes:
        axes += one if isinstance(one, tuple) else [one]
    for value, left_open in zip(model.graph.input, axes, strict=True):
        sizes = value.type.tensor_type.shape.dim
        for axis in left_open:
            if sizes[axis].HasField("dim_value"):
                what = "steps, and no other number: pass an example= of as many as you need" if axis else "in a batch"
                raise NotImplementedError(f"no ONNX form was found but for {sizes[axis].dim_value} {what}")


def stream_error(file: Path, layer: SequenceLayer, step: Step, spec: ChannelSpec, block: int) -> float:
    """`Stream` against the layer on whole inputs, and the graph against `step` where steps are missing."""
    steps = max(12, 2 * block + 1)
    errors = []
    for batch in (1, 3):
        stream, pairs = Stream(file, batch), []
        for x in inputs(spec, batch, steps):
            expected = layer.layer(Sequence.of(x), training=False).masked().values.numpy()
            stream.reset()
            parts = [stream.push(x[:, :5].numpy()), stream.push(x[:, 5:].numpy()), stream.flush()]
            outputs = [part for part in parts if part is not None]
            if outputs:
                pairs.append((np.concatenate(outputs, axis=1), expected))
            elif expected.shape[1]:
                errors.append(np.inf)
        errors += differences(pairs)
    errors.append(_ragged_error(Stream(file, 2), layer, step, spec, block))
    return max(errors)


def _ragged_error(stream: Stream, layer: SequenceLayer, step: Step, spec: ChannelSpec, block: int) -> float:
    x = next(inputs(spec, 2, 3 * block))
    mask = torch.rand(x.shape[:2], generator=torch.Generator().manual_seed(1)) < 0.7
    state = tuple(as_real(leaf) for leaf in pytree.tree_leaves(layer.initial_state(2, spec)))
    kept = [leaf.numpy() for leaf in state]
    errors = []
    for start in range(0, x.shape[1], block):
        values, valid = as_real(x[:, start : start + block]), mask[:, start : start + block]
        expected, there, *after = step(values, valid, state)[: 2 + len(state)]
        got, got_there, *kept = stream.run_block(values.numpy(), valid.numpy(), kept)
        state = tuple(after)
        shown = over_channels(there, expected).numpy()
        errors += [difference(np.where(shown, got, 0), np.where(shown, expected.numpy(), 0))]
        errors += [difference(got_there, there.numpy())]
    return max(errors)


def whole_error(file: Path, model: Any, shapes: list[tuple[int, int, ChannelSpec]]) -> float:
    """`Model` against the model, for inputs of (batch, steps, spec)."""
    run = Model(file)
    errors = []
    for batch, steps, spec in shapes:
        errors += differences([(run(x.numpy()), model(x).numpy()) for x in inputs(spec, batch, steps)])
    return max(errors)


def frames_error(file: Path, model: Any, shapes: list[tuple[int, int, ChannelSpec]]) -> float:
    """`Model.frame_scores` against the model's, a `Frames`, for inputs of (batch, steps, spec) at its statistics."""
    run = Model(file)
    errors = []
    for batch, steps, spec in shapes:
        signals = [model.mean + model.std * x for x in inputs(spec, batch, steps)]
        got = zip(*(run.frame_scores(x.numpy()) for x in signals), strict=True)  # scores, then offsets: of each signal
        expected = zip(*([y.numpy() for y in model(x)] for x in signals), strict=True)
        for pairs in zip(got, expected, strict=True):
            errors += differences(list(zip(*pairs, strict=True)))
    return max(errors)


def classifier_error(file: Path, estimator: Any, typical: tuple[np.ndarray, np.ndarray], longest: int) -> float:
    """`Model` against `predict_proba`, on signals of several lengths: noise, a constant, a jump.

    typical: mean and deviation of the signals' channels, (C,) each.  longest: steps of what the model sees.
    """
    random = np.random.default_rng(0)
    mean, scale = typical
    lengths = [max(2, length) for length in (longest, 2, (longest + 1) // 2, longest + 3, longest, longest)]
    signals = [mean + scale * random.standard_normal((length, len(mean))) for length in lengths]
    signals[-2][:] = mean
    signals[-1][longest // 2 :] += 10 * scale
    signals = [signal.astype(np.float32) for signal in signals]
    model = Model(file)
    errors = [difference(model.predict_proba(part), estimator.predict_proba(part)) for part in (signals, signals[:1])]
    return max(errors)
