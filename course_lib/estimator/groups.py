"""What belongs together, such as the windows of a recording: never divided when a part is held out; one answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from course_lib.data.audio_data import is_number


def hold_out(
    labels: np.ndarray, share: float, groups: ArrayLike | None = None, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of a training and of a validation part; classes are as frequent in both as can be.

    labels: (N,) classes, or (N, K) of 0 and 1, which are not balanced.  share: about so much is held out, 0 to below 1;
    0: nothing.  groups: (N,) what belongs together (speaker, machine, file) and is never divided.
    Raises ValueError where the share is no such number, or where some class or group cannot be divided so.
    """
    if not (is_number(share) and 0 <= share < 1):
        raise ValueError(f"validation: expected a share from 0 to below 1, got {share!r}")
    everything = np.arange(len(labels))
    if share == 0:
        return everything, everything[:0]
    try:
        if groups is None:
            stratify = labels if labels.ndim == 1 else None
            train, held = train_test_split(everything, test_size=share, stratify=stratify, random_state=seed)
        else:
            parts = StratifiedGroupKFold(max(2, round(1 / share)), shuffle=True, random_state=seed)
            kinds = labels if labels.ndim == 1 else np.zeros(len(labels), int)
            train, held = next(parts.split(everything, kinds, np.asarray(groups)))
    except ValueError as error:
        raise ValueError(f"validation: a share of {share:g} cannot be held out ({error})") from error
    if len(np.unique(labels[train], axis=0)) < len(np.unique(labels, axis=0)) and labels.ndim == 1:
        raise ValueError("groups: some class has all its signals in the held-out groups: give more groups or a share")
    return np.sort(train), np.sort(held)


def by_recording(model: Any, X: Any, recordings: ArrayLike) -> pd.DataFrame:
    """What a fitted classifier says of each recording, from the mean of the probabilities of its windows.

    model: with `predict_proba` and `classes_`, of one label a signal.  X: N windows, as the model takes them, such as
    `AudioData.signals` or `SensorTable.windows`.  recordings: (N,) which one each window is cut from.
    Returns one row a recording, which is the index, in order of first appearance: label, probability (the mean of that
    label's), windows (how many), agree (the share of the windows that say the same).
    Raises ValueError naming the argument.
    """
    names = np.asarray(recordings)
    if names.ndim != 1 or len(names) != len(X):
        raise ValueError(f"recordings: expected ({len(X)},), one name a window of X, got {names.shape}")
    if not len(names):
        raise ValueError("X: expected at least one window, got none")
    if not hasattr(model, "predict_proba"):
        raise ValueError(f"model: expected a classifier with predict_proba, got {type(model).__name__}")
    if getattr(model, "several_", False):
        raise ValueError("model: expected one label a signal, got a model of several labels: average predict_proba")
    probabilities = np.asarray(model.predict_proba(X))  # (N, K)
    found, which = np.unique(names, return_inverse=True)
    first = np.array([np.argmax(which == i) for i in range(len(found))])
    rows = {}
    for i in np.argsort(first):
        own = probabilities[which == i]  # (windows, K)
        mean = own.mean(axis=0)
        best = int(mean.argmax())
        agree = float((own.argmax(axis=1) == best).mean())
        rows[found[i]] = {"label": model.classes_[best], "probability": mean[best], "windows": len(own), "agree": agree}
    return pd.DataFrame.from_dict(rows, orient="index")
