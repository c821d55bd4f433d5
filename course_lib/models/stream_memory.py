"""What a model remembers of each of its streams: one row a stream, by name, beside the weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

Name = int | str


class StreamMemory:
    """Rows of numbers by the names of streams; a stream that is new starts from zeros.

    size: numbers a row.  Names are integers or strings.
    """

    def __init__(self, size: int):
        self.names: dict[Name, int] = {}  # name -> its row
        self.values = torch.zeros(0, size)

    def read(self, names: Iterable[Name]) -> Tensor:
        """(len(names), size), a copy. New names get rows of zeros.  Raises ValueError for a name given twice."""
        names = list(names)
        if len(set(names)) < len(names):
            raise ValueError(f"streams: expected each name once, got {names}: two rows would write to one memory")
        new = [name for name in names if name not in self.names]
        if new:
            self.names |= {name: len(self.values) + i for i, name in enumerate(new)}
            self.values = torch.cat([self.values, self.values.new_zeros(len(new), self.values.shape[1])])
        return self.values[self._rows(names)]

    def write(self, names: Iterable[Name], values: Tensor) -> None:
        """Replace the rows of streams that have been read; the others stay. What is kept is cut from its graph."""
        self.values = self.values.index_copy(0, self._rows(names), values.detach().to(self.values))

    def reset(self, names: Iterable[Name] | None = None) -> None:
        """Empty the rows of these streams; None: forget all streams.  Raises KeyError for one that is unknown."""
        if names is None:
            self.names, self.values = {}, self.values[:0]
            return
        names = list(names)
        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise KeyError(f"streams: there is no {unknown[0]!r}; there are {list(self.names)}")
        self.write(names, self.values.new_zeros(len(names), self.values.shape[1]))

    def apply(self, function: Callable[[Tensor], Tensor]) -> None:
        """Move or convert the rows, as `nn.Module._apply` does it with buffers."""
        self.values = function(self.values)

    def as_dict(self) -> dict[Name, Tensor]:
        """Name -> (size,), a copy."""
        return {name: self.values[row].clone() for name, row in self.names.items()}

    def packed(self) -> tuple[str, Tensor]:
        """The names as JSON, in the order of the rows, and the rows."""
        return json.dumps(list(self.names)), self.values.clone()

    def unpack(self, names: str, values: Tensor) -> None:
        """Take up what `packed` gave.  Raises ValueError where the two do not fit."""
        listed = json.loads(names)
        size = self.values.shape[1]
        if not isinstance(listed, list) or values.shape != (len(listed), size) or len(set(listed)) < len(listed):
            raise ValueError(f"expected rows of {size} numbers for {listed}, got {tuple(values.shape)}")
        self.names = {name: row for row, name in enumerate(listed)}
        self.values = values.to(self.values)

    def _rows(self, names: Iterable[Name]) -> Tensor:
        return torch.tensor([self.names[name] for name in names], dtype=torch.long, device=self.values.device)
