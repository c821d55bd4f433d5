"""Checkpoints: nested state in one safetensors file, written atomically, read without running any code.

Tensors lie in the file as safetensors keeps them; everything else (numbers, strings, the shape of the nesting) is JSON
in its header, so that one rename replaces the whole and nothing is ever unpickled. A checksum over both, the tensors'
names, types and shapes included, finds damage that leaves the layout intact.
"""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from course_lib.files import replacing

_FORMAT = "course_lib.training.checkpoint.2"


class CheckpointError(RuntimeError):
    """A checkpoint that is damaged, cut short, of another kind of file, or of another model or run."""


def save(path: Path | str, tree: Mapping) -> None:
    """Write `tree` to `path`, replacing it atomically.

    tree: dicts (keys: strings or integers), lists and tuples of tensors, NumPy arrays, numbers, strings, booleans and
    None. Raises TypeError naming the place of anything else.
    """
    tensors: dict[str, Tensor] = {}
    text = json.dumps(_pack(tree, "", tensors))
    metadata = {"format": _FORMAT, "tree": text, "crc32": str(_checksum(text, tensors))}
    with replacing(Path(path)) as temporary:
        save_file(tensors, temporary, metadata=metadata)


def load(path: Path | str) -> dict:
    """The tree that `save` wrote, tensors on the CPU.

    Raises FileNotFoundError, or CheckpointError saying what is wrong.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  not a dict
        if metadata["format"] != _FORMAT:
            raise ValueError(f"its format is {metadata['format']!r}, expected {_FORMAT!r}")
        text, expected = metadata["tree"], int(metadata["crc32"])
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise CheckpointError(
            f"{path} is damaged, cut short or not a checkpoint ({error!r}); delete it to start the run anew"
        ) from error
    if _checksum(text, tensors) != expected:
        raise CheckpointError(f"{path} is damaged: its checksum does not match; delete it to start the run anew")
    try:
        return _unpack(json.loads(text), tensors)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is no checkpoint of this library ({error!r})") from error


def load_weights(model: nn.Module, path: Path | str) -> dict:
    """Put the weights of a checkpoint (`best.safetensors` or `last.safetensors`) into `model`; returns the whole tree.

    A model from `torch.compile` and the plain one read each other's.
    Raises CheckpointError where names or shapes do not fit; the model is then as it was.
    """
    tree = load(path)
    try:
        put_weights(model, tree["weights"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} does not fit this {type(model).__name__}: {error}") from error
    return tree


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the model's parameters and buffers on the CPU.  Raises TypeError for extra state that is no tensor.

    `torch.compile` puts a module into another, as `_orig_mod`; the names leave that out.
    """
    weights = {}
    for name, value in model.state_dict().items():
        if not isinstance(value, Tensor):
            raise TypeError(f"model: expected tensors in its state_dict, got {type(value).__name__} at {name!r}")
        weights[name.replace("_orig_mod.", "")] = value.detach().to("cpu", copy=True).contiguous()
    return weights


def put_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Put what `weights_of` read into `model`, compiled or not.

    Raises ValueError saying what is missing, left over, of another shape or kind of number, or too large for the
    model's type; the model is then as it was.
    """
    mine = {name.replace("_orig_mod.", ""): (name, value) for name, value in model.state_dict().items()}
    given = {name.replace("_orig_mod.", ""): value for name, value in weights.items()}
    both = mine.keys() & given.keys()
    shapes = {name for name in both if mine[name][1].shape != given[name].shape}
    wrong = {
        "missing": mine.keys() - given.keys(),
        "left over": given.keys() - mine.keys(),
        "of another shape": shapes,
        "of another kind of number": {name for name in both if _kind(mine[name][1]) != _kind(given[name])},
        "too large": {name for name in both if _overflows(given[name], mine[name][1].dtype)},
    }
    if any(wrong.values()):
        raise ValueError("; ".join(f"{what}: {', '.join(sorted(names))}" for what, names in wrong.items() if names))
    model.load_state_dict({mine[name][0]: value for name, value in given.items()})


def _kind(value: Tensor) -> tuple[bool, bool]:
    return value.is_floating_point(), value.is_complex()


def _overflows(value: Tensor, dtype: torch.dtype) -> bool:
    """Whether a finite number of `value` becomes infinite in `dtype`."""
    if value.dtype == dtype or not (value.is_floating_point() and dtype.is_floating_point):
        return False
    return bool((value.isfinite() & value.to(dtype).isinf()).any())


def _pack(value: Any, place: str, tensors: dict[str, Tensor]) -> Any:
    """`value` as JSON can hold it; each tensor goes into `tensors` and leaves {"$tensor": its place} behind."""
    while place in tensors:
        place += "'"  # {1: a, "1": b} and {"a/b": c, "a": {"b": d}} name two things by one place
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Tensor):
        tensors[place] = value.detach().to("cpu", copy=True).contiguous()  # a copy: tied weights share memory
        return {"$tensor": place}
    if isinstance(value, np.ndarray):
        tensors[place] = torch.from_numpy(np.array(value))
        return {"$array": place}
    if isinstance(value, list):
        return [_pack(item, f"{place}/{i}", tensors) for i, item in enumerate(value)]
    if isinstance(value, tuple):
        return {"$tuple": [_pack(item, f"{place}/{i}", tensors) for i, item in enumerate(value)]}
    if isinstance(value, Mapping) and all(isinstance(key, str | int) for key in value):
        items = [(key, _pack(item, f"{place}/{key}" if place else str(key), tensors)) for key, item in value.items()]
        plain = all(isinstance(key, str) and not key.startswith("$") for key in value)
        return dict(items) if plain else {"$items": [list(item) for item in items]}
    raise TypeError(f"a checkpoint cannot hold {type(value).__name__} at {place or 'the top'}")


def _unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_unpack(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"$tensor": place}:
            return tensors[place]
        case {"$array": place}:
            return tensors[place].numpy()
        case {"$tuple": items}:
            return tuple(_unpack(item, tensors) for item in items)
        case {"$items": items}:
            return {key: _unpack(item, tensors) for key, item in items}
    return {key: _unpack(item, tensors) for key, item in value.items()}


def _checksum(text: str, tensors: dict[str, Tensor]) -> int:
    total = zlib.crc32(text.encode())
    for name in sorted(tensors):
        value = tensors[name]
        total = zlib.crc32(f"{name} {value.dtype} {tuple(value.shape)}".encode(), total)
        total = zlib.crc32(value.reshape(-1).view(torch.uint8).numpy().data, total)
    return total
