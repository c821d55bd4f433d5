"""A leaky accumulator that keeps each stream's state between batches, and a multilayer perceptron that reads it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import index
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from safetensors.torch import save_file
from torch import Tensor, nn

from course_lib import layers as sl
from course_lib.files import replacing
from course_lib.sequence import check_positive

Name = int | str | tuple  # tuples of integers, strings and tuples
_KIND = "SignalAccumulativeMLP"


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


class SignalAccumulativeMLP(nn.Module):
    """Classify every step of many streams: a_t = decay · a_{t-1} + x_t, then layers with ReLU and dropout on a_t.

    vocab_size: number of tokens, or of channels of vectors (`input_size`).
    num_streams: streams that are there from the start, named 0, 1, …; others join by being seen.
    accumulator_decay, decay_kind: as in `course_lib.layers.Accumulator`; decay 0 makes a model without memory.
    hidden_sizes: units of each hidden layer, none for a linear readout.  num_classes: None means vocab_size.

    The model remembers the sums of every stream between calls, cut from their graph: gradients reach back to the start
    of one call's inputs. Training and evaluation have memories of their own: validation neither sees nor moves the sums
    of training, which are still there when training goes on; each change from training to evaluation starts with empty
    sums. `accumulators` reads and sets those of the present mode.
    A state_dict holds both memories, so a run that is resumed from a checkpoint goes on where it was.
    """

    def __init__(
        self,
        vocab_size: int,
        num_streams: int = 1,
        accumulator_decay: float | list[float] = 0.9,
        hidden_sizes: Sequence[int] = (64, 64),
        num_classes: int | None = None,
        dropout: float = 0.0,
        decay_kind: str = "fixed",
    ):
        super().__init__()
        vocab_size, num_streams, *hidden_sizes = map(index, (vocab_size, num_streams, *hidden_sizes))
        num_classes = vocab_size if num_classes is None else index(num_classes)
        check_positive(vocab_size=vocab_size, num_classes=num_classes, hidden_sizes=min([1, *hidden_sizes]))
        if num_streams < 0:
            raise ValueError(f"num_streams: expected at least 0, got {num_streams}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout: expected a number from 0 to below 1, got {dropout}")
        decay = np.asarray(accumulator_decay, np.float64).tolist()
        self.config = {
            "vocab_size": vocab_size,
            "num_streams": num_streams,
            "accumulator_decay": decay,
            "hidden_sizes": hidden_sizes,
            "num_classes": num_classes,
            "dropout": dropout,
            "decay_kind": decay_kind,
        }
        self.input_size, self.num_classes, self.num_streams = vocab_size, num_classes, num_streams
        self.accumulator = sl.Accumulator(vocab_size, decay, decay_kind)
        sizes = [vocab_size, *hidden_sizes]
        blocks: list[nn.Module] = []
        for before, after in zip(sizes, sizes[1:], strict=False):
            blocks += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout)]
        self.classifier = nn.Sequential(*blocks, nn.Linear(sizes[-1], num_classes))
        self._memories = {mode: StreamMemory(vocab_size) for mode in ("training", "evaluation")}
        self.reset_accumulators()

    def forward(self, inputs: Tensor, streams: Iterable[Name] | None = None, first: Tensor | None = None) -> Tensor:
        """Logits of the next step, (B, num_classes), or the next k steps, (B, k, num_classes), of B streams.

        inputs: integer tokens (B,) or (B, k), or vectors (B, input_size) or (B, k, input_size).
        streams: the name of each row's stream: integers, strings, or tuples of these, also as an array or a tensor;
            None: 0, …, B - 1. B may change: absent streams keep their sums.
        first: (B,) booleans, True for streams that begin here, whose sums start from zero.
        Raises ValueError for other shapes, tokens out of range, and NaN or Inf, which a sum would keep for ever; the
        sums are then as they were.
        """
        x, one_step = self._vectors(inputs)
        names = stream_names(range(len(x)) if streams is None else streams)
        if len(names) != len(x):
            raise ValueError(f"streams: expected a name for each of {len(x)} rows, got {len(names)}")
        if first is not None and (first.shape != (len(x),) or first.dtype != torch.bool):
            raise ValueError(f"first: expected ({len(x)},) booleans, got {tuple(first.shape)} of {first.dtype}")
        sums = self._memory.read(names)
        if first is not None:
            sums = torch.where(first.to(sums.device)[:, None], 0.0, sums)
        features, (sums,) = self.accumulator.step(sl.Sequence.of(x), (sums,))
        self._memory.write(names, sums)
        logits = self.classifier(features.values)
        return logits[:, 0] if one_step else logits

    def train(self, mode: bool = True) -> SignalAccumulativeMLP:
        """As any module. From training to evaluation, the sums of evaluation start empty; training keeps its own."""
        if self.training and not mode:
            self._memories["evaluation"].reset()
        return super().train(mode)

    # The memory.

    @property
    def accumulators(self) -> dict[Name, Tensor]:
        """Name of a stream -> its sums (input_size,), a copy, in the present mode. Can be set."""
        return self._memory.as_dict()

    @accumulators.setter
    def accumulators(self, sums: Mapping[Name, Tensor]) -> None:
        self._memory.replace(sums)

    def reset_accumulators(self, streams: Iterable[Name] | None = None) -> None:
        """Empty the sums of the named streams; None: of all streams, in training and in evaluation.

        Raises KeyError, naming those that there are, for a stream that the present mode has not seen.
        """
        if streams is not None:
            self._memory.reset(streams)
            return
        for memory in self._memories.values():
            memory.reset()
            memory.read(range(self.num_streams))

    @property
    def _memory(self) -> StreamMemory:
        return self._memories["training" if self.training else "evaluation"]

    def get_extra_state(self) -> Tensor:
        """Both memories as the bytes of one safetensors file, so that checkpoints hold them beside the weights."""
        tensors: dict[str, Tensor] = {}
        for mode, memory in self._memories.items():
            names, values = memory.packed()
            tensors |= {f"{mode}.names": _bytes(names.encode()), f"{mode}.sums": values.cpu()}
        return _bytes(save_tensors(tensors))

    def set_extra_state(self, state: Tensor) -> None:
        tensors = load_tensors(state.cpu().numpy().tobytes())
        for mode, memory in self._memories.items():
            memory.unpack(tensors[f"{mode}.names"].numpy().tobytes().decode(), tensors[f"{mode}.sums"])

    def _apply(self, fn, recurse=True):
        super()._apply(fn, recurse)
        for memory in self._memories.values():
            memory.apply(fn)
        return self

    # Where it is, and its file.

    @property
    def device(self) -> torch.device:
        """Where the model is. Assign to it to move weights and sums: `model.device = "cuda"`."""
        return next(self.parameters()).device

    @device.setter
    def device(self, device: str | torch.device) -> None:
        self.to(device)

    def save_model(self, path: Path | str) -> None:
        """Write configuration, weights, sums and mode to `path`, whatever its suffix: one safetensors file.

        It replaces an older file as a whole, or not at all.
        """
        tensors = {name: value.detach().cpu().contiguous() for name, value in self.state_dict().items()}
        about = json.dumps({"config": self.config, "training": self.training})
        metadata = {"kind": _KIND, "about": about, "crc32": _checksum(about, tensors)}
        with replacing(Path(path)) as temporary:
            save_file(tensors, temporary, metadata=metadata)

    @classmethod
    def load_model(cls, path: Path | str, device: str | torch.device = "cpu") -> SignalAccumulativeMLP:
        """The model that `save_model` wrote, in the same mode and with the same sums, on `device`. Runs no code.

        Raises FileNotFoundError, or ValueError for a file that is cut short, damaged, a pickle, or of something else.
        PyTorch's random generator stays as it is.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"no saved {_KIND} at {path}")
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{path} is damaged, cut short, or no saved {_KIND}") from error
        if metadata.get("kind") != _KIND:
            raise ValueError(f"{path}: expected a saved {_KIND}, got another file of safetensors")
        if metadata.get("crc32") != _checksum(metadata.get("about", ""), tensors):
            raise ValueError(f"{path} is damaged: its checksum does not match")
        about = json.loads(metadata["about"])
        try:
            with torch.random.fork_rng(devices=[]):
                model = cls(**about["config"])
            model.load_state_dict(tensors)
        except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            raise ValueError(f"{path} is not a {_KIND} of this version: {error}") from error
        for module in model.modules():
            module.training = about["training"]
        return model.to(device)

    def _vectors(self, inputs: Tensor) -> tuple[Tensor, bool]:
        """The inputs as vectors (B, k, input_size), and whether it was one step.  Raises ValueError."""
        weight = next(self.classifier.parameters())
        size = self.input_size
        tokens = not (inputs.is_floating_point() or inputs.is_complex() or inputs.dtype == torch.bool)
        fits = inputs.dim() in (1, 2) if tokens else inputs.dim() in (2, 3) and inputs.shape[-1] == size
        if not fits or inputs.is_complex():
            raise ValueError(
                f"inputs: expected tokens (B,) or (B, k), or vectors (B, {size}) or (B, k, {size}), "
                f"got {tuple(inputs.shape)} of {inputs.dtype}"
            )
        inputs = inputs.to(weight.device)
        if tokens:
            low, high = (int(inputs.min()), int(inputs.max())) if inputs.numel() and not inputs.is_meta else (0, 0)
            if low < 0 or high >= size:
                raise ValueError(f"inputs: expected tokens from 0 to {size - 1}, got {low} to {high}")
            inputs = F.one_hot(inputs.long(), size)
        elif not inputs.is_meta and not inputs.isfinite().all():
            rows = (~inputs.isfinite()).flatten(1).any(dim=1).nonzero().flatten().tolist()
            raise ValueError(f"inputs: got NaN or Inf in rows {rows}: a sum would keep it for ever")
        one_step = inputs.dim() == 2
        x = inputs.to(weight.dtype)
        return (x[:, None] if one_step else x), one_step


def _bytes(data: bytes) -> Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def _checksum(about: str, tensors: dict[str, Tensor]) -> str:
    return str(zlib.crc32(save_tensors(tensors), zlib.crc32(about.encode())))
