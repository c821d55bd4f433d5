"""Tables of the user's own: a CSV as text with the columns that were asked for, and the recordings that one lists."""

from __future__ import annotations

import csv
import io
import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from course_lib.data.audio_data import AudioData, DataError, Problem, check_format
from course_lib.data.folder import assemble, check_choices
from course_lib.files import read_text


def read_table(
    path: str | os.PathLike, columns: Mapping[str, str | None], sep: str = ",", decimal: str = "."
) -> pd.DataFrame:
    """All columns of a CSV as text, without blanks around it; what is empty is "".

    columns: argument → the column that it names, or None; those must be there.  sep: what separates columns.
    decimal: "." or ","; numbers with a comma come out with a point.
    UTF-8, or UTF-16 or UTF-32 with a byte-order mark. Separators at the end of rows are no columns.
    Raises ValueError for a separator that is none, FileNotFoundError where there is no such file, DataError naming it
    where it is no table with these columns.
    """
    if not isinstance(sep, str) or not sep:
        raise ValueError(f'sep: expected what separates columns, such as ",", got {sep!r}')
    if decimal not in (".", ",") or decimal == sep:
        raise ValueError(f'decimal: expected "." or ",", other than sep={sep!r}, got {decimal!r}')
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"path: expected a CSV file, got {path}: no such file")
    try:
        table = _cells(read_text(path), sep)
    except (ValueError, csv.Error) as error:  # pandas' own errors and those of encodings among them
        raise DataError(f"{path}: not a table in UTF-8 or UTF-16 ({error})") from error
    table.columns = [str(column).strip() for column in table.columns]
    if not table.columns.is_unique:
        raise DataError(f"{path}: expected another name for each column, got {', '.join(table.columns)}")
    for argument, column in columns.items():
        if column is not None and column not in table.columns:
            hint = f": is sep={sep!r} right?" if table.shape[1] == 1 else ""
            raise DataError(f"{path}: {argument}: expected one of {', '.join(table.columns)}, got {column!r}{hint}")
        if column is not None and {column, f"{column}.1"} <= set(table.columns):  # pandas numbers equal names
            raise DataError(f"{path}: {argument}: several columns are named {column!r}")
    written = (table != "").any(axis=1).to_numpy()
    table = table[: len(written) - int(written[::-1].argmax()) if written.any() else 0]  # spreadsheets end with blanks
    if table.empty:
        raise DataError(f"{path}: expected at least one row below the names, got none")
    table = table.apply(lambda column: column.str.strip())
    return table if decimal == "." else table.apply(_with_a_point)


def _with_a_point(cells: pd.Series) -> pd.Series:
    """0,5 as 0.5; text that is no number then either stays."""
    points = cells.str.replace(",", ".", regex=False)
    return points.where(pd.to_numeric(points, errors="coerce").notna(), cells)


def _cells(text: str, sep: str) -> pd.DataFrame:
    """All cells as text.  ValueError where rows hold more of them than there are names.

    Where every row ends with a separator, which is no column, pandas takes the first column for row names instead.
    """

    def read(**options: Any) -> pd.DataFrame:
        return pd.read_csv(
            io.StringIO(text), sep=sep, dtype=str, keep_default_na=False, skipinitialspace=True, **options
        )

    table = read()
    if isinstance(table.index, pd.RangeIndex):
        return table
    beyond = table.iloc[:, table.shape[1] - table.index.nlevels :]
    if (beyond != "").any(axis=None):
        raise ValueError(
            f"rows have {table.shape[1] + table.index.nlevels} cells, and there are {table.shape[1]} names"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.ParserWarning)  # that the last separators are left out
        return read(index_col=False)


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
