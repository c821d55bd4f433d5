"""Saying what is different, and recognising what explains it: a sign, a factor, an order, a missing last step."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np

from course_lib.course.exercises.compare import Hint, as_array, close, difference, equal

Pairs = list[tuple[np.ndarray, np.ndarray]]

CONSTANTS = {
    "2": 2.0,
    "3": 3.0,
    "4": 4.0,
    "10": 10.0,
    "π": math.pi,
    "2π": 2 * math.pi,
    "ln 2": math.log(2),
    "ln 10": math.log(10),
    "e": math.e,
    "√2": math.sqrt(2),
    "√(2π)": math.sqrt(2 * math.pi),
    "180/π": 180 / math.pi,
}

# What a step forgotten, or taken once too often, makes of every value.
STEPS: Sequence[tuple[str, Callable[[np.ndarray], np.ndarray]]] = (
    ("The sign is flipped: every value is minus what it should be.", lambda b: -b),
    ("The signs are lost: these are the absolute values.", np.abs),
    ("These are the squares of what it should be: is a root missing, or a square too many?", np.square),
    ("These are the roots of what it should be: is a square missing, or a root too many?", np.sqrt),
    ("This is e to the power of what it should be: an exponential too many, or a logarithm missing.", np.exp),
    ("This is the logarithm of what it should be: an exponential is missing, or a logarithm too many.", np.log),
    ("These are the reciprocals, one divided by what it should be.", np.reciprocal),
    ("This is one minus what it should be.", lambda b: 1 - b),
    ("Everything that should be a fraction is rounded to a whole number.", np.round),
    ("Everything that should be a fraction is rounded down to a whole number.", np.floor),
)

REDUCTIONS: Sequence[tuple[str, Callable[..., np.ndarray]]] = (
    ("sum", np.sum),
    ("mean", np.mean),
    ("maximum", np.max),
    ("minimum", np.min),
)


def expect(
    actual: Any,
    expected: Any,
    *,
    what: str = "the result",
    mistakes: Sequence[tuple[Any, str]] = (),
    rtol: float = 1e-4,
    atol: float | None = None,
) -> None:
    """Raise a `Hint` unless `actual` equals `expected` in shape and, up to the tolerances, in value.

    actual, expected: tensors, arrays, numbers, or nested lists, tuples and dicts of them; other values are compared
    with `==`. Whole numbers and booleans are compared exactly.
    what: how messages name the value ("the second output").
    mistakes: pairs (the value that a mistake gives, the hint that names it), looked at in order before any difference
    is described. A mistake that happens to give the expected value is passed over.
    """
    if equal(actual, expected, rtol, atol):
        return
    for wrong, hint in mistakes:
        if equal(actual, wrong, rtol, atol):
            raise Hint(hint)
    found = common_difference([(actual, expected)]) if np.size(as_array(expected)) > 2 else None
    raise Hint(found or difference(actual, expected, what))


def common_difference(
    results: Sequence[tuple[Any, Any]],
    numbers: Sequence[Mapping[str, float]] = (),
    rtol: float = 1e-4,
) -> str | None:
    """What explains every one of the `results`, pairs (what came, what was expected), in a sentence; else None.

    numbers: for each pair the lengths and numbers of its input by name, after which a factor may be called.
    """
    pairs: Pairs = []
    for came, expected in results:
        a, b = as_array(came), as_array(expected)
        if a is None or b is None or not b.size:
            return None
        pairs.append((a, b))
    if all(a.shape == b.shape for a, b in pairs):
        return _same_shape(pairs, numbers, rtol)
    return _other_shape(pairs, rtol)


def _all(pairs: Pairs, change: Callable[[np.ndarray], np.ndarray], rtol: float) -> bool:
    """Whether every result is `change` of what was expected, and one of them is not what was expected."""
    differs = False
    with np.errstate(all="ignore"):
        for a, b in pairs:
            wrong = change(b)
            if a.shape != np.shape(wrong) or not close(a, np.asarray(wrong), rtol).all():
                return False
            differs |= a.shape != b.shape or not close(a, b, rtol).all()
    return differs


def _same_shape(pairs: Pairs, numbers: Sequence[Mapping[str, float]], rtol: float) -> str | None:
    kinds = {b.dtype.kind for _, b in pairs}
    dimensions = min(b.ndim for _, b in pairs)
    if kinds == {"b"}:
        if _all(pairs, np.logical_not, rtol):
            return "True and False are the wrong way round everywhere."
    elif kinds <= set("iufc"):
        real = [
            (a.astype(complex if a.dtype.kind == "c" else float), b.astype(float)) for a, b in pairs if "c" not in kinds
        ]
        if real:
            for text, step in STEPS:
                if _all(real, step, rtol):
                    return text
            if text := _scaled(real, numbers, rtol):
                return text
        elif _all(pairs, np.negative, rtol):
            return STEPS[0][0]
        elif _all(pairs, np.conj, rtol):
            return "The sign of the imaginary part is flipped."
    for axis in range(dimensions):
        along = f" along axis {axis}" if dimensions > 1 else ""
        if _all(pairs, lambda b: np.flip(b, axis), rtol):  # noqa: B023  called at once
            return f"The order is reversed{along}."
        if text := _shifted(pairs, axis, along, rtol):
            return text
    if dimensions > 1:
        for order in permutations(range(dimensions)):
            if _all(pairs, lambda b: np.transpose(b, order) if b.ndim == len(order) else b, rtol):  # noqa: B023
                return "Right values with axes swapped."
    return None


def _shifted(pairs: Pairs, axis: int, along: str, rtol: float) -> str | None:
    moved = {"late": 0, "early": 0}
    for a, b in pairs:
        if close(a, b, rtol).all():
            continue
        n = b.shape[axis]
        if n < 3:
            return None
        first, last = (np.take(x, range(1, n), axis) for x in (a, b))
        before, after = (np.take(x, range(n - 1), axis) for x in (a, b))
        moved["late"] += bool(close(first, after, rtol).all())
        moved["early"] += bool(close(before, last, rtol).all())
    wrong = sum(not close(a, b, rtol).all() for a, b in pairs)
    for way, count in moved.items():
        if count == wrong and wrong:
            return f"Every value stands one place too {way}{along}."
    return None


def _scaled(pairs: Pairs, numbers: Sequence[Mapping[str, float]], rtol: float) -> str | None:
    """A factor or an offset that is the same everywhere, or follows a number of the input."""
    factors = []
    for a, b in pairs:
        if not (np.isfinite(a).all() and np.isfinite(b).all()) or a.dtype.kind == "c":
            return None
        largest = np.abs(b).argmax()
        if b.flat[largest] == 0:
            if a.any():
                factors = []
                break
            factors.append(None)
            continue
        factor = a.flat[largest] / b.flat[largest]
        if not close(a, factor * b, rtol).all():
            factors = []
            break
        factors.append(factor)
    known = [(i, f) for i, f in enumerate(factors) if f is not None]
    enough = len(known) > 1 or sum(b.size for _, b in pairs) > 2
    if known and enough:
        same = known[0][1]
        if all(math.isclose(f, same, rel_tol=1e-3) for _, f in known) and not math.isclose(same, 1, rel_tol=rtol):
            if abs(same) > 1e-9:
                return _named(same)
            return "Every value is 0."
        if len(known) > 2 and numbers and (text := _after_a_number(known, numbers)):
            return text
    offsets = [a - b for a, b in pairs]
    first = offsets[0].flat[0]
    if enough and not math.isclose(first, 0, abs_tol=1e-5):
        if all(close(a, b + first, rtol).all() for a, b in pairs):
            return f"Every value is too {'large' if first > 0 else 'small'} by {abs(first):.6g}."
    return None


def _named(factor: float) -> str:
    sign, size = ("minus " if factor < 0 else ""), abs(factor)
    for name, value in CONSTANTS.items():
        if math.isclose(size, value, rel_tol=1e-4):
            return f"Every value is {sign}{name} times what it should be."
        if math.isclose(size, 1 / value, rel_tol=1e-4):
            return f"Every value is {sign}what it should be, divided by {name}."
    return f"Every value is {factor:.4g} times what it should be."


def _after_a_number(factors: list[tuple[int, float]], numbers: Sequence[Mapping[str, float]]) -> str | None:
    forms: Sequence[tuple[str, Callable[[float], float]]] = (
        ("times {}", lambda n: n),
        ("divided by {}", lambda n: 1 / n),
        ("times √({})", lambda n: math.sqrt(n)),
        ("divided by √({})", lambda n: 1 / math.sqrt(n)),
        ("times {0} / ({0} - 1)", lambda n: n / (n - 1)),
        ("times ({0} - 1) / {0}", lambda n: (n - 1) / n),
        ("times √({0} / ({0} - 1))", lambda n: math.sqrt(n / (n - 1))),
        ("times √(({0} - 1) / {0})", lambda n: math.sqrt((n - 1) / n)),
    )
    for name in numbers[factors[0][0]]:
        for text, form in forms:
            try:
                fits = all(math.isclose(f, form(numbers[i][name]), rel_tol=1e-3) for i, f in factors)
            except (KeyError, ValueError, ZeroDivisionError):
                continue
            if fits and len({numbers[i][name] for i, _ in factors}) > 1:
                return f"Every value is what it should be {text.format(name)}."
    return None


def _other_shape(pairs: Pairs, rtol: float) -> str | None:
    different = [(a, b) for a, b in pairs if a.shape != b.shape]
    came, wanted = different[0][0].shape, different[0][1].shape
    shapes = f"shape {came}, expected {wanted}"
    if all(
        a.size == b.size and close(a.squeeze(), b.squeeze(), rtol).all()
        if a.squeeze().shape == b.squeeze().shape
        else False
        for a, b in pairs
    ):
        more = len(came) > len(wanted)
        return f"Right values, but an axis of size 1 is {'too many' if more else 'missing'}: {shapes}."
    if all(a.ndim == b.ndim for a, b in pairs):
        for order in permutations(range(pairs[0][1].ndim)):
            if _all(pairs, lambda b: np.transpose(b, order) if b.ndim == len(order) else b, rtol):  # noqa: B023
                return f"Right values, but the axes are in another order: {shapes}."
        for text, change in _one_more_or_less(pairs[0][1].ndim):
            if all(change(a, b, rtol) for a, b in pairs):
                return f"{text}: {shapes}."
    for name, reduction in REDUCTIONS:
        for axis in range(max(a.ndim for a, _ in pairs)):
            if all(
                a.ndim == b.ndim + 1 and axis < a.ndim and a.size and _is(reduction(a, axis), b, rtol) for a, b in pairs
            ):
                return f"One step too early: the {name} over axis {axis} is still to be taken ({shapes})."
        for axis in range(max(b.ndim for _, b in pairs)):
            if all(b.ndim == a.ndim + 1 and axis < b.ndim and _is(reduction(b, axis), a, rtol) for a, b in pairs):
                return f"The {name} was taken over axis {axis}, which should stay: {shapes}."
        if all(a.ndim > b.ndim == 0 and a.size and _is(reduction(a), b, rtol) for a, b in pairs):
            return f"One step too early: the {name} of all these is still to be taken ({shapes})."
        if all(b.ndim > a.ndim == 0 and _is(reduction(b), a, rtol) for a, b in pairs):
            return f"This is the {name} of what is wanted: keep them apart ({shapes})."
    return None


def _is(a: np.ndarray, b: np.ndarray, rtol: float) -> bool:
    return np.shape(a) == np.shape(b) and bool(close(np.asarray(a), np.asarray(b), rtol).all())


def _one_more_or_less(dimensions: int) -> Iterator[tuple[str, Callable[[np.ndarray, np.ndarray, float], bool]]]:
    """Per axis: what to say, and whether all but one of the values along it are there."""

    def without(x: np.ndarray, axis: int, last: bool) -> np.ndarray:
        n = x.shape[axis]
        return np.take(x, range(n - 1) if last else range(1, n), axis)

    for axis in range(dimensions):
        along = f" along axis {axis}" if dimensions > 1 else ""
        for last in (True, False):
            place = "last" if last else "first"
            yield (
                f"The {place} value{along} is missing",
                lambda a, b, rtol, axis=axis, last=last: b.shape[axis] > 1 and _is(a, without(b, axis, last), rtol),
            )
            yield (
                f"There is one value too many, the {place}{along}",
                lambda a, b, rtol, axis=axis, last=last: a.shape[axis] > 1 and _is(without(a, axis, last), b, rtol),
            )
