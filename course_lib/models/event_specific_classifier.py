"""The event-specific classifier: template scores, a CNN and a timing head for each type, and an LSTM between them."""

from __future__ import annotations

import math
from collections.abc import Collection

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.layers.attention_functions import dot_product_attention
from course_lib.models.event_model import EventModel, make_lstm, run_lstm
from course_lib.models.model_input import event_input, real_input
from course_lib.models.template_bank import EventTemplateBank
from course_lib.sequence import Sequence, check_positive

KERNELS = (11, 21, 41)  # samples: 5, 10 and 20 ms


class EventSpecificCNN(nn.Module):
    """Features of each event type at three time scales: (B, T, input_channels) -> two tensors.

    Event features (B, T, num_events, output_channels), and joint features (B, T, output_channels) mixed from them.
    Each type has channels of its own. Convolutions of 11, 21 and 41 samples run over all of them at once, in groups, so
    that no type sees another's and none needs a loop.
    use_shared: one multi-scale convolution for all types comes first and is added to the joint features; without it
    each type starts from the input.
    valid: (B, T) samples that count, None for all.  Outputs keep the length. What is beyond the ends or not valid
    counts as 0, so that padding changes nothing.
    Raises ValueError for sizes below 1 and input of another shape.
    """

    def __init__(
        self,
        num_events: int,
        input_channels: int,
        output_channels: int = 32,
        use_shared: bool = True,
        *,
        channels_per_event: int = 8,
    ):
        super().__init__()
        check_positive(
            num_events=num_events,
            input_channels=input_channels,
            output_channels=output_channels,
            channels_per_event=channels_per_event,
        )
        self.num_events, self.input_channels, self.output_channels = num_events, input_channels, output_channels
        width = num_events * channels_per_event
        self.shared = MultiScale(input_channels, output_channels) if use_shared else None
        self.separate = nn.Conv1d(output_channels if use_shared else input_channels, width, 1)
        self.scales = nn.ModuleList(nn.Conv1d(width, width, k, padding=k // 2, groups=width) for k in KERNELS)
        self.mix = nn.Conv1d(len(KERNELS) * width, num_events * output_channels, 1, groups=num_events)
        self.joint = nn.Conv1d(num_events * output_channels, output_channels, 1)

    def forward(self, x: Tensor, valid: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x, _ = event_input(x, None, self, self.input_channels)
        x = (x if valid is None else x.masked_fill(~valid[..., None], 0)).transpose(1, 2)  # (B, C, T)
        shared = None if self.shared is None else self.shared(x)  # (B, output, T)
        own = F.gelu(self.separate(x if shared is None else shared))  # (B, E W, T)
        own = own if valid is None else own * valid[:, None]  # a bias has filled the padding
        scales = torch.stack([scale(own) for scale in self.scales], dim=1)  # (B, 3, E W, T)
        scales = scales.unflatten(2, (self.num_events, -1)).transpose(1, 2).flatten(1, 3)  # (B, E 3 W, T), type by type
        events = F.gelu(self.mix(F.gelu(scales)))  # (B, E output, T)
        joint = self.joint(events) if shared is None else self.joint(events) + shared  # (B, output, T)
        return events.unflatten(1, (self.num_events, -1)).permute(0, 3, 1, 2), joint.transpose(1, 2)


class MultiScale(nn.Module):
    """Convolutions of 11, 21 and 41 samples side by side, mixed: (B, C, T) -> (B, output_channels, T)."""

    def __init__(self, input_channels: int, output_channels: int):
        super().__init__()
        each = -(-output_channels // len(KERNELS))
        self.scales = nn.ModuleList(nn.Conv1d(input_channels, each, k, padding=k // 2) for k in KERNELS)
        self.mix = nn.Conv1d(each * len(KERNELS), output_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(self.mix(F.gelu(torch.cat([scale(x) for scale in self.scales], dim=1))))


class EventSpecificTimingHeads(nn.Module):
    """When each type happened: features (B, F, hidden_size) -> logits (B, F, num_events).

    Each type has an attention of its own over the frames, with four heads, and a two-layer perceptron of its own. The
    types' weights are stacked, so that one product serves them all.
    event_mask: (B, num_events) True where a type is asked about; its logits are 0 elsewhere, equal for all frames.
        None: all types are asked about.
    valid: (B, F) frames that count. The others are seen by nobody, and their logits are -inf; None: all.
    Raises ValueError where hidden_size is no multiple of 4, or a mask's shape does not fit.
    """

    HEADS = 4

    def __init__(self, num_events: int, hidden_size: int, dropout: float = 0.0):
        super().__init__()
        if num_events < 1 or hidden_size < 1 or hidden_size % self.HEADS:
            raise ValueError(
                f"num_events, hidden_size: expected at least 1, and a multiple of {self.HEADS}, "
                f"got {num_events}, {hidden_size}"
            )
        self.num_events, self.hidden_size = num_events, hidden_size
        self.in_projection = _stacked(num_events, hidden_size, 3 * hidden_size)
        self.out_projection = _stacked(num_events, hidden_size, hidden_size)
        self.norm = nn.LayerNorm(hidden_size)
        self.hidden_weight = _stacked(num_events, hidden_size, hidden_size)
        self.hidden_bias = nn.Parameter(torch.zeros(num_events, 1, hidden_size))
        self.weight = _stacked(num_events, hidden_size, 1)
        self.bias = nn.Parameter(torch.zeros(num_events))
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor, event_mask: Tensor | None = None, valid: Tensor | None = None) -> Tensor:
        if features.dim() != 3 or features.shape[2] != self.hidden_size:
            raise ValueError(f"features: expected (B, F, {self.hidden_size}), got {tuple(features.shape)}")
        features = real_input(features, self)
        batch, frames, _ = features.shape
        for name, mask, shape in (
            ("event_mask", event_mask, (batch, self.num_events)),
            ("valid", valid, (batch, frames)),
        ):
            if mask is not None and mask.shape != shape:
                raise ValueError(f"{name}: expected {shape}, got {tuple(mask.shape)}")
        x = features[:, None]  # (B, 1, F, H)
        projected = (x @ self.in_projection).unflatten(3, (3, self.HEADS, -1))  # (B, E, F, 3, heads, D)
        queries, keys, values = projected.permute(3, 0, 1, 4, 2, 5).flatten(1, 2)  # (B E, heads, F, D) each
        seen = None
        if valid is not None:
            seen = valid[:, None].expand(batch, self.num_events, frames).flatten(0, 1)[:, None, None]  # (B E, 1, 1, F)
        attended = dot_product_attention(queries, keys, values, seen)
        attended = attended.transpose(1, 2).flatten(2).unflatten(0, (batch, self.num_events))  # (B, E, F, H)
        x = self.norm(x + self.dropout(attended @ self.out_projection))
        x = self.dropout(F.gelu(x @ self.hidden_weight + self.hidden_bias))
        logits = (x @ self.weight)[..., 0].transpose(1, 2) + self.bias  # (B, F, E)
        if event_mask is not None:
            logits = logits * event_mask[:, None]
        return logits if valid is None else logits.masked_fill(~valid[..., None], -torch.inf)


class EventSpecificClassifier(EventModel):
    """Which event types happened in a window, and in which frame, with knowledge of what each type looks like.

    x: (B, T, input_size), zero-padded on the right; lengths: (B,) valid samples, None for T.
    Returns event logits (B, E), timing logits (B, F, E) for frames of `timing_resolution_samples`, padding frames -inf,
    and template scores (B, T, E), from -1 to 1.

    At each sample the input, the scores of the `EventTemplateBank` and the joint features of the `EventSpecificCNN` are
    concatenated; all samples of a frame side by side are what the LSTM reads. The timing heads answer from its outputs,
    to which the frame's best template score is added, times a learned factor. Presence is the logarithm of the mean of
    exp(timing logit) over frames, scaled and shifted for each type: one strong frame is enough.
    parts: which of `PARTS` it has, to see what each is worth. In the place of scores or CNN features that it does not
        have, the LSTM reads zeros, so that it keeps its size; without timing heads all types share one linear layer.
        Template scores that it does not have are returned as zeros. All parts are drawn, then some are dropped: under
        one seed what is left begins with the same weights.
    Raises ValueError naming the argument.
    """

    PARTS = ("templates", "cnn", "heads")

    def __init__(
        self,
        input_size: int = 6,
        hidden_size: int = 128,
        num_layers: int = 2,
        num_events: int = 16,
        dropout: float = 0.3,
        template_length: int = 80,
        bidirectional: bool = True,
        *,
        cnn_channels: int = 8,
        parts: Collection[str] = PARTS,
        timing_resolution_samples: int | None = None,
        refractory_period_samples: int | None = None,
        sample_rate: float | None = None,
    ):
        super().__init__(input_size, num_events, timing_resolution_samples, refractory_period_samples, sample_rate)
        check_positive(hidden_size=hidden_size, num_layers=num_layers)
        if isinstance(parts, str) or not set(parts) <= set(self.PARTS):
            raise ValueError(f"parts: expected some of {self.PARTS}, got {parts!r}")
        self.cnn_channels = cnn_channels
        templates = EventTemplateBank(num_events, input_size, template_length)
        cnn = EventSpecificCNN(num_events, input_size, cnn_channels)
        self.templates = templates if "templates" in parts else None
        self.cnn = cnn if "cnn" in parts else None
        read = self.timing_resolution_samples * (input_size + num_events + cnn_channels)
        self.lstm = make_lstm(read, hidden_size, num_layers, dropout, bidirectional)
        width = hidden_size * (2 if bidirectional else 1)
        heads = EventSpecificTimingHeads(num_events, width, dropout)
        self.timing_heads = heads if "heads" in parts else nn.Linear(width, num_events)
        self.score_gain = nn.Parameter(torch.full((num_events,), 10.0))
        self.presence_gain = nn.Parameter(torch.ones(num_events))
        self.presence_bias = nn.Parameter(torch.zeros(num_events))

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        x, lengths = event_input(x, lengths, self, self.input_size)
        size = self.timing_resolution_samples
        inside = torch.arange(x.shape[1], device=x.device) < lengths[:, None]  # (B, T)
        valid = self.frames_valid(lengths, x.shape[1])  # (B, F)
        scores = x.new_zeros(*x.shape[:2], self.num_events)  # (B, T, E)
        if self.templates is not None:
            scores = self.templates(Sequence(x, inside)).values * inside[..., None]
        features = x.new_zeros(*x.shape[:2], self.cnn_channels)  # (B, T, cnn_channels)
        if self.cnn is not None:
            features = self.cnn(x, inside)[1] * inside[..., None]
        read = torch.cat([x, scores, features], dim=2)  # (B, T, C)
        frames = F.pad(read, (0, 0, 0, -x.shape[1] % size)).unflatten(1, (-1, size))  # (B, F, size, C)
        best = frames[..., self.input_size : self.input_size + self.num_events].amax(2)  # (B, F, E)
        outputs = run_lstm(self.lstm, frames.flatten(2), valid.sum(1))  # (B, F, H)
        if isinstance(self.timing_heads, nn.Linear):
            timing = self.timing_heads(outputs).masked_fill(~valid[..., None], -torch.inf)  # (B, F, E)
        else:
            timing = self.timing_heads(outputs, None, valid)
        timing = timing + self.score_gain * best  # (B, F, E)
        presence = torch.logsumexp(timing, dim=1) - valid.sum(1, keepdim=True).log()  # (B, E)
        return self.presence_gain * presence + self.presence_bias, timing, scores

    @torch.no_grad()
    def frame_scores(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `EventModel.frame_scores`: a score is the presence probability times the frame's share of the softmax over
        the largest share; the onset is where the template score is largest within the frame.
        """
        event_logits, timing_logits, template_scores = self(x, lengths)
        shares = torch.exp(timing_logits - timing_logits.amax(dim=1, keepdim=True))
        size = self.timing_resolution_samples
        padded = F.pad(template_scores, (0, 0, 0, -x.shape[1] % size), value=-math.inf)
        offsets = padded.unflatten(1, (-1, size)).argmax(2)  # (B, F, E)
        return torch.sigmoid(event_logits)[:, None] * shares, offsets.to(shares.dtype)


def _stacked(count: int, rows: int, columns: int) -> nn.Parameter:
    """`count` matrices (rows, columns), each drawn as nn.Linear draws its own."""
    bound = 1 / math.sqrt(rows)
    return nn.Parameter(torch.empty(count, rows, columns).uniform_(-bound, bound))
