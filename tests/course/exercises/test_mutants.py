"""Wrong answers do not pass: a sample of the mutants that `python -m tests.course.exercises.mutants` makes of all."""

import ast
import inspect

import pytest

from course_lib.course.exercises import exercises
from course_lib.course.exercises.mutants import compiled, mutants, near_misses
from tests.course.exercises.mutants import chosen, verdicts


def scaled(x, y=2):
    total = x.sum(dim=1) * y - 1
    if total > 0:
        return total
    return -total


def test_every_kind_of_slip_is_made():
    changes = {said for said, _ in mutants(inspect.getsource(scaled))}
    for piece in (
        "`+` in place of `-`",
        "`sum` without `dim`",
        "one step left out",
        "a minus left out",
        "`y` in place of",
    ):
        assert any(piece in said for said in changes), (piece, changes)


def test_mutants_are_python_and_differ_from_their_source():
    source = "def f(a, b):\n    c = a[1:] + b\n    return c if a else -c\n"
    found = [ast.unparse(module) for _, module in mutants(source)]
    assert len(found) > 10
    assert ast.unparse(ast.parse(source)) not in found
    for _, module in mutants(source):
        assert callable(compiled(module, {}))


def test_a_function_without_a_source_has_no_near_misses():
    assert list(near_misses(len)) == []


@pytest.mark.slow
def test_a_sample_of_wrong_answers_does_not_pass():
    different = 0
    for exercise, numbers in chosen([], sample=150, seed=11):
        for verdict in verdicts(exercise, numbers):
            different += verdict.differs
            assert verdict.status != "passed", f"{exercise.name}: {verdict.change}\n{verdict.code}"
    assert different > 120


def test_every_exercise_has_a_reference():
    assert [e.name for e in exercises().values() if e.inputs is None] == []
