"""Trying an answer beside the reference: the same inputs to both, and what explains a difference."""

import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course_lib.course.exercises.compare import Hint, as_array, difference, equal, shown
from course_lib.course.exercises.deadline import OutOfTime, deadline
from course_lib.course.exercises.differences import common_difference
from course_lib.course.exercises.mutants import near_misses
from course_lib.course.exercises.registry import Edge, Exercise

SECONDS = 10.0  # for all inputs together; a solution takes less than one
WIDTH = 110


class Raised(Exception):
    """The learner's code raised `error`, given an input that `where` describes."""

    def __init__(self, error: Exception, where: str, first: bool):
        self.error, self.where, self.first = error, where, first


@dataclass
class Trial:
    """One input, and what the reference and the answer make of it."""

    case: Edge
    awkward: bool
    expected: Any
    came: Any = None
    error: Exception | None = None
    changed: str = ""
    gradients: dict[str, Tensor | None] = field(default_factory=dict)  # of the answer, by argument, where asked for
    right: bool = False

    @property
    def size(self) -> int:
        """How much there is to read in the input."""
        return sum(np.size(a) if (a := as_array(value)) is not None else 1 for value in self.case.args)


def trials(exercise: Exercise, seed: int) -> Iterator[Trial]:
    """The inputs of one seed with what the reference makes of them.

    The last one comes again in float64 and as a view, where it holds a tensor of floating-point numbers.
    """
    cases = list(exercise.cases(seed))
    for case, awkward in [(case, False) for case in cases] + [(cases[-1], True)]:
        if awkward and not any(isinstance(value, Tensor) and value.is_floating_point() for value in case.args):
            return
        yield Trial(case, awkward, exercise.apply(exercise.function, copied(exercise, case.args, awkward)))


def copied(exercise: Exercise, args: Sequence[Any], awkward: bool) -> tuple[Any, ...]:
    """Copies of the arguments, so that nobody can change the originals; those with a gradient ask for it."""
    copies = [_copy(value, awkward) for value in args]
    for name, value in zip(exercise.arguments, copies, strict=False):
        if name in exercise.gradients:
            value.requires_grad_()
    return tuple(copies)


def _copy(value: Any, awkward: bool) -> Any:
    if isinstance(value, Tensor):
        value = value.detach().clone()
        if awkward and value.is_floating_point():
            value = value.double()
            if value.ndim > 1:
                return value.mT.contiguous().mT
            return torch.stack([value, value], -1)[..., 0]
        return value
    if isinstance(value, np.ndarray):
        return value.copy()
    if type(value) in (tuple, list):
        return type(value)(_copy(item, awkward) for item in value)
    if type(value) is dict:
        return {name: _copy(item, awkward) for name, item in value.items()}
    return value


def check_answer(exercise: Exercise, answer: Any, seed: int = 0) -> None:
    """Raise a `Hint`, or `Raised`, unless `answer` does as the reference does on all inputs of the seed."""
    tried: list[Trial] = []
    started = time.monotonic()
    for trial in trials(exercise, seed):
        try:
            with deadline(SECONDS - (time.monotonic() - started)):
                attempt(exercise, answer, trial)
        except OutOfTime:
            raise Hint(
                f"It had not come to an end after {SECONDS:.0f} seconds: is there a loop whose condition never becomes "
                "false, or that never moves on?" + _where(exercise, trial)
            ) from None
        tried.append(trial)
        if isinstance(trial.error, NotImplementedError) and len(tried) == 1:
            break  # most likely a blank
    judge(exercise, tried)


def attempt(exercise: Exercise, answer: Any, trial: Trial) -> None:
    """Note in `trial` what `answer` makes of its input; all that runs a learner's code, and nothing that judges it."""
    given, before = (copied(exercise, trial.case.args, trial.awkward) for _ in range(2))
    try:
        trial.came = exercise.apply(answer, given)
    except Hint:
        raise
    except Exception as error:  # noqa: BLE001  the learner's code may raise anything
        trial.error = error
        return
    for name, value, original in zip(exercise.arguments, given, before, strict=False):
        if isinstance(original, Tensor | np.ndarray | list | tuple | dict) and not equal(value, original, 0.0, 0.0):
            trial.changed = name
    if exercise.gradients:
        try:
            trial.gradients = _gradients(exercise, trial.came, given)
        except RuntimeError:  # what the gradient needs was changed in place: none comes back
            trial.gradients = dict.fromkeys(exercise.gradients)


def judge(exercise: Exercise, tried: Sequence[Trial]) -> None:
    """Raise a `Hint`, or `Raised`, unless what came is what was expected in all trials. Runs nothing of a learner's."""
    for trial in tried:
        trial.right = trial.error is None and equal(trial.came, trial.expected, exercise.rtol)
    if not all(trial.right for trial in tried) and any(_agrees(exercise, other, tried) for other in exercise.also):
        for trial in tried:
            trial.right = True
    wrong = [trial for trial in tried if not trial.right]
    if wrong:
        _explain(exercise, tried, wrong)
    for trial in tried:
        if trial.changed:
            raise Hint(
                f"`{trial.changed}` was changed in place: whoever called may still need it. Make a new one."
                + _where(exercise, trial)
            )
        _check_gradients(exercise, trial)


def _agrees(exercise: Exercise, other: Any, tried: Sequence[Trial], seconds: float = 1.0) -> bool:
    """Whether `other` gives what the answer gave on all these inputs, and on one of them not what is expected."""
    differs = False
    try:
        with deadline(seconds), np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for trial in tried:
                if trial.error:
                    continue
                value = exercise.apply(other, copied(exercise, trial.case.args, trial.awkward))
                if not equal(trial.came, value, exercise.rtol):
                    return False
                differs |= not equal(trial.expected, value, exercise.rtol)
    except (Exception, OutOfTime):  # noqa: BLE001  a wrong function may fail where the answer does not
        return False
    return differs


def _explain(exercise: Exercise, tried: Sequence[Trial], wrong: list[Trial]) -> None:
    """Raise what explains the wrong trials: a known mistake, an edge, a common difference, a near miss."""
    ordinary = [t for t in tried if not (t.case.hint or t.case.nan)]
    answered = [t for t in wrong if not t.error]
    smallest = min(answered or wrong, key=lambda t: t.size)
    after = _where(exercise, smallest)
    if isinstance(smallest.expected, tuple) and smallest.came is None and not smallest.error:
        raise Hint("the result is None: is a `return` missing?" + after)
    if exercise.parts and answered and not all(_has_parts(trial) for trial in answered):
        raise Hint(_wanted(exercise.parts) + after)
    for known in ([t for t in ordinary if not t.right], wrong):
        if known and any(not t.error for t in known):
            pool = ordinary if known is not wrong else tried
            for *answers, hint in exercise.mistakes:
                if any(_agrees(exercise, answer, pool) for answer in answers):
                    shown_at = min((t for t in known if not t.error), key=lambda t: t.size)
                    raise Hint(hint + _where(exercise, shown_at))
    if all(t.case.hint or t.case.nan for t in wrong):
        for trial in wrong:
            hint = trial.case.nan if not trial.error and _not_finite(trial) else ""
            if hint or trial.case.hint:
                raise Hint((hint or trial.case.hint).replace("{came}", str(trial.came)) + _where(exercise, trial))
    if not answered:
        raise Raised(smallest.error, after, len(tried) == 1)  # type: ignore[arg-type]
    found = _common(exercise, [t for t in ordinary if not t.error])
    if found:
        raise Hint(found + after)
    for said, function in near_misses(exercise.function):
        if _agrees(exercise, function, tried, 0.2):
            raise Hint(f"Your answer does what the right one would with {said}." + after)
    if smallest.error:
        raise Raised(smallest.error, after, False)
    raise Hint(_difference(exercise, smallest) + after)


def _has_parts(trial: Trial) -> bool:
    """Whether as many results came as are expected."""
    if not isinstance(trial.expected, tuple):
        return True
    return isinstance(trial.came, tuple | list) and len(trial.came) == len(trial.expected)


def _wanted(parts: Sequence[str]) -> str:
    count = {2: "Two", 3: "Three", 4: "Four"}[len(parts)]
    names = ", ".join(parts[:-1]) + " and " + parts[-1]
    return f"{count} results are expected, {names}: return {'both' if len(parts) == 2 else 'all of them'}."


def _not_finite(trial: Trial) -> bool:
    """Whether NaN or infinity came where a number is expected."""
    pairs = (
        zip(trial.came, trial.expected, strict=False)
        if isinstance(trial.expected, tuple)
        else [(trial.came, trial.expected)]
    )
    for came, expected in pairs:
        a, b = as_array(came), as_array(expected)
        if a is not None and b is not None and a.shape == b.shape and a.dtype.kind in "fc":
            if (~np.isfinite(a) & np.isfinite(b)).any():
                return True
    return False


def _common(exercise: Exercise, tried: list[Trial]) -> str | None:
    """The common difference of all ordinary inputs; of several results, of the first that is wrong."""
    numbers = [_numbers(exercise, trial) for trial in tried]
    results = [(trial.came, trial.expected) for trial in tried]
    if not results or not all(isinstance(expected, tuple) for _, expected in results):
        return common_difference(results, numbers, exercise.rtol) if results else None
    if not all(_has_parts(trial) for trial in tried):
        return None
    for i, name in enumerate(exercise.parts):
        part = [(came[i], expected[i]) for came, expected in results]
        if not all(equal(came, expected, exercise.rtol) for came, expected in part):
            found = common_difference(part, numbers, exercise.rtol)
            return found and f"{name[0].upper()}{name[1:]}: {found[0].lower()}{found[1:]}"
    return None


def _numbers(exercise: Exercise, trial: Trial) -> dict[str, float]:
    """The lengths and numbers of an input, by the names that a factor may have."""
    found: dict[str, float] = {}
    for name, value in zip(exercise.arguments, trial.case.args, strict=False):
        if isinstance(value, int | float) and not isinstance(value, bool):
            found[name] = value
        elif isinstance(value, Tensor | np.ndarray):
            if value.ndim == 1:
                found[f"len({name})"] = len(value)
            else:
                found |= {f"{name}.shape[{axis}]": n for axis, n in enumerate(value.shape)}
        elif isinstance(value, list | tuple):
            found[f"len({name})"] = len(value)
    return found


def _difference(exercise: Exercise, trial: Trial) -> str:
    if isinstance(trial.expected, tuple) and exercise.parts and _has_parts(trial):
        for name, came, expected in zip(exercise.parts, trial.came, trial.expected, strict=True):
            if not equal(came, expected, exercise.rtol):
                return difference(came, expected, name)
    return difference(trial.came, trial.expected)


def _where(exercise: Exercise, trial: Trial) -> str:
    """The input in at most three lines, then what came and what was expected, where they are short."""
    lines = given(exercise, trial.case.args, " (in float64, and not contiguous)" if trial.awkward else "")
    if trial.error is None and trial.came is not None and not trial.right:
        lines += [f"  came     {shown(trial.came)}", f"  expected {shown(trial.expected)}"]
    return "\n" + "\n".join(line if len(line) <= 2 * WIDTH else line[: 2 * WIDTH] + " …" for line in lines)


def given(exercise: Exercise, args: Sequence[Any], remark: str = "") -> list[str]:
    """An input by the names of its parts, in at most three lines."""
    pieces = [f"{name} = {shown(value)}" for name, value in zip(exercise.arguments, args, strict=False)]
    lines, line = [], "  for"
    for i, piece in enumerate(pieces):
        piece = piece + ("," if i < len(pieces) - 1 else "")
        if len(line) + len(piece) > WIDTH and line.strip() not in ("for", ""):
            lines.append(line)
            line = "     "
        line += " " + piece
    lines.append(line + remark)
    if len(lines) > 3:
        lines = [*lines[:2], lines[2].rstrip(",") + ", …"]
    return lines


def _check_gradients(exercise: Exercise, trial: Trial) -> None:
    """Raise the hint of the first argument to which no gradient, or a wrong one, comes back."""
    if not exercise.gradients:
        return
    given = copied(exercise, trial.case.args, trial.awkward)
    right = _gradients(exercise, exercise.apply(exercise.function, given), given)
    for name, hint in exercise.gradients.items():
        finite = right[name].nan_to_num().abs()
        # a gradient loses more digits than its function: what counts is whether it is there, and no NaN
        came = trial.gradients[name]
        if came is None or not equal(came, right[name], 1e-2, 1e-3 * float(finite.amax())):
            raise Hint(hint + _where(exercise, trial))


def _gradients(exercise: Exercise, result: Any, args: Sequence[Any]) -> dict[str, Tensor | None]:
    """Of a sum of all results, each with a weight of its own, by name of the argument."""
    total = None
    for one in result if isinstance(result, tuple | list) else [result]:
        if isinstance(one, Tensor) and one.requires_grad:
            weights = torch.arange(1.0, one.numel() + 1).reshape(one.shape).to(one)
            total = (one * weights).sum() + (0 if total is None else total)
    wanted = dict(zip(exercise.arguments, args, strict=False))
    names = list(exercise.gradients)
    if total is None:
        return dict.fromkeys(names)
    return dict(zip(names, torch.autograd.grad(total, [wanted[n] for n in names], allow_unused=True), strict=True))
