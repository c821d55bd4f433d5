"""What every plot accepts, checked in one place: signals, labels and class names as plain arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from course_lib.events import detections

Signals = ArrayLike | Sequence[ArrayLike]  # (N, 1, samples), (N, samples), or a list of clips
Classes = Sequence[object] | None  # a name for each class, or their numbers


def as_array(values: Any, dtype: DTypeLike | None = None) -> np.ndarray:
    """`values` as a NumPy array: a list, an array, or a tensor of any type and device, with a gradient or without."""
    return np.asarray(detections.as_array(values), dtype=dtype)


def as_numbers(values: Any, name: str, *shapes: str, least: float = -np.inf) -> np.ndarray:
    """`values` as finite float64 numbers in one of `shapes`, such as "(N, T)".  Raises ValueError naming `name`."""
    array = as_array(values, float)
    fits = array.ndim in [shape.count(",") + (",)" not in shape) for shape in shapes] and array.size
    if not fits or not np.isfinite(array).all() or array.min() < least:
        bound = f" of at least {least:g}" if least > -np.inf else ""
        raise ValueError(f"{name}: expected finite {' or '.join(shapes)}{bound}, got shape {array.shape}")
    return array


def as_clips(signals: Signals) -> list[np.ndarray]:
    """One 1-D array a clip, without copying.

    signals: an array (N, 1, samples) or (N, samples), or a list of (samples,) or (1, samples) whose lengths may differ.
    Raises ValueError where there is no clip, a clip is empty, or a clip has more than one channel.
    """
    clips: Any = as_array(signals) if hasattr(signals, "dtype") else signals
    if isinstance(clips, np.ndarray) and clips.dtype != object and clips.ndim not in (2, 3):
        raise ValueError(
            f"signals: expected (N, 1, samples), (N, samples) or a list of clips, got shape {clips.shape}: "
            "for one clip pass a list, [clip]"
        )
    if len(clips) == 0:
        raise ValueError("signals: expected at least one clip, got none")
    return [as_clip(clip, f"signals[{index}]") for index, clip in enumerate(clips)]


def as_clip(signal: ArrayLike, name: str = "signal") -> np.ndarray:
    """(samples,) or (1, samples) -> (samples,), real numbers. Raises ValueError for anything else, naming `name`."""
    clip = as_array(signal)
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


def as_column(values: Any, count: int, name: str) -> np.ndarray:
    """`values` as an array of shape (count,). Raises ValueError where the length differs or the array is not flat."""
    column = as_array(values)
    if column.shape != (count,):
        raise ValueError(f"{name}: expected one value for each of {count} clips, shape ({count},), got {column.shape}")
    return column


def as_labels(labels: ArrayLike, count: int | None = None, classes: Classes = None) -> tuple[np.ndarray, list[str]]:
    """Labels as (N,) integers, and the class names: `classes`, or the numbers 0, 1, … up to the largest label.

    count: how many there must be, where that is known.
    Raises ValueError where labels are not whole numbers, are negative, or have no name in `classes`.
    """
    labels = as_array(labels)
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


def as_predictions(
    labels: ArrayLike, predictions: ArrayLike, classes: Classes
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Labels and predicted class numbers, (N,) each, and names that cover both. Raises ValueError for scores."""
    labels, predictions = as_array(labels), as_array(predictions)
    if predictions.ndim == 2:
        raise ValueError(
            f"predictions: expected class numbers (N,), got shape {predictions.shape}: for scores pass scores.argmax(1)"
        )
    as_labels(labels, len(predictions), classes)
    _, names = as_labels(np.concatenate([labels, predictions]), classes=classes)
    return labels, predictions, names


def as_scores(
    scores: ArrayLike, labels: ArrayLike, classes: Classes, name: str = "probabilities"
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Scores (N, num_classes) with their labels (N,) and class names; numbers 0, 1, … name the columns by default."""
    scores = as_numbers(scores, name, "(N, num_classes)")
    labels, names = as_labels(labels, len(scores), classes if classes is not None else range(scores.shape[1]))
    if scores.shape[1] != len(names):
        raise ValueError(f"{name}: expected {len(names)} columns, one a class, got {scores.shape[1]}")
    return scores, labels, names


def as_probabilities(
    probabilities: ArrayLike, labels: ArrayLike, classes: Classes
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """`as_scores` for rows that must be probabilities: none negative, each with sum 1 (to 0.02: bfloat16 is coarse)."""
    probabilities, labels, names = as_scores(probabilities, labels, classes)
    if probabilities.min() < 0 or np.abs(probabilities.sum(axis=1) - 1).max() > 0.02:
        raise ValueError("probabilities: expected rows that sum to 1: are these logits, before softmax?")
    return probabilities, labels, names


def as_sample_rate(sample_rate: float) -> float:
    """A positive number of samples per second. Raises ValueError for anything else."""
    if not isinstance(sample_rate, int | float | np.number) or not 0 < sample_rate < np.inf:
        raise ValueError(f"sample_rate: expected a positive number in Hz, got {sample_rate!r}")
    return float(sample_rate)


def short(name: object, width: int = 24) -> str:
    """A name as matplotlib draws it to the letter, cut in the middle where it is longer than `width`.

    Two dollar signs would make mathematics of what is between them, and a legend leaves out what begins with `_`.
    """
    text = str(name)
    if len(text) > width:
        head = (width - 1) * 2 // 3
        text = f"{text[:head]}…{text[head + 1 - width :]}"
    return ("\u200b" if text.startswith("_") else "") + text.replace("$", r"\$")  # a space of no width
