"""What is unlike the normal signals, behind scikit-learn's interface."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.signal import welch
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.covariance import LedoitWolf
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from course_lib.data.audio_data import is_number, is_whole
from course_lib.estimator.artefact import Saved, settings_of
from course_lib.estimator.groups import hold_out
from course_lib.estimator.signals import time_first

_LONGEST_SEGMENT = 256  # steps of one spectrum
_FLOOR = 1e-3  # of a band's mean power: what is fainter than -30 dB below normal looks the same


class AnomalyDetector(Saved, OutlierMixin, BaseEstimator):
    """Learns from normal signals alone how their spectra vary, and scores others by the Mahalanobis distance from them.

    X: signals (N, L), (N, L, C), or a list of (L,) or (L, C) whose lengths may differ; any unit and rate, the same in
        use. Where signals are shorter or longer than all in training, a warning asks for the rate.
    Features of a signal: of each channel the logarithm of the power in `bands` bands from 0 to half the rate (Welch's
    mean over segments of up to 256 steps, as long as the shortest signal in training allows), and the mean.
    false_alarms: share of normal signals that may be called anomalies, from which `offset_` is set.
    validation: share of the normal signals that sets it; they are not in the mean and covariance.
    After fit: offset_ (the least score of a normal signal), location_, covariance_ (LedoitWolf, which needs no more
    signals than features), n_channels_.
    Raises ValueError naming the argument.
    Sources: Ledoit and Wolf 2004 for the covariance; as a detector of faults in machines, the reference of DCASE 2023.
    """

    def __init__(
        self,
        false_alarms: float = 0.05,
        *,
        bands: int = 24,
        validation: float = 0.25,
        random_state: int | np.random.RandomState | None = None,
    ):
        self.false_alarms = false_alarms
        self.bands = bands
        self.validation = validation
        self.random_state = random_state

    def fit(self, X, y: None = None, groups: ArrayLike | None = None) -> AnomalyDetector:
        """Learn from normal signals.  groups: (N,) such as the machine: the held-out part has others than the rest.

        Warns where the held-out signals are too few to tell so small a share of false alarms.
        """
        if not (is_number(self.false_alarms) and 0 < self.false_alarms < 1):
            raise ValueError(f"false_alarms: expected a share between 0 and 1, got {self.false_alarms!r}")
        if not (is_number(self.validation) and 0 < self.validation < 1):
            raise ValueError(f"validation: expected a share between 0 and 1, got {self.validation!r}")
        if not is_whole(self.bands, 1):
            raise ValueError(f"bands: expected a whole number above 0, got {self.bands!r}")
        signals = time_first(X)
        if len(signals) < 4:
            raise ValueError(f"X: expected at least 4 normal signals, got {len(signals)}")
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        train, held = hold_out(np.zeros(len(signals), int), self.validation, groups, seed)
        self.n_channels_ = signals[0].shape[1]
        shortest = min(len(signals[i]) for i in train)
        if shortest < 8:
            raise ValueError(f"X: expected signals of at least 8 steps, got one of {shortest}")
        self.segment_ = min(_LONGEST_SEGMENT, shortest)
        self.lengths_ = [min(map(len, signals)), max(map(len, signals))]
        powers = np.stack([self._powers(signals[i]) for i in train])  # (N, bands, C)
        self.floor_ = _FLOOR * powers.mean(axis=0) + np.finfo(np.float64).tiny  # of any unit
        features = self._features([signals[i] for i in train])
        self.scale_ = np.where(features.std(axis=0) > 0, features.std(axis=0), 1.0)  # units differ: shrink evenly
        found = LedoitWolf().fit(features / self.scale_)
        self.location_, self.covariance_ = found.location_, found.covariance_
        scores = self.score_samples([signals[i] for i in held])
        self.offset_ = float(np.quantile(scores, self.false_alarms, method="lower"))
        if len(held) < 1 / self.false_alarms:
            warnings.warn(
                f"{len(held)} held-out normal signals cannot tell a share of {self.false_alarms:g} of false alarms: "
                "the threshold is the lowest score among them",
                stacklevel=2,
            )
        return self

    def score_samples(self, X) -> np.ndarray:
        """(N,) minus the Mahalanobis distance from the normal signals: higher is more normal."""
        check_is_fitted(self)
        signals = time_first(X, self.n_channels_)
        if signals[0].shape[1] != self.n_channels_:
            raise ValueError(f"X: expected signals of {self.n_channels_} channels, got {signals[0].shape[1]}")
        least, most = self.lengths_
        if other := [len(signal) for signal in signals if not 0.99 * least <= len(signal) <= 1.01 * most]:
            known = f"{least}" if least == most else f"{least} to {most}"
            warnings.warn(
                f"X: signals of {other[0]} steps, those of training had {known}: is the rate the same?", stacklevel=2
            )
        away = self._features(signals) / self.scale_ - self.location_
        return -np.sqrt(np.maximum(0, (away * np.linalg.solve(self.covariance_, away.T).T).sum(axis=1)))

    def decision_function(self, X) -> np.ndarray:
        """(N,) the score above the threshold: below 0 is an anomaly."""
        return self.score_samples(X) - self.offset_

    def predict(self, X) -> np.ndarray:
        """(N,) 1 for a normal signal, -1 for an anomaly."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def _powers(self, signal: np.ndarray) -> np.ndarray:
        """(L, C) to (bands, C): mean power in bands of equal width."""
        if len(signal) < self.segment_:
            raise ValueError(f"X: expected at least {self.segment_} steps, as in training, got {len(signal)}")
        power = welch(signal.astype(np.float64), nperseg=self.segment_, axis=0)[1]  # (bins, C)
        borders = np.linspace(0, len(power), min(self.bands, len(power)) + 1).astype(int)[:-1]
        return np.add.reduceat(power, borders, axis=0) / np.diff(np.append(borders, len(power)))[:, None]

    def _features(self, signals: list[np.ndarray]) -> np.ndarray:
        """(N, (bands + 1) C): log powers and means."""
        rows = [
            np.concatenate(
                [np.log10(self._powers(signal) + self.floor_).ravel(), signal.mean(axis=0, dtype=np.float64)]
            )
            for signal in signals
        ]
        return np.stack(rows)

    def _state(self) -> dict[str, Any]:
        fitted = ("n_channels_", "segment_", "lengths_", "floor_", "scale_", "location_", "covariance_", "offset_")
        return {"settings": settings_of(self), "fitted": {name: getattr(self, name) for name in fitted}}

    @classmethod
    def _from_state(cls, state: dict[str, Any], **options: Any) -> AnomalyDetector:
        self = cls(**state["settings"] | options)
        for name, value in ({"lengths_": [0, np.inf]} | state["fitted"]).items():  # earlier files know no lengths
            setattr(self, name, value)
        return self
