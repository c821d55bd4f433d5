"""`figures`: the pictures in figures/ that README shows, each drawn by one function of this file."""

import argparse
import sys
from collections.abc import Callable

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from course_lib import plots
from course_lib.data import find_esc10, load_esc10
from course_lib.data.esc10 import CLASSES
from course_lib.exercises.learner import solved_notebooks
from course_lib.paths import FIGURES, RESULTS
from course_lib.syllabus import SYLLABUS


class NotHere(Exception):
    """What a picture is drawn from is not on this machine; the committed picture stays."""


def course_map() -> Figure:
    """The parts and notebooks of the course."""
    return plots.course_map(SYLLABUS, ready={path.name[:2] for path in solved_notebooks()}).figure


def log_mel_grid() -> Figure:
    """One clip of each ESC-10 class as a log-mel spectrogram."""
    if find_esc10() is None:
        raise NotHere("needs ESC-10: python -m course_lib data fetch esc10")
    data = load_esc10(sample_rate=22_050)
    return plots.spectrograms(data.signals, data.labels, data.sample_rate, classes=data.classes, mel=True)[0].figure


def cnn_baseline_curves() -> Figure:
    """Training and validation accuracy of the CNN baseline in its published setting."""
    curves = _detail("audio_cnn_curves")
    readings = curves.reading.unique()
    figure, axes = plt.subplots(1, len(readings), figsize=(10, 3.4), sharey=True, layout="constrained", squeeze=False)
    for ax, reading in zip(axes[0], readings, strict=True):
        folds = [fold for _, fold in curves[curves.reading == reading].groupby("fold")]
        plots.learning_curves(folds, measure="accuracy", ax=ax).set_title(reading)
    return figure


def log_mel_confusion() -> Figure:
    """What the log-mel CNN takes for what, each clip predicted by the model that did not train on its fold."""
    predictions = _detail("log_mel_cnn_predictions").query("variant == 'all parts'")
    logits = predictions.filter(like="logit_").to_numpy()
    return plots.confusion_matrix(predictions.label, logits.argmax(1), classes=CLASSES).figure


FIGURES_BY_NAME: dict[str, Callable[[], Figure]] = {
    "course_map": course_map,
    "log_mel_grid": log_mel_grid,
    "cnn_baseline_curves": cnn_baseline_curves,
    "log_mel_confusion": log_mel_confusion,
}


def figures(arguments: argparse.Namespace) -> int:
    """Draw the named pictures, or all, into figures/."""
    unknown = set(arguments.name) - set(FIGURES_BY_NAME)
    if unknown:
        print(f"no figure is called {', '.join(unknown)}; there are: {', '.join(FIGURES_BY_NAME)}", file=sys.stderr)
        return 1
    FIGURES.mkdir(exist_ok=True)
    plots.style()
    for name in arguments.name or FIGURES_BY_NAME:
        try:
            figure = FIGURES_BY_NAME[name]()
        except NotHere as reason:
            print(f"figures/{name}.png: left as it is; {reason}")
            continue
        # No time stamp or version in the file: the same picture is the same bytes.
        figure.savefig(FIGURES / f"{name}.png", dpi=110, metadata={"Software": None})
        plt.close(figure)
        print(f"figures/{name}.png")
    return 0


def _detail(name: str) -> pd.DataFrame:
    """A table of figures/results/detail, written by a recorded run."""
    path = RESULTS / "detail" / f"{name}.csv"
    if not path.exists():
        raise NotHere(f"needs figures/results/detail/{name}.csv: python -m course_lib measure NAME writes it")
    return pd.read_csv(path)
