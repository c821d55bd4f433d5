"""Comparing a learner's result with the right one, and saying what is different in words."""

from collections.abc import Mapping
from typing import Any

import numpy as np


class Hint(Exception):
    """What is probably wrong with a learner's answer, in a sentence or two addressed to the learner."""


def as_array(value: Any) -> np.ndarray | None:
    """`value` as a numeric array, or None where it is not one. Tensors are detached and leave their device."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().resolve_conj().resolve_neg()
        if value.is_floating_point():
            value = value.double()
        value = value.numpy()
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):  # ragged lists, lists of tensors that need a gradient
        return None
    return array if array.dtype.kind in "biufc" else None


def equal(actual: Any, expected: Any, rtol: float = 1e-4, atol: float | None = None) -> bool:
    """Whether two results are the same: `...` in `expected` stands for anything.

    Floating-point numbers may differ by rtol of their own size, and by atol: without one, by a few roundings of the
    largest number there, so that float32 is as good as float64.
    """
    if expected is ...:
        return True
    if isinstance(expected, Mapping):
        return (
            isinstance(actual, Mapping)
            and set(actual) == set(expected)
            and all(equal(actual[name], value, rtol, atol) for name, value in expected.items())
        )
    a, b = as_array(actual), as_array(expected)
    if b is not None and not isinstance(expected, tuple):
        return a is not None and a.shape == b.shape and bool(close(a, b, rtol, atol).all())
    if isinstance(expected, tuple | list):
        return (
            isinstance(actual, tuple | list)
            and len(actual) == len(expected)
            and all(equal(one, other, rtol, atol) for one, other in zip(actual, expected, strict=True))
        )
    if isinstance(expected, np.ndarray):
        return np.array_equal(actual, expected)
    return isinstance(actual, type(expected)) and bool(actual == expected)


def close(a: np.ndarray, b: np.ndarray, rtol: float = 1e-4, atol: float | None = None) -> np.ndarray:
    """Where `a` is as good as `b`, value by value; of one shape.

    A boolean is never a number, and whole numbers are exact.
    """
    if (a.dtype.kind == "b") != (b.dtype.kind == "b"):
        return np.zeros(b.shape, bool)
    if b.dtype.kind in "biu":
        return a == b
    if atol is None:
        finite = np.abs(b[np.isfinite(b)])
        atol = max(1e-6, 2e-6 * float(finite.max(initial=0.0)))
    return np.isclose(a, b, rtol=rtol, atol=atol, equal_nan=True)


def difference(actual: Any, expected: Any, what: str = "the result") -> str:
    """One sentence on how `actual` differs from `expected`."""
    if actual is None and expected is not None:
        return f"{what} is None: is a `return` missing?"
    if isinstance(expected, Mapping):
        if not isinstance(actual, Mapping) or set(actual) != set(expected):
            names = sorted(actual) if isinstance(actual, Mapping) else shown(actual)
            return f"{what}: expected a dict with the names {sorted(expected)}, got {names}."
        name = next(name for name, value in expected.items() if not equal(actual[name], value))
        return difference(actual[name], expected[name], f"{what}, {name!r},")
    a, b = as_array(actual), as_array(expected)
    if b is None and isinstance(expected, tuple | list) and isinstance(actual, tuple | list):
        if len(actual) != len(expected):
            return f"{what} holds {len(actual)} values, expected {len(expected)}: return one for each."
        if not isinstance(expected[0], str):
            i = next(i for i, pair in enumerate(zip(actual, expected, strict=True)) if not equal(*pair))
            return difference(actual[i], expected[i], f"{what}[{i}]")
    if a is None or b is None:
        return f"{what} is {shown(actual)} ({type(actual).__name__}), expected {shown(expected)}."
    if a.shape != b.shape:
        return f"{what} has shape {a.shape}, expected {b.shape}."
    if np.isnan(a).any() and not np.isnan(b).any():
        return f"{what} contains NaN: is there a division by zero, or a logarithm or root of a negative number?"
    if b.dtype.kind == "b" and a.dtype.kind != "b":
        kind = getattr(actual, "dtype", type(actual).__name__)
        return f"{what} has the right shape, but is of {kind}: booleans are wanted, as comparisons give them."
    if a.ndim == 0:
        return f"{what} is {_digits(a)}, expected {_digits(b)}."
    wrong = ~close(a, b)
    if not wrong.any():  # the check asked for a tighter tolerance than this message uses
        wrong = a != b
    where = tuple(int(i) for i in np.argwhere(wrong)[0])
    index = ", ".join(map(str, where))
    return (
        f"{what} has the right shape, but {int(wrong.sum())} of {a.size} values differ: "
        f"[{index}] is {_digits(a[where])}, expected {_digits(b[where])}."
    )


def _digits(value: Any) -> str:
    """A number with six digits, or all those of a whole one."""
    return str(value) if np.asarray(value).dtype.kind in "biu" else f"{value:.6g}"


def _four_digits(z: Any) -> Any:
    """Rounded; the rounding error that is left of a real or imaginary part becomes 0."""
    if np.iscomplexobj(z):
        return complex(*(_four_digits(part) if abs(part) > 1e-9 * abs(z) else 0.0 for part in (z.real, z.imag)))
    return float(f"{z:.4g}")


def shown(value: Any, most: int = 12) -> str:
    """A value in a few words: the numbers of a small array, the shape of a large one."""
    if value is ...:
        return "…"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {shown(item, most)}" for name, item in value.items()) + "}"
    if isinstance(value, tuple | list) and as_array(value) is None and len(value) <= 4:
        text = ", ".join(shown(item, most // 2) for item in value)
        return f"({text})" if isinstance(value, tuple) else f"[{text}]"
    array = as_array(value)
    if array is not None and array.size > most:
        return f"{type(value).__name__} of shape {array.shape}"
    if array is not None and array.dtype.kind in "fc":
        rounded = np.array([_four_digits(z) for z in array.flat])
        text = str(rounded.reshape(array.shape).tolist() if array.size else array.tolist())
    elif array is not None:
        text = str(array.tolist())
    elif callable(value):
        text = getattr(value, "__name__", type(value).__name__)
    elif isinstance(value, np.ndarray):
        text = str(value.tolist())
    elif hasattr(value, "mask") and value.values.numel() <= most:  # a Sequence
        text = f"{type(value).__name__}({shown(value.values)}, {shown(value.mask)})"
    elif hasattr(value, "shape"):
        text = f"{type(value).__name__} of shape {tuple(value.shape)}"
    else:
        text = " ".join(repr(value).split())
    if array is not None and array.size == 0 and array.ndim > 1:
        text += f" of shape {array.shape}"
    return text if len(text) <= 160 else text[:157] + "..."
