"""From labelled recordings to one HTML page: what they are, how well a model tells them apart, which score counts."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.base import clone
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from tqdm import tqdm

from course_lib import __version__, plots
from course_lib.data import AudioData, log_mel
from course_lib.data.cache import content_key
from course_lib.estimator import AudioClassifier
from course_lib.files import replacing

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#1a1a1a;background:#fff}"
    "img{max-width:100%;height:auto}table{border-collapse:collapse;margin:1rem 0}"
    "th,td{border:1px solid #767676;padding:.3rem .6rem;text-align:left}div.wide{overflow-x:auto}"
)

_SHOWN = 20  # files of a list on the page


@dataclass(frozen=True)
class CrossValidated:
    """Out-of-fold answers of one model under one split.  probabilities: (N, classes).  folds: (N,) from 0."""

    model: str
    split: str
    probabilities: np.ndarray
    folds: np.ndarray

    def whole(self, labels: np.ndarray, files: tuple[str, ...]) -> float:
        """Accuracy over recordings: each file gets the class with the highest mean over its windows."""
        means = pd.DataFrame(self.probabilities).groupby(list(files)).mean()
        true = pd.Series(labels).groupby(list(files)).first()
        return float((means.to_numpy().argmax(axis=1) == true.to_numpy()).mean())

    def scores(self, labels: np.ndarray) -> np.ndarray:
        """Accuracy of each fold."""
        right = self.probabilities.argmax(axis=1) == labels
        return np.array([right[self.folds == fold].mean() for fold in np.unique(self.folds)])


def cross_validated(
    data: AudioData, epochs: int, folds: int, seed: int, progress: bool = True, keep: Path | None = None
) -> list[CrossValidated]:
    """The AudioClassifier and a support vector machine on band statistics, by group where there are any, and at random.

    Both see the same folds.  keep: a folder in which each fold's answers are kept, so that a run that was interrupted
    goes on where it was; those of other data or settings are passed over.
    ValueError where some class, or the groups, are too few for so many folds.
    """
    least = np.bincount(data.labels).min()
    if least < folds:
        raise ValueError(f"folds: expected at most {least}, the clips of the rarest class, got {folds}")
    splits = {"at random": StratifiedKFold(folds, shuffle=True, random_state=seed)}
    if data.groups is not None:
        groups = len(np.unique(data.groups))
        if groups < folds:
            raise ValueError(f"folds: expected at most {groups}, the number of groups, got {folds}")
        splits = {"by group": StratifiedGroupKFold(folds, shuffle=True, random_state=seed)} | splits
    settings = [content_key(data.signals), content_key(data.labels), data.sample_rate, epochs, folds, seed, __version__]
    pictures = log_mel(data.signals, data.sample_rate)  # (N, bands, frames)
    bands = np.concatenate([pictures.mean(axis=2), pictures.std(axis=2)], axis=1)
    models = {
        "AudioClassifier": (AudioClassifier(data.sample_rate, epochs=epochs, random_state=seed), data.signals),
        "SVM on band statistics": (make_pipeline(StandardScaler(), SVC(random_state=seed)), bands),
    }
    found = []
    with tqdm(total=folds * len(splits) * len(models), desc="cross-validation", disable=not progress) as bar:
        for split, splitter in splits.items():
            for name, (model, x) in models.items():
                answers, fold_of = np.zeros((len(data), len(data.classes))), np.zeros(len(data), int)
                for fold, (train, test) in enumerate(
                    splitter.split(bands, data.labels, data.groups if split == "by group" else None)
                ):
                    key = hashlib.sha256(repr([*settings, name, train.tolist(), test.tolist()]).encode()).hexdigest()
                    kept = None if keep is None else keep / f"{key[:20]}.npy"
                    if kept is not None and kept.exists():
                        answers[test] = np.load(kept)
                    else:
                        fitted = clone(model).fit(x[train], data.labels[train])
                        answers[np.ix_(test, fitted.classes_)] = _class_scores(fitted, x[test])
                        if kept is not None:
                            kept.parent.mkdir(parents=True, exist_ok=True)
                            with replacing(kept) as temporary, open(temporary, "wb") as file:
                                np.save(file, answers[test])
                    fold_of[test] = fold
                    bar.update()
                found.append(CrossValidated(name, split, answers, fold_of))
    return found


def _class_scores(fitted, x: np.ndarray) -> np.ndarray:
    """Probabilities; of a model without any, 1 for its answer and 0 for the others."""
    if hasattr(fitted, "predict_proba"):
        return fitted.predict_proba(x)
    return (fitted.predict(x)[:, None] == fitted.classes_).astype(float)


def write_report(
    data: AudioData, out: Path, epochs: int = 40, folds: int = 5, seed: int = 0, progress: bool = True
) -> Path:
    """Explore, cross-validate, train on everything; writes report.html, model.safetensors and three CSV into `out`.

    Where it is interrupted, the next call with the same data and settings goes on with the fold that was not done.

    scores.csv: accuracy of each model, split and fold.  predictions.csv: the out-of-fold answer on each clip.
    files.csv: the clips with what is odd about them, and the files that were left out.  Returns the page's path.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "training has")
        results = cross_validated(data, epochs, folds, seed, progress, out / "folds")
        model = AudioClassifier(data.sample_rate, epochs=epochs, random_state=seed)
        model.fit(data.signals, np.array(data.classes)[data.labels])
    out.mkdir(parents=True, exist_ok=True)
    model.save(out / "model.safetensors")
    best = results[0]  # the AudioClassifier, by group where there are groups
    predicted = best.probabilities.argmax(axis=1)
    rows = [
        {"model": r.model, "split": r.split, "fold": fold, "accuracy": score}
        for r in results
        for fold, score in enumerate(r.scores(data.labels))
    ]
    names = np.array(data.classes)
    predictions = pd.DataFrame(
        {
            "file": data.files,
            **({} if data.starts is None else {"second": data.starts}),
            "true": names[data.labels],
            "predicted": names[predicted],
            "probability": best.probabilities.max(axis=1),
            "fold": best.folds,
        }
    )
    hygiene = plots.hygiene_report(data.signals, data.labels, best.folds, data.groups, data.files)
    lengths = _lengths(data)
    left_out = pd.DataFrame([(p.file, p.reason) for p in data.report], columns=["file", "left out"])
    for name, table in (
        ("scores", pd.DataFrame(rows)),
        ("predictions", predictions),
        ("files", pd.concat([hygiene.merge(lengths, on="file", how="left"), left_out])),
    ):
        with replacing(out / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False)
    page = _page(data, results, hygiene, left_out, lengths)
    with replacing(out / "report.html") as temporary:
        temporary.write_text(page, encoding="utf-8")
    shutil.rmtree(out / "folds", ignore_errors=True)
    return out / "report.html"


def verdict(results: list[CrossValidated], labels: np.ndarray, by_file: bool = False) -> str:
    """Which score to believe, in a sentence.  by_file: the groups are the files of windows, nobody named others."""
    by = {r.split: r.scores(labels).mean() for r in results if r.model == "AudioClassifier"}
    if "by group" not in by:
        return (
            f"The random split gives an accuracy of {by['at random']:.3f}. Without groups nobody can say what it is on "
            "a speaker, a machine or a place that is not in these recordings: give --group."
        )
    if by_file:
        return (
            f"Rather believe {by['by group']:.3f}, the split by file: no recording has windows in training and test. "
            f"The random split gives {by['at random']:.3f}; there the model may know the recording. On a speaker, a "
            "machine or a place that is not in these recordings nobody can say what it is: give --group."
        )
    return (
        f"Believe {by['by group']:.3f}, the split by group: no group is in training and test. The random split gives "
        f"{by['at random']:.3f}; there the model may know the group."
    )


def _lengths(data: AudioData) -> pd.DataFrame:
    """file, seconds, length: of the recordings that are cut, or followed by zeros, to the length of a clip."""
    seconds = data.signals.shape[-1] / data.sample_rate
    durations = np.full(len(data), seconds) if data.durations is None else data.durations
    said = np.select(
        [durations < seconds - 0.5 / data.sample_rate, durations > seconds + 0.5 / data.sample_rate],
        ["short", "cut"],
        "",
    )
    if data.starts is not None:
        said = np.where(said == "cut", "", said)  # in windows, all of it is heard
    table = pd.DataFrame({"file": data.files, "seconds": durations, "length": said})
    return table[table["length"] != ""].drop_duplicates("file").sort_values(["length", "file"])


def _page(
    data: AudioData,
    results: list[CrossValidated],
    hygiene: pd.DataFrame,
    left_out: pd.DataFrame,
    lengths: pd.DataFrame,
) -> str:
    best, labels, classes = results[0], data.labels, data.classes
    predicted = best.probabilities.argmax(axis=1)
    windows = data.starts is not None
    by_file = windows and data.groups is not None and tuple(data.groups) == data.files
    first = np.unique(data.files, return_index=True)[1]  # of each recording's windows
    called = data.files if not windows else [f"{f}, {s:g} s" for f, s in zip(data.files, data.starts, strict=True)]
    table = pd.DataFrame(
        [
            {
                "model": r.model,
                "split": r.split,
                "accuracy": (scores := r.scores(labels)).mean(),
                "std over folds": scores.std(ddof=1),
                **({"accuracy of whole recordings": r.whole(labels, data.files)} if windows else {}),
                "macro F1": f1_score(labels, r.probabilities.argmax(axis=1), average="macro"),
            }
            for r in results
        ]
    )
    chance = np.bincount(labels).max() / len(labels)
    problems = [name for name in ("clipped", "partly silent", "silent", "duplicate", "leak") if name in hygiene]
    mistakes = plots.confident_mistakes(
        data.signals, labels, best.probabilities, data.sample_rate, classes=classes, files=called
    )
    which = f"AudioClassifier, split {best.split}"
    parts = [
        f"<p>{html.escape(data.describe())}</p>",
        "<h2>Which score to believe</h2>",
        f"<p>{verdict(results, labels, by_file)} Always saying the most frequent class: {chance:.3f}.</p>",
        _table(table),
        "<h2>The recordings</h2>",
        _figure(plots.class_balance(labels, classes=classes).figure),
        *(
            []
            if data.durations is None
            else [_figure(plots.durations(data.durations[first], labels[first], classes=classes).figure)]
        ),
        _table(hygiene[problems].sum().rename("clips").rename_axis("problem").reset_index()),
        "<h3>Files that were left out</h3>",
        _table(left_out) if len(left_out) else "<p>None.</p>",
        "<h3>Files that are cut to the length of a clip, or short and followed by zeros</h3>",
        _table(lengths.head(_SHOWN)) if len(lengths) else "<p>None.</p>",
        f"<p>And {len(lengths) - _SHOWN} more, in files.csv.</p>" if len(lengths) > _SHOWN else "",
        _figure(plots.spectrograms(data.signals, labels, data.sample_rate, classes=classes, mel=True).flat[0].figure),
        f"<h2>What is taken for what ({which})</h2>",
        _figure(plots.confusion_matrix(labels, predicted, classes=classes).figure),
        _table(plots.score_table(labels, predicted, classes=classes).rename_axis("class").reset_index()),
        _figure(plots.roc_curves(labels, best.probabilities, classes=classes, folds=best.folds).figure),
        "<h2>The most confident mistakes</h2>",
        *([_figure(mistakes.axes[0].figure)] if len(mistakes.table) else []),
        mistakes._repr_html_().replace("<audio ", '<audio aria-label="the clip" '),
    ]
    title = html.escape(f"Report: {data.name}")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f'<link rel="icon" href="data:,"></head><body><main><h1>{title}</h1>{"".join(parts)}</main></body></html>\n'
    )


def _table(table: pd.DataFrame) -> str:
    return f'<div class="wide" tabindex="0">{table.to_html(index=False, border=0, float_format="{:.3f}".format)}</div>'


def _figure(figure: Figure) -> str:
    """The figure as an image with its description; the figure is closed."""
    from matplotlib.pyplot import close

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    text = html.escape(plots.describe(figure))
    close(figure)
    return f'<p><img alt="{text}" src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"></p>'
