"""From a sequence to one vector by attention: learned weights say which steps count."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from course_lib.sequence import Sequence, check_channels


class AttentionPooling(nn.Module):
    """A weighted mean over the valid steps: (B, T, embed_dim), a tensor or a `Sequence`, -> (B, embed_dim).

    A small network, linear, tanh, linear, scores every step; a softmax over time makes weights of the scores.
    num_heads: each of them weighs an equal part of the channels, in order, by scores of its own.
    statistics: puts the weighted standard deviation beside the mean, (B, 2 embed_dim).
    hidden_size: width of the scoring network.
    An item without a valid step gives zeros (and a standard deviation near zero).
    Raises ValueError where the heads do not divide the channels.
    Sources: Bahdanau et al. 2015, eq. 5 and 6; Okabe et al. 2018, eq. 5 and 6, for the statistics.
    """

    def __init__(self, embed_dim: int, num_heads: int = 1, statistics: bool = False, hidden_size: int = 64):
        super().__init__()
        if embed_dim < 1 or num_heads < 1 or embed_dim % num_heads:
            raise ValueError(f"num_heads: expected a divisor of embed_dim={embed_dim}, got {num_heads}")
        self.embed_dim, self.num_heads, self.statistics = embed_dim, num_heads, statistics
        self.score = nn.Sequential(nn.Linear(embed_dim, hidden_size), nn.Tanh(), nn.Linear(hidden_size, num_heads))
        self.out_features = 2 * embed_dim if statistics else embed_dim

    def forward(self, x: Tensor | Sequence, return_weights: bool = False):
        """The pooled vector; with `return_weights` a pair (vector, weights (B, H, T)), each row of sum 1."""
        x = x if isinstance(x, Sequence) else Sequence.of(x)
        check_channels(self, x.spec, (self.embed_dim,), self.score[0].weight.dtype)
        x = x.masked()
        weights = self._weights(x)  # (B, H, T)
        parts = x.values.unflatten(2, (self.num_heads, -1)).transpose(1, 2)  # (B, H, T, C / H)
        mean = weights.unsqueeze(2) @ parts  # (B, H, 1, C / H)
        pooled = mean.flatten(1)  # (B, C)
        if self.statistics:
            variance = weights.unsqueeze(2) @ (parts - mean).square()  # (B, H, 1, C / H)
            deviation = (variance + _FLOOR).sqrt().flatten(1)  # finite slope where the steps are all equal
            pooled = torch.cat([pooled, deviation], dim=1)  # (B, 2 C)
        return (pooled, weights) if return_weights else pooled

    def _weights(self, x: Sequence) -> Tensor:
        scores = self.score(x.values).transpose(1, 2)  # (B, H, T)
        hidden = ~x.mask.unsqueeze(1)
        if not x.all_valid:
            scores = scores.masked_fill(hidden, torch.finfo(scores.dtype).min)
        weights = torch.softmax(scores, dim=-1, dtype=torch.promote_types(scores.dtype, torch.float32))
        return weights.masked_fill(hidden, 0.0).to(x.values.dtype)


_FLOOR = 1e-5  # added to variances
