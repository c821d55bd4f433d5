"""Tables of the user's own: a CSV as text, with the columns that were asked for."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from course_lib.data.audio import DataError
from course_lib.files import read_text


def read_table(path: str | os.PathLike, columns: Mapping[str, str | None], sep: str = ",") -> pd.DataFrame:
    """All columns of a CSV as text, without blanks around it; what is empty is "".

    columns: argument → the column that it names, or None; those must be there.  sep: what separates columns.
    UTF-8 or UTF-16, with a byte-order mark or not.
    Raises ValueError for a separator that is none, FileNotFoundError where there is no such file, DataError naming it
    where it is no table with these columns.
    """
    if not isinstance(sep, str) or not sep:
        raise ValueError(f'sep: expected what separates columns, such as ",", got {sep!r}')
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"path: expected a CSV file, got {path}: no such file")
    try:
        table = pd.read_csv(
            io.StringIO(read_text(path)), sep=sep, dtype=str, keep_default_na=False, skipinitialspace=True
        )
    except (ValueError, csv.Error) as error:  # pandas' own errors and those of encodings among them
        raise DataError(f"{path}: not a table in UTF-8 or UTF-16 ({error})") from error
    table.columns = [str(column).strip() for column in table.columns]
    for argument, column in columns.items():
        if column is not None and column not in table.columns:
            hint = f": is sep={sep!r} right?" if table.shape[1] == 1 else ""
            raise DataError(f"{path}: {argument}: expected one of {', '.join(table.columns)}, got {column!r}{hint}")
    if table.empty:
        raise DataError(f"{path}: expected at least one row below the names, got none")
    return table.apply(lambda column: column.str.strip())
