"""What a classifier gets wrong: which class for which, in which classes, how surely, and how it sounds."""

import html
from dataclasses import dataclass

import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import Audio
from matplotlib.axes import Axes
from numpy.typing import ArrayLike
from sklearn import metrics

from course_lib.plots.inputs import (
    Classes,
    Signals,
    as_clips,
    as_column,
    as_predictions,
    as_probabilities,
    as_sample_rate,
    short,
)
from course_lib.plots.style import Grid, colours, grid_axes, one_axes
from course_lib.plots.waveforms import waveform

MOST_WRITTEN = 20  # beyond so many classes the cells are too small to write in


def confusion_matrix(
    labels: ArrayLike,
    predictions: ArrayLike,
    *,
    classes: Classes = None,
    normalise: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw the confusion matrix: rows are true classes, columns are predictions.

    labels, predictions: (N,) class numbers.  normalise: show shares of the true class instead of numbers of clips.
    Source: sklearn.metrics.confusion_matrix.
    """
    true, predicted, names = as_predictions(labels, predictions, classes)
    counts = metrics.confusion_matrix(true, predicted, labels=range(len(names)))
    shown = [short(name, 18) for name in names]
    side = 2.4 + 0.46 * min(len(names), MOST_WRITTEN) + 0.16 * max(len(names) - MOST_WRITTEN, 0)
    ax = one_axes(ax, side + 1.2, side, square=True)
    cells = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) if normalise else counts
    sns.heatmap(
        cells,
        annot=len(names) <= MOST_WRITTEN,
        fmt=".2f" if normalise else "d",
        annot_kws={"fontsize": "small"},
        cmap="Blues",
        vmin=0,
        vmax=1 if normalise else max(int(counts.max()), 1),
        square=True,
        linewidths=0.5,
        cbar_kws={"label": "share of true class" if normalise else "clips", "shrink": 0.8},
        xticklabels=shown,
        yticklabels=shown,
        ax=ax,
    )
    ax.set(xlabel="predicted class", ylabel="true class")
    ax.tick_params(axis="y", rotation=0)
    ax.set_xticks(ax.get_xticks(), shown, rotation=45 if len(names) <= MOST_WRITTEN else 90, ha="right")
    return ax


def score_table(labels: ArrayLike, predictions: ArrayLike, *, classes: Classes = None) -> pd.DataFrame:
    """A row for each class, columns `precision`, `recall`, `F1`, `clips`; 0 where a score has nothing to divide by.

    labels, predictions: (N,) class numbers.  Source: sklearn.metrics.precision_recall_fscore_support.
    """
    true, predicted, names = as_predictions(labels, predictions, classes)
    precision, recall, f1, clips = metrics.precision_recall_fscore_support(
        true, predicted, labels=range(len(names)), zero_division=0
    )
    return pd.DataFrame({"precision": precision, "recall": recall, "F1": f1, "clips": clips}, index=names)


def per_class_scores(
    labels: ArrayLike, predictions: ArrayLike, *, classes: Classes = None, ax: Axes | None = None
) -> Axes:
    """Draw precision, recall and F1 of each class as bars; the title gives the mean F1 over classes (macro F1)."""
    table = score_table(labels, predictions, classes=classes)
    ax = one_axes(ax, 8.0, 1.6 + 0.42 * len(table))
    bars = table[["precision", "recall", "F1"]].reset_index(drop=True).melt(ignore_index=False, var_name="score")
    sns.barplot(bars, x="value", y=bars.index, hue="score", orient="h", ax=ax)
    ax.set_yticks(range(len(table)), [short(name) for name in table.index])
    ax.set(xlabel="score (0 to 1)", ylabel="", xlim=(0, 1.0), title=f"mean F1 over classes: {table['F1'].mean():.3f}")
    ax.grid(False, axis="y")
    sns.move_legend(ax, "center left", bbox_to_anchor=(1.01, 0.5), title=None)
    return ax


def calibration_table(labels: ArrayLike, probabilities: ArrayLike, *, bins: int = 10) -> pd.DataFrame:
    """Clips sorted by the model's confidence into `bins` equal bins: columns low, high, clips, confidence, accuracy.

    labels: (N,).  probabilities: (N, num_classes), rows sum to 1. Confidence is the largest probability of a row.
    A bin without a clip has NaN for confidence and accuracy. A value on an edge belongs to the bin below it.
    """
    if bins < 1:
        raise ValueError(f"bins: expected 1 or more, got {bins}")
    given, true, _ = as_probabilities(probabilities, labels, None)
    confidence = np.minimum(given.max(axis=1), 1.0)
    edges = np.linspace(0, 1, bins + 1)
    place = np.searchsorted(edges[1:], confidence, side="left")
    rows = pd.DataFrame({"confidence": confidence, "accuracy": given.argmax(axis=1) == true}).astype(float)
    table = rows.groupby(place).mean().reindex(range(bins))
    table.insert(0, "clips", np.bincount(place, minlength=bins))
    table.insert(0, "high", edges[1:])
    table.insert(0, "low", edges[:-1])
    return table


def expected_calibration_error(labels: ArrayLike, probabilities: ArrayLike, *, bins: int = 10) -> float:
    """Mean over clips of |accuracy - confidence| of their bin: 0 is calibrated. Source: Guo et al. 2017, eq. 3."""
    table = calibration_table(labels, probabilities, bins=bins)
    gap = (table["accuracy"] - table["confidence"]).abs().fillna(0.0)
    return float((gap * table["clips"]).sum() / table["clips"].sum())


def reliability_diagram(labels: ArrayLike, probabilities: ArrayLike, *, bins: int = 10, ax: Axes | None = None) -> Axes:
    """Draw accuracy against confidence, a bar for each bin with its number of clips, the diagonal, and the error (ECE).

    Bars below the diagonal: the model is right less often than it says, it is overconfident.
    """
    table = calibration_table(labels, probabilities, bins=bins)
    error = expected_calibration_error(labels, probabilities, bins=bins)
    ax = one_axes(ax, 4.8, 4.2)
    seen = table[table["clips"] > 0]
    ax.bar(
        seen["low"], seen["accuracy"], width=1 / bins, align="edge", color=colours(1)[0], edgecolor="white", alpha=0.6
    )
    ax.plot([0, 1], [0, 1], color="0.3", linestyle="--", linewidth=1.2, label="calibrated")
    ax.scatter(seen["confidence"], seen["accuracy"], color=colours(2)[1], s=40, zorder=3, label="mean of a bin")
    for row in seen.itertuples():
        ax.text((row.low + row.high) / 2, 0.015, f"{row.clips}", ha="center", va="bottom", fontsize="x-small")
    ax.set(xlabel="confidence (largest probability)", ylabel="accuracy (share correct)", xlim=(0, 1), ylim=(0, 1.04))
    ax.set_title(f"expected calibration error {error:.3f}\n(small numbers: clips in the bin)", fontsize="medium")
    ax.legend(loc="upper left")
    return ax


@dataclass(frozen=True)
class Mistakes:
    """What `confident_mistakes` found. Shown in a notebook it is a table with a player in each row."""

    table: pd.DataFrame  # columns index, file, true, predicted, confidence; the most confident first
    axes: np.ndarray  # a waveform for each row
    audio: tuple[Audio, ...]  # a player for each row

    def _repr_html_(self) -> str:
        if len(self.table) == 0:
            return "<p>No mistakes.</p>"
        cells = [
            f"<tr><td>{html.escape(str(row.file))}</td><td>{html.escape(row.true)}</td>"
            f"<td>{html.escape(row.predicted)}</td><td>{row.confidence:.2f}</td><td>{player._repr_html_()}</td></tr>"
            for row, player in zip(self.table.itertuples(), self.audio, strict=True)
        ]
        head = "".join(f"<th>{name}</th>" for name in ("file", "true", "predicted", "confidence", "listen"))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(cells)}</tbody></table>"

    def __repr__(self) -> str:
        return "No mistakes." if len(self.table) == 0 else self.table.to_string(index=False)


def confident_mistakes(
    signals: Signals,
    labels: ArrayLike,
    probabilities: ArrayLike,
    sample_rate: float,
    *,
    classes: Classes = None,
    files: ArrayLike | None = None,
    count: int = 6,
    ax: Grid | None = None,
) -> Mistakes:
    """Draw the waveforms of the `count` wrongly classified clips with the highest confidence, and keep their audio.

    signals: (N, 1, samples) or a list of clips.  labels: (N,).  probabilities: (N, num_classes), rows sum to 1.
    files: (N,) names, or None.  ax: axes to draw on, at least as many as mistakes are shown.
    Returns a `Mistakes`: `.table`, `.axes`, `.audio`. Where there is no mistake, all three are empty, nothing is drawn.
    """
    clips = as_clips(signals)
    given, true, names = as_probabilities(probabilities, labels, classes)
    as_column(true, len(clips), "labels")
    called = np.arange(len(clips)) if files is None else as_column(files, len(clips), "files")
    predicted, confidence = given.argmax(axis=1), given.max(axis=1)
    wrong = np.flatnonzero(predicted != true)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")][: max(count, 0)]
    table = pd.DataFrame(
        {
            "index": wrong,
            "file": [str(called[i]) for i in wrong],
            "true": [names[true[i]] for i in wrong],
            "predicted": [names[predicted[i]] for i in wrong],
            "confidence": confidence[wrong],
        }
    )
    if len(wrong) == 0:
        return Mistakes(table, np.array([], dtype=object), ())
    axes = grid_axes(ax, len(wrong), 3, (3.4, 1.9))
    for panel, i, row in zip(axes, wrong, table.itertuples(), strict=True):
        waveform(clips[i], as_sample_rate(sample_rate), ax=panel)
        verdict = f"says {short(row.predicted, 20)}, {row.confidence:.2f}"
        panel.set_title(f"{short(row.true, 20)}\n{verdict}", fontsize="small")
    return Mistakes(table, axes, tuple(Audio(clips[i], rate=int(sample_rate)) for i in wrong))
