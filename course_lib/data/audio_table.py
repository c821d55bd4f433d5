"""Recordings that a table lists, with their labels, groups and folds beside the file names."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from course_lib.data.audio import AudioData, DataError, Problem, check_format
from course_lib.data.folder import assemble, check_choices
from course_lib.data.tables import read_table


def load_audio_table(
    path: str | os.PathLike,
    file: str = "file",
    label: str = "label",
    group: str | None = None,
    split: str | None = None,
    sep: str = ",",
    sample_rate: int = 44_100,
    duration: float = 5.0,
    channel: int | None = None,
    on_error: str = "skip",
    cache: bool = True,
    workers: int | None = None,
    progress: bool = True,
    window: float | None = None,
    several: str | None = None,
) -> AudioData:
    """Read the recordings that a CSV lists, one row each; mixed to mono, resampled, padded or cut.

    file, label, group, split: names of columns. File: a path, from the table's folder on. Group: what belongs together
    (speaker, machine, recording), for a split that does not leak. Split: folds, whole numbers.  sep: between columns.
    several: what separates labels in a cell that may hold several, such as "|"; an empty cell then is a clip of none.
    channel, on_error, cache, workers, progress, window, and what counts as a bad file: as in `load_audio_folder`. A row
    without file, label or group, and one whose file is listed before, is left out and said in `report`.
    Returns AudioData with signals (N, 1, round(duration * sample_rate)), in the order of the rows; with `several`,
    labels are (N, K), 1 where a clip has that one of K classes and else 0, as `AudioClassifier` takes them.
    Raises FileNotFoundError where there is no such table, DataError where it has no such column or no usable row.
    """
    check_format(sample_rate, duration)
    check_choices(on_error, channel, window, sample_rate)
    if several is not None and (not isinstance(several, str) or not several):
        raise ValueError(f'several: expected what separates labels, such as "|", or None, got {several!r}')
    names = {"file": file, "label": label, "group": group, "split": split}
    table = read_table(path, names, sep)
    root = Path(path).expanduser().resolve().parent
    rows, strays = dict[str, int](), list[Problem]()
    needed = {"file": file} | ({"label": label} if several is None else {}) | ({"group": group} if group else {})
    for i, name in enumerate(table[file]):
        empty = [what for what, column in needed.items() if not table[column].iloc[i]]
        if empty:
            strays.append(Problem(name or f"row {i + 2}", f"row {i + 2} has no {empty[0]}"))
        elif name in rows:
            strays.append(Problem(name, f"row {i + 2} lists it again: row {rows[name] + 2} counts"))
        else:
            rows[name] = i
    if not rows:
        raise DataError(f"{path}: expected rows with a file and a label, got none")
    kept = table.iloc[list(rows.values())]
    groups = None if group is None else kept[group].tolist()
    options = (sample_rate, duration, window, channel, on_error, cache, workers, progress)
    data = assemble(root, list(rows), kept[label].tolist(), groups, strays, *options)
    if several is not None:
        data = _divided(data, several)
    if split is None:
        return data
    try:
        folds = np.array([int(table[split].iloc[rows[name]]) for name in data.files])
    except ValueError as error:
        raise DataError(f"{path}: split: expected whole numbers in the column {split!r} ({error})") from error
    return replace(data, folds=folds)


def _divided(data: AudioData, separator: str) -> AudioData:
    """Classes and labels (N, K) out of cells that name several.  DataError where none of them names any."""
    cells = [{name.strip() for name in cell.split(separator)} - {""} for cell in data.classes]
    classes = tuple(sorted(set().union(*cells)))
    if not classes:
        raise DataError("several: expected a label in some row whose file can be used, got none")
    table = np.array([[name in cell for name in classes] for cell in cells], np.int64)  # (cells, K)
    return replace(data, labels=table[data.labels], classes=classes)
