"""Comparing a learner's result with the right one, and saying what is different in words."""

from collections.abc import Sequence
from typing import Any

import numpy as np


class Hint(Exception):
    """What is probably wrong with a learner's answer, in a sentence or two addressed to the learner."""


def expect(
    actual: Any,
    expected: Any,
    *,
    what: str = "the result",
    mistakes: Sequence[tuple[Any, str]] = (),
    rtol: float = 1e-4,
    atol: float = 1e-5,
) -> None:
    """Raise a `Hint` unless `actual` equals `expected` in shape and, up to the tolerances, in value.

    actual, expected: tensors, arrays, numbers, or nested lists of them; other values are compared with `==`.
    what: how messages name the value ("the second output").
    mistakes: pairs (the value that a mistake gives, the hint that names it), looked at in order before any difference
    is described. A mistake that happens to give the expected value is passed over.
    """
    if actual is None and expected is not None:
        raise Hint(f"{what} is None: is a `return` missing?")
    if _equal(actual, expected, rtol, atol):
        return
    for wrong, hint in mistakes:
        if _equal(actual, wrong, rtol, atol):
            raise Hint(hint)
    raise Hint(_difference(actual, expected, what))


def _as_array(value: Any) -> np.ndarray | None:
    """`value` as a numeric array, or None where it is not one. Tensors are detached and leave their device."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if value.is_floating_point():
            value = value.double()
        value = value.numpy()
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):  # ragged lists, lists of tensors that need a gradient
        return None
    return array if array.dtype.kind in "biufc" else None


def _equal(actual: Any, expected: Any, rtol: float, atol: float) -> bool:
    a, b = _as_array(actual), _as_array(expected)
    if a is None or b is None:
        return type(actual) is type(expected) and bool(actual == expected)
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True))


def _difference(actual: Any, expected: Any, what: str) -> str:
    """One sentence on how `actual` differs from `expected`."""
    a, b = _as_array(actual), _as_array(expected)
    if a is None or b is None:
        return f"{what} is {_short(actual)} ({type(actual).__name__}), expected {_short(expected)}."
    if a.shape != b.shape:
        return f"{what} has shape {a.shape}, expected {b.shape}."
    if np.isnan(a).any() and not np.isnan(b).any():
        return f"{what} contains NaN: is there a division by zero, or a logarithm or root of a negative number?"
    if a.ndim == 0:
        return f"{what} is {a:.6g}, expected {b:.6g}."
    wrong = ~np.isclose(a, b, rtol=1e-4, atol=1e-5, equal_nan=True)
    if not wrong.any():  # the check asked for a tighter tolerance than this message uses
        wrong = a != b
    where = tuple(int(i) for i in np.argwhere(wrong)[0])
    index = ", ".join(map(str, where))
    return (
        f"{what} has the right shape, but {int(wrong.sum())} of {a.size} values differ: "
        f"[{index}] is {a[where]:.6g}, expected {b[where]:.6g}."
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
