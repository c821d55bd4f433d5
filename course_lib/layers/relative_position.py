"""Relative positions that look at the query: a learned vector for each distance, or a projected sinusoid of it.

`T5RelativePositionBias` (in positional.py) adds one number for each distance, whatever the query holds. Here the query
meets a vector r_d of the distance d = key time − query time, so that each query chooses which distances it looks at.
The scores of all distances are one matrix product, (B, H, Q, distances), and each key takes its own from there.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from course_lib.layers.positional import RelativePosition, sinusoids
from course_lib.sequence import at_least_float32, check_positive


class ShawRelativePosition(RelativePosition):
    """q · r_d with a learned r_d for each distance from −max_past to max_future; what is farther takes the last one.

    `weight` is (max_past + 1 + max_future, num_heads, units_per_head), from the farthest past on.
    Source: Shaw et al. 2018, eq. 4 and 5, for the keys alone.
    """

    def __init__(self, num_heads: int, units_per_head: int, max_past: int, max_future: int = 0):
        super().__init__(num_heads)
        check_positive(num_heads=num_heads, units_per_head=units_per_head)
        if min(max_past, max_future) < 0:
            raise ValueError(f"max_past, max_future: expected at least 0, got {max_past}, {max_future}")
        self.max_past, self.max_future = max_past, max_future
        size = max_past + 1 + max_future, num_heads, units_per_head
        self.weight = nn.Parameter(torch.randn(size) * units_per_head**-0.5)

    def logits(self, queries: Tensor, keys: int, offset: int, scale: float) -> Tensor:
        scores = torch.einsum("bhqd,rhd->bhqr", queries * scale, self.weight)
        distance = self.distances(queries.shape[2], keys, offset, queries.device)  # (Q, K)
        return _taken(scores, distance.clamp(-self.max_past, self.max_future) + self.max_past)


class TransformerXLRelativePosition(RelativePosition):
    """(q + v) · W s(d), s(d) a sinusoid of the distance d; and (q + u) · k in place of q · k.

    The vectors u and v, one a head, let a key and a distance matter whatever the query is.
    `weight` W (num_heads * units_per_head, position_channels), `content_bias` u and `position_bias` v (num_heads,
    units_per_head), zeros at first.  position_channels: of the sinusoid; by default num_heads * units_per_head.
    Source: Dai et al. 2019, section 3.3.
    """

    def __init__(self, num_heads: int, units_per_head: int, position_channels: int | None = None):
        super().__init__(num_heads)
        width = num_heads * units_per_head
        self.position_channels = width if position_channels is None else position_channels
        check_positive(num_heads=num_heads, units_per_head=units_per_head, position_channels=self.position_channels)
        self.weight = nn.Parameter(torch.empty(width, self.position_channels))
        nn.init.xavier_uniform_(self.weight)
        self.content_bias = nn.Parameter(torch.zeros(num_heads, units_per_head))
        self.position_bias = nn.Parameter(torch.zeros(num_heads, units_per_head))

    def logits(self, queries: Tensor, keys: int, offset: int, scale: float) -> Tensor:
        count = queries.shape[2]
        nearest = 1 - count - offset  # the smallest distance: the first key and the last query
        every = nearest + torch.arange(max(count + keys - 1, 0), device=queries.device)  # (R,), all distances there are
        dtype = at_least_float32(self.weight.dtype)
        signal = sinusoids(every, self.position_channels, dtype=dtype).to(self.weight.dtype)
        vectors = (signal @ self.weight.T).unflatten(1, (self.num_heads, -1))  # (R, H, D)
        scores = torch.einsum("bhqd,rhd->bhqr", (queries + self.position_bias[:, None]) * scale, vectors)
        return _taken(scores, self.distances(count, keys, offset, queries.device) - nearest)


def _taken(scores: Tensor, index: Tensor) -> Tensor:
    """From scores (B, H, Q, R) the one at index (Q, K) for each query and key: (B, H, Q, K)."""
    return scores.gather(-1, index.expand(*scores.shape[:3], index.shape[1]))
