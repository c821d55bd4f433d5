"""Running a check: from whatever the learner's function does to one line that helps."""

import inspect
import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from course_lib.course.exercises import progress
from course_lib.course.exercises.compare import Hint
from course_lib.course.exercises.learner import BEGIN
from course_lib.course.exercises.registry import Exercise, exercises

PASSED, NOT_ATTEMPTED, HINT = "passed", "not attempted yet", "hint"

# What usually lies behind an exception: (type, a piece of its text, the likely cause). The first that fits is shown.
LIKELY_CAUSES = (
    (TypeError, "positional argument", "the parameters differ from the specification: compare the `def` line with it"),
    (TypeError, "unexpected keyword", "the parameters differ from the specification: compare the `def` line with it"),
    ((TypeError, AttributeError), "NoneType", "a value is None: is a `return` missing?"),
    (
        NameError,
        "",
        "a name is not defined yet: run the cells above, then look for a typing slip",
    ),
    (IndexError, "", "an index runs past the end: look at the bounds of the loop"),
    (RuntimeError, "size of tensor", "two shapes do not fit: print both, then transpose or add an axis of size 1"),
    (RuntimeError, "shapes cannot be multiplied", "two shapes do not fit: print both, then transpose one"),
    (RuntimeError, "must match", "two shapes do not fit: print both, then transpose or add an axis of size 1"),
    (RuntimeError, "in-place", "a tensor that needs its gradient is changed in place: make a new one instead"),
    (RuntimeError, "dtype", "two number types are mixed: convert one with `.to(x.dtype)`"),
    (ValueError, "broadcast", "two shapes do not fit: print both, then transpose or add an axis of size 1"),
    (ZeroDivisionError, "", "a length or a sum is zero: think of the empty and the silent case"),
    (RecursionError, "", "the function calls itself: use the helper from the library, or another name"),
)


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
    check_function = _find(name).check
    try:
        check_function(*args, **kwargs)
    except Hint as hint:
        return Outcome(name, HINT, str(hint))
    except NotImplementedError as error:
        if not str(error) or _raised_by(error, args):
            return Outcome(name, NOT_ATTEMPTED)
        return Outcome(name, HINT, _explain(error, args))
    except Exception as error:  # noqa: BLE001  the learner's code may raise anything, and the notebook must go on
        return Outcome(name, HINT, _explain(error, args))
    return Outcome(name, PASSED)


def _find(name: str) -> Exercise:
    known = exercises()
    if name not in known:
        raise AttributeError(f"no check is called {name!r}; there are: {', '.join(known)}")
    return known[name]


def _explain(error: Exception, args: tuple[Any, ...]) -> str:
    """The exception's type, text, line in the learner's cell where it is known, and likely cause."""
    text = str(error).strip().splitlines()
    message = f"it raised {type(error).__name__}" + (f": {text[0]}" if text else "")
    files = _files(args)
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
    if lines and lines[-1].line:
        message += f" (at `{lines[-1].line}`)"
    for kind, piece, cause in LIKELY_CAUSES:
        if isinstance(error, kind) and piece in str(error):
            return f"{message}. Likely cause: {cause}."
    return f"{message}. Likely cause: a step that does not fit this input; call the function yourself on a small one."


def _raised_by(error: Exception, args: tuple[Any, ...]) -> bool:
    """Whether the innermost frame of `error` lies in the file (the cell) of one of the learner's functions."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and frames[-1].filename in _files(args)


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


class _Checks:
    """`check.NAME(fn, ...)` prints one line and keeps progress; with COURSE_CHECK=raise a failure is an error."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("__"):
            raise AttributeError(name)
        _find(name)

        def run(*args: Any, **kwargs: Any) -> None:
            outcome = run_check(name, *args, **kwargs)
            print(outcome)
            if os.environ.get("COURSE_CHECK") == "raise":
                if outcome.status != PASSED:
                    raise CheckFailed(str(outcome))
            elif not _is_solution(args):
                progress.record(name, outcome.status)

        run.__name__ = name
        run.__doc__ = _find(name).check.__doc__
        return run

    def __dir__(self) -> list[str]:
        return list(exercises())


check = _Checks()
