"""A newer version of a notebook, merged into the learner's copy cell by cell; no cell of the learner's is lost.

Beside a copy, in `.base/`, lies what it was made from; the copy's metadata name that version. A cell that only the
course changed becomes the new one, a cell that only the learner changed stays, and where both changed its lines are
merged. Where that cannot be done both cells stay: the course's first, so that the learner's, run after it, counts.
"""

from __future__ import annotations

import copy
import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from course_lib import __version__
from course_lib.course.exercises.learner import base_of, learner_copy, version_of, write_notebook
from course_lib.paths import work_dir

UPDATE = "course-update"  # the tag of a cell of the course's that stands beside the learner's


@dataclass(frozen=True)
class Update:
    """What became of a copy: how many cells are new or changed by the course, and the ids of those kept twice."""

    copy: Path
    state: str  # written, up to date, updated
    changed: int = 0
    twice: tuple[str, ...] = ()


def is_behind(path: Path) -> bool | None:
    """Whether the learner's copy of the notebook at `path` was made from another version; None without a copy.

    Raises ValueError where the copy is no notebook.
    """
    target = work_dir() / path.name
    if not target.exists():
        return None
    made_from = read_copy(target).metadata.get("course", {}).get("made_from")
    return made_from != version_of(learner_copy(path))


def update(path: Path) -> Update:
    """Bring the newer version of the notebook at `path` into the learner's copy, which is written whole or not at all.

    Raises FileNotFoundError without a copy, ValueError where it is no notebook, OSError.
    """
    target = work_dir() / path.name
    mine, new = read_copy(target), learner_copy(path)
    version = version_of(new)
    if mine.metadata.get("course", {}).get("made_from") == version:
        return Update(target, "up to date")
    before = str(mine.metadata.get("course", {}).get("made_from"))
    before = before if re.fullmatch(r"[0-9a-f]{12}", before) else "unknown"  # it becomes a file's name
    merged, changed, twice = merge(_base(base_of(path.name, before), before), mine, new)
    merged.metadata["course"] = {"version": __version__, "made_from": version}
    write_notebook(base_of(path.name, version), new, over=True)
    write_notebook(target, merged, over=True)
    base_of(path.name, before).unlink(missing_ok=True)
    return Update(target, "updated", changed, tuple(twice))


def _base(path: Path, version: str) -> NotebookNode:
    """What the copy was made from; without it a notebook of no cells, so that whatever differs is kept twice."""
    try:
        base = read_copy(path)
    except (FileNotFoundError, ValueError):
        return nbformat.v4.new_notebook()
    return base if version_of(base) == version else nbformat.v4.new_notebook()


def read_copy(path: Path) -> NotebookNode:
    """The notebook at `path`. Raises FileNotFoundError, and ValueError where it is none."""
    try:
        return nbformat.read(path, as_version=4)
    except FileNotFoundError:
        raise
    except Exception as error:  # noqa: BLE001  nbformat raises what its parser, its validator or its converter do
        raise ValueError(f"{path.name} is no notebook that can be read: {type(error).__name__}") from error


def merge(base: NotebookNode, mine: NotebookNode, new: NotebookNode) -> tuple[NotebookNode, int, list[str]]:
    """The learner's notebook with the course's changes, the number of cells that they touch, those kept twice."""
    of_base, of_mine, of_new = ({cell.id: cell for cell in notebook.cells} for notebook in (base, mine, new))
    cells, changed, twice = [], 0, []
    for cell in mine.cells:
        before, course = of_base.get(cell.id), of_new.get(cell.id)
        if course is None:
            if before is None or before.source != cell.source:
                cells.append([cell])  # the learner's own, or one that the course gave up and the learner changed
            else:
                changed += 1
            continue
        kept = [cell]
        if course.source != cell.source and (before is None or course.source != before.source):
            changed += 1
            kept = _both(before, cell, course, of_mine)
            if len(kept) > 1:
                twice.append(cell.id)
        cells.append(kept)
    cells, added = _with_new(cells, new, of_base, of_mine)
    merged = copy.deepcopy(mine)
    merged.metadata = NotebookNode({**mine.metadata, **new.metadata})
    merged.cells = [cell for kept in cells for cell in kept]
    return merged, changed + added, twice


def _both(before: Any, cell: Any, course: Any, of_mine: dict[str, Any]) -> list[Any]:
    """One cell where the course's lines fit into the learner's, else the course's cell and the learner's."""
    if before is not None and cell.source == before.source:
        return [_with_source(cell, course.source)]
    source = None if before is None else merged_lines(before.source, cell.source, course.source)
    if source is not None:
        return [_with_source(cell, source)]
    names = (f"{course.id[:50]}-update{number or ''}" for number in itertools.count())
    beside = copy.deepcopy(course)
    for name in names:
        if name not in of_mine:
            break
        if of_mine[name].source == course.source:  # it stands there since an earlier update
            return [cell]
    beside.id = name
    beside.metadata["tags"] = [*beside.metadata.get("tags", []), UPDATE]
    return [beside, cell]


def _with_source(cell: Any, source: str) -> Any:
    changed = copy.deepcopy(cell)
    changed.source = source
    if changed.cell_type == "code":
        changed.outputs, changed.execution_count = [], None
    return changed


def _with_new(cells: list[Any], new: NotebookNode, of_base: Any, of_mine: Any) -> tuple[list[Any], int]:
    """The cells that the course added, each after its neighbour before it. One that the learner deleted stays away."""
    added, before = 0, None
    for cell in new.cells:
        if cell.id not in of_mine and (cell.id not in of_base or of_base[cell.id].source != cell.source):
            ids = [kept[-1].id for kept in cells]
            cells.insert(ids.index(before) + 1 if before in ids else 0, [cell])
            added += 1
            before = cell.id
        elif cell.id in of_mine:
            before = cell.id
    return cells, added


def merged_lines(base: str, mine: str, new: str) -> str | None:
    """Both changes of a text, by nbdime; None where they touch the same lines."""
    from nbdime import merge_notebooks

    texts = [nbformat.v4.new_notebook(cells=[nbformat.v4.new_raw_cell(text, id="one")]) for text in (base, mine, new)]
    merged, decisions = merge_notebooks(*texts)
    conflict = any(decision.conflict for decision in decisions)
    return None if conflict or len(merged.cells) != 1 else merged.cells[0].source
