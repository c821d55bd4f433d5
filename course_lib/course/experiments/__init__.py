"""Recorded runs: measurements that take longer than a notebook's minute.

One file a run. `python -m course_lib measure NAME` calls `run` of `course_lib/course/experiments/NAME.py`, which
measures and writes its rows to `figures/results/*.csv` with `results.record`; notebooks show it. ::

    '''The CNN baseline, 100 epochs, one official fold held out.'''     # first line: what `measure --help` shows

    def add_arguments(parser): ...      # optional: its own options (an argparse parser)
    def run(arguments): ...             # arguments.command is the line to record
"""

import ast
import importlib
from pathlib import Path
from types import ModuleType


def experiments() -> dict[str, str]:
    """Name → first line of its docstring, read without importing anything."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if not path.name.startswith("_") and path.stem != "results":
            docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            found[path.stem] = docstring.partition("\n")[0]
    return found


def load(name: str) -> ModuleType:
    """The module of the recorded run `name`. Raises KeyError, naming those that exist."""
    known = experiments()
    if name not in known:
        raise KeyError(f"no recorded run is called {name!r}; there are: {', '.join(known) or 'none yet'}")
    return importlib.import_module(f"course_lib.course.experiments.{name}")
