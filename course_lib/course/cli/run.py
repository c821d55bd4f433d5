"""`run`: solved notebooks, executed headless, a line each, and a CSV."""

import argparse
import csv
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import nbformat
from tqdm import tqdm

from course_lib.course.cli import shown
from course_lib.course.cli.execute import Execution, execute
from course_lib.course.exercises.learner import notebook_path, solved_notebooks
from course_lib.paths import PROJECT_ROOT


def run(arguments: argparse.Namespace) -> int:
    """Execute the chosen notebooks, several at a time; executed copies and `course.csv` go to the output folder."""
    try:
        paths = solved_notebooks() if arguments.all else [notebook_path(number) for number in arguments.number]
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    output = arguments.output or PROJECT_ROOT / "executed"
    output.mkdir(parents=True, exist_ok=True)
    rows = []
    with ThreadPoolExecutor(max(1, arguments.workers)) as pool:
        waiting = {pool.submit(_run_one, path, output, arguments.timeout): path for path in paths}
        with tqdm(as_completed(waiting), total=len(waiting), unit="notebook", disable=len(paths) == 1) as bar:
            for done in bar:
                execution = done.result()
                rows.append(_row(waiting[done].stem, execution))
                bar.write(_line(waiting[done].stem, execution))
    _write_csv(output / "course.csv", sorted(rows, key=lambda row: row["notebook"]))
    failed = sum(row["ok"] == "no" for row in rows)
    print(f"{len(rows) - failed} of {len(rows)} notebooks ok; executed copies and course.csv in {shown(output)}")
    return 1 if failed or not rows else 0


def _run_one(path: Path, output: Path, timeout: int) -> Execution:
    execution = execute(
        nbformat.read(path, as_version=4), path.parent, environment={"COURSE_CHECK": "raise"}, timeout=timeout
    )
    nbformat.write(execution.notebook, output / path.name)
    return execution


def _row(name: str, execution: Execution) -> dict[str, str]:
    return {
        "notebook": name,
        "ok": "yes" if execution.ok else "no",
        "seconds": f"{execution.seconds:.1f}",
        "peak_gib": f"{execution.peak_bytes / 2**30:.2f}",
        "figures": str(execution.figures),
        "error": execution.error,
    }


def _line(name: str, execution: Execution) -> str:
    state = "ok" if execution.ok else f"FAILED  {execution.error}"
    return f"{name:<28} {execution.seconds:7.1f} s {execution.peak_bytes / 2**30:6.2f} GiB  {state}"


def _write_csv(path: Path, rows: list[dict[str, str]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(
            file, ["notebook", "ok", "seconds", "peak_gib", "figures", "error"], lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(rows)
