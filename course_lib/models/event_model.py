"""What event models share: sizes, an LSTM over mixed lengths, the ways from samples to frames; and several as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.events.detections import SAMPLE_RATE, checked_rate
from course_lib.sequence import check_positive

_RESOLUTION, _REFRACTORY = 0.005, 2.0  # seconds


class EventModel(nn.Module):
    """The base of models of events in time: `input_size` channels in, `num_events` types out, on a grid of frames.

    sample_rate: Hz of the input, kept for those who decode; None: not said.
    timing_resolution_samples: samples a frame; None: 5 ms.  refractory_period_samples: read by those who decode the
    scores; None: 2 s. Both are counted at `sample_rate`, at the course's 2000 Hz where it is not said: 10 and 4000.
    Raises ValueError naming the size that is below 1, or the rate that is none.
    """

    def __init__(
        self,
        input_size: int,
        num_events: int,
        timing_resolution_samples: int | None,
        refractory_period_samples: int | None,
        sample_rate: float | None,
    ):
        super().__init__()
        rate = SAMPLE_RATE if sample_rate is None else checked_rate(sample_rate)
        if timing_resolution_samples is None:
            timing_resolution_samples = max(1, round(_RESOLUTION * rate))
        if refractory_period_samples is None:
            refractory_period_samples = round(_REFRACTORY * rate)
        self.sample_rate = sample_rate
        self.input_size, self.num_events = input_size, num_events
        self.timing_resolution_samples = timing_resolution_samples
        self.refractory_period_samples = refractory_period_samples
        check_positive(
            input_size=input_size, num_events=num_events, timing_resolution_samples=timing_resolution_samples
        )

    @property
    def sizes(self) -> dict[str, Any]:
        """The five arguments that every event model has, by name."""
        names = ("input_size", "num_events", "timing_resolution_samples", "refractory_period_samples", "sample_rate")
        return {name: getattr(self, name) for name in names}

    def frame_scores(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Scores (B, F, E), 0 to 1, and onsets (B, F, E) in samples from each frame's start, without gradients.

        x: (B, T, input_size).  lengths: (B,) valid samples; None: T.  What `events.LiveDetector` decodes.
        """
        raise NotImplementedError

    def frames_valid(self, lengths: Tensor, samples: int) -> Tensor:
        """(B, F) True for the frames that begin inside an item; F = ceil(samples / timing_resolution_samples)."""
        starts = torch.arange(0, samples, self.timing_resolution_samples, device=lengths.device)
        return starts < lengths[:, None]


def make_lstm(input_size: int, hidden_size: int, num_layers: int, dropout: float, bidirectional: bool) -> nn.LSTM:
    """An nn.LSTM over (B, T, input_size), with dropout between its layers where it has several."""
    return nn.LSTM(
        input_size,
        hidden_size,
        num_layers,
        batch_first=True,
        dropout=dropout if num_layers > 1 else 0.0,
        bidirectional=bidirectional,
    )


def run_lstm(lstm: nn.LSTM, steps: Tensor, lengths: Tensor) -> Tensor:
    """The LSTM over steps (B, T, C), each item over its own length only: (B, T, H), zeros behind it."""
    if lengths.is_meta:  # no values to pack by
        return lstm(steps)[0]
    packed = nn.utils.rnn.pack_padded_sequence(steps, lengths.cpu(), batch_first=True, enforce_sorted=False)
    return nn.utils.rnn.pad_packed_sequence(lstm(packed)[0], batch_first=True, total_length=steps.shape[1])[0]


def stretch_means(steps: Tensor, lengths: Tensor, size: int) -> Tensor:
    """(B, T, H), zeros behind each item's length, to means over stretches of `size` steps: (B, ceil(T / size), H).

    The last stretch of an item is averaged over the steps it has; what lies behind it is 0.
    """
    sums = F.pad(steps, (0, 0, 0, -steps.shape[1] % size)).unflatten(1, (-1, size)).sum(2)
    starts = torch.arange(sums.shape[1], device=steps.device) * size
    counts = (lengths[:, None] - starts).clamp(1, size)  # (B, ceil(T / size))
    return sums / counts[..., None]


class FrameFeatures(nn.Module):
    """Features on the grid of frames: x (B, T, input_size), valid (B, F) -> (B, F, width), F = ceil(T / resolution).

    Two strided convolutions with batch normalisation and GELU; beyond the valid frames all are zeros, at both layers,
    so that padding changes nothing.  A frame's features see 50 ms on the course's grid (resolution 10).
    """

    def __init__(self, input_size: int, width: int, resolution: int = 10, channels: int = 64):
        super().__init__()
        self.resolution = resolution
        self.first_stride = 5 if resolution % 5 == 0 else 1
        self.first = nn.Conv1d(input_size, channels, 31, stride=self.first_stride, padding=15, bias=False)
        self.first_norm = nn.BatchNorm1d(channels)
        second_stride = resolution // self.first_stride
        self.second = nn.Conv1d(channels, width, 15, stride=second_stride, padding=7, bias=False)
        self.second_norm = nn.BatchNorm1d(width)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        x = F.pad(x, (0, 0, 0, -x.shape[1] % self.resolution)).transpose(1, 2)  # (B, C, F · resolution)
        x = F.gelu(self.first_norm(self.first(x)))  # (B, channels, F · resolution / first_stride)
        x = x * valid[:, None].repeat_interleave(self.resolution // self.first_stride, dim=2)
        x = F.gelu(self.second_norm(self.second(x)))  # (B, width, F)
        return (x * valid[:, None]).transpose(1, 2)


class Opinions(EventModel):
    """Several opinions as one model: its scores and onsets are their means."""

    def opinions(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Scores and onsets of each: (M, B, F, E) both; their spread over M says how far the opinions agree."""
        scores, offsets = zip(*self._each(x, lengths), strict=True)
        return torch.stack(scores), torch.stack(offsets)

    def _each(self, x: Tensor, lengths: Tensor | None) -> list[tuple[Tensor, Tensor]]:
        raise NotImplementedError

    def frame_scores(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        scores, offsets = self.opinions(x, lengths)
        return scores.mean(0), offsets.mean(0)


class EventEnsemble(Opinions):
    """Several models of events as one: scores and onsets are means over `models`, trained from different seeds.

    Can be decoded wherever one model can: `detect_events_from_sequence`, `LiveDetector`.
    Raises ValueError where there are no models, or where they differ in input, types or frames.
    """

    def __init__(self, models: Sequence[EventModel]):
        if not models:
            raise ValueError("models: expected at least one, got none")
        for name in models[0].sizes:
            values = {model.sizes[name] for model in models}
            if len(values) > 1:
                raise ValueError(f"models: expected equal {name}, got {sorted(values, key=str)}")
        super().__init__(**models[0].sizes)
        self.members = nn.ModuleList(models)

    def _each(self, x, lengths):
        return [member.frame_scores(x, lengths) for member in self.members]  # type: ignore[operator]


class MonteCarloDropout(Opinions):
    """One model with dropout as an ensemble: `samples` runs with dropout left on, the rest in evaluation mode.

    seed: of the dropout, the same for every call, so that equal inputs give equal answers and a stream does not depend
    on chance; PyTorch's own random state is left as it was.  Raises ValueError where no dropout would act.
    Source: Gal and Ghahramani 2016.
    """

    def __init__(self, model: EventModel, samples: int = 10, seed: int = 0):
        super().__init__(**model.sizes)
        if samples < 1:
            raise ValueError(f"samples: expected at least 1, got {samples}")
        if not any(_drops(module) for module in model.modules()):
            raise ValueError("model: expected dropout with a rate above 0, got none: all opinions would be equal")
        self.model, self.samples, self.seed = model, samples, seed

    def _each(self, x, lengths):
        before = {module: module.training for module in self.model.modules()}
        try:
            for module in before:
                module.training = _drops(module)
            with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
                torch.manual_seed(self.seed)
                return [self.model.frame_scores(x, lengths) for _ in range(self.samples)]
        finally:
            for module, training in before.items():
                module.training = training


def _drops(module: nn.Module) -> bool:
    dropping = nn.Dropout | nn.MultiheadAttention | nn.LSTM
    return isinstance(module, dropping) and (getattr(module, "p", 0) or getattr(module, "dropout", 0)) > 0
