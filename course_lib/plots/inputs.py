"""What every plot accepts, checked in one place: signals, labels and class names as plain arrays."""

from collections.abc import Sequence

import numpy as np


def as_clips(signals) -> list[np.ndarray]:
    """One 1-D array a clip, without copying.

    signals: an array (N, 1, samples) or (N, samples), or a list of (samples,) or (1, samples) whose lengths may differ.
    Raises ValueError where there is no clip, a clip is empty, or a clip has more than one channel.
    """
    if isinstance(signals, np.ndarray) and signals.dtype != object and signals.ndim not in (2, 3):
        raise ValueError(
            f"signals: expected (N, 1, samples), (N, samples) or a list of clips, got shape {signals.shape}: "
            "for one clip pass a list, [clip]"
        )
    if len(signals) == 0:
        raise ValueError("signals: expected at least one clip, got none")
    return [as_clip(clip, f"signals[{index}]") for index, clip in enumerate(signals)]


def as_clip(signal, name: str = "signal") -> np.ndarray:
    """(samples,) or (1, samples) -> (samples,), real numbers. Raises ValueError for anything else, naming `name`."""
    clip = np.asarray(signal)
    if clip.ndim == 2 and clip.shape[0] == 1:
        clip = clip[0]
    if clip.ndim != 1:
        raise ValueError(
            f"{name}: expected (samples,) or (1, samples), got shape {clip.shape}: one channel, time on the last axis"
        )
    if clip.size == 0:
        raise ValueError(f"{name}: expected at least one sample, got an empty clip")
    if not (np.issubdtype(clip.dtype, np.floating) or np.issubdtype(clip.dtype, np.integer)):
        raise ValueError(f"{name}: expected real numbers, got dtype {clip.dtype}")
    return clip


def as_column(values, count: int, name: str) -> np.ndarray:
    """`values` as an array of shape (count,). Raises ValueError where the length differs or the array is not flat."""
    column = np.asarray(values)
    if column.shape != (count,):
        raise ValueError(f"{name}: expected one value for each of {count} clips, shape ({count},), got {column.shape}")
    return column


def as_labels(labels, count: int | None = None, classes: Sequence[str] | None = None) -> tuple[np.ndarray, list[str]]:
    """Labels as (N,) integers, and the class names: `classes`, or the numbers 0, 1, … up to the largest label.

    count: how many there must be, where that is known.
    Raises ValueError where labels are not whole numbers, are negative, or have no name in `classes`.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.size == 0:
        raise ValueError(f"labels: expected one class number a clip, shape (N,), got shape {labels.shape}")
    if count is not None:
        as_column(labels, count, "labels")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels: expected whole numbers that index `classes`, got dtype {labels.dtype}")
    names = [str(name) for name in classes] if classes is not None else [str(i) for i in range(labels.max() + 1)]
    if labels.min() < 0 or labels.max() >= len(names):
        raise ValueError(
            f"labels: expected 0 to {len(names) - 1} for {len(names)} classes, got {labels.min()} to {labels.max()}"
        )
    return labels, names


def as_predictions(labels, predictions, classes: Sequence[str] | None) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Labels and predicted class numbers, (N,) each, and names that cover both. Raises ValueError for scores."""
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if predictions.ndim == 2:
        raise ValueError(
            f"predictions: expected class numbers (N,), got shape {predictions.shape}: for scores pass scores.argmax(1)"
        )
    as_labels(labels, len(predictions), classes)
    _, names = as_labels(np.concatenate([labels, predictions]), classes=classes)
    return labels, predictions, names


def as_scores(scores, labels, classes: Sequence[str] | None, name: str = "probabilities"):
    """Scores (N, num_classes) with their labels (N,) and class names; numbers 0, 1, … name the columns by default."""
    scores = np.asarray(scores)
    if scores.ndim != 2 or scores.size == 0:
        raise ValueError(f"{name}: expected (N, num_classes), got shape {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError(f"{name}: expected finite numbers, got NaN or infinity")
    labels, names = as_labels(labels, len(scores), classes if classes is not None else range(scores.shape[1]))
    if scores.shape[1] != len(names):
        raise ValueError(f"{name}: expected {len(names)} columns, one a class, got {scores.shape[1]}")
    return scores, labels, names


def as_probabilities(probabilities, labels, classes: Sequence[str] | None):
    """`as_scores` for rows that must be probabilities: none negative, each row with sum 1."""
    probabilities, labels, names = as_scores(probabilities, labels, classes)
    if probabilities.min() < 0 or np.abs(probabilities.sum(axis=1) - 1).max() > 1e-3:
        raise ValueError("probabilities: expected rows that sum to 1: are these logits, before softmax?")
    return probabilities, labels, names


def as_sample_rate(sample_rate) -> float:
    """A positive number of samples per second. Raises ValueError for anything else."""
    if not np.isscalar(sample_rate) or not np.isfinite(sample_rate) or sample_rate <= 0:
        raise ValueError(f"sample_rate: expected a positive number in Hz, got {sample_rate!r}")
    return sample_rate


def short(name: str, width: int = 24) -> str:
    """`name`, cut in the middle where it is longer than `width`, so that long class names leave room for the plot."""
    if len(name) <= width:
        return name
    head = (width - 1) * 2 // 3
    return f"{name[:head]}…{name[head + 1 - width :]}"
