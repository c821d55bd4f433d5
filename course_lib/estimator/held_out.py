"""The part of the training data that training does not see: it tells when to stop."""

from __future__ import annotations

import numpy as np
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
