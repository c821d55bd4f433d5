"""Random sequences to try a layer on: normal values or integer tokens, from a seed or a generator of their own."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.sequence.sequence import Sequence, over_channels


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
    values = torch.randn(len(lengths), max(lengths), *channels, generator=_generator(0, None), dtype=dtype)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return Sequence(torch.where(over_channels(mask, values), values, 7.0), mask)


def ragged_tokens(vocab_size: int, *channels: int, lengths: tuple[int, ...] = (13, 9, 0)) -> Sequence:
    """Integer tokens (B, T, *channels) below `vocab_size`, item i valid for `lengths[i]` steps."""
    tokens = torch.randint(vocab_size, (len(lengths), max(lengths), *channels), generator=_generator(0, None))
    return Sequence(tokens, torch.arange(max(lengths)) < torch.tensor(lengths)[:, None])


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
