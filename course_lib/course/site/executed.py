"""Executed copies of the solved notebooks: what has not changed since comes from a cache."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat

from course_lib.course.cli.execute import execute
from course_lib.course.experiments import provenance
from course_lib.data.esc10 import find_esc10
from course_lib.files import replacing
from course_lib.paths import PROJECT_ROOT, RESULTS

# What a notebook reaches by other ways than its imports: the checks by name, the pictures, which decide what is seen.
BESIDE = ("course_lib/plots/*.py", "course_lib/course/exercises/[!n]*.py")


class BookError(RuntimeError):
    """The book cannot be built; the message says why."""


def key(notebook: Path, root: Path = PROJECT_ROOT) -> str:
    """Sixteen digits that change where the outputs of `notebook` could: code, library, tables that it reads, data.

    Prose does not count, nor do comments and layout of the library's code that the notebook's imports reach.
    """
    cells = [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    code = "\n".join(cell.source for cell in cells)
    parts = [json.dumps([[cell.id, cell.source] for cell in cells]), provenance.text_hash(code, root)]
    parts.append("ESC-10" if find_esc10() else "generated")
    files = [path for pattern in BESIDE for path in sorted(root.glob(pattern))]
    files += sorted(root.glob(f"course_lib/course/exercises/nb{notebook.name[:2]}_*.py"))
    for name in sorted(set(re.findall(r"""["']([a-z][\w-]+?)(?:\.csv)?["']""", code))):  # results.read("pooling")
        files += [path for path in (RESULTS / f"{name}.csv", RESULTS / "detail" / f"{name}.csv") if path.exists()]
    parts += [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def executed(
    notebooks: Iterable[Path],
    cache: Path,
    *,
    given: Path | None = None,
    workers: int = 2,
    said: Callable[[str], object] = print,
) -> dict[Path, nbformat.NotebookNode]:
    """The notebooks with their outputs, in order; those that `cache` does not hold as they are now are executed.

    given: a folder of copies executed by others (`python -m course_lib run`), taken where their code is that of today;
    they do not enter the cache, since nobody knows which library made them.
    said: is told what comes from where.  Raises BookError for a notebook that fails; the others are in the cache then.
    """
    found, waiting = {}, {}
    for path in notebooks:
        kept = cache / f"{path.stem}.{key(path)}.ipynb"
        source = nbformat.read(path, as_version=4)
        if kept.exists():
            found[path] = _with_outputs(source, nbformat.read(kept, as_version=4))
        elif given and (given / path.name).exists() and (copy := _of_today(source, given / path.name)):
            said(f"{path.stem}: outputs from {given}")
            found[path] = copy
        else:
            waiting[path] = kept
    said(f"{len(found)} notebooks have their outputs, {len(waiting)} are executed")

    def run(path: Path) -> str:
        notebook = nbformat.read(path, as_version=4)
        done = execute(notebook, path.parent, environment={"COURSE_CHECK": "raise"})
        if not done.ok:
            return f"{path.stem}: {done.error}"
        for old in cache.glob(f"{path.stem}.*.ipynb"):
            old.unlink()
        with replacing(waiting[path]) as temporary:
            temporary.write_text(nbformat.writes(done.notebook) + "\n", encoding="utf-8")
        said(f"{path.stem}: executed in {done.seconds:.0f} s")
        found[path] = done.notebook
        return ""

    with ThreadPoolExecutor(max(1, workers)) as pool:
        failed = [error for error in pool.map(run, waiting) if error]
    if failed:
        raise BookError("\n".join(failed))
    return dict(sorted(found.items()))


def _of_today(source: nbformat.NotebookNode, path: Path) -> nbformat.NotebookNode | None:
    """The executed copy at `path`, or None where a code cell is another one than in `source`, or one failed."""
    copy = nbformat.read(path, as_version=4)
    code = [[cell.get("id"), cell.source] for cell in source.cells if cell.cell_type == "code"]
    theirs = [cell for cell in copy.cells if cell.cell_type == "code"]
    failed = any(output.output_type == "error" for cell in theirs for output in cell.outputs)
    if failed or code != [[cell.get("id"), cell.source] for cell in theirs]:
        return None
    return _with_outputs(source, copy)


def _with_outputs(source: nbformat.NotebookNode, copy: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Today's prose and code, with the outputs of an executed copy."""
    outputs = {cell.id: cell for cell in copy.cells if cell.cell_type == "code"}
    for cell in source.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = outputs[cell.id].outputs, outputs[cell.id].execution_count
    return source
