"""The detector that works: templates propose events and explain each other away, and each one is verified."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from course_lib.events import Detections, Explanation
from course_lib.events.detections import by_type, within
from course_lib.models.event_model import EventModel
from course_lib.models.model_input import event_input
from course_lib.models.template_bank import EventTemplateBank
from course_lib.models.template_learning import make_pursuit

PROPOSE = 6.0  # the smallest gain of a candidate: low, so that hardly an event is missed
FEATURES = (
    "gain, refitted",
    "its logarithm",
    "gain, first",
    "its logarithm, first",
    "amplitude",
    "warp",
    "share explained",
    "best rival's share",
    "best rival's gain",
    "residual power",
    "next candidate, far",
    "next candidate, near",
)


class TemplateDetector(EventModel):
    """Finds events of known shape in windows or streams (B, T, C): propose, explain, verify.

    Propose and explain: `events.MatchingPursuit` with the bank's templates takes the data apart into events, down to
    gains that noise reaches as well. Verify: a logistic regression on twelve numbers about each candidate says how
    likely it is to be an event. A burst that is of no type fits some template in part and leaves the rest behind; that
    is what it learns to see. The numbers are the same for all types, so a few labelled windows are enough.

    bank: an `EventTemplateBank` that is filled; it is not trained here.  taps: whitening filter of the noise. Both are
    in the state dict; whoever changes them otherwise calls `prepare`.
    `fit_verifier` trains, `detect` gives events, `frame_scores` the maps that the `events` room decodes.
    """

    taps: Tensor

    def __init__(
        self,
        bank: EventTemplateBank,
        taps: np.ndarray,
        *,
        timing_resolution_samples: int | None = None,
        refractory_period_samples: int | None = None,
        sample_rate: float | None = None,
    ):
        super().__init__(
            bank.num_features, bank.num_events, timing_resolution_samples, refractory_period_samples, sample_rate
        )
        self.bank = bank.requires_grad_(False)
        self.register_buffer("taps", torch.as_tensor(taps, dtype=torch.float32))
        self.verifier = nn.Linear(len(FEATURES), 1)
        self.prepare()
        self.register_load_state_dict_post_hook(_prepare_again)

    def prepare(self) -> None:
        """Make the pursuit from the bank and the filter as they are now."""
        self.pursuit = make_pursuit(self.bank, self.taps.cpu().double().numpy())

    def propose(self, data: np.ndarray | list[np.ndarray]) -> list[Explanation]:
        """The candidates of each window (T, C)."""
        return self.pursuit(data, PROPOSE)

    def features(self, found: Explanation) -> Tensor:
        """What the verifier sees of each candidate: (M, 12) float32, in the order of FEATURES.

        share explained: of the energy around the event that is not another candidate's. best rival: the other type
        that would do best in its place.
        """
        count = len(found)
        if count == 0:
            return torch.zeros(0, len(FEATURES))
        starts, rows = np.round(found.times).astype(int), np.arange(count)
        padded = np.pad(found.residual, ((self.pursuit.onset, self.pursuit.length), (0, 0)))
        left = np.stack([padded[start : start + self.pursuit.length] for start in starts])  # (M, L, C)
        own = np.maximum(found.rivals[rows, found.types], 1e-3)  # (M,)
        others = found.rivals.copy()
        others[rows, found.types] = -np.inf
        rival = others.max(axis=1)
        apart = np.abs(starts[:, None] - starts).astype(float)  # (M, M)
        np.fill_diagonal(apart, 300.0)
        nearest = apart.min(axis=1).clip(max=300.0)
        numbers = [
            own / 50,
            np.log1p(own),
            found.gains / 50,
            np.log1p(found.gains),
            found.amplitudes,
            np.abs(found.warps - 1) * 10,
            own / (own + np.square(left).sum(axis=(1, 2)) / 2),
            (rival / own).clip(-2, 2),
            rival / 50,
            np.log(np.square(left).mean(axis=(1, 2)) + 0.05),
            nearest / 100,
            nearest.clip(max=30) / 10,
        ]
        return torch.tensor(np.stack(numbers, axis=1), dtype=torch.float32)

    def fit_verifier(self, found: list[Explanation], events: list[list[tuple[int, float]]], strength: float = 0.3):
        """Train the verifier on candidates of labelled windows, whose true (type, sample) are `events`; returns self.

        strength: inverse of the penalty on the weights of standardised features, scikit-learn's C.
        Raises ValueError where all candidates are events, or none is.
        """
        x = torch.cat([self.features(f) for f in found]).numpy()  # (M, 12)
        y = np.concatenate([candidate_targets(f, e) for f, e in zip(found, events, strict=True)])
        if not 0 < y.sum() < len(y):
            raise ValueError(f"found, events: expected right and wrong candidates, got {y.sum():g} right of {len(y)}")
        mean, std = x.mean(axis=0), x.std(axis=0) + 1e-6
        weights = LogisticRegression(C=strength, max_iter=1000).fit((x - mean) / std, y)
        with torch.no_grad():
            bias = weights.intercept_ - (weights.coef_ * mean / std).sum()
            self.verifier.weight.copy_(torch.tensor(weights.coef_ / std, dtype=torch.float32))
            self.verifier.bias.copy_(torch.tensor(bias, dtype=torch.float32))
        return self

    @torch.no_grad()
    def detect(self, data: np.ndarray | list[np.ndarray]) -> list[Detections]:
        """The candidates of each window (T, C), with the verifier's probabilities as scores."""
        return [self.verified(found) for found in self.propose(data)]

    @torch.no_grad()
    def verified(self, found: Explanation) -> Detections:
        """Candidates as events; their scores are the verifier's probabilities."""
        scores = torch.sigmoid(self.verifier(self.features(found).to(self.verifier.weight))[:, 0])
        return Detections(found.types, found.times, scores.float().cpu().numpy())

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """`frame_scores`."""
        return self.frame_scores(x, lengths)

    @torch.no_grad()
    def frame_scores(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `EventModel.frame_scores`: 0 where there is no candidate."""
        x, lengths = event_input(x, lengths, self, self.input_size)
        size = self.timing_resolution_samples
        scores = x.new_zeros(x.shape[0], -(-x.shape[1] // size), self.num_events)
        offsets = torch.full_like(scores, size / 2)
        for item, (row, length) in enumerate(zip(x, lengths.tolist(), strict=True)):
            for kind, time, score in self.detect([row[:length].float().cpu().numpy()])[0]:
                time = min(max(time, 0.0), length - 1)
                frame = int(time // size)
                if score > scores[item, frame, kind]:
                    scores[item, frame, kind], offsets[item, frame, kind] = score, time - frame * size
        return scores, offsets


def _prepare_again(model: TemplateDetector, _) -> None:
    """Called after a state dict has been loaded."""
    model.prepare()


def candidate_targets(found: Explanation, events: list[tuple[int, float]], tolerance: float = 10.0) -> np.ndarray:
    """True for the candidates that are events: (M,).

    events: the true (type, sample). Candidates with larger gains choose first, and each event counts once.
    Raises ValueError for times that are NaN or infinite.
    """
    by_type(events, "events")
    free, targets = list(events), np.zeros(len(found), bool)
    for i in np.argsort(-found.gains):
        near = [e for e in free if e[0] == found.types[i] and within(e[1], found.times[i], tolerance)]
        if near:
            free.remove(min(near, key=lambda e: abs(e[1] - found.times[i])))
            targets[i] = True
    return targets
