"""Building `mine.py` out of the learner's copies: what passes its check goes in, as it is written there."""

import ast
import contextlib
import io
import linecache
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_lib.course.exercises import exercises, run_check
from course_lib.course.exercises.deadline import OutOfTime, deadline
from course_lib.course.exercises.learner import write_notebook
from course_lib.course.exercises.runner import PASSED
from course_lib.course.workbook.cells import NotANotebook, Statement, read_program
from course_lib.course.workbook.mine import Piece, file_of, mine_file, pieces
from course_lib.course.workbook.update import read_copy
from course_lib.files import replacing

USE = "mine.use("
SECONDS = 60.0  # for what an answer needs from the cells above it


@dataclass(frozen=True)
class Built:
    """What became of an exercise: new, changed, as before, kept though it passes no longer, edited, not passed yet."""

    exercise: str
    state: str


def build(copies: list[Path]) -> list[Built]:
    """Check the answers in the learner's copies, and write those that pass into the learner's `mine.py`.

    What is in there and passes no longer stays as it was, and so does a piece that was edited by hand. The file is
    written whole or not at all. Raises OSError.
    """
    before = pieces()
    after, done = dict(before), []
    for path in copies:
        try:
            found = passing(path)
        except NotANotebook as error:
            done.append(Built(path.name, f"cannot be read, {error}"))
            continue
        for name, piece in found.items():
            old = before.get(name)
            if old and old.edited:
                state = "edited in mine.py, left as it is"
            elif piece is None:
                state = "passes no longer, kept as it passed" if old else "not passed yet"
            elif old and old.source == piece.source:
                state = "as before"
            else:
                after[name], state = piece, "changed" if old else "new"
            done.append(Built(name, state))
    if {name: piece.source for name, piece in after.items()} != {name: piece.source for name, piece in before.items()}:
        with replacing(mine_file()) as temporary:
            temporary.write_text(file_of(after), encoding="utf-8")
    return done


def passing(path: Path) -> dict[str, Piece | None]:
    """Exercise → its piece, None where it does not pass, for all whose check the copy calls."""
    program = read_program(path)
    for cell in program.cells:
        linecache.cache[f"<cell {cell.id}>"] = len(cell.source), None, cell.source.splitlines(True), f"<cell {cell.id}>"
    found: dict[str, Piece | None] = {}
    for name, (answer, place) in program.answers().items():
        if name in exercises():
            needed = program.needed(answer, place)
            found[name] = _piece(name, answer, needed)
    return dict(sorted(found.items(), key=lambda item: list(exercises()).index(item[0])))


def _piece(name: str, answer: ast.expr, needed: list[Statement]) -> Piece | None:
    if not isinstance(answer, ast.Name) or not needed:
        return None
    names: dict[str, Any] = {"__name__": "mine"}
    quiet = io.StringIO()
    try:
        with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet), deadline(SECONDS):
            for statement in needed:
                exec(statement.compiled(), names)
        function = names[answer.id]
        with contextlib.redirect_stdout(quiet):
            if run_check(name, function).status != PASSED:
                return None
    except (Exception, OutOfTime):  # noqa: BLE001  a learner's cell may raise anything
        return None
    return Piece(name, exercises()[name].notebook, answer.id, _joined(needed))


def add_cell(path: Path, number: str) -> bool:
    """Put the cell that uses `mine.py` before the first code cell of a learner's copy; False where there is one.

    Raises ValueError where the copy is no notebook, OSError.
    """
    import nbformat

    copy = read_copy(path)
    if any(USE in cell.source for cell in copy.cells):
        return False
    first = next((place for place, cell in enumerate(copy.cells) if cell.cell_type == "code"), len(copy.cells))
    source = f'from course_lib.course import mine\n\n{USE}"{number}")  # yours, in the place of the library\'s'
    copy.cells.insert(first, nbformat.v4.new_code_cell(source, id="mine"))
    write_notebook(path, copy, over=True)
    return True


def _joined(needed: list[Statement]) -> str:
    """The statements' sources; two empty lines around functions and classes."""
    text = ""
    for i, statement in enumerate(needed):
        apart = i and (statement.defines or needed[i - 1].defines)
        text += ("\n\n\n" if apart else "\n" if i else "") + statement.source
    return text
