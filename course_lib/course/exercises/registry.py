"""Which exercises there are: each registers itself with the notebook it belongs to."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from course_lib.course.exercises.draw import Draw

F = TypeVar("F", bound=Callable[..., Any])
Mistake = tuple[*tuple[Callable[..., Any], ...], str]  # wrong answers, and the hint that names what they share
Step = str | tuple[str, Callable[..., Any]]  # of the ladder: a hint, or one in which {} is computed from the example


@dataclass(frozen=True)
class Edge:
    """An input that the text names, with what to say where an answer is right on all ordinary inputs and wrong here.

    args: the arguments.  hint: for any wrong answer, which it may quote as {came}.
    nan: for one that holds NaN or infinity where none is expected.
    """

    args: tuple[Any, ...]
    hint: str = ""
    nan: str = ""


@dataclass(frozen=True)
class Exercise:
    """One exercise. With `inputs` its answer is compared with `function`, the reference; without, `function` checks it.

    A check is called with the learner's function(s) and raises a `Hint` for a wrong answer.
    """

    name: str
    notebook: str  # "02"
    title: str
    minutes: int
    function: Callable[..., Any]
    inputs: Callable[[Draw], Iterable[Any]] | None = None
    call: Callable[..., Any] | None = None
    mistakes: Sequence[Mistake] = ()
    also: Sequence[Callable[..., Any]] = ()
    parts: Sequence[str] = ()
    gradients: Mapping[str, str] = field(default_factory=dict)
    rtol: float = 1e-4
    example: tuple[Any, ...] | None = None
    hints: Sequence[Step] = ()

    @property
    def specification(self) -> str | None:
        """What the function is given and returns, with shapes."""
        return self.function.__doc__

    def cases(self, seed: int) -> Iterator[Edge]:
        """The inputs that the maker gives for a seed, smallest first; an ordinary one is an edge without a hint."""
        assert self.inputs is not None
        for case in self.inputs(Draw(seed)):
            yield case if isinstance(case, Edge) else Edge(case if isinstance(case, tuple) else (case,))

    def apply(self, answer: Callable[..., Any], args: Sequence[Any]) -> Any:
        """What `answer`, the learner's or another, gives for one input, in a form that can be compared."""
        return self.call(answer, *args) if self.call else answer(*args)

    @property
    def arguments(self) -> list[str]:
        """The names of an input's parts."""
        named = [name for name, p in inspect.signature(self.function).parameters.items() if p.kind != p.VAR_POSITIONAL]
        if self.call is None:
            return named
        first, *others = inspect.signature(self.call).parameters.values()
        return named if any(p.kind == p.VAR_POSITIONAL for p in others) else [p.name for p in others]


_registered: dict[str, Exercise] = {}


def exercise(*, notebook: str, title: str, minutes: int, **options: Any) -> Callable[[F], F]:
    """Register an exercise under its function's name, which is unique in the course.

    notebook: two digits.  title: as the notebook's heading has it.  minutes: what a first reader needs.
    options: the other fields of `Exercise`, as follows.

    With `inputs` the decorated function is the reference, the right answer, and its docstring the specification:
    inputs: from a `Draw` to valid inputs (tuples of arguments), smallest first: sizes that differ from axis to axis,
        other values of every parameter, and as an `Edge` each special case that the text names.
    mistakes: (a wrong answer or several, the hint), looked at in order. A wrong answer is recognised where it agrees
        with the learner's on all ordinary inputs. It returns `...` for those of several results that do not matter.
    also: other right answers, where the text leaves a choice.
    call: how to turn an answer and an input into a value that can be compared, where calling it is not enough.
    parts: what the several results are, if there are several.
    gradients: argument → what to say where the gradient with respect to it is missing, NaN or wrong.
    rtol: relative tolerance of floating-point numbers; whole numbers and booleans are compared exactly.
    example: the arguments of a call that is worked out for the learner: few and simple numbers. A blank shows it with
        the result, which the reference gives.
    hints: three to five steps, shown one at a time: where to look, a result on the way, the approach in words, the
        first line in backticks. A step is a text, or (text with {}, a function of the example's arguments whose value
        stands there), so that it is true.

    Without, the decorated function is the check: called with the learner's function(s), it raises a `Hint`.
    Raises ValueError for a notebook that is not two digits or a name that another check has.
    """
    if not re.fullmatch(r"\d\d", notebook):
        raise ValueError(f'notebook: expected two digits such as "02", got {notebook!r}')

    def register(function: F) -> F:
        name = function.__name__
        other = _registered.get(name)
        if other is not None and other.function.__module__ != function.__module__:
            raise ValueError(f"two checks are called {name!r}: {other.function.__module__} and {function.__module__}")
        _registered[name] = Exercise(name, notebook, title, minutes, function, **options)
        return function

    return register


def exercises() -> dict[str, Exercise]:
    """All exercises by name, in the course's order. Imports the files `nbNN_*.py` of this folder the first time."""
    for module in sorted(info.name for info in pkgutil.iter_modules([str(Path(__file__).parent)])):
        if re.match(r"nb\d\d_", module):
            importlib.import_module(f"course_lib.course.exercises.{module}")
    return dict(sorted(_registered.items(), key=lambda item: item[1].notebook))
