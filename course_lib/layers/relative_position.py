"""Relative positions as T5 has them: a learned bias for each head and bucket of distances."""

from __future__ import annotations

from math import log

import torch
from torch import Tensor, nn


def relative_position_bucket(
    distance: Tensor, num_buckets: int = 32, max_distance: int = 128, bidirectional: bool = True
) -> Tensor:
    """Bucket of each distance, int64 in 0 .. num_buckets - 1, of the shape of `distance`.

    distance: key time - query time, integers. Half of the buckets hold one distance each; the others grow
    logarithmically up to `max_distance`, and all that is further away falls into the last.
    bidirectional: the upper half of the buckets is for the future; otherwise it shares the bucket of distance 0.
    Source: Raffel et al. 2020, section 2.1; the last bucket begins at `max_distance`.
    """
    back = -distance
    offset = 0
    if bidirectional:
        num_buckets //= 2
        offset = (back < 0).long() * num_buckets
        back = back.abs()
    else:
        back = back.clamp(min=0)
    exact = num_buckets // 2
    ratio = back.float() / exact + torch.finfo(torch.float32).eps  # the epsilon keeps max_distance out of rounding
    large = exact + (torch.log(ratio) / log(max_distance / exact) * (num_buckets - 1 - exact)).long()
    return offset + torch.where(back < exact, back, large.clamp(max=num_buckets - 1))


class T5RelativePositionBias(nn.Module):
    """A learned number for each head and distance bucket, added to attention logits.

    num_heads: query heads.  num_buckets, max_distance, bidirectional: see `relative_position_bucket`.
    `weight` is (num_buckets, num_heads).
    """

    def __init__(self, num_heads: int, num_buckets: int = 32, max_distance: int = 128, bidirectional: bool = True):
        super().__init__()
        smallest = 4 if bidirectional else 2
        if num_buckets < smallest or (bidirectional and num_buckets % 2):
            raise ValueError(f"num_buckets: expected at least {smallest}, even if bidirectional, got {num_buckets}")
        exact = num_buckets // (4 if bidirectional else 2)
        if max_distance <= exact:
            raise ValueError(f"max_distance: expected more than the {exact} exact buckets, got {max_distance}")
        self.num_buckets, self.max_distance, self.bidirectional = num_buckets, max_distance, bidirectional
        self.weight = nn.Parameter(torch.randn(num_buckets, num_heads) * num_heads**-0.5)

    def forward(self, queries: int, keys: int, offset: int = 0) -> Tensor:
        """Bias (H, Q, K) for query i at time i and key j at time j - offset."""
        device = self.weight.device
        times = torch.arange(keys, device=device) - offset
        distance = times - torch.arange(queries, device=device)[:, None]
        buckets = relative_position_bucket(distance, self.num_buckets, self.max_distance, self.bidirectional)
        return self.weight[buckets].permute(2, 0, 1)
