"""The ladder of a blank: a worked example, then hints one step at a time."""

import textwrap
from typing import Any

from course_lib.course.exercises.compare import shown
from course_lib.course.exercises.registry import Exercise, Step
from course_lib.course.exercises.trial import WIDTH, copied, given


def worked_example(exercise: Exercise) -> str:
    """The example's input, and what the reference makes of it; empty where the exercise has none."""
    if exercise.example is None:
        return ""
    return "\n".join([*given(exercise, exercise.example), f"  expected {shown(result(exercise))}"])


def result(exercise: Exercise) -> Any:
    """What the reference makes of the example."""
    return exercise.apply(exercise.function, _arguments(exercise))


def said(exercise: Exercise, step: Step) -> str:
    """A step's text, with the value that it names computed from the example."""
    if isinstance(step, str):
        return step
    text, value = step
    return text.replace("{}", shown(value(*_arguments(exercise))))


def hints(exercise: Exercise, taken: int) -> str:
    """The first `taken` steps, and how many there are."""
    count = len(exercise.hints)
    if not count:
        return f"{exercise.name} has no hints"
    lines = [f"{exercise.name}: " + (f"hint {taken} of {count}" if taken <= count else f"these are all {count} hints")]
    for number, step in enumerate(exercise.hints[:taken], start=1):
        lines += textwrap.wrap(
            said(exercise, step), WIDTH, initial_indent=f"  {number} ", subsequent_indent="    ", break_long_words=False
        )
    return "\n".join(lines)


def _arguments(exercise: Exercise) -> tuple[Any, ...]:
    assert exercise.example is not None, f"{exercise.name} has no example"
    return copied(exercise, exercise.example, awkward=False)
