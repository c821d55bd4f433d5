"""How sure a detector of events is: several opinions instead of one, from several models or from dropout."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class EventEnsemble(nn.Module):
    """Several models of events as one: scores and onsets are means over `models`, trained from different seeds.

    Can be decoded wherever one model can: `detect_events_from_sequence`, `LiveDetector`.
    Raises ValueError where there are no models, or where they differ in input, types or frames.
    """

    def __init__(self, models: Sequence[nn.Module]):
        super().__init__()
        shared = ("input_size", "num_events", "timing_resolution_samples", "refractory_period_samples")
        for name in shared:
            values = {getattr(model, name) for model in models}
            if len(values) != 1:
                raise ValueError(f"models: expected at least one and equal {name}, got {sorted(values)}")
            setattr(self, name, values.pop())
        self.members = nn.ModuleList(models)

    def opinions(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Scores and onsets of each member: (M, B, F, E) both; their spread over M says how far the members agree."""
        scores, offsets = zip(*(member.frame_scores(x, lengths) for member in self.members), strict=True)
        return torch.stack(scores), torch.stack(offsets)

    def frame_scores(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean scores (B, F, E) and mean onsets (B, F, E) in samples from each frame's start."""
        scores, offsets = self.opinions(x, lengths)
        return scores.mean(0), offsets.mean(0)


class MonteCarloDropout(nn.Module):
    """One model with dropout as an ensemble: `samples` runs with dropout left on, the rest in evaluation mode.

    seed: of the dropout, the same for every call, so that equal inputs give equal answers and a stream does not depend
    on chance; PyTorch's own random state is left as it was.  Raises ValueError where no dropout would act.
    Source: Gal and Ghahramani 2016.
    """

    def __init__(self, model: nn.Module, samples: int = 10, seed: int = 0):
        super().__init__()
        if samples < 1:
            raise ValueError(f"samples: expected at least 1, got {samples}")
        if not any(_drops(module) for module in model.modules()):
            raise ValueError("model: expected dropout with a rate above 0, got none: all opinions would be equal")
        self.model, self.samples, self.seed = model, samples, seed
        for name in ("input_size", "num_events", "timing_resolution_samples", "refractory_period_samples"):
            setattr(self, name, getattr(model, name))

    def opinions(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Scores and onsets of each run: (samples, B, F, E) both."""
        before = {module: module.training for module in self.model.modules()}
        try:
            for module in before:
                module.training = _drops(module)
            with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
                torch.manual_seed(self.seed)
                runs = [self.model.frame_scores(x, lengths) for _ in range(self.samples)]
        finally:
            for module, training in before.items():
                module.training = training
        scores, offsets = zip(*runs, strict=True)
        return torch.stack(scores), torch.stack(offsets)

    def frame_scores(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean scores (B, F, E) and mean onsets (B, F, E) in samples from each frame's start."""
        scores, offsets = self.opinions(x, lengths)
        return scores.mean(0), offsets.mean(0)


def _drops(module: nn.Module) -> bool:
    dropping = nn.Dropout | nn.MultiheadAttention | nn.LSTM
    return isinstance(module, dropping) and (getattr(module, "p", 0) or getattr(module, "dropout", 0)) > 0
