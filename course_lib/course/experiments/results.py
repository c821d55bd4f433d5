"""Recorded measurements: one small CSV file a table under figures/results, which notebooks show.

measure, value: what was measured, and its mean over seeds.
std: sample standard deviation over what the table's text names (seeds or folds), as `spread` computes it.
standard_error: of a mean, where the text says so: how far it would move with other recordings.
seeds: how many there were.  seconds: what the measurement took.  device, date, command: where, when and by what.
code: short hash of the code that ran, comments and layout apart (`provenance.code_hash`); `python -m course_lib
measure --stale` lists the rows whose code has changed since.  Empty: published elsewhere, or recorded before there were
hashes.  data: name and fingerprint of the data, or "generated", where the code is all there is to know.
"""

import csv
import datetime
import io
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock
from numpy.typing import ArrayLike
from scipy.stats import t as student

from course_lib.files import replacing
from course_lib.paths import RESULTS
from course_lib.training import device_label
from course_lib.training.compare import Comparison

COLUMNS = "measure value std standard_error seeds seconds device date command code data".split()
_GIVEN = {*COLUMNS} - {"date", "command"}


def record(
    table: str, rows: Iterable[Mapping], command: str, *, code: str = "", data: str = "", folder: Path | None = None
) -> Path:
    """Enter `rows` into the table; a measure that is there already is replaced where it stands. Returns the path.

    rows: dicts with measure and value and, where they are known, other columns (None or NaN: not known, left empty);
    device is this machine's (the GPU's model or "cpu-<cores>") unless a row says otherwise; the date is today's.
    command: what a reader types to repeat it.  code, data: of all rows that do not say otherwise.
    Several processes may record at once: every row of each of them is kept.
    Raises ValueError for other keys, a missing measure or value, a measure given twice, and a file that `read` refuses.
    """
    rows = [{key: "" if value != value else value for key, value in row.items()} for row in rows]  # NaN: not known
    for row in rows:
        if not {"measure", "value"} <= row.keys() <= _GIVEN:
            raise ValueError(f"rows: expected measure, value and some of {sorted(_GIVEN)}, got {sorted(row)}")
    names = [row["measure"] for row in rows]
    if len(set(names)) < len(names):
        raise ValueError(f"rows: expected each measure once, got {names}")
    given = {"device": device_label(), "code": code, "data": data}
    common = {"date": datetime.date.today().isoformat(), "command": command}
    path = _path(table, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        entries = _entries(path) if path.exists() else {}
        for row in rows:
            entries[row["measure"]] = given | row | common
        with replacing(path) as temporary:
            temporary.write_text(_text(entries), encoding="utf-8", newline="")
    return path


def read(table: str, folder: Path | None = None) -> pd.DataFrame:
    """The table as a DataFrame, also after a spreadsheet has saved it (byte-order mark, semicolons, decimal commas).

    Raises FileNotFoundError naming the tables that there are, and ValueError saying what is wrong with the file.
    """
    path = _path(table, folder)
    if not path.exists():
        there = ", ".join(sorted(file.stem for file in path.parent.glob("*.csv"))) or "none"
        raise FileNotFoundError(f"no recorded table {table!r}; recorded are: {there}")
    text = dict.fromkeys(("measure", "device", "date", "command", "code", "data"), str)
    return pd.read_csv(io.StringIO(_text(_entries(path))), dtype=text)


def over_seeds(measure: str, values: ArrayLike, seconds: float | None = None) -> dict:
    """A row for `record`: mean and `spread` of `values`, one a seed, to 4 digits, and how many there are.

    seconds: kept to a tenth; None: not known.
    """
    row = {"measure": measure, "value": round(float(np.mean(values)), 4), "std": spread(values), "seeds": len(values)}
    return row if seconds is None else row | {"seconds": round(seconds, 1)}


def difference(measure: str, found: Comparison) -> dict:
    """A row for `record`: what `training.compare` found of pairs, and its standard error, to 4 digits."""
    margin = (found.high - found.low) / 2  # of the 95 % interval, by Student's t
    error = margin / float(student.ppf(0.975, found.units - 1))
    return {"measure": measure, "value": round(found.difference, 4), "standard_error": round(error, 4)}


def spread(values: ArrayLike) -> float:
    """The `std` of a row: sample standard deviation (n - 1 in the denominator) to 4 digits; NaN for a single value."""
    values = np.asarray(values, dtype=float)
    return round(float(values.std(ddof=1)), 4) if values.size > 1 else float("nan")


def _entries(path: Path) -> dict[str, dict[str, str]]:
    """measure → row, in the file's order; as text, so that rows which stay do not change by a digit."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: expected UTF-8 text, got byte {error.start} that is none: save as CSV UTF-8"
        ) from None
    delimiter = next(
        (d for d in ",;\t" if lines and {"measure", "value"} <= {*next(csv.reader(lines, delimiter=d))}), None
    )
    if delimiter is None:
        raise ValueError(
            f"{path}: expected a first line with measure, value, …, got {lines[0][:80] if lines else 'nothing'}"
        )
    entries: dict[str, dict[str, str]] = {}
    for number, row in enumerate(csv.DictReader(lines, delimiter=delimiter), start=2):
        if not any(row.values()):
            continue  # a spreadsheet's empty line
        if None in row or None in row.values():
            raise ValueError(f"{path}: expected a cell for each column in row {number}, got {row}")
        for column in ("value", "std", "standard_error", "seeds", "seconds"):
            if delimiter != ",":  # a spreadsheet that writes semicolons writes 0,5 for 0.5
                row[column] = row.get(column, "").replace(",", ".")
            try:
                float(row.get(column) or 0)
            except ValueError:
                raise ValueError(
                    f"{path}: expected a number as {column} in row {number}, got {row[column]!r}"
                ) from None
        if row["measure"] in entries or not row["measure"]:
            raise ValueError(f"{path}: expected each measure once, got {row['measure']!r} again in row {number}")
        entries[row["measure"]] = row
    return entries


def _text(entries: Mapping[str, Mapping[str, str]]) -> str:
    """The file: `COLUMNS`, then those that somebody added."""
    added = dict.fromkeys(column for row in entries.values() for column in row if column not in COLUMNS)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [*COLUMNS, *added], lineterminator="\n")
    writer.writeheader()
    writer.writerows(entries.values())
    return buffer.getvalue()


def _path(table: str, folder: Path | None) -> Path:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", table):
        raise ValueError(f"table: expected a file name of lower-case letters, digits, '_' and '-', got {table!r}")
    return (RESULTS if folder is None else folder) / f"{table}.csv"
