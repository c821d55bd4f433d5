"""The mistakes a model is most sure of: see them, and hear them."""

import html
from dataclasses import dataclass

import numpy as np
import pandas as pd
from IPython.display import Audio

from course_lib.plots.inputs import as_clips, as_column, as_probabilities, as_sample_rate, short
from course_lib.plots.style import grid_axes
from course_lib.plots.waveform import waveform


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
    signals, labels, probabilities, sample_rate: float, *, classes=None, files=None, count: int = 6, ax=None
) -> Mistakes:
    """Draw the waveforms of the `count` wrongly classified clips with the highest confidence, and keep their audio.

    signals: (N, 1, samples) or a list of clips.  labels: (N,).  probabilities: (N, num_classes), rows sum to 1.
    files: (N,) names, or None.  ax: axes to draw on, at least as many as mistakes are shown.
    Returns a `Mistakes`: `.table`, `.axes`, `.audio`. Where there is no mistake, all three are empty, nothing is drawn.
    """
    clips = as_clips(signals)
    probabilities, labels, names = as_probabilities(probabilities, labels, classes)
    as_column(labels, len(clips), "labels")
    files = np.arange(len(clips)) if files is None else as_column(files, len(clips), "files")
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")][: max(count, 0)]
    table = pd.DataFrame(
        {
            "index": wrong,
            "file": [str(files[i]) for i in wrong],
            "true": [names[labels[i]] for i in wrong],
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
