"""The classifier that notebook 19 begins with: an LSTM, self-attention, and two answers for each type of event."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from course_lib.models.event_model import EventModel, FrameFeatures, make_lstm, run_lstm, stretch_means
from course_lib.models.model_input import event_input
from course_lib.sequence import check_positive


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
