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
) -> AudioData:
    """Read the recordings that a CSV lists, one row each; mixed to mono, resampled, padded or cut.

    file, label, group, split: names of columns. File: a path, from the table's folder on. Group: what belongs together
    (speaker, machine, recording), for a split that does not leak. Split: folds, whole numbers.  sep: between columns.
    channel, on_error, cache, workers, progress, window, and what counts as a bad file: as in `load_audio_folder`. A row
    without label, and one whose file is listed before, is left out and said in `report`.
    Returns AudioData with signals (N, 1, round(duration * sample_rate)), in the order of the rows.
    Raises FileNotFoundError where there is no such table, DataError where it has no such column or no usable row.
    """
    check_format(sample_rate, duration)
    check_choices(on_error, channel, window, sample_rate)
    names = {"file": file, "label": label, "group": group, "split": split}
    table = read_table(path, names, sep)
    root = Path(path).expanduser().resolve().parent
    rows, strays = dict[str, int](), list[Problem]()
    for i, (name, kind) in enumerate(zip(table[file], table[label], strict=True)):
        if not name or not kind:
            strays.append(Problem(name or f"row {i + 2}", f"row {i + 2} has no {'file' if not name else 'label'}"))
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
    if split is None:
        return data
    try:
        folds = np.array([int(table[split].iloc[rows[name]]) for name in data.files])
    except ValueError as error:
        raise DataError(f"{path}: split: expected whole numbers in the column {split!r} ({error})") from error
    return replace(data, folds=folds)
