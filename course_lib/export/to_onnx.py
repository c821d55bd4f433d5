"""`export`: a layer's step, a layer, a model or a fitted classifier to one ONNX file, checked before it is kept."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from course_lib import __version__
from course_lib.export import checks
from course_lib.export.runtime import Metadata
from course_lib.export.sources import (
    Graph,
    of_classifier,
    of_event_classifier,
    of_frames,
    of_sound_classifier,
    of_step,
    of_whole,
)
from course_lib.files import replacing
from course_lib.sequence import ChannelSpec

OPSET = 20
TOLERANCE, TOLERANCE_INT8 = 1e-4, 0.05


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
    int8: weights as 8-bit integers; matrix products round their inputs to 8 bits too, convolutions do not.
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
    used: tuple[str, ...] = ()
    with torch.no_grad():
        if hasattr(getattr(source, "model_", None), "frame_scores"):
            graph = of_event_classifier(source, about)
        elif hasattr(source, "front_end_"):
            graph = of_sound_classifier(source, about)
        elif not isinstance(source, nn.Module):
            graph = of_classifier(source, about)
        elif streaming:
            graph = of_step(source, spec, block, dict(parts or {}), replace(about, classes=tuple(classes)))
            used = ("spec", "streaming", "block", "classes", "parts")
        elif hasattr(source, "frame_scores"):
            graph, used = of_frames(source, statistics, replace(about, threshold=threshold)), ("statistics",)
        else:
            graph, used = of_whole(source, spec, example, about), ("spec", "example")
        given = {"streaming": streaming, "classes": bool(classes), "parts": bool(parts)}
        given |= {"spec": spec is not None, "example": example is not None}
        given |= {"block": block is not None, "statistics": statistics is not None}
        if unused := [name for name, there in given.items() if there and name not in used]:
            kind = f"{type(source).__name__} is exported as {graph.about.kind!r}"
            raise ValueError(f"{', '.join(unused)}: expected no such argument, since {kind}, which has no use for it")
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


def _to_onnx(graph: Graph) -> Any:
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


def quantised(model: Any, file: Path) -> Any:
    """`model` (an onnx.ModelProto) with 8-bit weights, one scale a row or column of outputs; `file` is written to.

    Matrix products with constant factors round their other factor as it comes, one scale a call, and multiply integers:
    onnxruntime's dynamic quantisation. The weights of convolutions are stored as integers and multiplied out where the
    file is opened: smaller, not faster.  Raises ValueError where the graph has neither.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    products = ["MatMul", "Gemm"]
    quantize_dynamic(model, file, op_types_to_quantize=products, weight_type=QuantType.QInt8, per_channel=True)
    small = onnx.load(file)
    stored = _store_convolutions(small)
    if not stored and not any("Integer" in node.op_type for node in small.graph.node):
        raise ValueError("int8: expected a matrix product or a convolution with weights, got a graph without one")
    return small


def _store_convolutions(model: Any) -> int:
    """Replace the float32 weights of convolutions by integers and a node that multiplies them out; how many."""
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}
    found = {node.input[1] for node in graph.node if node.op_type == "Conv"} & set(weights)
    for name in sorted(found):
        kernel = numpy_helper.to_array(weights[name])  # (outputs, inputs, K)
        largest = np.abs(kernel).reshape(len(kernel), -1).max(axis=1)
        scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)  # (outputs,)
        integers = np.rint(kernel / scale.reshape(-1, *(1,) * (kernel.ndim - 1))).astype(np.int8)
        graph.initializer.remove(weights[name])
        graph.initializer.append(numpy_helper.from_array(integers, name + "_int8"))
        graph.initializer.append(numpy_helper.from_array(scale, name + "_scale"))
        parts = [name + "_int8", name + "_scale"]
        graph.node.insert(0, helper.make_node("DequantizeLinear", parts, [name], axis=0))
    return len(found)
