"""For every exercise: the solution passes, the blank is a blank, wrong answers get hints of their own."""

import random
from pathlib import Path

import numpy as np
import torch

from course_lib.course.exercises import exercises, run_check
from course_lib.course.exercises.learner import notebook_path
from course_lib.course.exercises.runner import HINT, NOT_ATTEMPTED, PASSED


def test_notebook_and_checks_name_the_same_exercises(notebook_exercises):
    registered = {name for name, e in exercises().items() if e.notebook == notebook_exercises.number}
    assert set(notebook_exercises.calls) == registered
    assert notebook_exercises.repeated == []


def test_no_check_is_left_without_a_notebook():
    for e in exercises().values():
        notebook_path(e.notebook)


def test_solution_passes(exercise_of):
    notebook, name = exercise_of
    outcome = run_check(name, *notebook.arguments(name, solved=True))
    assert outcome.status == PASSED, outcome


def test_blank_is_not_attempted(exercise_of):
    """And the check draws from no global generator: the cells below it see the numbers that the solution's see."""
    notebook, name = exercise_of
    before = generators()
    outcome = run_check(name, *notebook.arguments(name, solved=False))
    assert outcome.status == NOT_ATTEMPTED, outcome
    assert generators() == before


def generators():
    return random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()  # noqa: NPY002


def test_wrong_answers_get_their_own_hints(exercise_of, wrong):
    notebook, name = exercise_of
    answers = wrong(notebook.number).get(name, {})
    assert len(answers) >= 3, (
        f"tests/course/exercises/wrong_nb{notebook.number}.py has {len(answers)} wrong answers for {name}"
    )
    hints = {}
    for label, (answer, fragment) in answers.items():
        outcome = run_check(name, *(answer if isinstance(answer, tuple) else (answer,)))
        assert outcome.status == HINT, f"{label}: {outcome}"
        assert fragment in outcome.message, f"{label}: {outcome}"
        hints[label] = outcome.message.splitlines()[0]
    assert len(set(hints.values())) == len(hints), f"two wrong answers share a hint: {hints}"


def test_titles_and_minutes_are_told():
    for e in exercises().values():
        assert e.title and 1 <= e.minutes <= 60, e
        assert e.specification, f"{e.name} has no specification"


def test_wrong_answers_belong_to_exercises(wrong):
    for path in Path(__file__).parent.glob("wrong_nb*.py"):
        number = path.stem.removeprefix("wrong_nb")
        assert set(wrong(number)) <= {name for name, e in exercises().items() if e.notebook == number}
