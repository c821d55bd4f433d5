"""Tables of the user's own: a CSV as text, with the columns that were asked for."""

from __future__ import annotations

import csv
import io
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from course_lib.data.audio import DataError
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
