"""Many learners' copies, one after another: what each exercise's answer is worth, and what else the copy does."""

import ast
import json
import linecache
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from course_lib.course.exercises import Exercise, exercises
from course_lib.course.exercises.compare import Hint
from course_lib.course.exercises.learner import learner_copy, notebook_path
from course_lib.course.exercises.runner import HINT, NOT_ATTEMPTED, PASSED, Learners, after_error
from course_lib.course.exercises.trial import Raised, Trial, attempt, judge, trials
from course_lib.course.grading import sandbox, wire
from course_lib.course.grading.marks import marks
from course_lib.course.workbook.cells import Cell, NotANotebook, Program, Statement, program_of, read_program

ERROR = "error"
SEEDS = (0, 1)  # the inputs that a learner's own check has, and others, so that a table of answers does not pass


@dataclass(frozen=True)
class Grade:
    """One exercise of one copy; a copy that cannot be read at all has one of no exercise.

    status: passed, hint, not attempted yet or error.  said: the hint, or the error.  hints: how many the learner asked
    for, by the progress.json beside the copy.  marks: what the copy does that a teacher should look at.
    """

    copy: str
    notebook: str
    exercise: str
    status: str
    said: str
    seconds: float
    hints: int = 0
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Paper:
    """What a notebook of the course asks: its exercises, their inputs and answers, and the copy with blanks."""

    notebook: str
    exercises: dict[str, Exercise]
    trials: dict[str, list[Trial]]
    course: Program


def copies(folder: Path) -> list[Path]:
    """The notebooks in a folder and the folders in it, in order; hidden ones are left out."""
    return sorted(
        path
        for path in folder.rglob("*.ipynb")
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def paper(number: str) -> Paper:
    """What the notebook of that number asks. Raises FileNotFoundError where there is none."""
    notebook = learner_copy(notebook_path(number))
    course = program_of([Cell(cell.id, cell.source, "") for cell in notebook.cells if cell.cell_type == "code"])
    asked = {name: e for name, e in exercises().items() if e.notebook == number}
    tried = {name: [trial for seed in SEEDS for trial in trials(e, seed)] for name, e in asked.items()}
    return Paper(number, asked, tried, course)


def grade(
    folder: Path, limits: sandbox.Limits, workers: int, done: Callable[[Path], object] = lambda path: None
) -> list[Grade]:
    """Grade all notebooks in `folder`, each in a process of its own, `workers` at a time; in the order of their names.

    `done` is called with each copy's path as it is graded.
    """
    paths = copies(folder)
    papers = {number: paper(number) for number in sorted({_number(path) for path in paths} - {""})}
    sandbox.confined()  # asked here once, and inherited
    context, found = multiprocessing.get_context("fork"), {}
    waiting, running = list(reversed(paths)), {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                path = waiting.pop()
                reader, writer = context.Pipe(duplex=False)
                asked = papers.get(_number(path))
                process = context.Process(target=_grade_apart, args=(path, folder, asked, limits, writer))
                process.start()
                writer.close()
                running[reader] = path, process
            for reader in wait(list(running)):
                path, process = running.pop(reader)  # type: ignore[index]
                try:
                    found[path] = reader.recv()  # type: ignore[union-attr]
                except EOFError:
                    found[path] = [_unread(path, folder, "reading it ended the grader's process")]
                process.join()
                done(path)
    finally:
        for _, process in running.values():
            process.kill()
    return [each for path in paths for each in found[path]]


def _grade_apart(path: Path, folder: Path, asked: Paper | None, limits: sandbox.Limits, writer: Connection) -> None:
    try:
        writer.send(grade_copy(path, folder, asked, limits))
    except Exception as error:  # noqa: BLE001  one copy's trouble is not the class's
        writer.send([_unread(path, folder, f"the grader failed: {type(error).__name__}: {error}")])


def grade_copy(path: Path, folder: Path, asked: Paper | None, limits: sandbox.Limits) -> list[Grade]:
    """The grades of one copy. What it holds runs in sandboxes, one an exercise; here it is read and judged."""
    try:
        if path.is_symlink() or not path.is_file():
            raise NotANotebook("no file, but a link or a folder")
        program = read_program(path)
    except (NotANotebook, OSError) as error:
        return [_unread(path, folder, str(error))]
    if asked is None:
        return [_unread(path, folder, "no notebook of the course: its name begins with none of their numbers")]
    own, course = program.answers(), asked.course.answers()
    grades, marked = [], marks(program, asked.course, list(asked.exercises))
    hints = _hints(path.with_name("progress.json"))
    said = "\n".join(cell.said for cell in program.cells)
    for name in asked.exercises:
        answer, place = own.get(name) or (course[name][0], len(program.statements))
        status, text, seconds = _graded(asked, name, program, answer, place, limits)
        claims = [f"its output says that {name} passed"] if f"{name}: passed" in said and status != PASSED else []
        where = str(path.relative_to(folder)), asked.notebook, name
        grades.append(Grade(*where, status, text, seconds, hints.get(name, 0), (*claims, *marked)))
        marked = []  # they are the copy's, and stand at its first exercise
    return grades


def _graded(asked: Paper, name: str, program: Program, answer: Any, place: int, limits: Any) -> tuple[str, str, float]:
    """Status, what is said of it, seconds."""
    needed = program.needed(answer, place)
    for cell in program.cells:
        if cell.id in program.broken and f"check.{name}(" in cell.source:
            return ERROR, program.broken[cell.id], 0.0
    ended = sandbox.run(lambda send: answer_apart(asked, name, program, needed, answer, send), limits)
    try:
        status, text = _verdict(asked.exercises[name], asked.trials[name], ended)
    except ValueError as error:
        status, text = ERROR, f"what it sent could not be read: {error}"
    return status, text, ended.seconds


def answer_apart(
    asked: Paper, name: str, program: Program, needed: Sequence[Statement], answer: Any, send: Callable[[str], None]
) -> None:
    """In the sandbox: run what the answer needs, then send what it makes of each input. Nothing here judges."""
    exercise, tried = asked.exercises[name], [replace(trial, expected=None) for trial in asked.trials[name]]
    asked.trials.clear()
    for cell in program.cells:
        linecache.cache[f"<cell {cell.id}>"] = len(cell.source), None, cell.source.splitlines(True), f"<cell {cell.id}>"
    names: dict[str, Any] = {"__name__": "__main__"}
    at = ""
    try:
        for statement in needed:
            at = f" (cell {statement.cell})"
            exec(statement.compiled(), names)
        at = ""
        function = eval(compile(ast.Expression(answer), "<answer>", "eval"), names)
    except BaseException as error:  # noqa: BLE001  SystemExit, too
        send(json.dumps({"end": ERROR, "said": f"before its check, {type(error).__name__}: {error}{at}"[:500]}))
        return
    learners = Learners(function) if callable(function) else function
    for trial in tried:
        try:
            attempt(exercise, learners, trial)
        except Hint as hint:
            send(json.dumps({"end": HINT, "said": str(hint)}))
            return
        except BaseException as error:  # noqa: BLE001
            send(json.dumps({"end": ERROR, "said": f"it raised {type(error).__name__}: {error}"[:500]}))
            return
        if trial.error:
            outcome = after_error(name, trial.error, (function,), trial is tried[0])
            if outcome.status == NOT_ATTEMPTED:
                send(json.dumps({"end": NOT_ATTEMPTED}))
                return
            send(json.dumps({"error": outcome.message[:500]}))
            continue
        gradients = {name: wire.dump(gradient) for name, gradient in trial.gradients.items()}
        send(json.dumps({"came": wire.dump(trial.came), "changed": trial.changed, "gradients": gradients}))


class _Foreign(Exception):
    """What the learner's code raised in the sandbox; its text is the hint."""


def _verdict(exercise: Exercise, asked: Sequence[Trial], ended: sandbox.Ended) -> tuple[str, str]:
    """Judge what was sent, which may be anything. Raises ValueError for what cannot be read."""
    tried = []
    for trial, sent in zip(asked, _lines(ended.sent), strict=False):
        if sent.get("end") in (NOT_ATTEMPTED, HINT, ERROR):
            return str(sent["end"]), str(sent.get("said", ""))
        trial = replace(trial)
        if "error" in sent:
            trial.error = _Foreign(str(sent["error"]))
        else:
            trial.came = wire.load(str(sent.get("came")))
            trial.changed = str(sent.get("changed") or "")
            trial.gradients = {name: wire.load(str(line)) for name, line in dict(sent.get("gradients") or {}).items()}
            if exercise.gradients and trial.gradients.keys() != exercise.gradients.keys():
                raise ValueError("a gradient is missing")
        tried.append(trial)
    if len(tried) < len(asked):
        return ERROR, ended.cut or "its process ended before all inputs were tried"
    try:
        judge(exercise, tried)
    except Hint as hint:
        return HINT, str(hint)
    except Raised as raised:
        return HINT, f"{raised.error}{raised.where}"
    return PASSED, ""


def _lines(sent: bytes) -> Iterator[dict[str, Any]]:
    for line in sent.splitlines():
        try:
            content = json.loads(line)
        except RecursionError as error:
            raise ValueError("too deep") from error
        if not isinstance(content, dict):
            raise ValueError("a line that is no result")
        yield content


def _hints(file: Path) -> dict[str, int]:
    """Name of an exercise → hints taken, as a learner's progress has it; that file is the learner's, and may lie."""
    try:
        entries = json.loads(file.read_bytes()) if file.stat().st_size < 2**20 else {}
        return {name: entry["hints"] for name, entry in entries.items() if isinstance(entry.get("hints"), int)}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}


def _number(path: Path) -> str:
    """The number of the course's notebook that a copy is of, by its name; empty where there is none."""
    digits = path.name[:2]
    return digits if digits in {e.notebook for e in exercises().values()} else ""


def _unread(path: Path, folder: Path, why: str) -> Grade:
    return Grade(str(path.relative_to(folder)), _number(path), "", ERROR, why, 0.0)
