"""One way to run a measurement: cells (a setting and a seed), a function that measures one, and rows made of them.

A recorded run is a module of this folder that says what it measures::

    '''The CNN baseline, 100 epochs, one official fold held out.'''     # first line: what `measure --help` shows

    def measure(seed, layer, steps): ...                # one cell → {"accuracy": 0.93}; lists are for `rows`

    SETTINGS = {"RNN": {"layer": VanillaRNN}, "GRU": {"layer": GRU}}  # or of a `grid`
    EXPERIMENT = Experiment(measure, SETTINGS, cheapest="RNN", options={"steps": (200, "training batches")})

The runner parses the command line, loads the data, measures what is not measured yet, prints a line a cell and enters
the rows into figures/results as soon as a setting's seeds are done. A finished cell is kept in the cache under a hash
of the code it ran, its arguments and the data, so a run that was stopped goes on, and no change of code meets an old
number. Two processes may run at once.
"""

import argparse
import hashlib
import inspect
import itertools
import json
import re
import shlex
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from filelock import FileLock

from course_lib.course.experiments import results
from course_lib.course.experiments.provenance import code_hash, fingerprint
from course_lib.files import replacing
from course_lib.paths import cache_dir

Found = dict[str, list[dict[str, Any]]]  # setting → what each of its seeds measured, "seed" and "seconds" among it


class NotHere(FileNotFoundError):
    """Data that one setting needs are not on this machine: it is left out, the others are measured."""


@dataclass(frozen=True)
class Experiment:
    """What a recorded run measures.

    measure(seed, data, **setting, **options): one cell: numbers by name, and what `rows` and `details` need (a dict of
    further columns of `by_seed`; lists).  Here and below, `seed` and `data` are given to functions that have such a
    parameter.
    settings: name → keyword arguments of `measure`.  seeds: of each setting, but those in `once` take only the first.
    options: name → (default, help): further arguments of `measure`, which `--name` sets.
    label: the name of a number's row; "{setting}", "{what}" and the arguments of the setting are filled in.  Whole
    numbers stand for themselves, others for their mean over seeds, with its spread.
    rows(found, data): makes rows of a `Found` in another way; some settings or seeds may be missing from it.
    details(found, data): name → table to keep under figures/results/detail.  details_by: the column with the setting's
    name; rows of settings that were not measured this time stay.
    source: what the data are called; load(): what they are, None where they are generated.
    threads: of PyTorch, None: as many as there are.
    cheapest: the setting that `--check` measures again.  unchecked: a pattern of the rows
    that it passes over: those that depend on the machine, or on all the seeds.
    """

    measure: Callable[..., dict[str, Any]]
    settings: Mapping[str, Mapping[str, Any]]
    cheapest: str
    seeds: Sequence[int] = (0, 1, 2)
    once: Collection[str] = ()
    options: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    label: str = "{setting}: {what}"
    rows: Callable[..., list[dict]] | None = None
    details: Callable[..., dict[str, pd.DataFrame]] | None = None
    details_by: str = "setting"
    source: str = "generated"
    load: Callable[[], Any] | None = None
    threads: int | None = None
    unchecked: str = "(?!)"  # none

    @property
    def table(self) -> str:
        """Its table's name, which is the module's."""
        return self.measure.__module__.rpartition(".")[2]

    @property
    def code(self) -> str:
        """Hash of the code that it runs."""
        return code_hash(self.measure.__module__)


class Cells:
    """The measured cells of one experiment: read from the cache where they are there, measured and kept where not."""

    def __init__(self, experiment: Experiment, options: Mapping[str, Any], again: bool = False):
        """again: measure also what is kept.  Raises FileNotFoundError where the data are not here."""
        self.experiment, self.options, self.again = experiment, options, again
        self.data = None if experiment.load is None else experiment.load()
        self.data_label = experiment.source + ("" if self.data is None else f" {fingerprint(self.data)}")
        self.code = experiment.code

    def cell(self, setting: str, seed: int) -> dict[str, Any]:
        """What the cell measured, "seed" and CPU "seconds" among it. A line says so."""
        given = {**self.experiment.settings[setting], **self.options}
        key = [self.code, self.data_label, setting, seed, self.experiment.settings[setting], self.options]
        name = hashlib.blake2b(json.dumps(key, default=_name_of).encode(), digest_size=6).hexdigest()
        slug = re.sub(r"\W+", "-", f"{setting}-{seed}")
        file = cache_dir() / "experiments" / self.experiment.table / f"{slug}-{name}.json"
        kept = file.exists() and not self.again
        if not kept:
            threads, started = torch.get_num_threads(), time.process_time()
            torch.set_num_threads(self.experiment.threads or threads)
            try:
                value = _call(partial(self.experiment.measure, **given), seed=seed, data=self.data)
            finally:
                torch.set_num_threads(threads)
            value = {"seed": seed, "seconds": time.process_time() - started} | value
            with replacing(file) as temporary:
                temporary.write_text(json.dumps(value, default=lambda array: array.tolist()), encoding="utf-8")
        value = json.loads(file.read_text(encoding="utf-8"))
        numbers = ", ".join(f"{k} {v:.4g}" for k, v in value.items() if k != "seed" and isinstance(v, int | float))
        print(f"{setting}, seed {seed}: {numbers}{' (kept)' if kept else ''}", flush=True)
        return value

    def rows(self, found: Found) -> list[dict]:
        if self.experiment.rows is not None:
            return _call(self.experiment.rows, found=found, data=self.data)
        return mean_rows(found, self.experiment.label, self.experiment.settings)

    def record(self, found: Found, command: str) -> None:
        """Enter the rows and the details of these cells into figures/results."""
        results.record(self.experiment.table, self.rows(found), command, code=self.code, data=self.data_label)
        if self.experiment.details is not None:
            for name, table in _call(self.experiment.details, found=found, data=self.data).items():
                _keep(f"{self.experiment.table}_{name}", table, self.experiment.details_by)


def run(experiment: Experiment, argv: Sequence[str] = (), prog: str = "measure", about: str | None = None) -> None:
    """Measure what `argv` asks for, by default all of it, and record it with the command, `prog` and `argv`."""
    parser = argparse.ArgumentParser(prog, description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    seeds = " ".join(map(str, experiment.seeds))
    parser.add_argument("--seeds", type=int, nargs="+", default=experiment.seeds, help=f"(default: {seeds})")
    parser.add_argument("--only", nargs="+", metavar="SETTING", help=f"some of: {'; '.join(experiment.settings)}")
    parser.add_argument("--again", action="store_true", help="measure also what is kept from an earlier run")
    for name, (default, text) in experiment.options.items():
        kind = str if default is None else type(default)
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=kind, default=default, help=f"{text} (default: {default})"
        )
    asked = parser.parse_args(argv)
    wanted = [s for s in experiment.settings if not asked.only or any(fnmatchcase(s, one) for one in asked.only)]
    if not wanted:
        parser.error(f"--only: no setting is called {' or '.join(asked.only)}")
    cells = Cells(experiment, {name: getattr(asked, name) for name in experiment.options}, asked.again)
    command, found = shlex.join([*prog.split(), *argv]), {}
    for setting in wanted:
        try:
            seeds = asked.seeds[:1] if setting in experiment.once else asked.seeds
            found[setting] = [cells.cell(setting, seed) for seed in seeds]
        except NotHere as error:
            print(f"{setting}: left out: {error}", file=sys.stderr)
            continue
        cells.record(found, command)


def mean_rows(
    found: Found, label: str = "{setting}: {what}", settings: Mapping[str, Mapping[str, Any]] | None = None
) -> list[dict]:
    """A row for each number of each setting: its mean over seeds and `spread`; a whole number as it is.

    A cell's "device" becomes that of its rows.
    """
    rows = []
    for setting, cells in found.items():
        seconds = sum(cell["seconds"] for cell in cells)
        for what, value in cells[0].items():
            name = label.format(setting=setting, what=what, **(settings or {}).get(setting, {}))
            if what in ("seed", "seconds") or not isinstance(value, int | float):
                continue
            whole = isinstance(value, int)
            values = [cell[what] for cell in cells]
            row = {"measure": name, "value": value} if whole else results.over_seeds(name, values, seconds)
            rows.append(row | {key: cells[0][key] for key in ("device",) if key in cells[0]})
    return rows


def by_seed(found: Found, by: str = "setting") -> dict[str, pd.DataFrame]:
    """For `details`: the table "seeds", a row a cell: its setting in the column `by`, its seed, what it measured.

    A dict becomes columns, a list is left out: see `by_item`.
    """
    rows: list[dict[str, Any]] = []
    for setting, cells in found.items():
        for cell in cells:
            rows.append({by: setting})
            for what, value in cell.items():
                if isinstance(value, dict):
                    rows[-1] |= value
                elif not isinstance(value, list):
                    rows[-1][what] = value
    return {"seeds": pd.DataFrame(rows).drop(columns="seconds")}


def by_item(
    found: Found, what: str, item: str, value: str, items: Iterable = range(1, 1_000), by: str = "setting"
) -> pd.DataFrame:
    """A row for each entry of each cell's list `what`: which one in the column `item`, and in `value` what it is.

    items: what the entries belong to.  Cells without the list are left out.
    """
    return pd.DataFrame(
        [
            {by: setting, "seed": cell["seed"], item: which, value: entry}
            for setting, cells in found.items()
            for cell in cells
            for which, entry in zip(items, cell.get(what, ()), strict=False)
        ]
    )


def by_measure(found: Found, value: str = "value") -> dict[str, pd.DataFrame]:
    """As `by_seed`, but a row a number, which stands in the column `value`: settings need not measure the same."""
    return {"seeds": by_seed(found)["seeds"].melt(["setting", "seed"], var_name="measure", value_name=value).dropna()}


def grid(name: str, /, **values: Iterable) -> dict[str, dict[str, Any]]:
    """A setting for each combination of the values, the last of them varied first; it is filled into its name."""
    settings = [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]
    return {name.format(**setting): setting for setting in settings}


def column(cells: Sequence[Mapping[str, Any]], what: str) -> np.ndarray:
    """One thing that all these cells measured: (seeds, ...)."""
    return np.array([cell[what] for cell in cells])


def total_seconds(cells: Sequence[Mapping[str, Any]]) -> float:
    """CPU seconds of all these cells together."""
    return sum(cell["seconds"] for cell in cells)


def _call(function: Callable, **arguments: Any) -> Any:
    """Call with those of the arguments that the function takes."""
    parameters = inspect.signature(function).parameters
    return function(**{name: value for name, value in arguments.items() if name in parameters})


def _keep(name: str, table: pd.DataFrame, by: str) -> None:
    """Write a detail table; rows whose `by` is not in the new one stay, in front of it."""
    path: Path = results.RESULTS / "detail" / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        if path.exists():
            before = pd.read_csv(path)
            table = pd.concat([before[~before[by].isin(table[by])], table])
        with replacing(path) as temporary:
            table.to_csv(temporary, index=False, float_format="%.4f", lineterminator="\n")


def _name_of(value: Any) -> str:
    """What stands for an argument that JSON cannot hold: its definition is part of the code's hash."""
    return getattr(value, "__qualname__", type(value).__qualname__)
