"""One answer a recording: the mean over its windows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike


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
