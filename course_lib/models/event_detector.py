"""Detectors of events: the one that works, a score and an onset for every frame and type, and the LSTM before it."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib import layers as sl
from course_lib.models.event_model import EventModel, FrameFeatures, make_lstm, run_lstm, stretch_means
from course_lib.models.model_input import event_input
from course_lib.sequence import Sequence, check_positive


class EventMaps(NamedTuple):
    """heatmap: logits (B, F, E).  offsets: (B, F, E) onset in frames from a frame's start.  presence: logits (B, E)."""

    heatmap: Tensor
    offsets: Tensor
    presence: Tensor


class EventDetector(EventModel):
    """Events of `num_events` types in x (B, T, input_size), on a grid of frames; returns `EventMaps`.

    Strided convolutions bring the samples to the grid of `timing_resolution_samples`; residual blocks of dilated
    convolutions and, around it a residual connection too, self-attention look at the neighbourhood; two linear maps
    give each frame and type a score and an onset. Presence is the logsumexp of the scores over time.

    lengths: (B,) valid samples of x, which is padded on the right; None: all.  No item depends on its batch-mates or
    on padding; padding frames have heatmap logits of -inf.
    width: features a frame.  dilations: one residual block each.  attention_heads: divides width; 0: no attention.
    extra_features: features a frame that a caller adds to the input of the blocks, (B, F, extra_features).
    Raises ValueError naming the argument.
    """

    expects_normalised = True  # channels of mean 0 and standard deviation 1, as `EventDataset` gives them

    def __init__(
        self,
        input_size: int = 6,
        num_events: int = 16,
        width: int = 128,
        dilations: tuple[int, ...] = (1, 2, 4, 1),
        attention_heads: int = 2,
        dropout: float = 0.0,
        timing_resolution_samples: int | None = None,
        refractory_period_samples: int | None = None,
        extra_features: int = 0,
        sample_rate: float | None = None,
    ):
        super().__init__(input_size, num_events, timing_resolution_samples, refractory_period_samples, sample_rate)
        check_positive(width=width)
        if attention_heads and width % attention_heads:
            raise ValueError(f"attention_heads: expected a divisor of {width}, the width, got {attention_heads}")
        self.front_end = FrameFeatures(input_size, width, self.timing_resolution_samples)
        self.extra = nn.Linear(extra_features, width) if extra_features else None
        self.blocks = nn.ModuleList(_Block(width, dilation, dropout) for dilation in dilations)
        self.attention = None
        if attention_heads:  # "math": in bfloat16 on a CPU, PyTorch's fused kernel takes twice as long both ways
            look = sl.MultiHeadSelfAttention(width, attention_heads, dropout=dropout, implementation="math")
            self.attention = sl.Residual(sl.Sequential([sl.LayerNorm(width), look]))
        self.norm = nn.LayerNorm(width)
        self.heatmap_head = nn.Linear(width, num_events)
        self.offset_head = nn.Linear(width, num_events)
        self.presence_bias = nn.Parameter(torch.zeros(num_events))
        nn.init.constant_(self.heatmap_head.bias, -4.0)  # events are rare: start from there, or the loss starts huge
        nn.init.constant_(self.offset_head.bias, 0.5)

    def forward(self, x: Tensor, lengths: Tensor | None = None, extra: Tensor | None = None) -> EventMaps:
        x, lengths = event_input(x, lengths, self, self.input_size)
        valid = self.frames_valid(lengths, x.shape[1])  # (B, F)
        frames = self.front_end(x, valid)  # (B, F, width)
        if self.extra is not None:
            frames = frames + self.extra(extra)
        frames = frames.transpose(1, 2)  # (B, width, F)
        for block in self.blocks:
            frames = block(frames, valid)
        frames = frames.transpose(1, 2)  # (B, F, width)
        if self.attention is not None:
            frames = self.attention.layer(Sequence(frames, valid)).values
        frames = self.norm(frames)
        heatmap = self.heatmap_head(frames).float().masked_fill(~valid[..., None], -torch.inf)  # (B, F, E)
        presence = torch.logsumexp(heatmap, dim=1) + self.presence_bias  # (B, E)
        return EventMaps(heatmap, self.offset_head(frames).float(), presence)

    @torch.no_grad()
    def frame_scores(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        maps = self(x, lengths)
        return torch.sigmoid(maps.heatmap), maps.offsets * self.timing_resolution_samples


class OwnLevel(EventDetector):
    """An `EventDetector` that sees asinh((x - mean) / level) of each window: linear in noise, logarithmic far above it.

    The mean is each channel's, the level the median of |x - mean| over steps and channels, so that a burst that begins
    in the window does not change it; a thousandth of its average at least.
    signals: the first so many of the `input_size` channels; others are masks.
    """

    def __init__(self, input_size: int, num_events: int, width: int, *, signals: int, **options: Any):
        super().__init__(input_size, num_events, width, **options)
        self.signals = signals

    def forward(self, x: Tensor, lengths: Tensor | None = None, extra: Tensor | None = None) -> EventMaps:
        return super().forward(self._levelled(x, lengths), lengths, extra)

    def _levelled(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """(B, T, C) the same with its first channels measured by their own level."""
        x, rest = x[..., : self.signals], x[..., self.signals :]
        there = torch.ones_like(x, dtype=torch.bool) if rest.shape[-1] == 0 else rest > 0
        if lengths is not None:
            there = there & (torch.arange(x.shape[1], device=x.device) < lengths[:, None])[..., None]
        mean = torch.where(there, x, 0.0).sum(1, keepdim=True) / there.sum(1, keepdim=True).clamp_min(1)  # (B, 1, C)
        away = x - mean
        away = torch.where(there & (away.abs() > 2e-6 * mean.abs()), away, 0.0)  # less is rounding, and no level
        distances = torch.where(there, away.abs(), torch.inf).flatten(1).sort(dim=1).values  # (B, T C)
        middle = (there.flatten(1).sum(1, keepdim=True) - 1).clamp_min(0) // 2  # (B, 1) the lower of two medians
        average = away.abs().flatten(1).sum(1, keepdim=True) / there.flatten(1).sum(1, keepdim=True).clamp_min(1)
        least = (1e-3 * average).clamp_min(1e-30)  # (B, 1) where most of a window stands still
        level = torch.minimum(distances.gather(1, middle), 1e3 * average).maximum(least)[..., None]  # (B, 1, 1)
        seen = away.sign() * torch.asinh(away.abs() / level)  # of -1e4, as log(x + sqrt(x² + 1)), nothing would remain
        return torch.cat([seen, rest], dim=2)


class _Block(nn.Module):
    """x + convolution of x: normalise, convolve over 5 frames, GELU, mix features.  (B, width, F)."""

    def __init__(self, width: int, dilation: int, dropout: float):
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.convolution = nn.Conv1d(width, width, 5, padding=2 * dilation, dilation=dilation)
        self.mix = nn.Conv1d(width, width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        y = self.norm(x) * valid[:, None]  # zeros beyond the valid frames, as beyond the end
        return x + self.dropout(self.mix(F.gelu(self.convolution(y))))


class LSTMEventClassifier(EventModel):
    """Which of `num_events` types happened in a window, and in which frame.

    x: (B, T, input_size), zero-padded on the right; lengths: (B,) valid samples, None for T.
    Returns event logits (B, E), yes or no for each type, and timing logits (B, F, E), whose softmax over the
    F = ceil(T / timing_resolution_samples) frames says when; padding frames are -inf.

    An LSTM reads the samples; its outputs are averaged over each frame, and self-attention looks over all frames.
    By default the attention's output takes the place of its input, and presence is read off the mean over time.
    Both are mistakes, and each can be taken out:
    residual: add the attention's input to its output, so that a frame keeps what happened in it.
    presence: "mean", or "logsumexp" over the timing logits, so that one strong frame is enough.
    attention: False leaves it out, with the norm behind it: the answers are read off the LSTM's outputs. (Under one
        seed the other weights begin alike with and without it.)
    front_end: give the LSTM 64 features a frame, by strided convolution, instead of the samples; far faster.
    The refractory period acts twice, softly in `losses.EventTimingLoss` while training, and as a rule in
    `events.detect_events_from_sequence`, which reads `refractory_period_samples`.
    Raises ValueError naming the argument.
    """

    def __init__(
        self,
        input_size: int = 6,
        hidden_size: int = 128,
        num_layers: int = 2,
        num_events: int = 16,
        dropout: float = 0.3,
        bidirectional: bool = True,
        timing_resolution_samples: int | None = None,
        refractory_period_samples: int | None = None,
        *,
        num_heads: int = 4,
        attention: bool = True,
        residual: bool = False,
        presence: str = "mean",
        front_end: bool = False,
        sample_rate: float | None = None,
    ):
        super().__init__(input_size, num_events, timing_resolution_samples, refractory_period_samples, sample_rate)
        check_positive(hidden_size=hidden_size, num_layers=num_layers)
        if presence not in ("mean", "logsumexp"):
            raise ValueError(f'presence: expected "mean" or "logsumexp", got {presence!r}')
        width = hidden_size * (2 if bidirectional else 1)
        if width % num_heads:
            raise ValueError(f"num_heads: expected a divisor of {width}, the LSTM's outputs, got {num_heads}")
        self.residual, self.presence = residual, presence
        self.front_end = FrameFeatures(input_size, 64, self.timing_resolution_samples) if front_end else None
        self.lstm = make_lstm(64 if front_end else input_size, hidden_size, num_layers, dropout, bidirectional)
        over_frames = nn.MultiheadAttention(width, num_heads, dropout=dropout, batch_first=True)
        self.attention = over_frames if attention else None
        self.norm = nn.LayerNorm(width) if attention else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.event_head = nn.Linear(width, num_events) if presence == "mean" else None
        self.event_bias = None if presence == "mean" else nn.Parameter(torch.zeros(num_events))
        self.timing_head = nn.Linear(width, num_events)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x, lengths = event_input(x, lengths, self, self.input_size)
        valid = self.frames_valid(lengths, x.shape[1])  # (B, F)
        if self.front_end is None:
            outputs = run_lstm(self.lstm, x, lengths)  # (B, T, H)
            frames = stretch_means(outputs, lengths, self.timing_resolution_samples)  # (B, F, H)
        else:
            frames = run_lstm(self.lstm, self.front_end(x, valid), valid.sum(1))  # (B, F, H)
        if self.attention is not None:
            attended, _ = self.attention(frames, frames, frames, key_padding_mask=~valid, need_weights=False)
            frames = self.norm(frames + self.dropout(attended) if self.residual else attended)
        timing_logits = self.timing_head(frames).masked_fill(~valid[..., None], -torch.inf)  # (B, F, E)
        count = valid.sum(1, keepdim=True)  # (B, 1)
        if self.event_head is not None:
            mean = (frames * valid[..., None]).sum(1) / count  # (B, H)
            return self.event_head(mean), timing_logits
        presence = torch.logsumexp(timing_logits, dim=1) - count.log()  # (B, E)
        return presence + self.event_bias, timing_logits  # type: ignore[operator]

    @torch.no_grad()
    def frame_scores(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `EventModel.frame_scores`; the onset is taken to be in the middle of its frame.

        A score is the type's presence probability times the frame's share of the softmax over the largest share, so
        that the best frame of a type scores its presence probability.
        """
        event_logits, timing_logits = self(x, lengths)
        shares = torch.exp(timing_logits - timing_logits.amax(dim=1, keepdim=True))
        scores = torch.sigmoid(event_logits)[:, None] * shares
        return scores, torch.full_like(scores, self.timing_resolution_samples / 2)
