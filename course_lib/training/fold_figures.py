"""The two figures that a tracker gets of every fold: confusion matrix and one-against-rest ROC curves."""

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import ConfusionMatrixDisplay, RocCurveDisplay

from course_lib.training.tracking import Tracker


def log_fold_figures(
    tracker: Tracker, probabilities: np.ndarray, targets: np.ndarray, classes: tuple[str, ...] | None = None
) -> None:
    """Send both to `tracker`.  probabilities: (N, C); targets: (N,) classes; classes: C names."""
    numbers = np.arange(probabilities.shape[1])
    names = [str(number) for number in numbers] if classes is None else list(classes)
    figure = Figure(figsize=(6, 6), layout="constrained")
    ConfusionMatrixDisplay.from_predictions(
        targets,
        probabilities.argmax(1),
        labels=numbers,
        display_labels=names,
        xticks_rotation="vertical",
        colorbar=False,
        ax=figure.add_subplot(),
    )
    tracker.figure("confusion matrix", figure)
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.add_subplot()
    for number, name in zip(numbers, names, strict=True):
        if 0 < (targets == number).sum() < len(targets):
            RocCurveDisplay.from_predictions(targets == number, probabilities[:, number], name=name, ax=axes)
    axes.plot([0, 1], [0, 1], ":", color="grey")
    tracker.figure("ROC", figure)
