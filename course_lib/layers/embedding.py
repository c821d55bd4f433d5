"""Vectors for integer tokens: `Embedding`, and `SequenceEmbedding` with a table of its own for every time step."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.layers.delay import step_numbers
from course_lib.sequence import ChannelSpec, Sequence, SequenceLayer, StatelessLayer, check_positive


class _Lookup(SequenceLayer):
    """Integers in, rows of a table `weight` (..., num_embeddings, embedding_dim) out."""

    num_embeddings: int
    embedding_dim: int
    weight: nn.Parameter

    @property
    def input_spec(self) -> ChannelSpec | None:
        return ChannelSpec((), torch.int64)

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        if spec.dtype.is_floating_point or spec.dtype.is_complex or spec.dtype == torch.bool:
            raise ValueError(f"x: expected integer tokens, got {spec.dtype} in {type(self).__name__}")
        return ChannelSpec((*spec.shape, self.embedding_dim), self.weight.dtype)

    def _rows(self, rows: Tensor, table: Tensor, tokens: Tensor) -> Tensor:
        """`table[rows]`; where a row does not exist, a ValueError about the tokens it was made from."""
        try:
            return F.embedding(rows.long(), table)
        except IndexError:
            raise ValueError(
                f"x: expected tokens from 0 to {self.num_embeddings - 1}, got {tokens.min().item()} to "
                f"{tokens.max().item()} in {type(self).__name__}"
            ) from None


class Embedding(_Lookup, StatelessLayer):
    """Row `x` of a table: integers (B, T, *C) -> (B, T, *C, embedding_dim). `weight` is that of `nn.Embedding`.

    Raises ValueError where x is not of an integer dtype and, on the CPU, where a valid token is outside 0 to
    num_embeddings - 1; a GPU reports that as a failed device assertion. What stands in invalid steps is not looked at.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int):
        super().__init__()
        check_positive(num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.weight = nn.Parameter(torch.randn(num_embeddings, embedding_dim))

    def _values(self, values, training):
        return self._rows(values, self.weight, values)


class SequenceEmbedding(_Lookup):
    """Row `x[t]` of table t: integers (B, T, *C) -> (B, T, *C, embedding_dim).

    Steps are numbered from an item's first valid one; those from `num_steps` on have no table and come out invalid.
    `weight` (num_steps, num_embeddings, embedding_dim).  State: (B,) the number of steps seen.
    Raises ValueError as `Embedding` does.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, num_steps: int):
        super().__init__()
        check_positive(num_embeddings=num_embeddings, embedding_dim=embedding_dim, num_steps=num_steps)
        self.num_embeddings, self.embedding_dim, self.num_steps = num_embeddings, embedding_dim, num_steps
        self.weight = nn.Parameter(torch.randn(num_steps, num_embeddings, embedding_dim))

    def _initial_state(self, batch_size, spec, device, constants):
        return (torch.zeros(batch_size, dtype=torch.long, device=device),)

    def _step(self, x, state, training, constants):
        numbers, count = step_numbers(x.mask, state[0])
        mask = x.mask & (numbers < self.num_steps)
        tokens = Sequence(x.values, mask).masked().values
        numbers = numbers.clamp(0, self.num_steps - 1).reshape(numbers.shape + (1,) * (tokens.dim() - 2))
        rows = numbers * self.num_embeddings + tokens
        fits = (tokens >= 0) & (tokens < self.num_embeddings)
        rows = torch.where(fits, rows, self.num_steps * self.num_embeddings)  # a row that no table has
        return Sequence(self._rows(rows, self.weight.flatten(0, 1), tokens), mask), (count,)
