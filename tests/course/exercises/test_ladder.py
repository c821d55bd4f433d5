"""The ladder of every blank: a worked example, and hints that help without giving the answer away."""

import ast
import re
from cmath import isclose

import nbformat
import numpy as np
import pytest

from course_lib.course.exercises import check, exercises, ladder, progress, run_check
from course_lib.course.exercises.compare import as_array, equal
from course_lib.course.exercises.learner import BEGIN, END
from course_lib.course.exercises.runner import PASSED

every_ladder = pytest.mark.parametrize("e", exercises().values(), ids=lambda e: e.name)


def code_in(text: str) -> list[str]:
    """What stands in backticks and is Python: a statement, or the head of a block."""
    found = []
    for span in re.findall(r"`([^`]+)`", text):
        source = f"{span}\n    pass" if span.endswith(":") else span
        try:
            ast.parse(source)
        except SyntaxError:
            continue
        found.append(source)
    return found


def squeezed(source: str) -> str:
    return re.sub(r"\s", "", source)


@every_ladder
def test_three_to_five_short_hints(e):
    texts = [ladder.said(e, step) for step in e.hints]
    assert 3 <= len(texts) <= 5 and len(set(texts)) == len(texts)
    for text in texts:
        assert len(text.split()) <= 40, text


@every_ladder
def test_a_hint_names_a_result_on_the_way(e):
    """Computed from the example, in numbers, and not the answer itself."""
    computed = [step for step in e.hints if not isinstance(step, str)]
    assert computed, "no hint has a result to compare"
    for text, value in computed:
        assert text.count("{}") == 1 and "of shape" not in ladder.said(e, (text, value)), text
        assert not equal(value(*e.example), ladder.result(e)), text


@every_ladder
def test_example_is_worked_in_numbers(e):
    shown = ladder.worked_example(e)
    assert "of shape" not in shown and "…" not in shown and "..." not in shown, shown
    assert re.search(r"expected .*(\d|True|False|[a-z])", shown), shown


@every_ladder
def test_last_hint_has_the_first_line(e):
    assert code_in(e.hints[-1]), e.hints[-1]


def test_hints_do_not_hold_the_solution(exercise_of):
    """Of the solution's lines only the first may stand in a hint, and no code of a hint, put into the blank, passes."""
    notebook, name = exercise_of
    e = exercises()[name]
    texts = [ladder.said(e, step) for step in e.hints]
    source = notebook.solution(name)
    body = "".join(re.findall(rf"{BEGIN}\n(.*?)(?:{END}|\Z)", source, re.DOTALL))
    lines = [squeezed(line) for line in body.splitlines() if not re.match(r"\s*(#|$)", line)]
    for line in lines[1:] if len(lines) > 1 else lines:
        if len(line) > len("return") + 8:
            assert all(line not in squeezed(text) for text in texts), line
    for code in (code for text in texts for code in code_in(text)):
        head, indent = re.match(rf"(.*?)^( +){BEGIN}", source, re.DOTALL | re.MULTILINE).groups()
        last = ast.parse(code).body[-1]
        if isinstance(last, ast.Expr):
            code = f"return {code}"
        elif isinstance(last, ast.Assign):
            code += f"\nreturn {ast.unparse(last.targets[0])}"
        names = dict(notebook.namespace(name, solved=True))
        exec(head + "\n".join(indent + line for line in code.splitlines()), names)
        called = ast.parse(source).body[0].name
        assert run_check(name, names[called]).status != PASSED, code


def test_example_in_prose_is_the_declared_one(exercise_of):
    """Where the text above a blank works an example, its result, as far as it is told, is that of the reference."""
    notebook, name = exercise_of
    e, cells = exercises()[name], nbformat.read(notebook.path, as_version=4).cells
    place = next(i for i, cell in enumerate(cells) if f"check.{name}(" in cell.source)
    told = re.search(r"Worked\sexample: (.*?)(?:\n\n|$)", cells[place - 1].source, re.DOTALL)
    if not told:
        return
    numbers = re.findall(r"-?\d+(?:\.\d+)?", told[1].replace("−", "-"))
    result = ladder.result(e)
    for part in result if isinstance(result, tuple) else (result,):
        for value in np.ravel(part if as_array(part) is None else as_array(part)):
            assert str(value) in told[1] or any(
                isclose(value, float(n), abs_tol=0.5 * 0.1 ** len(n.partition(".")[2]) * ("." in n) + 1e-6)
                for n in numbers
            ), f"{value} is not in: {told[1]}"


class TestInANotebook:
    def blank(self, x):
        raise NotImplementedError

    def test_blank_shows_the_example(self, capsys):
        check.rms(self.blank)
        assert capsys.readouterr().out.splitlines() == [
            "rms: not attempted yet",
            "  for x = [3.0, -4.0]",
            "  expected 3.536",
            "  Stuck? check.rms.hint() gives the first of 4 hints.",
        ]

    def test_one_more_hint_at_each_call(self, capsys):
        for number in range(1, 5):
            check.rms.hint()
            first, *steps = capsys.readouterr().out.splitlines()
            assert first == f"rms: hint {number} of 4" and len(steps) == number
            assert progress.read()["rms"]["hints"] == number
        for _ in range(2):
            check.rms.hint()
            first, *steps = capsys.readouterr().out.splitlines()
            assert first == "rms: these are all 4 hints" and len(steps) == 4
        assert progress.read()["rms"] | {"last": ""} == {"passed": False, "attempts": 0, "hints": 4, "last": ""}

    def test_passing_keeps_the_count_of_hints(self):
        check.rms.hint()
        check.rms(lambda x: (x @ x / len(x)) ** 0.5)
        entry = progress.read()["rms"]
        assert entry["passed"] and entry["attempts"] == 1 and entry["hints"] == 1

    def test_hints_go_on_where_nothing_can_be_written(self, capsys, monkeypatch):
        monkeypatch.setenv("COURSE_WORK", "/proc/no/such/folder")
        monkeypatch.setattr(progress, "_unsaved", progress.Counter())
        check.cut.hint()
        check.cut.hint()
        assert "cut: hint 2 of 4" in capsys.readouterr().out

    def test_example_comes_with_the_specification(self, capsys):
        check.cut.example()
        printed = capsys.readouterr().out
        assert printed.startswith("cut(x, sample_rate, start, stop): x (samples,)")
        assert "expected [2.0, 3.0, 4.0, 5.0]" in printed
