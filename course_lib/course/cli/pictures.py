"""The pictures that README shows: drawn from the tables in figures/results, from data, or from a layer as it is."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch.nn.functional import pad

from course_lib import plots
from course_lib.course.course_map import course_map as draw_course_map
from course_lib.course.exercises.learner import solved_notebooks
from course_lib.course.experiments import results
from course_lib.course.syllabus import SYLLABUS
from course_lib.data import event_templates, find_esc10, load_esc10, make_events
from course_lib.data.esc10 import CLASSES
from course_lib.models import EventTemplateBank, fill_from_snippets
from course_lib.paths import RESULTS


class NotHere(Exception):
    """What a picture is drawn from is not on this machine; the committed picture stays."""


def course_map() -> Figure:
    """The parts and notebooks of the course."""
    return draw_course_map(SYLLABUS, ready={path.name[:2] for path in solved_notebooks()}).figure


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


def attention_walk() -> Figure:
    """Ten seconds of walking, each moment compared with every other: the stripes are one swing of the arm apart."""
    from aeon.datasets import load_classification

    x, did = load_classification("BasicMotions", split="test")
    walk = torch.tensor(x[list(did).index("walking")][[1, 5]], dtype=torch.float32).T  # (T, C) = (100, 2)
    walk = (walk - walk.mean(0)) / walk.std(0)
    windows = pad(walk, (0, 0, 4, 4)).unfold(0, 9, 1).flatten(1)  # (T, 18)
    weights = torch.softmax(windows @ windows.T / math.sqrt(18), dim=1)
    return plots.attention_maps(weights, walk[:, 0], seconds=10.0)[0].figure


def longer_than_trained() -> Figure:
    """Trained at one length, tested at two and four times that, by kind of position."""
    table = _table("longer_than_trained", r"^(?P<task>\w+): (?P<positions>.*): (?P<length>\d L)$")
    kinds = ["none", "sinusoidal", "learned", "T5 bias", "rotary", "rotary, horizon 8"]
    table = table[(table["task"] == "echo") & table["positions"].isin(kinds)]
    return _rows(table.rename(columns={"length": "tested at"}), "positions", hue="tested at").figure


def encoder_repairs() -> Figure:
    """From the stuck transformer to one that works, one cause at a time."""
    return _rows(_table("encoder_repairs", r"^(?P<model>.*) \| accuracy$"), "model").figure


def esc10_models() -> Figure:
    """Accuracy on the five official folds of ESC-10, the nested one too, with three published numbers beside them."""
    table = _table("esc10", r"^(?P<model>.*): accuracy$")
    nested = _table("nested_esc10", r"^(?P<model>nested)$").assign(model="nested: chosen on inner folds")
    table = pd.concat([table, nested])
    return _rows(table.sort_values("accuracy"), "model").figure


def series_sets() -> Figure:
    """Sets of real series on their default splits, the signal transformer beside MiniRocket."""
    table = _table("series_classification", r"^(?P<set>\w+): (?P<model>signal transformer|MiniRocket)$")
    return _rows(table, "set", hue="model").figure


def accumulator_memory() -> Figure:
    """Cues that lie further and further apart: who still remembers?"""
    table = _table("accumulator_comparison", r"^(?P<model>.*): (?P<task>cues .*)$")
    return _rows(table.sort_values("model"), "model", hue="task").figure


def event_detectors() -> Figure:
    """Events found within 5 ms in noise of twice their RMS (-6 dB): matching pursuit, a network, learned templates."""
    names = {
        "pursuit, true templates": "pursuit, true templates",
        "matching pursuit": "… with warps and whitening",
        "64 labelled windows, averaged snippets": "64 windows: averages",
        "detector": "network on the 5 ms grid",
        "full model": "learned templates, all windows",
        "64 labelled windows, averaged snippets and EM": "64 windows: averages and EM",
        "true templates, verifier": "true templates in the same detector",
    }
    network = _table("event_detection", r"^(?P<model>.*), -6 dB: F1 at 5 ms$")
    templates = _table("event_templates", r"^F1, -6 dB: (?P<model>.*)$")
    table = pd.concat([network, templates]).set_index("model")
    table = table.loc[[name for name in names if name in table.index]].rename(index=names).reset_index()
    table = table.rename(columns={"accuracy": "F1 at 5 ms"})
    return _rows(table, "model", y="F1 at 5 ms").figure


def learned_templates() -> Figure:
    """Averages of labelled snippets in noise as strong as the events, over the waveforms that made them."""
    data, labels, timings = make_events(160, seed=22, snr_db=0)
    bank, true = EventTemplateBank(), event_templates()
    fill_from_snippets(bank, data, labels, timings)
    times = np.broadcast_to(np.arange(-12, 92.0), (16, 104))  # samples from the onset on, with the bank's margin
    kernels = true.render(np.arange(16), times)  # (E, C, L)
    return plots.visualize_learned_templates(bank, true_kernels=kernels, true_delays=true.skews).flat[0].figure


PICTURES = {
    picture.__name__: picture
    for picture in (
        course_map,
        log_mel_grid,
        cnn_baseline_curves,
        log_mel_confusion,
        attention_walk,
        longer_than_trained,
        encoder_repairs,
        esc10_models,
        series_sets,
        accumulator_memory,
        event_detectors,
        learned_templates,
    )
}


def _detail(name: str) -> pd.DataFrame:
    """A table of figures/results/detail, written by a recorded run."""
    path = RESULTS / "detail" / f"{name}.csv"
    if not path.exists():
        raise NotHere(f"needs figures/results/detail/{name}.csv: python -m course_lib measure NAME writes it")
    return pd.read_csv(path)


def _table(name: str, pattern: str) -> pd.DataFrame:
    """The rows of a recorded table whose measure fits, its named groups as columns, and their value as `accuracy`."""
    if not (RESULTS / f"{name}.csv").exists():
        raise NotHere(f"needs figures/results/{name}.csv: python -m course_lib measure {name}")
    table = results.read(name)
    table = table.join(table["measure"].str.extract(pattern))
    return table.dropna(subset=table.columns[-1]).rename(columns={"value": "accuracy"})


def _rows(table: pd.DataFrame, x: str, y: str = "accuracy", hue: str | None = None) -> Axes:
    """Names down the left side, values to the right, in a picture wide enough for the names."""
    names = table[x].nunique() * (table[hue].nunique() if hue else 1)
    _, ax = plt.subplots(figsize=(8.5, 1.4 + 0.28 * names), layout="constrained")
    unit = "± over seeds" if table["std"].notna().any() else None
    return plots.error_bars(table, x=x, y=y, hue=hue, unit=unit, ax=ax)
