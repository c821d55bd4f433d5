"""The learner's copy of a notebook: the same cells, with the solutions taken out."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from course_lib import __version__
from course_lib.files import replacing
from course_lib.paths import NOTEBOOKS, work_dir

if TYPE_CHECKING:  # nbformat takes two seconds to import, and every notebook that has a check imports this file
    import nbformat

BEGIN = "### BEGIN " + "SOLUTION"  # in two pieces, so that this file itself carries no marker
END = "### END " + "SOLUTION"


def solved_notebooks() -> list[Path]:
    """The course's notebooks, in order."""
    return sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def notebook_path(number: str) -> Path:
    """The solved notebook of `number` ("2" or "02"). Raises FileNotFoundError, naming the ones that exist."""
    found = solved_notebooks()
    for path in found:
        if number.isdigit() and path.name[:2] == number.zfill(2):
            return path
    known = ", ".join(path.name[:2] for path in found) or "none yet"
    raise FileNotFoundError(f"there is no notebook {number!r}; there are: {known}")


def blank(source: str) -> str:
    """`source` with each marked solution replaced by `raise NotImplementedError` at the solution's indentation.

    Raises ValueError where markers do not pair, or stand outside a function (at the left margin).
    """
    out: list[str] = []
    inside = False
    for line in source.splitlines():
        mark = line.strip()
        if mark == BEGIN:
            indent = line[: len(line) - len(line.lstrip())]
            if inside or not indent:
                raise ValueError(f"{BEGIN!r} " + ("twice in a row" if inside else "outside a function body"))
            out.append(f"{indent}raise NotImplementedError")
            inside = True
        elif mark == END:
            if not inside:
                raise ValueError(f"{END!r} without {BEGIN!r}")
            inside = False
        elif BEGIN in line or END in line:
            raise ValueError(f"a solution marker must stand alone on its line, got {line!r}")
        elif not inside:
            out.append(line)
    if inside:
        raise ValueError(f"{BEGIN!r} without {END!r}")
    return "\n".join(out)


def learner_copy(path: Path) -> nbformat.NotebookNode:
    """The notebook at `path` with solutions blanked and outputs empty; cell ids, tags and all else as they are.

    Raises ValueError, naming the cell, where solution markers do not pair.
    """
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        try:
            cell.source = blank(cell.source)
        except ValueError as error:
            raise ValueError(f"{path.name}, cell {cell.get('id')}: {error}") from error
        cell.outputs, cell.execution_count = [], None
    return notebook


def version_of(notebook: nbformat.NotebookNode) -> str:
    """A name for what a notebook says: its cells' ids, kinds and sources."""
    content = [[cell.get("id"), cell.cell_type, cell.source] for cell in notebook.cells]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]


def base_of(name: str, version: str) -> Path:
    """Where it is kept what a learner's copy of that name and version was made from: in `.base/` beside the copy."""
    return work_dir() / ".base" / f"{Path(name).stem}.{version}.ipynb"


def write_notebook(path: Path, notebook: nbformat.NotebookNode, *, over: bool) -> None:
    """Write a notebook whole or not at all. Raises FileExistsError where one is there and not to be written over."""
    import nbformat

    text = nbformat.writes(notebook)
    with replacing(path) as temporary:
        if not over and os.path.lexists(path):  # a link that leads nowhere is the learner's, too
            raise FileExistsError(path)
        temporary.write_text(text if text.endswith("\n") else text + "\n", encoding="utf-8", newline="\n")


def write_learner_copy(path: Path) -> tuple[Path, bool]:
    """Write the learner's copy of the notebook at `path` into the learner's folder; an existing file is left alone.

    The copy is whole or not there at all, also where the disk is full or the process is killed. Its metadata name the
    version that it was made from, which is kept in `.base/`, so that a newer one can be merged in.
    Returns the copy's path and whether it was written now.
    """
    target, copy = work_dir() / path.name, learner_copy(path)
    if os.path.lexists(target):
        return target, False
    version = version_of(copy)
    write_notebook(base_of(path.name, version), copy, over=True)
    copy.metadata["course"] = {"version": __version__, "made_from": version}
    try:
        write_notebook(target, copy, over=False)
    except FileExistsError:
        return target, False
    return target, True
