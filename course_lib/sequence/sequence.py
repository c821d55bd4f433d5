"""`Sequence`: values together with a mask of valid time steps; `ChannelSpec`, what one step looks like; random ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils import _pytree as pytree  # the public torch.export.register_dataclass makes a leaf of `all_valid`

Device = torch.device | str | None


class ChannelSpec(NamedTuple):
    """What one time step looks like: the channel shape `(*C)`, without batch and time, and the dtype."""

    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32


@dataclass(frozen=True)
class Sequence:
    """A batch of sequences: `values` (B, T, *C) and a boolean `mask` (B, T), True where a step is valid.

    `all_valid` is a promise by whoever builds the sequence that no step is masked; layers then skip masking. False
    means "not known", and is always safe. Raises ValueError where the shapes disagree or the mask is not boolean.
    """

    values: Tensor
    mask: Tensor
    all_valid: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.values, Tensor) or not isinstance(self.mask, Tensor):
            return  # a pytree of something else: specs, names, gradients
        if self.mask.dtype != torch.bool:
            raise ValueError(f"mask: expected a boolean tensor, got {self.mask.dtype}")
        if self.values.dim() < 2 or self.values.shape[:2] != self.mask.shape:
            raise ValueError(
                f"values, mask: expected (B, T, ...) and (B, T), got {tuple(self.values.shape)} and "
                f"{tuple(self.mask.shape)}"
            )

    @classmethod
    def of(cls, values: Tensor) -> Sequence:
        """A sequence of `values` (B, T, *C) in which every step is valid."""
        if values.dim() < 2:
            raise ValueError(f"values: expected (B, T, ...), got {tuple(values.shape)}")
        return cls(values, torch.ones(values.shape[:2], dtype=torch.bool, device=values.device), all_valid=True)

    @classmethod
    def invalid(cls, batch_size: int, steps: int, spec: ChannelSpec, device: Device = None) -> Sequence:
        """`steps` time steps of zeros, none of them valid."""
        values = torch.zeros(batch_size, steps, *spec.shape, dtype=spec.dtype, device=device)
        return cls(values, torch.zeros(batch_size, steps, dtype=torch.bool, device=device))

    @property
    def shape(self) -> torch.Size:
        return self.values.shape

    @property
    def lengths(self) -> Tensor:
        """(B,) number of valid steps of each item."""
        return self.mask.sum(dim=1)

    @property
    def spec(self) -> ChannelSpec:
        return ChannelSpec(tuple(self.values.shape[2:]), self.values.dtype)

    def __getitem__(self, index: slice | tuple[slice, ...]) -> Sequence:
        """Slice batch and time together: `seq[:, a:b]`. Channels are not sliced here: use a layer, or `.values`."""
        index = index if isinstance(index, tuple) else (index,)
        if len(index) > 2 or not all(isinstance(i, slice) for i in index):
            raise ValueError(f"index: expected one or two slices (batch, time), got {index}")
        return Sequence(self.values[index], self.mask[index], self.all_valid)

    def masked(self, fill: float = 0.0) -> Sequence:
        """The same sequence with `fill` at the invalid steps, whatever was there (NaN too), in values and gradients."""
        if self.all_valid:
            return self
        mask = over_channels(self.mask, self.values)
        if not (self.values.is_floating_point() or self.values.is_complex()):
            fill = bool(fill) if self.values.dtype == torch.bool else int(fill)  # keeps the dtype: tokens stay integers
        if self.values.is_complex():  # through real numbers: ONNX has no choice between complex ones
            parts = torch.view_as_real(self.values)
            filling = parts.new_tensor([fill, 0.0])
            return Sequence(torch.view_as_complex(torch.where(mask.unsqueeze(-1), parts, filling)), self.mask)
        return Sequence(torch.where(mask, self.values, fill), self.mask)

    def with_values(self, values: Tensor) -> Sequence:
        """Other values at the same time steps, (B, T, *C')."""
        return Sequence(values, self.mask, self.all_valid)

    def to(self, *args: Any, **kwargs: Any) -> Sequence:
        """As `Tensor.to` for the values; the mask moves along and stays boolean."""
        values = self.values.to(*args, **kwargs)
        return Sequence(values, self.mask.to(values.device), self.all_valid)

    @staticmethod
    def concatenate(parts: list[Sequence]) -> Sequence:
        """Join along time."""
        return Sequence(
            torch.cat([p.values for p in parts], dim=1),
            torch.cat([p.mask for p in parts], dim=1),
            all(p.all_valid for p in parts),
        )


def over_channels(few: Tensor, values: Tensor) -> Tensor:
    """`few`, such as a mask (B, T), with axes of size 1 behind its own, as many axes as `values` (B, T, *C) has."""
    return few.reshape(few.shape + (1,) * (values.dim() - few.dim()))


pytree.register_pytree_node(
    Sequence,
    lambda s: ([s.values, s.mask], s.all_valid),
    lambda leaves, all_valid: Sequence(*iter(leaves), all_valid),  # type: ignore[call-arg]
    serialized_type_name="course_lib.Sequence",
)


def random_sequence(
    batch_size: int,
    length: int,
    *channels: int,
    seed: int | None = None,
    generator: torch.Generator | None = None,
    lengths: list[int] | None = None,
    dtype: torch.dtype = torch.float32,
) -> Sequence:
    """Standard normal values (B, T, *channels), fully valid unless `lengths` gives each item's number of valid steps.

    Drawn from `generator`, from a new one seeded with `seed`, or from torch's default where neither is given.
    """
    generator = _generator(seed, generator)
    values = torch.randn(batch_size, length, *channels, generator=generator, dtype=dtype)
    return _with_lengths(values, lengths)


def random_tokens(
    batch_size: int,
    length: int,
    vocab_size: int,
    *,
    seed: int | None = None,
    generator: torch.Generator | None = None,
    lengths: list[int] | None = None,
) -> Sequence:
    """Integer tokens (B, T) in 0 .. vocab_size - 1, fully valid unless `lengths` is given."""
    tokens = torch.randint(vocab_size, (batch_size, length), generator=_generator(seed, generator))
    return _with_lengths(tokens, lengths)


def ragged(*channels: int, lengths: tuple[int, ...] = (13, 9, 0), dtype: torch.dtype = torch.float64) -> Sequence:
    """Standard normal values (B, T, *channels), item i valid for `lengths[i]` steps, 7.0 in the padding."""
    x = random_sequence(len(lengths), max(lengths), *channels, seed=0, lengths=list(lengths), dtype=dtype)
    return x.with_values(torch.where(over_channels(x.mask, x.values), x.values, 7.0))


def ragged_tokens(vocab_size: int, *channels: int, lengths: tuple[int, ...] = (13, 9, 0)) -> Sequence:
    """Integer tokens (B, T, *channels) below `vocab_size`, item i valid for `lengths[i]` steps."""
    tokens = torch.randint(vocab_size, (len(lengths), max(lengths), *channels), generator=_generator(0, None))
    return _with_lengths(tokens, list(lengths))


def _generator(seed: int | None, generator: torch.Generator | None) -> torch.Generator | None:
    if seed is not None and generator is not None:
        raise ValueError("seed, generator: expected one of them, got both")
    return torch.Generator().manual_seed(seed) if seed is not None else generator


def _with_lengths(values: Tensor, lengths: list[int] | None) -> Sequence:
    if lengths is None:
        return Sequence.of(values)
    if len(lengths) != values.shape[0] or not all(0 <= n <= values.shape[1] for n in lengths):
        raise ValueError(f"lengths: expected {values.shape[0]} numbers from 0 to {values.shape[1]}, got {lengths}")
    mask = torch.arange(values.shape[1]) < torch.as_tensor(lengths, dtype=torch.long)[:, None]
    return Sequence(values, mask)
