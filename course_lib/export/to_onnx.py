"""`export`: a layer's step, a layer, a model or a fitted classifier to one ONNX file, checked before it is kept."""

from __future__ import annotations

import copy
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils import _pytree as pytree

from course_lib import __version__
from course_lib.export import checks
from course_lib.export.graphs import Classifier, Frames, Sounds, Step, Whole, as_real
from course_lib.export.int8 import quantised
from course_lib.export.metadata import Metadata, pack
from course_lib.files import replacing
from course_lib.sequence import ChannelSpec, Sequence, SequenceLayer

OPSET = 20
TOLERANCE, TOLERANCE_INT8 = 1e-4, 0.05
_FEWEST, _MOST = 16, 1 << 20  # steps of a whole input whose number is left open


class FittedClassifier(Protocol):
    """What is asked of an estimator, such as `course_lib.estimator.SignalClassifier` after `fit`.

    model_ takes standardised signals (B, max_length_, C), or a `Sequence` of them, and gives logits (B, classes).
    """

    model_: nn.Module
    classes_: np.ndarray
    mean_: np.ndarray
    scale_: np.ndarray
    max_length_: int

    def predict_proba(self, X: Any) -> np.ndarray: ...


@dataclass(frozen=True)
class _Graph:
    """What is written: a module, example inputs, their names and open axes; and how a file of it is checked."""

    module: nn.Module
    inputs: tuple[Any, ...]
    input_names: list[str]
    output_names: list[str]
    open_axes: tuple[Any, ...]
    about: Metadata
    error: Callable[[Path], float]


def export(
    source: nn.Module | FittedClassifier,
    path: str | os.PathLike,
    *,
    spec: ChannelSpec | None = None,
    example: Tensor | None = None,
    streaming: bool = False,
    block: int | None = None,
    int8: bool = False,
    sample_rate: float | None = None,
    threshold: float = 0.5,
    statistics: tuple[np.ndarray, np.ndarray] | None = None,
    classes: tuple[str, ...] = (),
    parts: Mapping[str, tuple[int, int]] | None = None,
    tolerance: float | None = None,
) -> Metadata:
    """Write `source` to `path`, for `Stream` (streaming=True) or `Model` to run without PyTorch; returns what it says.

    source: a `SequenceLayer`; a model of events with `frame_scores`; a fitted `SignalClassifier`, `AudioClassifier` or
        `EventClassifier`, exported with its standardisation or front end, so that it takes raw signals, and with what
        it chose, such as thresholds; or any other module, of which `example` shows an input.  It is left as it is, and
        exported in evaluation mode.
    spec: what one step of a layer's input looks like, where the layer does not know it.
    example: an input (B, T, …). It settles the number of steps, which a layer on whole inputs else leaves open.
    streaming: the layer's step, with its state, rather than the layer.  block: steps that it takes at a time, a
        multiple of the layer's `block_size` (the default).
    int8: weights as 8-bit integers; matrix products round their inputs to 8 bits too: see `course_lib.export.int8`.
    sample_rate: steps a second.  threshold: the least score of an event. The file says both to whoever runs it.
    statistics: (mean, std) a channel, by which the input of a model of events is standardised; None: it already is.
    classes, parts: of a stream, for whoever runs it: what classes are called; and where outputs (B, N, C) hold several
        things one after another, {name: (columns a step, numbers a column)}. Each is an output of the graph besides,
        (B, N · columns, numbers).
    tolerance: how far outputs may lie from PyTorch's, as a share of the largest, on random and extreme inputs of
        several lengths and batches; 1e-4 by default, 0.05 with int8.
    The batch is open. The file is whole or not there: where its outputs differ, what was at `path` before stays.
    Raises ValueError naming the argument; NotImplementedError where a layer cannot step or a module has no ONNX form;
    ArithmeticError where the file's outputs differ.
    """
    path = Path(path)
    about = Metadata("", (), "", "", __version__, int8=int8, sample_rate=sample_rate)
    with torch.no_grad():
        if hasattr(getattr(source, "model_", None), "frame_scores"):
            graph = _of_event_classifier(source, about)
        elif hasattr(source, "front_end_"):
            graph = _of_sound_classifier(source, about)
        elif not isinstance(source, nn.Module):
            graph = _of_classifier(source, about)
        elif streaming:
            graph = _of_step(source, spec, block, dict(parts or {}), replace(about, classes=tuple(classes)))
        elif hasattr(source, "frame_scores"):
            graph = _of_frames(source, statistics, replace(about, threshold=threshold))
        else:
            graph = _of_whole(source, spec, example, about)
        with replacing(path) as file:
            model = _to_onnx(graph)
            if int8:
                with _quietly():
                    model = quantised(model, file)
            _save(model, graph.about, file)
            error = graph.error(file)
            allowed = (TOLERANCE_INT8 if int8 else TOLERANCE) if tolerance is None else tolerance
            if not error <= allowed:
                raise ArithmeticError(
                    f"{path.name}: outputs differ from PyTorch's by {error:.2g} of the largest, "
                    f"more than tolerance={allowed}; nothing was written"
                )
            about = replace(graph.about, error=error)
            _save(model, about, file)
    return about


def _of_step(
    source: nn.Module,
    spec: ChannelSpec | None,
    block: int | None,
    parts: dict[str, tuple[int, int]],
    about: Metadata,
) -> _Graph:
    if not isinstance(source, SequenceLayer):
        raise ValueError(f"streaming: expected a SequenceLayer, which has a step, got {type(source).__name__}")
    layer = _copied(source)
    spec = _known(layer, spec)
    block = layer.block_size if block is None else block
    if block < 1 or block % layer.block_size:
        raise ValueError(f"block: expected a multiple of the layer's block_size={layer.block_size}, got {block}")
    state = layer.initial_state(2, spec)  # a batch of 2: torch.export takes a size of 1 for a constant
    leaves = tuple(as_real(leaf) for leaf in pytree.tree_leaves(state))
    first = tuple(as_real(leaf) for leaf in pytree.tree_leaves(layer.initial_state(1, spec)))
    if not all(torch.equal(one.expand_as(two), two) for one, two in zip(first, leaves, strict=True)):
        raise NotImplementedError(f"{type(source).__name__} cannot export its step: its state is not one a batch item")
    out = layer.output_spec(spec)
    if parts and out.shape != (sum(columns * size for columns, size in parts.values()),):
        raise ValueError(f"parts: expected {out.shape} numbers a step in all, got {parts}")
    step = Step(layer, state, spec.dtype.is_complex, parts)
    x = as_real(torch.zeros(2, block, *spec.shape, dtype=spec.dtype))
    batch = {0: torch.export.Dim("batch")}
    names = [f"state_{i}" for i in range(len(leaves))]
    about = replace(
        about,
        kind="stream",
        channels=tuple(spec.shape),
        dtype=_name(spec.dtype),
        out_dtype=_name(out.dtype),
        parts=parts,
        block=block,
        output_ratio=str(layer.output_ratio),
        latency=layer.output_latency,
        input_latency=layer.input_latency,
        lengths=_lengths(layer, block),
        state=pack([leaf.numpy() for leaf in first]),
    )
    return _Graph(
        step,
        (x, torch.ones(2, block, dtype=torch.bool), *([leaves] if leaves else [])),
        ["x", "mask", *names],
        ["y", "y_mask", *(f"next_{name}" for name in names), *parts],
        (batch, batch, *([tuple(batch for _ in leaves)] if leaves else [])),
        about,
        partial(checks.stream_error, layer=layer, step=step, spec=spec, block=block),
    )


def _of_whole(source: nn.Module, spec: ChannelSpec | None, example: Tensor | None, about: Metadata) -> _Graph:
    model = _copied(source)
    batch = torch.export.Dim("batch")
    if example is not None:
        if example.dim() < 2:
            raise ValueError(f"example: expected (B, T, ...), got {tuple(example.shape)}")
        spec, steps = ChannelSpec(tuple(example.shape[2:]), example.dtype), example.shape[1]
        axes, shapes = {0: batch}, [(1, steps, spec), (3, steps, spec)]
    elif isinstance(model, SequenceLayer):
        spec, steps = _known(model, spec), 2 * _FEWEST
        axes = {0: batch, 1: torch.export.Dim("time", min=_FEWEST, max=_MOST)}
        shapes = [(1, _FEWEST, spec), (3, 3 * _FEWEST + 1, spec)]
    else:
        raise ValueError(f"example: expected an input of {type(source).__name__}, got None")
    x = torch.zeros(2, steps, *spec.shape, dtype=spec.dtype)
    y = model(x)
    if not isinstance(y, Tensor):
        raise ValueError(f"source: expected a module that returns one tensor, got {type(y).__name__}")
    about = replace(
        about,
        kind="sequence",
        channels=tuple(spec.shape),
        dtype=_name(spec.dtype),
        out_dtype=_name(y.dtype),
        steps=None if example is None else steps,
    )
    return _Graph(
        Whole(model, spec.dtype.is_complex),
        (as_real(x),),
        ["x"],
        ["y"],
        (axes,),
        about,
        partial(checks.whole_error, model=model, shapes=shapes),
    )


def _of_frames(source: Any, statistics: tuple[np.ndarray, np.ndarray] | None, about: Metadata) -> _Graph:
    model = Frames(_copied(source), statistics)
    spec, shortest = ChannelSpec((source.input_size,)), 4 * source.timing_resolution_samples
    about = replace(
        about,
        kind="frames",
        channels=spec.shape,
        dtype="float32",
        out_dtype="float32",
        events=source.num_events,
        resolution=source.timing_resolution_samples,
        refractory=source.refractory_period_samples,
    )
    shapes = [(1, shortest, spec), (3, 5 * shortest + 3, spec)]
    return _Graph(
        model,
        (torch.zeros(2, 20 * shortest, *spec.shape),),
        ["x"],
        ["scores", "onsets"],
        ({0: torch.export.Dim("batch"), 1: torch.export.Dim("time", min=shortest, max=_MOST)},),
        about,
        partial(checks.frames_error, model=model, shapes=shapes),
    )


def _of_event_classifier(source: Any, about: Metadata) -> _Graph:
    """Of a fitted `course_lib.estimator.EventClassifier`."""
    if source.masked_:
        raise NotImplementedError("source: an EventClassifier that learnt from gaps or absent sensors has no ONNX form")
    graph = _of_frames(source.model_, source.statistics_, about)
    rate, kinds = source.sample_rate_, source.types_
    chosen = replace(
        graph.about,
        sample_rate=rate,
        classes=tuple(kinds),
        threshold=tuple(float(source.thresholds_[kind]) for kind in kinds),
        refractory=tuple(float(source.refractory_[kind] * rate) for kind in kinds),
        live=source.grid_._asdict() | {"separation": source.separation_ * rate},
    )
    chosen.live.pop("frame")
    return replace(graph, about=chosen)


def _of_classifier(source: Any, about: Metadata) -> _Graph:
    missing = [name for name in ("model_", "classes_", "mean_", "scale_", "max_length_") if not hasattr(source, name)]
    if missing:
        raise ValueError(
            f"source: expected a module or a fitted classifier, got {type(source).__name__} without {missing[0]}"
        )
    model, channels, steps = _copied(source.model_), len(source.mean_), int(source.max_length_)
    several = bool(getattr(source, "several_", False))
    module = Classifier(model, source.mean_, source.scale_, _takes_masks(model, steps, channels), several)
    about = replace(about, nan=getattr(source, "nan", "raise"))
    return _of_signals(source, module, (source.mean_, source.scale_), steps, about)


def _of_sound_classifier(source: Any, about: Metadata) -> _Graph:
    """Of a fitted `course_lib.estimator.AudioClassifier`, whose front end is built again in PyTorch."""
    module = Sounds(_copied(source.model_), source.sample_rate, several=source.several_, **source.front_end_)
    about = replace(about, sample_rate=source.sample_rate)
    return _of_signals(source, module, (np.zeros(1), np.full(1, 0.1)), source.samples_, about)


def _of_signals(
    source: Any, module: nn.Module, typical: tuple[np.ndarray, np.ndarray], steps: int, about: Metadata
) -> _Graph:
    """Of signals of up to `steps`, with a mask, to probabilities.  typical: mean and deviation of what checks it."""
    channels = len(typical[0])
    mask = torch.ones(2, steps, dtype=torch.bool)
    batch = {0: torch.export.Dim("batch")}
    about = replace(
        about,
        kind="classifier",
        channels=(channels,),
        dtype="float32",
        out_dtype="float32",
        classes=tuple(np.asarray(source.classes_).tolist()),
        several=bool(getattr(source, "several_", False)),
        steps=steps,
    )
    return _Graph(
        module,
        (torch.zeros(2, steps, channels), mask),
        ["x", "mask"],
        ["probabilities"],
        (batch, batch),
        about,
        partial(checks.classifier_error, estimator=source, typical=typical, longest=steps),
    )


def _takes_masks(model: nn.Module, steps: int, channels: int) -> bool:
    """Whether the model takes a `Sequence`, as ours do; those that readers bring need not."""
    try:
        return isinstance(model(Sequence.of(torch.zeros(2, steps, channels))), Tensor)
    except Exception:  # whatever a stranger's model says to what it does not know
        return False


def _copied(module: nn.Module) -> Any:
    """A copy on the CPU in evaluation mode.  ValueError where weights still wait for their shape."""
    lazy = [name for name, parameter in module.named_parameters() if is_lazy(parameter)]
    if lazy:
        raise ValueError(f"source: expected weights that have their shape, got {lazy[0]} without: run it on data once")
    return copy.deepcopy(module).cpu().eval()


def _known(layer: SequenceLayer, spec: ChannelSpec | None) -> ChannelSpec:
    spec = layer.input_spec if spec is None else ChannelSpec(tuple(spec[0]), spec[1])
    if spec is None:
        raise ValueError(f"spec: {type(layer).__name__} does not know its input: pass a ChannelSpec")
    layer.output_spec(spec)
    return spec


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _lengths(layer: SequenceLayer, block: int) -> tuple[int, ...]:
    """Outputs for 0, 1, 2, … steps, up to where each further block adds as many."""
    growth = int(block * layer.output_ratio)
    count = block
    while any(
        layer.output_length(steps + block) - layer.output_length(steps) != growth
        for steps in range(count - block, count + 2 * block)
    ):
        count *= 2
        if count > _MOST:
            raise NotImplementedError(f"{type(layer).__name__} cannot export its step: its output's length has no rule")
    return tuple(layer.output_length(steps) for steps in range(count))


def _to_onnx(graph: _Graph) -> Any:
    """The ONNX model.  NotImplementedError where PyTorch has no ONNX form for a part of it."""
    try:
        with _quietly():
            program = torch.onnx.export(
                graph.module.eval(),
                graph.inputs,
                dynamo=True,
                opset_version=OPSET,
                input_names=graph.input_names,
                output_names=graph.output_names,
                dynamic_shapes=graph.open_axes,
                verbose=False,
            )
    except Exception as error:  # of many kinds, from tracing, from the open axes and from the conversion
        reason = str(error.__cause__ or error).strip().splitlines()
        left_open = graph.about.kind == "sequence" and graph.about.steps is None
        hint = ": pass an example= to settle the number of steps" if left_open else ""
        raise NotImplementedError(
            f"no ONNX form was found{hint}: {reason[0] if reason else type(error).__name__}"
        ) from error
    assert program is not None
    checks.stay_open(program.model_proto, graph.open_axes)
    return program.model_proto


def _save(model: Any, about: Metadata, file: Path) -> None:
    import onnx

    for part in (model, model.graph, *model.graph.node, *model.graph.initializer, *model.graph.value_info):
        del part.metadata_props[:]  # the exporter's: where in which file of this machine a node comes from
        part.doc_string = ""
    onnx.helper.set_model_props(model, about.as_text())
    file.write_bytes(model.SerializeToString())


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what PyTorch's exporter and onnxruntime's quantiser tell of their own insides."""
    loggers = [logging.getLogger(), *(logging.getLogger(name) for name in ("torch", "torch.onnx", "onnxscript"))]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
