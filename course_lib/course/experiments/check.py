"""Are recorded numbers still those of the code? Measure one cell of a table again, or look at what changed since."""

import re
from pathlib import Path

import pandas as pd

from course_lib.course.experiments import results
from course_lib.course.experiments.runner import Cells, Experiment

SPREADS, SHARE, DIGIT = 3.0, 0.01, 1e-4


def recheck(experiment: Experiment, folder: Path | None = None) -> list[str]:
    """Measure the experiment's cheapest cell again and compare; a line for each row that does not hold.

    A recorded value is a mean over seeds, and the new one is that of the first of them. It holds where the two differ
    by at most 3 times the spread that the row states (std or standard_error), a hundredth of the value, which is for
    the arithmetic of another machine, and one in the last of the four digits that are kept. On the same code and
    machine it is never more than (n - 1) / sqrt(n) times the std of n seeds (Samuelson's inequality). Whole numbers,
    such as parameters, must be equal; rows that depend on the machine (`unchecked`) are passed over.
    All tables together take about 20 CPU minutes, half of them for a fold of `audio_cnn`, each other one up to 2.5.
    Raises FileNotFoundError where the table or the data are not here, ValueError where no row can be compared.
    """
    recorded = results.read(experiment.table, folder).set_index("measure")
    cells = Cells(experiment, {name: default for name, (default, _) in experiment.options.items()}, again=True)
    rows = cells.rows({experiment.cheapest: [cells.cell(experiment.cheapest, experiment.seeds[0])]})
    rows = [
        row for row in rows if row["measure"] in recorded.index and not re.search(experiment.unchecked, row["measure"])
    ]
    if not rows:
        raise ValueError(f"{experiment.table}: no recorded row is of {experiment.cheapest!r}")
    failed = []
    for row in rows:
        old = recorded.loc[row["measure"]]
        spread = old[["std", "standard_error"]].astype(float).max()  # NaN where neither is known
        allowed = SPREADS * (0.0 if pd.isna(spread) else spread) + SHARE * abs(old["value"]) + DIGIT
        if isinstance(row["value"], int):
            allowed = 0.0
        if not abs(row["value"] - old["value"]) <= allowed:
            failed.append(
                f"{experiment.table}: {row['measure']}: recorded {old['value']:g}, now {row['value']:g}; "
                f"expected within {allowed:.4g}"
            )
    return failed


def cost(experiment: Experiment, folder: Path | None = None) -> float:
    """Seconds that one cell of the setting to check took when it was recorded; NaN where the table does not say."""
    recorded = results.read(experiment.table, folder)
    own = recorded[recorded["measure"].str.contains(experiment.cheapest, regex=False)]
    return (own["seconds"] / own["seeds"].fillna(1)).max()


def stale(experiment: Experiment, folder: Path | None = None) -> pd.DataFrame:
    """The table's rows that other code recorded than what runs now: measure, code, and `why` in words."""
    recorded = results.read(experiment.table, folder)
    recorded = recorded[recorded["device"] != "published"]
    old, now = recorded["code"].fillna(""), experiment.code
    why = old.map({code: f"code {code}, now {now}" for code in old} | {"": "recorded before there were hashes"})
    return recorded.assign(code=old, why=why).loc[old != now, ["measure", "code", "why"]]
