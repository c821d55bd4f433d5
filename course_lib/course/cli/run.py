"""`run`: solved notebooks, executed headless, a line each, and a CSV."""

import argparse
import csv
import hashlib
import io
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import nbformat
from tqdm import tqdm

from course_lib.course.cli import shown
from course_lib.course.cli.execute import Execution, execute
from course_lib.course.exercises.learner import notebook_path, solved_notebooks
from course_lib.files import replacing
from course_lib.paths import PROJECT_ROOT

TABLE = "course.csv"
COLUMNS = ("notebook", "ok", "seconds", "peak_gib", "figures", "error")


def run(arguments: argparse.Namespace) -> int:
    """Execute the chosen notebooks, several at a time; executed copies and `course.csv` go to the output folder.

    A file in there that an earlier run did not write, or that somebody changed since, is never written over. An
    interruption stops the running notebooks and the waiting ones; the table keeps those that were done.
    """
    try:
        paths = solved_notebooks() if arguments.all else [notebook_path(number) for number in arguments.number]
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    folder = arguments.output or PROJECT_ROOT / "executed"
    rows: list[dict[str, str]] = []
    stop = threading.Event()
    try:
        output = _Output(folder)
        output.refuse_strangers([TABLE, *(path.name for path in paths)])
        with ThreadPoolExecutor(max(1, arguments.workers)) as pool:
            waiting = {pool.submit(_run_one, path, output, arguments.timeout, stop): path for path in paths}
            try:
                with tqdm(as_completed(waiting), total=len(waiting), unit="notebook", disable=len(paths) == 1) as bar:
                    for done in bar:
                        execution = done.result()
                        rows.append(_row(waiting[done].stem, execution))
                        output.write(TABLE, _table(rows))
                        bar.write(_line(waiting[done].stem, execution))
            except BaseException:  # Ctrl-C, a full disk: nobody waits for notebooks whose results go nowhere
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    except OSError as error:
        print(f"cannot write to {shown(folder)}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{len(rows)} of {len(paths)} notebooks were done; see {TABLE} in {shown(folder)}", file=sys.stderr)
        raise
    failed = sum(row["ok"] == "no" for row in rows)
    print(f"{len(rows) - failed} of {len(rows)} notebooks ok; executed copies and {TABLE} in {shown(folder)}")
    return 1 if failed or not rows else 0


class _Output:
    """The folder that `run` writes to, and the list `.written.json` of what it wrote there: {name: SHA-256 sums}."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._list, self._lock = folder, folder / ".written.json", threading.Lock()
        try:
            self._written: dict[str, list[str]] = dict(json.loads(self._list.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):  # none or damaged: then nothing here is known as ours
            self._written = {}

    def refuse_strangers(self, names: list[str]) -> None:
        """Raises FileExistsError where one of `names` is there, and is not as `write` left it."""
        for name in names:
            path = self.folder / name
            if not path.exists() and not path.is_symlink():
                continue
            if path.is_symlink() or hashlib.sha256(path.read_bytes()).hexdigest() not in self._written.get(name, ()):
                raise FileExistsError(f"{name} is there, not as a run left it: move it, or choose another --output")

    def write(self, name: str, text: str) -> None:
        """Write a file whole, unless there is a stranger of that name (FileExistsError)."""
        content = text.encode()
        with self._lock:
            self.refuse_strangers([name])
            # The list comes first, with the sum before this one: a kill in between leaves a file that is known as ours.
            self._written[name] = [*self._written.get(name, [])[-1:], hashlib.sha256(content).hexdigest()]
            with replacing(self._list) as temporary:
                temporary.write_text(json.dumps(self._written, indent=1) + "\n", encoding="utf-8")
            with replacing(self.folder / name) as temporary:
                temporary.write_bytes(content)


def _run_one(path: Path, output: _Output, timeout: int, stop: threading.Event) -> Execution:
    notebook, environment = nbformat.read(path, as_version=4), {"COURSE_CHECK": "raise"}
    execution = execute(notebook, path.parent, environment=environment, timeout=timeout, stop=stop)
    if not stop.is_set():
        output.write(path.name, nbformat.writes(execution.notebook) + "\n")
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


def _table(rows: list[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(rows, key=lambda row: row["notebook"]))
    return text.getvalue()
