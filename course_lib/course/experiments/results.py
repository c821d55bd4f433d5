"""Recorded measurements: one small CSV file a table under figures/results, which notebooks show.

Columns: measure, value, std, seeds, seconds, device, date, command. std is the spread that the table's text names
(over seeds or folds), as `spread` computes it, seeds how many there were, seconds what the measurement took.
"""

import csv
import datetime
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from course_lib.files import replacing
from course_lib.paths import RESULTS
from course_lib.training.device import device_label

COLUMNS = ["measure", "value", "std", "seeds", "seconds", "device", "date", "command"]
_GIVEN = {"measure", "value", "std", "seeds", "seconds", "device"}


def record(table: str, rows: Iterable[Mapping], command: str, folder: Path | None = None) -> Path:
    """Enter `rows` into the table; a measure that is there already is replaced where it stands. Returns the path.

    rows: dicts with measure and value and, where they are known, std, seeds, seconds (None or NaN: not known, left
    empty); device is this machine's (the GPU's model or "cpu-<cores>") unless a row says otherwise; the date is
    today's.  command: what a reader types to repeat it.
    Raises ValueError for other keys, a missing measure or value, or a measure given twice.
    """
    rows = [{key: "" if value != value else value for key, value in row.items()} for row in rows]  # NaN: not known
    for row in rows:
        if not {"measure", "value"} <= row.keys() <= _GIVEN:
            raise ValueError(f"rows: expected measure, value and some of {sorted(_GIVEN)}, got {sorted(row)}")
    names = [row["measure"] for row in rows]
    if len(set(names)) < len(names):
        raise ValueError(f"rows: expected each measure once, got {names}")
    common = {"date": datetime.date.today().isoformat(), "command": command}
    path = _path(table, folder)
    entries = {}  # measure -> row, in the file's order; as text, so that rows which stay do not change by a digit
    if path.exists():
        with open(path, newline="", encoding="utf-8") as file:
            entries = {row["measure"]: row for row in csv.DictReader(file)}
    for row in rows:
        entries[row["measure"]] = {"device": device_label()} | row | common
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(entries.values())
    return path


def read(table: str, folder: Path | None = None) -> pd.DataFrame:
    """The table as a DataFrame.  Raises FileNotFoundError naming the tables that there are."""
    path = _path(table, folder)
    if not path.exists():
        there = ", ".join(sorted(file.stem for file in path.parent.glob("*.csv"))) or "none"
        raise FileNotFoundError(f"no recorded table {table!r}; recorded are: {there}")
    return pd.read_csv(path)


def over_seeds(measure: str, values: ArrayLike, seconds: float | None = None) -> dict:
    """A row for `record`: mean and `spread` of `values`, one a seed, to 4 digits, and how many there are.

    seconds: kept to a tenth; None: not known.
    """
    row = {"measure": measure, "value": round(float(np.mean(values)), 4), "std": spread(values), "seeds": len(values)}
    return row if seconds is None else row | {"seconds": round(seconds, 1)}


def spread(values: ArrayLike) -> float:
    """The `std` of a row: sample standard deviation (n - 1 in the denominator) to 4 digits; NaN for a single value."""
    values = np.asarray(values, dtype=float)
    return round(float(values.std(ddof=1)), 4) if values.size > 1 else float("nan")


def _path(table: str, folder: Path | None) -> Path:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", table):
        raise ValueError(f"table: expected a file name of lower-case letters, digits, '_' and '-', got {table!r}")
    return (RESULTS if folder is None else folder) / f"{table}.csv"
