"""Results on their way out of the sandbox, as JSON: reading them runs nothing, whatever they hold."""

import base64
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course_lib.course.exercises.compare import as_array

KINDS = "biufc"


@dataclass(frozen=True, repr=False)
class Opaque:
    """A result that is no number, text or array, nor a list of them: its type, and how it describes itself."""

    type: str
    text: str

    def __repr__(self) -> str:
        return f"{self.type} {self.text}"


def dump(value: Any) -> str:
    """One line of JSON for numbers, text, arrays, tensors, and tuples, lists and dicts of them."""
    return json.dumps(_pack(value))


def load(line: str) -> Any:
    """What `dump` was given. Raises ValueError for a line that it did not write."""
    try:
        return _unpack(json.loads(line))
    except (KeyError, TypeError, AttributeError, RecursionError, RuntimeError, IndexError) as error:
        raise ValueError(f"not a result: {type(error).__name__}") from error


def _pack(value: Any) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is complex:
        return {"complex": [value.real, value.imag]}
    if type(value) in (tuple, list):
        return {type(value).__name__: [_pack(item) for item in value]}
    if type(value) is dict:
        return {"dict": [[_pack(name), _pack(item)] for name, item in value.items()]}
    if isinstance(value, Tensor):
        plain = value.detach().cpu().resolve_conj().resolve_neg()
        kind = str(plain.dtype).removeprefix("torch.")
        return {"tensor": kind} | _numbers((plain.float() if kind in ("bfloat16", "float16") else plain).numpy())
    if isinstance(value, np.ndarray) and value.dtype.kind == "U":
        return {"texts": value.tolist()}
    array = as_array(value)
    if array is None:
        return {"opaque": [type(value).__name__, " ".join(repr(value).split())[:160]]}
    return {"scalar" if isinstance(value, np.generic) else "array": True} | _numbers(array)


def _numbers(array: np.ndarray) -> dict[str, Any]:
    data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    return {"dtype": array.dtype.str, "shape": list(array.shape), "data": data}


def _unpack(packed: Any) -> Any:
    if not isinstance(packed, dict):
        if isinstance(packed, list):
            raise ValueError("not a result: a bare list")
        return packed
    if "complex" in packed:
        return complex(*packed["complex"])
    for kind in (tuple, list):
        if kind.__name__ in packed:
            return kind(_unpack(item) for item in packed[kind.__name__])
    if "dict" in packed:
        return {_unpack(name): _unpack(item) for name, item in packed["dict"]}
    if "texts" in packed:
        return np.array(packed["texts"], dtype=np.str_)
    if "opaque" in packed:
        return Opaque(*map(str, packed["opaque"]))
    dtype = np.dtype(str(packed["dtype"]))
    if dtype.kind not in KINDS:
        raise ValueError(f"not a result: an array of {dtype}")
    array = np.frombuffer(base64.b64decode(packed["data"]), dtype).reshape(packed["shape"]).copy()
    if "tensor" in packed:
        kind = getattr(torch, str(packed["tensor"]))
        if not isinstance(kind, torch.dtype):
            raise ValueError("not a result: a tensor of no number type")
        return torch.from_numpy(array).to(kind)
    return array[()] if "scalar" in packed else array
