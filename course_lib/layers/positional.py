"""Where a time step stands in its sequence, and what tells it: sinusoids, a learned table, the distance of two steps.

`T5RelativePositionBias` adds one number for each distance, whatever the query holds. In `ShawRelativePosition` and
`TransformerXLRelativePosition` the query meets a vector r_d of the distance d = key time − query time, so that each
query chooses which distances it looks at. The scores of all distances are one matrix product, (B, H, Q, distances), and
each key takes its own from there.
"""

from __future__ import annotations

from functools import lru_cache
from math import exp, log, pi, prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.sequence import (
    ChannelSpec,
    Device,
    Sequence,
    SequenceLayer,
    at_least_float32,
    check_channels,
    check_floating,
    check_positive,
    float64_on,
)


def positions_of(mask: Tensor, before: Tensor | None = None) -> Tensor:
    """Position of each time step: the number of valid steps before it, (B, T) int64.

    mask: (B, T) boolean.  before: (B,) int64, valid steps in the earlier blocks of a stream.
    The first valid step is at 0, whatever invalid steps lead up to it; padding does not count.
    """
    count = mask.cumsum(dim=1)
    if before is not None:
        count = count + before[:, None]
    return (count - 1).clamp(min=0)


def layer_positions(x: Sequence) -> Tensor:
    """Positions of a whole sequence: (T,) where all items share them, (B, T) otherwise."""
    return torch.arange(x.shape[1], device=x.values.device) if x.all_valid else positions_of(x.mask)


def angles_at(positions: Tensor, rates: tuple[float, ...], dtype: torch.dtype | None = None) -> Tensor:
    """Angles positions · rates in radians, whole turns left out: (..., len(rates)), exact at step 10⁶ in float32 too.

    positions: (...), in time steps.  rates: in radians a step.  dtype: None is float64 where the device has it.
    A rate becomes a share of a turn in units of 2⁻⁶⁴ turns. Its product with a position overflows 64-bit integers,
    which drops whole turns and nothing else. So no precision is lost with the number of steps, and no device needs
    float64 for it. Fractions of a step are multiplied as they are.
    """
    dtype = float64_on(positions.device) if dtype is None else dtype
    whole = positions.floor() if positions.is_floating_point() else positions
    shares = torch.tensor(_shares_of_a_turn(rates), dtype=torch.int64, device=positions.device)
    angles = (whole.long().unsqueeze(-1) * shares).to(dtype) * (2 * pi / 2**64)  # from -π to π
    if positions.is_floating_point():
        rest = (positions - whole).to(dtype).unsqueeze(-1)
        angles = angles + rest * torch.tensor(rates, dtype=dtype, device=positions.device)
    return angles


@lru_cache(maxsize=64)
def _shares_of_a_turn(rates: tuple[float, ...]) -> tuple[int, ...]:
    """Each rate in units of 2⁻⁶⁴ turns, whole turns left out, as a signed 64-bit integer."""
    shares = (int(rate / (2 * pi) % 1.0 * 2**64) % 2**64 for rate in rates)
    return tuple(share - 2**64 if share >= 2**63 else share for share in shares)


@lru_cache(maxsize=64)
def geometric_rates(channels: int, base: float) -> tuple[float, ...]:
    """base^(-2i / channels) for each pair i of channels, in radians a step."""
    return tuple(base ** (-2 * i / channels) for i in range(channels // 2))


def sinusoids(
    positions: Tensor,
    channels: int,
    min_timescale: float = 1.0,
    max_timescale: float = 10_000.0,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Sines, then cosines, of positions over geometrically spaced timescales: (..., channels).

    positions: (...), in time steps.  The timescales run from `min_timescale` to `max_timescale`; one period is 2π
    timescales.  An odd number of channels ends in a 0.  dtype: None is float64 where the device has it.
    Source: Vaswani et al. 2017, section 3.5, in the layout of tensor2tensor's timing signal.
    """
    count = channels // 2
    ratio = log(max_timescale / min_timescale) / max(count - 1, 1)
    angles = angles_at(positions, tuple(exp(-i * ratio) / min_timescale for i in range(count)), dtype)
    return F.pad(torch.cat([torch.sin(angles), torch.cos(angles)], dim=-1), (0, channels % 2))


class PositionedLayer(SequenceLayer):
    """A layer that treats each step by its position. A subclass writes `_at`.

    Positions count the valid steps; with `counts_invalid` all steps of the input. The latter begins at the first step
    of a stream, valid or not: behind a layer with latency every position is larger by that latency, in a stream alone.
    The state is the number of steps counted, (B,).
    """

    counts_invalid = False

    def _at(self, x: Sequence, positions: Tensor) -> Sequence:
        """The output for `x`, masked with zeros, whose steps are at `positions`, (T,) or (B, T) int64."""
        raise NotImplementedError

    def _layer(self, x, training, constants):
        steps = torch.arange(x.shape[1], device=x.values.device)
        return self._at(x.masked(), steps if self.counts_invalid else layer_positions(x))

    def _initial_state(self, batch_size, spec, device, constants):
        return torch.zeros(batch_size, dtype=torch.long, device=device)

    def _step(self, x, state, training, constants):
        if self.counts_invalid:
            steps = torch.arange(x.shape[1], device=x.values.device)
            return self._at(x.masked(), state[:, None] + steps), state + x.shape[1]
        return self._at(x.masked(), positions_of(x.mask, state)), state + x.mask.sum(dim=1)


class AddPositions(PositionedLayer):
    """Adds a signal of each step's position to it: (B, T, *C) -> (B, T, *C). A subclass writes `_signal`."""

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        check_floating(self, spec)
        return super().output_spec(spec)

    def _signal(self, at: Tensor, channels: int, dtype: torch.dtype) -> Tensor:
        """(..., channels) for positions (...), int64; computed in `dtype`."""
        raise NotImplementedError

    def _at(self, x, positions):
        signal = self._signal(positions, prod(x.shape[2:]), at_least_float32(x.values.dtype))
        signal = signal.reshape(positions.shape + x.shape[2:])
        return x.with_values((x.values + signal).to(x.values.dtype))


class AddTimingSignal(AddPositions):
    """Adds sinusoids of each step's position (B, T, *C) -> (B, T, *C); the state is the position.

    min_timescale, max_timescale: see `sinusoids`; the channels of one step are numbered together.
    trainable_scale: multiplies the sinusoids by a learned factor, 1 at first.
    counts_invalid: see `PositionedLayer`.
    """

    def __init__(
        self,
        min_timescale: float = 1.0,
        max_timescale: float = 10_000.0,
        trainable_scale: bool = False,
        counts_invalid: bool = False,
    ):
        super().__init__()
        if not 0 < min_timescale <= max_timescale:
            raise ValueError(
                f"min_timescale, max_timescale: expected 0 < min <= max, got {min_timescale}, {max_timescale}"
            )
        self.min_timescale, self.max_timescale, self.counts_invalid = min_timescale, max_timescale, counts_invalid
        self.scale = nn.Parameter(torch.ones(())) if trainable_scale else None

    def _signal(self, at, channels, dtype):
        signal = sinusoids(at, channels, self.min_timescale, self.max_timescale, dtype)
        return signal if self.scale is None else signal * self.scale


class PositionalEncoding(AddPositions):
    """Adds sin(t / base^(2i/C)) to channel 2i and the cosine to channel 2i + 1, t the position: (B, T, C) -> the same.

    The angles are those of `rotary`: pair i turns by base^(-2i/C) radians a step.
    Raises ValueError where `embed_dim` is odd.  Source: Vaswani et al. 2017, section 3.5.
    """

    def __init__(self, embed_dim: int, base: float = 10_000.0):
        super().__init__()
        if embed_dim < 2 or embed_dim % 2:
            raise ValueError(f"embed_dim: expected an even number, a sine and a cosine each, got {embed_dim}")
        if not base > 0:
            raise ValueError(f"base: expected a positive number, got {base}")
        self.embed_dim, self.base = embed_dim, base

    def output_spec(self, spec: ChannelSpec) -> ChannelSpec:
        super().output_spec(spec)
        check_channels(self, spec, (self.embed_dim,))
        return spec

    def _signal(self, at, channels, dtype):
        angles = angles_at(at, geometric_rates(channels, self.base), dtype)  # (..., C / 2)
        return torch.stack([torch.sin(angles), torch.cos(angles)], dim=-1).flatten(-2)


class LearnedPositions(AddPositions):
    """Adds row t of a learned table to the step at position t: (B, T, embed_dim) -> the same shape.

    max_length: rows of the table.  `weight` (max_length, embed_dim) begins as small normal numbers.
    Raises ValueError for more steps than the table has rows, in a stream only on the CPU: a GPU reports the first
    position without a row as a failed device assertion.  Source: Gehring et al. 2017, section 3.1.
    """

    def __init__(self, max_length: int, embed_dim: int):
        super().__init__()
        check_positive(max_length=max_length, embed_dim=embed_dim)
        self.max_length = max_length
        self.weight = nn.Parameter(0.02 * torch.randn(max_length, embed_dim))

    @property
    def input_spec(self) -> ChannelSpec | None:
        return ChannelSpec((self.weight.shape[1],), self.weight.dtype)

    def _signal(self, at, channels, dtype):
        if at.dim() == 1 and len(at) > self.max_length:
            raise ValueError(f"x: expected at most max_length={self.max_length} steps, got {len(at)}")
        try:
            return F.embedding(at, self.weight)
        except IndexError:
            raise ValueError(
                f"x: expected positions below max_length={self.max_length}, got {int(at.max())}: too many steps"
            ) from None


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
    offset = torch.zeros_like(back)
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


class RelativePosition(nn.Module):
    """What attention adds to its logits for each distance between key and query. A subclass writes `logits`."""

    content_bias: Tensor | None  # (H, D), added to the queries where they meet the keys

    def __init__(self, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.register_parameter("content_bias", None)

    def logits(self, queries: Tensor, keys: int, offset: int, scale: float) -> Tensor:
        """What is added, broadcastable to (B, H, Q, K), for query i at time i and key j at time j - offset.

        queries: (B, H, Q, D).  keys: K.  scale: attention's, for what is a product with the queries.
        """
        raise NotImplementedError

    @staticmethod
    def distances(queries: int, keys: int, offset: int, device: Device = None) -> Tensor:
        """Key time - query time, (Q, K) int64."""
        times = torch.arange(keys, device=device) - offset
        return times - torch.arange(queries, device=device)[:, None]


class T5RelativePositionBias(RelativePosition):
    """A learned number for each head and distance bucket, added to attention logits.

    num_heads: query heads.  num_buckets, max_distance, bidirectional: see `relative_position_bucket`.
    `weight` is (num_buckets, num_heads).
    """

    def __init__(self, num_heads: int, num_buckets: int = 32, max_distance: int = 128, bidirectional: bool = True):
        super().__init__(num_heads)
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
        distance = self.distances(queries, keys, offset, self.weight.device)
        buckets = relative_position_bucket(distance, self.num_buckets, self.max_distance, self.bidirectional)
        return self.weight[buckets].permute(2, 0, 1)

    def logits(self, queries: Tensor, keys: int, offset: int, scale: float) -> Tensor:
        return self(queries.shape[2], keys, offset)


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
