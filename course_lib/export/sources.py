"""Each kind of thing that can be exported, as a graph: what is traced, how its file is checked, what it says."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils import _pytree as pytree

from course_lib.export import checks
from course_lib.export.graphs import Classifier, Frames, Sounds, Step, Whole, as_real
from course_lib.export.runtime import Metadata, pack
from course_lib.sequence import ChannelSpec, Sequence, SequenceLayer

_FEWEST, _MOST = 16, 1 << 20  # steps of a whole input whose number is left open


@dataclass(frozen=True)
class Graph:
    """What is written: a module, example inputs, their names and open axes; and how a file of it is checked."""

    module: nn.Module
    inputs: tuple[Any, ...]
    input_names: list[str]
    output_names: list[str]
    open_axes: tuple[Any, ...]
    about: Metadata
    error: Callable[[Path], float]


def of_step(
    source: nn.Module,
    spec: ChannelSpec | None,
    block: int | None,
    parts: dict[str, tuple[int, int]],
    about: Metadata,
) -> Graph:
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
    return Graph(
        step,
        (x, torch.ones(2, block, dtype=torch.bool), *([leaves] if leaves else [])),
        ["x", "mask", *names],
        ["y", "y_mask", *(f"next_{name}" for name in names), *parts],
        (batch, batch, *([tuple(batch for _ in leaves)] if leaves else [])),
        about,
        partial(checks.stream_error, layer=layer, step=step, spec=spec, block=block),
    )


def of_whole(source: nn.Module, spec: ChannelSpec | None, example: Tensor | None, about: Metadata) -> Graph:
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
    return Graph(
        Whole(model, spec.dtype.is_complex),
        (as_real(x),),
        ["x"],
        ["y"],
        (axes,),
        about,
        partial(checks.whole_error, model=model, shapes=shapes),
    )


def of_frames(source: Any, statistics: tuple[np.ndarray, np.ndarray] | None, about: Metadata) -> Graph:
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
    return Graph(
        model,
        (torch.zeros(2, 20 * shortest, *spec.shape),),
        ["x"],
        ["scores", "onsets"],
        ({0: torch.export.Dim("batch"), 1: torch.export.Dim("time", min=shortest, max=_MOST)},),
        about,
        partial(checks.frames_error, model=model, shapes=shapes),
    )


def of_event_classifier(source: Any, about: Metadata) -> Graph:
    """Of a fitted `course_lib.estimator.EventClassifier`."""
    if source.masked_:
        raise NotImplementedError("source: an EventClassifier that learnt from gaps or absent sensors has no ONNX form")
    graph = of_frames(source.model_, source.statistics_, about)
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


def of_classifier(source: Any, about: Metadata) -> Graph:
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


def of_sound_classifier(source: Any, about: Metadata) -> Graph:
    """Of a fitted `course_lib.estimator.AudioClassifier`, whose front end is built again in PyTorch."""
    module = Sounds(_copied(source.model_), source.sample_rate, several=source.several_, **source.front_end_)
    about = replace(about, sample_rate=source.sample_rate)
    return _of_signals(source, module, (np.zeros(1), np.full(1, 0.1)), source.samples_, about)


def _of_signals(
    source: Any, module: nn.Module, typical: tuple[np.ndarray, np.ndarray], steps: int, about: Metadata
) -> Graph:
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
    return Graph(
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
