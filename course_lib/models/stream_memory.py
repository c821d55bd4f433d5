"""What a model remembers of each of its streams: one row a stream, by name, beside the weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

Name = int | str | tuple  # tuples of integers, strings and tuples


class StreamMemory:
    """Rows of numbers by the names of streams; a stream that is new starts from zeros.

    size: numbers a row.  The rows are kept in at least float32, as the states of sums are.
    """

    def __init__(self, size: int):
        self.names: dict[Name, int] = {}  # name -> its row
        self.values = torch.zeros(0, size)

    def read(self, names: Iterable[Name]) -> Tensor:
        """(len(names), size), a copy. New names get rows of zeros.  Raises ValueError for a name given twice."""
        names = stream_names(names)
        new = [name for name in names if name not in self.names]
        if new:
            self.names |= {name: len(self.values) + i for i, name in enumerate(new)}
            self.values = torch.cat([self.values, self.values.new_zeros(len(new), self.values.shape[1])])
        return self.values[self._rows(names)]

    def write(self, names: Iterable[Name], values: Tensor) -> None:
        """Replace the rows of streams that have been read; the others stay. What is kept is cut from its graph."""
        self.values = self.values.index_copy(0, self._rows(stream_names(names)), values.detach().to(self.values))

    def replace(self, rows: Mapping[Name, Tensor]) -> None:
        """Forget all streams and take up these.  Raises ValueError, and forgets none, where a row is not (size,)."""
        names, size = stream_names(rows), self.values.shape[1]
        values = [torch.as_tensor(row).to(self.values) for row in rows.values()]
        for name, row in zip(names, values, strict=True):
            if row.shape != (size,) or not row.isfinite().all():
                raise ValueError(f"sums of {name!r}: expected ({size},) finite numbers, got shape {tuple(row.shape)}")
        self.names = {name: row for row, name in enumerate(names)}
        self.values = torch.stack(values) if values else self.values[:0]

    def reset(self, names: Iterable[Name] | None = None) -> None:
        """Empty the rows of these streams; None: forget all streams.  Raises KeyError for one that is unknown."""
        if names is None:
            self.names, self.values = {}, self.values[:0]
            return
        names = stream_names(names)
        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise KeyError(f"streams: there is no {unknown[0]!r}; there are {list(self.names)}")
        self.write(names, self.values.new_zeros(len(names), self.values.shape[1]))

    def apply(self, function: Callable[[Tensor], Tensor]) -> None:
        """Move or convert the rows, as `nn.Module._apply` does it with buffers, but never below float32."""
        moved = function(self.values)
        self.values = self.values.to(moved.device, torch.promote_types(moved.dtype, torch.float32))

    def as_dict(self) -> dict[Name, Tensor]:
        """Name -> (size,), a copy."""
        return {name: self.values[row].clone() for name, row in self.names.items()}

    def packed(self) -> tuple[str, Tensor]:
        """The names as JSON, in the order of the rows, and the rows."""
        return json.dumps(list(self.names)), self.values.clone()

    def unpack(self, names: str, values: Tensor) -> None:
        """Take up what `packed` gave.  Raises ValueError where the two do not fit."""
        listed = stream_names(_tuples(json.loads(names)))
        if values.shape != (len(listed), self.values.shape[1]):
            raise ValueError(f"expected rows of {self.values.shape[1]} numbers for {listed}, got {tuple(values.shape)}")
        self.names = {name: row for row, name in enumerate(listed)}
        self.values = values.to(self.values)

    def _rows(self, names: list[Name]) -> Tensor:
        return torch.tensor([self.names[name] for name in names], dtype=torch.long, device=self.values.device)


def stream_names(streams: Iterable[Any] | Name) -> list[Name]:
    """The names of streams as plain integers, strings and tuples of these, whatever array, tensor or list held them.

    One integer or string alone is a list of one.  Raises ValueError for a name given twice, or of another type.
    """
    if isinstance(streams, Tensor | np.ndarray | np.generic):
        streams = streams.tolist()
    names = [_name(name) for name in ([streams] if isinstance(streams, int | str) else streams)]
    if len(set(names)) < len(names):
        raise ValueError(f"streams: expected each name once, got {names}: two rows would write to one memory")
    return names


def _name(name: Any) -> Name:
    if isinstance(name, Tensor | np.ndarray | np.generic) and name.ndim == 0:
        name = name.item()
    if isinstance(name, tuple):
        return tuple(map(_name, name))
    if isinstance(name, bool) or not isinstance(name, int | str):
        raise ValueError(f"streams: expected integers, strings or tuples of these as names, got {name!r}")
    return name


def _tuples(listed: Any) -> Any:
    """The listed names with lists made tuples again, which JSON does not have."""
    return [tuple(_tuples(item)) if isinstance(item, list) else item for item in listed]
