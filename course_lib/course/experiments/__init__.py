"""Recorded runs: measurements that take longer than a notebook's minute.

One file a run, which says what is measured: its `EXPERIMENT`, as `runner` describes it. `python -m course_lib measure
NAME` measures and writes the rows to `figures/results/NAME.csv`, which notebooks read with `results.read`, and what the
run keeps beside them, such as each seed's numbers, to `figures/results/detail/NAME_*.csv`.
"""

import ast
import importlib
from pathlib import Path
from types import ModuleType


def experiments() -> dict[str, str]:
    """Name → first line of its docstring, read without importing anything."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "EXPERIMENT" for node in tree.body):
            found[path.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def load(name: str) -> ModuleType:
    """The module of the recorded run `name`. Raises KeyError, naming those that exist."""
    known = experiments()
    if name not in known:
        raise KeyError(f"no recorded run is called {name!r}; there are: {', '.join(known) or 'none yet'}")
    return importlib.import_module(f"course_lib.course.experiments.{name}")
