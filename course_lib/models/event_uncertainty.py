"""How sure a detector of events is: several opinions instead of one, from several models or from dropout."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from course_lib.models.event_model import EventModel


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
