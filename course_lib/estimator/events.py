"""Events in recordings, behind scikit-learn's interface: fit, detect, stream, score; times are seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.stats import binomtest
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from course_lib.data import EventRecording, channel_statistics
from course_lib.data.audio_data import is_number, is_whole
from course_lib.estimator.artefact import Saved, settings_of
from course_lib.estimator.event_crops import EventCrops, as_list, half_of_the_shortest, inside, levels_differ
from course_lib.estimator.event_stream import Event, EventStream
from course_lib.events import Detections, LiveDetector, best_threshold, event_scores, match_events
from course_lib.events.detections import PEAK_RADIUS
from course_lib.losses import HeatmapLoss
from course_lib.models import EventDetector, OwnLevel
from course_lib.training import cosine_with_warmup, fit, resolve_device
from course_lib.training.checkpoint import put_weights, weights_of
from course_lib.training.rng import isolated

Recordings = Sequence[EventRecording]
_FLOOR = 0.05  # candidates below this score are not looked at when thresholds are chosen
_HISTORY = 3.0  # seconds before an event that tell what its noise is


class _Grid(NamedTuple):
    """The classifier's times in samples: a frame, the window that the model sees, and its margins."""

    frame: int
    window: int
    margin: int
    history: int


class EventClassifier(Saved, BaseEstimator):
    """Learns from recordings with marked events which type happens when, and finds them in others, also live.

    tolerance: seconds; an event that is found so near a true one of its type is right. It sets the model's grid: a
        frame lasts half of it.
    refractory: seconds within which a type happens once, one number or {type: seconds}; None: half the shortest
        distance of the type in training, 0.25 s at most.
    separation: seconds within which two types exclude one another, the higher score wins; 0: never; None: half the
        shortest distance between two types in training, 0.25 s at most.
    latency: seconds after which a live stream has said of every event that it happened; more lets the model see more.
    context: seconds that are seen on both sides of every event, at least, a part of the latency. More than the event
        itself lasts where its neighbours tell what it is, as a beat that comes early.
    history: seconds that are seen before every event, at least; they cost no latency. None: the context, or 3 s where
        `level` is "own".
    level: "fixed": data are standardised by the training data's mean and deviation. "own": each window by its own level
        (`OwnLevel`), for recordings whose loudness says nothing. None: "own" where levels in training differ fivefold.
    steps, batch_size, learning_rate: AdamW under a cosine with warm-up. A step sees batch_size crops, half of them from
        anywhere, half around an event whose type is drawn by the root of its count, so that rare types are seen.
    width: features a frame of the `EventDetector`.
    absent: share of the training crops that lose one channel, drawn at random, so that the model can do without a
        sensor in use. Where it is above 0, or the training data hold NaN, NaN is taken for a gap in use too: the model
        sees a mask beside each channel. Elsewhere NaN is an error.
    validation: share held out for the thresholds, one for each type: the last recordings where there are five or more,
        else the end of each, that share of its events.
    device, random_state: as in `SignalClassifier`.
    After fit: types_, sample_rate_, n_channels_, thresholds_ ({type: score}), refractory_ (seconds), separation_,
    statistics_ (mean and std of each channel), model_, history_.
    Raises ValueError naming the argument.  The model and its loss are those of notebook 19.
    """

    def __init__(
        self,
        tolerance: float = 0.05,
        refractory: float | dict | None = None,
        separation: float | None = None,
        *,
        latency: float = 1.0,
        context: float = 0.2,
        history: float | None = None,
        level: str | None = None,
        steps: int = 400,
        batch_size: int = 16,
        learning_rate: float = 3e-3,
        width: int = 48,
        absent: float = 0.0,
        validation: float = 0.2,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ):
        self.tolerance = tolerance
        self.refractory = refractory
        self.separation = separation
        self.latency = latency
        self.context = context
        self.history = history
        self.level = level
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.width = width
        self.absent = absent
        self.validation = validation
        self.device = device
        self.random_state = random_state

    def fit(self, recordings: Recordings, y: None = None) -> EventClassifier:
        """Train a new model on recordings of one rate and one number of channels."""
        self._check_options()
        recordings = as_list(recordings)
        if not recordings:
            raise ValueError("recordings: expected at least one, got none")
        self.sample_rate_, self.n_channels_ = recordings[0].sample_rate, recordings[0].data.shape[1]
        self._check(recordings)
        train, held = self._divided(recordings)
        kinds = {kind for recording in train for kind, _ in recording.events}
        if not kinds:
            raise ValueError("recordings: expected events in the training part, got none")
        self.types_ = sorted(kinds, key=lambda kind: (isinstance(kind, str), kind))
        self._settle_waits(train)
        self.own_level_ = levels_differ(train) if self.level is None else self.level == "own"
        self.grid_ = self._grid()
        self.statistics_ = channel_statistics([recording.data for recording in train])
        gaps = [np.isnan(recording.data) for recording in train]
        self.masked_ = self.absent > 0 or any(gap.any() for gap in gaps)
        if (silent := np.all([gap.all(axis=0) for gap in gaps], axis=0)).any():
            raise ValueError(f"recordings: expected readings of every channel, got none of channel {silent.argmax()}")
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        device = resolve_device(self.device)
        with isolated(seed, device):
            self.model_ = self._new_model()
        loss = HeatmapLoss(timing_resolution_samples=self.grid_.frame)

        def step(network, batch):
            return loss(network(batch.x, batch.lengths), batch.labels, batch.timings, batch.lengths)

        crops = EventCrops(
            train,
            self.types_,
            self.statistics_,
            window=self.grid_.window,
            used=(self.grid_.history, self.grid_.window - self.grid_.margin),
            batch_size=self.batch_size,
            steps=min(20, self.steps),
            rng=np.random.default_rng(seed),
            masked=self.masked_,
            absent=self.absent,
            own_level=self.own_level_,
        )
        self.history_ = fit(
            self.model_,
            crops,
            epochs=-(-self.steps // len(crops)),
            training_step=step,
            optimizer=lambda p: torch.optim.AdamW(p, lr=self.learning_rate, weight_decay=0.01),
            schedule=cosine_with_warmup,
            clip_norm=1.0,
            device=device,
            generator=torch.Generator().manual_seed(seed),
            progress=False,
        )
        self.model_.eval()
        self.thresholds_ = dict.fromkeys(self.types_, _FLOOR)
        self.thresholds_ = self._best_thresholds(held)
        return self

    def detect(self, data: np.ndarray | EventRecording, at_once: int = 1) -> list[Event]:
        """The events of a recording, or of an array (T, C) or (T,) at `sample_rate_`, in time order.

        at_once: as in `LiveDetector`; 16 take a fifth of the time, and find the same but for rounding.
        """
        live = self.stream(at_once)
        if isinstance(data, EventRecording):
            self._check([data])
            data = data.data
        return live.push(data) + live.flush()

    def stream(self, at_once: int = 1) -> EventStream:
        """A new live stream: blocks of any size go in, events come out, the same as `detect` finds."""
        check_is_fitted(self)
        live = LiveDetector(
            self.model_,
            np.array([self.thresholds_[kind] for kind in self.types_]),
            window=self.grid_.window,
            margin=self.grid_.margin,
            history=self.grid_.history,
            statistics=(np.zeros(1, np.float32), np.ones(1, np.float32)),  # the stream normalises
            refractory=np.array([self.refractory_[kind] * self.sample_rate_ for kind in self.types_]),
            separation=self.separation_ * self.sample_rate_,
            at_once=at_once,
        )
        return EventStream(live, self.types_, self.sample_rate_, self.statistics_, self.masked_)

    def score(self, recordings: Recordings, y: None = None) -> float:
        """F1 over all types and recordings, at the tolerance."""
        recordings = as_list(recordings)
        truths, founds = self._pairs(recordings, self._found(recordings))
        return event_scores(truths, founds, 1000 * self.tolerance, self.sample_rate_).f1

    def report(self, recordings: Recordings) -> pd.DataFrame:
        """One row a type, and "all": precision, recall, f1, their counts, the median error.

        Columns: precision, recall, f1; "precision, low" to "recall, high", 95 % Wilson intervals, as if events were
        independent; true, found, matched; "median error, s".  Types that training did not have are never found.
        """
        recordings = as_list(recordings)
        found = self._found(recordings)
        rows = {kind: self._row(recordings, found, kind) for kind in self._types_in(recordings)}
        return pd.DataFrame.from_dict(rows | {"all": self._row(recordings, found, None)}, orient="index")

    def confusion(self, recordings: Recordings) -> pd.DataFrame:
        """True types (rows) against what was found there (columns), within the tolerance whatever the type.

        Row "nothing": events that were found where none is.  Column "nothing": true events that were missed.
        """
        recordings = as_list(recordings)
        names = [*self._types_in(recordings), "nothing"]
        table = pd.DataFrame(0, index=names, columns=names)
        for recording, found in zip(recordings, self._found(recordings), strict=True):
            truth = [event for event in recording.events if inside(recording, event[1])]
            pairs = match_events([(0, t) for _, t in truth], [(0, event.time) for event in found], self.tolerance)
            for i, j in pairs:
                table.loc[truth[i][0], found[j].type] += 1
            for i in set(range(len(truth))) - {i for i, _ in pairs}:
                table.loc[truth[i][0], "nothing"] += 1
            for j in set(range(len(found))) - {j for _, j in pairs}:
                table.loc["nothing", found[j].type] += 1
        return table

    def _types_in(self, recordings: Recordings) -> list[str | int]:
        """The types of training, then others that happen in the recordings."""
        return [*self.types_, *sorted({k for r in recordings for k, _ in r.events} - set(self.types_), key=str)]

    def _row(self, recordings: Recordings, found: list[list[Event]], kind: str | int | None) -> dict[str, float]:
        truths, founds = self._pairs(recordings, found, kind)
        scores = event_scores(truths, founds, 1000 * self.tolerance, self.sample_rate_)
        row = {"precision": scores.precision, "recall": scores.recall, "f1": scores.f1}
        for name, count in (("precision", scores.found_events), ("recall", scores.true_events)):
            interval = binomtest(scores.matched, count).proportion_ci(method="wilson") if count else (np.nan, np.nan)
            row |= {f"{name}, low": interval[0], f"{name}, high": interval[1]}
        counts = {"true": scores.true_events, "found": scores.found_events, "matched": scores.matched}
        return row | counts | {"median error, s": scores.median_error_ms / 1000}

    def _found(self, recordings: Recordings) -> list[list[Event]]:
        """What is found in the labelled part of each recording."""
        check_is_fitted(self)
        return [[event for event in self.detect(r, at_once=16) if inside(r, event.time)] for r in recordings]

    def _pairs(
        self, recordings: Recordings, found: list[list[Event]], kind: str | int | None = None
    ) -> tuple[list[list[tuple[int, float]]], list[list[tuple[int, float, float]]]]:
        """True and found events (number of the type, sample) of all types or of one."""
        number = {name: i for i, name in enumerate(self._types_in(recordings)) if kind in (None, name)}
        rate = self.sample_rate_
        truths = [
            [(number[k], t * rate) for k, t in recording.events if k in number and inside(recording, t)]
            for recording in recordings
        ]
        founds = [[(number[e.type], e.time * rate, e.score) for e in events if e.type in number] for events in found]
        return truths, founds

    def _best_thresholds(self, held: Recordings) -> dict[str | int, float]:
        """The threshold of the best F1 of each type on the held-out part; 0.5 for a type that does not happen there."""
        found, best = self._found(held), {}
        for kind in self.types_:
            truths, founds = self._pairs(held, found, kind)
            detections = [Detections(*np.array(events, float).reshape(-1, 3).T) for events in founds]
            best[kind] = 0.5
            if any(truths):
                best[kind] = best_threshold(truths, detections, 1000 * self.tolerance, self.sample_rate_, _FLOOR)
        return best

    def _check_options(self) -> None:
        for name in ("tolerance", "latency", "context", "learning_rate"):
            value = getattr(self, name)
            if not (is_number(value) and value > 0):
                raise ValueError(f"{name}: expected a number above 0, got {value!r}")
        for name in ("steps", "batch_size", "width"):
            if not is_whole(value := getattr(self, name), 1):
                raise ValueError(f"{name}: expected a whole number above 0, got {value!r}")
        if not (is_number(self.absent) and 0 <= self.absent < 1):
            raise ValueError(f"absent: expected a share from 0 to below 1, got {self.absent!r}")
        if not (is_number(self.validation) and 0 < self.validation < 1):
            raise ValueError(f"validation: expected a share between 0 and 1, got {self.validation!r}")
        if self.history is not None and not (is_number(self.history) and self.history > 0):
            raise ValueError(f"history: expected seconds above 0, or None, got {self.history!r}")
        if self.level not in (None, "fixed", "own"):
            raise ValueError(f'level: expected "fixed", "own" or None, got {self.level!r}')
        waits = self.refractory.values() if isinstance(self.refractory, dict) else [self.refractory]
        for name, seconds in [("refractory", wait) for wait in waits] + [("separation", self.separation)]:
            if seconds is not None and not (is_number(seconds) and seconds >= 0):
                raise ValueError(f"{name}: expected seconds from 0 on, got {seconds!r}")

    def _check(self, recordings: Recordings) -> None:
        """ValueError for another rate or number of channels than in training."""
        for i, recording in enumerate(recordings):
            if not np.isclose(recording.sample_rate, self.sample_rate_, rtol=1e-6):
                raise ValueError(
                    f"sample_rate: expected {self.sample_rate_:g} Hz, as in training, got {recording.sample_rate:g} in "
                    f"recording {i}: resample it first"
                )
            if recording.data.shape[1] != self.n_channels_:
                raise ValueError(
                    f"recordings: expected {self.n_channels_} channels, got {recording.data.shape[1]} in recording {i}"
                )

    def _divided(self, recordings: list[EventRecording]) -> tuple[list[EventRecording], list[EventRecording]]:
        """Training and held-out part, the later one held out."""
        if len(recordings) >= 5:
            kept = len(recordings) - max(1, round(self.validation * len(recordings)))
            return recordings[:kept], recordings[kept:]
        train, held = [], []
        for recording in recordings:
            times = [time for _, time in recording.events if inside(recording, time)]
            if len(times) < 2:
                train.append(recording)
                continue
            cut = min(max(1, round((1 - self.validation) * len(times))), len(times) - 1)
            border = (times[cut - 1] + times[cut]) / 2
            train.append(recording.part(0, border))
            held.append(recording.part(border, recording.seconds))
        return train, held

    def _settle_waits(self, train: Recordings) -> None:
        """refractory_ and separation_: as asked, or from the training part's shortest distances."""
        if isinstance(self.refractory, dict) and (unknown := set(self.refractory) - set(self.types_)):
            raise ValueError(f"refractory: expected types of {self.types_}, got {sorted(map(str, unknown))}")
        given = self.refractory if isinstance(self.refractory, dict) else dict.fromkeys(self.types_, self.refractory)
        self.refractory_ = {}
        for kind in self.types_:
            own = [np.diff([t for k, t in recording.events if k == kind]) for recording in train]
            wait = given.get(kind)
            self.refractory_[kind] = half_of_the_shortest(own) if wait is None else float(wait)
        others = []
        for recording in train:
            times, kinds = np.array([t for _, t in recording.events]), [str(k) for k, _ in recording.events]
            changes = [i for i in range(1, len(kinds)) if kinds[i] != kinds[i - 1]]
            others.append(np.diff(times)[np.array(changes, int) - 1] if changes else np.zeros(0))
        if self.separation is None:
            self.separation_ = half_of_the_shortest(others) if len(self.types_) > 1 else 0.0
        else:
            self.separation_ = float(self.separation)

    def _grid(self) -> _Grid:
        """All times in samples.  ValueError where the latency is too short for them."""
        rate = self.sample_rate_
        frame = max(1, round(self.tolerance * rate / 2))
        margin = -(-round(self.context * rate) // frame) * frame
        wait = int(np.ceil(max(self.separation_, *self.refractory_.values()) * rate))
        hop = int((self.latency * rate - margin - (PEAK_RADIUS + 1) * frame - wait) // frame) * frame
        if hop < frame:
            least = (margin + (PEAK_RADIUS + 2) * frame + wait) / rate
            raise ValueError(
                f"latency: expected at least {least:.3g} s with these waits and this context, got {self.latency:g}"
            )
        seen = self.history or (_HISTORY if self.own_level_ else self.context)
        history = max(margin, -(-round(seen * rate) // frame) * frame)
        return _Grid(frame, history + hop + margin, margin, history)

    def _new_model(self) -> EventDetector:
        """Dilations 1, 2, 4 and on, until the convolutions, two frames each way by the dilation, see the margin."""
        dilations = [1, 2, 4]
        while 2 * sum(dilations) < self.grid_.history // self.grid_.frame:
            dilations.append(2 * dilations[-1])
        sizes = (self.n_channels_ * (1 + self.masked_), len(self.types_), self.width)
        options: dict[str, Any] = {"dilations": tuple(dilations), "timing_resolution_samples": self.grid_.frame}
        return (
            OwnLevel(*sizes, signals=self.n_channels_, **options)
            if self.own_level_
            else EventDetector(*sizes, **options)
        )

    def _state(self) -> dict[str, Any]:
        fitted = ("sample_rate_", "n_channels_", "separation_", "statistics_", "types_", "masked_", "own_level_")
        return {
            "settings": settings_of(self, "device"),
            "thresholds": [self.thresholds_[kind] for kind in self.types_],
            "refractory": [self.refractory_[kind] for kind in self.types_],
            "grid": list(self.grid_),
            "fitted": {name: getattr(self, name) for name in fitted},
            "weights": weights_of(self.model_),
        }

    @classmethod
    def _from_state(cls, state: dict[str, Any], **options: Any) -> EventClassifier:
        self = cls(**state["settings"] | options)
        for name, value in ({"own_level_": False} | state["fitted"]).items():
            setattr(self, name, value)
        frame, window, margin, *history = state["grid"]  # earlier files have none: their windows were symmetrical
        self.grid_ = _Grid(frame, window, margin, *(history or [margin]))
        self.thresholds_ = dict(zip(self.types_, state["thresholds"], strict=True))
        self.refractory_ = dict(zip(self.types_, state["refractory"], strict=True))
        with isolated(0, resolve_device("cpu")):
            self.model_ = self._new_model()
        put_weights(self.model_, state["weights"])
        self.model_.to(resolve_device(self.device)).eval()
        return self
