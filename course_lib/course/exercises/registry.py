"""Which exercises there are: each check registers itself with the notebook it belongs to."""

import importlib
import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Exercise:
    """One exercise: `check` is called with the learner's function(s) and raises a `Hint` for a wrong answer."""

    name: str
    notebook: str  # "02"
    title: str
    minutes: int
    check: Callable[..., None]


_registered: dict[str, Exercise] = {}


def exercise(*, notebook: str, title: str, minutes: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a check under its function's name, which is unique in the course.

    notebook: two digits.  title: as the notebook's heading has it.  minutes: what a first reader needs.
    Raises ValueError for a notebook that is not two digits or a name that another check has.
    """
    if not re.fullmatch(r"\d\d", notebook):
        raise ValueError(f'notebook: expected two digits such as "02", got {notebook!r}')

    def register(function: Callable[..., None]) -> Callable[..., None]:
        name = function.__name__
        other = _registered.get(name)
        if other is not None and other.check.__module__ != function.__module__:
            raise ValueError(f"two checks are called {name!r}: {other.check.__module__} and {function.__module__}")
        _registered[name] = Exercise(name, notebook, title, minutes, function)
        return function

    return register


def exercises() -> dict[str, Exercise]:
    """All exercises by name, in the course's order. Imports the files `nbNN_*.py` of this folder the first time."""
    for module in sorted(info.name for info in pkgutil.iter_modules([str(Path(__file__).parent)])):
        if re.match(r"nb\d\d_", module):
            importlib.import_module(f"course_lib.course.exercises.{module}")
    return dict(sorted(_registered.items(), key=lambda item: item[1].notebook))
