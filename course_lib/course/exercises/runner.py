"""Running a check: from whatever the learner's function does to a hint that helps."""

import dis
import inspect
import os
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from course_lib.course.exercises import ladder, progress
from course_lib.course.exercises.compare import Hint, shown
from course_lib.course.exercises.deadline import OutOfTime, deadline
from course_lib.course.exercises.learner import BEGIN
from course_lib.course.exercises.registry import Exercise, exercises
from course_lib.course.exercises.trial import SECONDS, Raised, check_answer

PASSED, NOT_ATTEMPTED, HINT = "passed", "not attempted yet", "hint"

# What usually lies behind an exception: (type, pattern of its text, the likely cause). The first that fits is shown;
# where none fits, the exception speaks for itself.
LIKELY_CAUSES = (
    ((TypeError, AttributeError), "'?NoneType'?", "a value is None: is a `return` missing?"),
    (NameError, "is not defined", "run the cells above, then look for a typing slip"),
    (
        IndexError,
        r"^Dimension out of range|^axis -?\d+ is out of bounds",
        "there is no such axis: print the shape, and count from 0",
    ),
    (
        IndexError,
        r"index.* out of (range|bounds)",
        "an index runs past the end: look at the axis, and at the bounds of the loop",
    ),
    (IndexError, "too many indices", "it has fewer axes than you index: print its shape"),
    (
        RuntimeError,
        r"shapes cannot be multiplied|size mismatch|inconsistent tensor size",
        "two shapes do not fit: print both",
    ),
    (
        RuntimeError,
        r"[Ss]izes? of tensors?.* must match|must match the size|not broadcastable",
        "two shapes do not fit: print both",
    ),
    (
        ValueError,
        "could not be broadcast",
        "two shapes do not fit: print both",
    ),
    (RuntimeError, "view size is not compatible", "a view of the numbers in another order is no `view`: use `reshape`"),
    (
        RuntimeError,
        "in-place operation",
        "a tensor that needs its gradient is changed in place: make a new one instead",
    ),
    (
        RuntimeError,
        "same dtype|expected scalar type|expected m1 and m2",
        "two number types are mixed: convert one with `.to(x.dtype)`",
    ),
    (RuntimeError, "expected condition to be a boolean", "the first argument of `where` is a comparison or a mask"),
    (RecursionError, "", "the function calls itself: use the helper from the library, or another name"),
)
PARAMETERS = "the parameters differ from the specification: compare the `def` line with it"


class CheckFailed(AssertionError):
    """A check did not pass while COURSE_CHECK=raise is set, as it is for the solved notebooks."""


@dataclass(frozen=True)
class Outcome:
    """What a check found: `status` is passed, not attempted yet or hint; `message` is the hint, else empty."""

    name: str
    status: str
    message: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.message or self.status}"


def run_check(name: str, *args: Any, **kwargs: Any) -> Outcome:
    """Run the check called `name` on a learner's function; nothing printed or recorded, nothing raised by the function.

    Raises AttributeError where there is no such check.
    """
    found = _find(name)
    learners = [Learners(value) if callable(value) else value for value in args]
    where, first = "", True
    try:
        if found.inputs is None:
            with deadline(SECONDS):
                found.function(*learners, **kwargs)
        else:
            check_answer(found, *learners, **kwargs)
        return Outcome(name, PASSED)
    except Hint as hint:
        return Outcome(name, HINT, str(hint))
    except OutOfTime:
        return Outcome(name, HINT, f"It had not come to an end after {SECONDS:.0f} seconds: is there an endless loop?")
    except Raised as raised:
        error, where, first = raised.error, raised.where, raised.first
    except Exception as raised:  # noqa: BLE001  the learner's code may raise anything, and the notebook must go on
        error = raised
    return after_error(name, error, args, first, where)


def after_error(name: str, error: Exception, args: tuple[Any, ...], first: bool = True, where: str = "") -> Outcome:
    """What an exception says of the functions or classes `args`; `first`: it came at the first input, which is `where`.

    Not attempted, where it is the blank's own; else a hint with the exception and its likely cause.
    """
    if first and isinstance(error, NotImplementedError) and _is_blank(error, args):
        return Outcome(name, NOT_ATTEMPTED)
    if not _is_learners(error, args):
        if not all(callable(value) for value in args):
            return Outcome(name, HINT, f"a function is expected, got {', '.join(map(shown, args))}.")
        return Outcome(
            name,
            HINT,
            f"the check could not use what your function returned ({type(error).__name__} in the check, not in your "
            f"code: {error}): does it return what the specification names?",
        )
    return Outcome(name, HINT, _explain(error, args) + where)


class Learners:
    """A learner's function or class that marks what it raises, so that no error of a check is taken for it."""

    def __init__(self, answer: Callable[..., Any]):
        self.answer = answer

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return self.answer(*args, **kwargs)
        except Exception as error:
            error.by_learner = True  # type: ignore[attr-defined]
            raise


def _find(name: str) -> Exercise:
    known = exercises()
    if name not in known:
        raise AttributeError(f"no check is called {name!r}; there are: {', '.join(known)}")
    return known[name]


def _explain(error: Exception, args: tuple[Any, ...]) -> str:
    """The exception's type, text, line in the learner's cell where it is known, and the cause where one is likely."""
    text = str(error).strip().splitlines()
    message = f"it raised {type(error).__name__}" + (f": {text[0]}" if text else "")
    files = _files(args)
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame for frame in frames if frame.filename in files]
    if lines and lines[-1].line:
        message += f" (at `{lines[-1].line}`)"
    if isinstance(error, TypeError) and frames[-1].filename == __file__:  # where the learner's function is called
        return f"{message}. Likely cause: {PARAMETERS}."
    for kind, pattern, cause in LIKELY_CAUSES:
        if isinstance(error, kind) and re.search(pattern, str(error)):
            return f"{message}. Likely cause: {cause}."
    return f"{message}."


def _is_blank(error: NotImplementedError, args: tuple[Any, ...]) -> bool:
    """Whether a `raise NotImplementedError` was reached; one out of torch is a mistake like any other."""
    tb = error.__traceback__
    while tb and tb.tb_next:
        tb = tb.tb_next
    if tb is None or tb.tb_frame.f_code.co_code[tb.tb_lasti] != dis.opmap["RAISE_VARARGS"]:
        return False
    return not str(error) or tb.tb_frame.f_code.co_filename in _files(args)


def _is_learners(error: Exception, args: tuple[Any, ...]) -> bool:
    """Whether an error came out of the learner's code, called as a function or by way of a class."""
    files = _files(args)
    return hasattr(error, "by_learner") or any(
        frame.filename in files for frame in traceback.extract_tb(error.__traceback__)
    )


def _files(args: tuple[Any, ...]) -> set[str]:
    """The files, or notebook cells, in which the functions and classes among `args` were written."""
    found = set()
    for value in args:
        methods = vars(value).values() if inspect.isclass(value) else [value]
        found |= {method.__code__.co_filename for method in methods if hasattr(method, "__code__")}
    return found


def _is_solution(args: tuple[Any, ...]) -> bool:
    """Whether one of the functions still carries the solution's marker: a solved notebook is no learner's progress."""
    for value in args:
        try:
            if BEGIN in inspect.getsource(value):
                return True
        except (OSError, TypeError):  # no source: typed at a prompt, a built-in, a number
            continue
    return False


class _Check:
    """One exercise in a notebook: called with the learner's function, asked for its example or for a hint."""

    def __init__(self, exercise: Exercise):
        self._exercise, self.__name__, self.__doc__ = exercise, exercise.name, exercise.specification

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Print what the check finds, and keep progress; with COURSE_CHECK=raise a failure is an error."""
        outcome = run_check(self.__name__, *args, **kwargs)
        print(outcome)
        if outcome.status == NOT_ATTEMPTED and self._exercise.hints:
            print(ladder.worked_example(self._exercise))
            print(f"  Stuck? check.{self.__name__}.hint() gives the first of {len(self._exercise.hints)} hints.")
        if os.environ.get("COURSE_CHECK") == "raise":
            if outcome.status != PASSED:
                raise CheckFailed(str(outcome))
        elif not _is_solution(args):
            progress.record(self.__name__, outcome.status)

    def example(self) -> None:
        """Print the specification and one call with its result."""
        print(self.__doc__)
        print(ladder.worked_example(self._exercise))

    def hint(self) -> None:
        """Print the hints taken so far and the next one, or that these are all. Progress keeps how many were taken."""
        taken = progress.hints_taken(self.__name__) + 1
        print(ladder.hints(self._exercise, taken))
        if taken <= len(self._exercise.hints):
            progress.take_hint(self.__name__)


class _Checks:
    """`check.NAME(fn)` runs a check, `check.NAME.hint()` gives a hint."""

    def __getattr__(self, name: str) -> _Check:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Check(_find(name))

    def __dir__(self) -> list[str]:
        return list(exercises())


check = _Checks()
