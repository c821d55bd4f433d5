"""The learner's own library, `mine.py` in the learner's folder, and its use in place of the course's.

The file is made of pieces, one an exercise, each with all that it needs. `start --build` writes a piece when its
answer passes, as it passed. In a later notebook `use("07")` puts the functions of earlier ones where the library has a
counterpart. Each is watched there: if it raises, or returns something else than the library's own, it is blamed by
name.
"""

import functools
import hashlib
import importlib
import linecache
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from course_lib.course.exercises import exercises
from course_lib.course.exercises.compare import as_array, equal, shown
from course_lib.paths import work_dir

HEAD = '''"""Your own library: your answers, each as it passed its check, with what it needs.

`python -m course_lib start --build` writes a piece for every exercise that passes. A piece that you change here stays
as you have it; delete it, with its line `# %%`, to have it written again.
"""
'''
MARK = re.compile(r"# %% (\w+), notebook (\d\d), answer `(\w+)`, ([0-9a-f]{8})")
WATCHED = 8  # first calls of each function that are compared with the library's, and then one in so many
EVERY = 64


class Blamed(Exception):
    """A function of the learner's did not do what the library's own does."""


@dataclass(frozen=True)
class Piece:
    """One exercise's answer: the source that it needs, the name of the function or class in it, its first line."""

    exercise: str
    notebook: str
    answer: str
    source: str
    line: int = 0
    written: str = ""  # the sum of the source as `start --build` wrote it; empty for a new piece

    @property
    def edited(self) -> bool:
        """Whether the learner changed it in the file."""
        return bool(self.written) and _sum(self.source) != self.written

    @property
    def text(self) -> str:
        """As it stands in the file."""
        written = self.written or _sum(self.source)
        mark = f"# %% {self.exercise}, notebook {self.notebook}, answer `{self.answer}`, {written}"
        return f"{mark}\n{self.source}\n"

    def load(self) -> Any:
        """The function or class. Raises `Blamed`, naming it, where the piece does not run."""
        path = str(mine_file())
        linecache.checkcache(path)
        names: dict[str, Any] = {"__name__": "mine", "__file__": path}
        try:
            exec(compile("\n" * self.line + self.source, path, "exec"), names)
            return names[self.answer]
        except Exception as error:
            raise Blamed(self.blame(f"does not load: {type(error).__name__}: {error}")) from error

    def blame(self, what: str, place: str = "") -> str:
        """The sentence that names the function, what it did, and the check to run."""
        where = f", in the place of the library's {place}," if place else ""
        return (
            f"your {self.answer}{where} {what}\n"
            f"  It is from notebook {self.notebook}, kept in {mine_file()}, line {self.line + 1}.\n"
            f"  Check it: from mine import {self.answer}; check.{self.exercise}({self.answer})\n"
            f'  Or go on without it: mine.use("…", without=["{self.exercise}"])'
        )


def mine_file() -> Path:
    """`mine.py` in the learner's folder, where notebooks can import it."""
    return work_dir() / "mine.py"


def pieces() -> dict[str, Piece]:
    """The pieces of the learner's file by exercise, in its order; none where there is no file."""
    try:
        lines = mine_file().read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    starts = [(number, found) for number, line in enumerate(lines) if (found := MARK.fullmatch(line.strip()))]
    ends = [number for number, _ in starts[1:]] + [len(lines)]
    found = {}
    for (number, mark), end in zip(starts, ends, strict=True):
        source = "\n".join(lines[number + 1 : end]).strip("\n")
        name, notebook, answer, written = mark.groups()
        found[name] = Piece(name, notebook, answer, source, number + 1, written)
    return found


def file_of(found: dict[str, Piece]) -> str:
    """The file's text, in the order of the course."""
    order = [name for name in exercises() if name in found]
    return "\n\n".join([HEAD, *(found[name].text for name in order)])


def use(notebook: str, without: tuple[str, ...] | list[str] = ()) -> None:
    """Put your functions of the notebooks before `notebook` in the place of the library's, and say which.

    without: exercises whose functions are left out. Called again, it begins anew.
    """
    from course_lib.course.workbook.counterparts import COUNTERPARTS

    leave()
    exercises()  # the checks' own references keep the library's functions
    used = []
    for name, piece in pieces().items():
        if piece.notebook < notebook and name in COUNTERPARTS and name not in without:
            function = piece.load()
            for target, stand_in in COUNTERPARTS[name]:
                _put(target, lambda original, s=stand_in, p=piece, f=function, t=target: _watched(original, s, f, p, t))
            used.append(f"{piece.answer} (for {', '.join(target.split(':')[1] for target, _ in COUNTERPARTS[name])})")
    print("Yours, in the place of the library's: " + (", ".join(used) or "nothing yet") + ".")


def leave() -> None:
    """Put the library's own functions back."""
    while _changed:
        holder, name, original = _changed.pop()
        setattr(holder, name, original)


_changed: list[tuple[Any, str, Any]] = []


def _put(target: str, make: Callable[[Any], Any]) -> None:
    """Replace "room.file:function" wherever the library holds it, or "room.file:Class.method"."""
    module = importlib.import_module("course_lib." + target.split(":")[0])
    *classes, name = target.split(":")[1].split(".")
    holder: Any = getattr(module, classes[0]) if classes else module
    original = getattr(holder, name)
    new = make(original)
    holders = [holder] if classes else list(_holders(name, original))
    for each in holders:
        _changed.append((each, name, original))
        setattr(each, name, new)


def _holders(name: str, original: Any) -> Iterator[Any]:
    """The library's modules that hold `original` under its name. The checks keep theirs."""
    for module_name, module in list(sys.modules.items()):
        ours = module_name.startswith("course_lib.") and not module_name.startswith("course_lib.course.")
        if ours and vars(module).get(name) is original:
            yield module


def _watched(original: Callable[..., Any], stand_in: Any, function: Any, piece: Piece, target: str) -> Any:
    """`stand_in` with the learner's function in it, in the place of `original`."""
    place, calls = target.split(":")[1], 0

    @functools.wraps(original)
    def instead(*args: Any, **options: Any) -> Any:
        nonlocal calls
        if not _covered(args, options):
            return original(*args, **options)
        try:
            came = stand_in(function, *args, **options)
        except Exception as error:
            original(*args, **options)  # a call that the library refuses, too, is no fault of the function
            text = f"raised {type(error).__name__}: {error}"
            raise Blamed(piece.blame(text, place)) from error
        if came is NotImplemented:
            return original(*args, **options)
        calls += 1
        if calls <= WATCHED or calls % EVERY == 0:
            _compare(came, args, options, original, piece, place)
        return came

    return instead


def _compare(came: Any, args: Any, options: Any, original: Any, piece: Piece, place: str) -> None:
    expected = original(*args, **options)
    left, right = _plain(came), _plain(expected)
    if not _alike(left, right):
        difference = f"returned something else.\n  came     {shown(left)}\n  expected {shown(right)}"
        raise Blamed(piece.blame(difference, place))
    if _trains(expected) and not _trains(came):
        raise Blamed(piece.blame("returned a result without a gradient: compute it with torch alone.", place))


def _covered(args: tuple[Any, ...], options: dict[str, Any]) -> bool:
    """Whether a call is one that answers are made for: float32 or float64 on the CPU, run as it is written."""
    if torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    held = [getattr(value, "values", value) for value in (*args, *options.values())]
    held += [p for value in args if isinstance(value, nn.Module) for p in value.parameters()]
    tensors = [value for value in held if isinstance(value, Tensor)]
    return all(
        t.device.type == "cpu" and (not t.is_floating_point() or t.dtype in (torch.float32, torch.float64))
        for t in tensors
    )


def _plain(value: Any) -> Any:
    """A result as numbers: of a `Sequence` the valid values and the mask, of a schedule its first factors."""
    if hasattr(value, "masked") and hasattr(value, "mask"):
        return value.masked().values, value.mask
    if hasattr(value, "lr_lambdas"):
        return [value.lr_lambdas[0](step) for step in range(100)]
    if hasattr(value, "times") and hasattr(value, "scores"):
        return value.times, value.scores
    return value


def _alike(came: Any, expected: Any) -> bool:
    if isinstance(expected, tuple):
        return (
            isinstance(came, tuple)
            and len(came) == len(expected)
            and all(_alike(one, other) for one, other in zip(came, expected, strict=True))
        )
    right = as_array(expected)
    if right is None or right.dtype.kind != "f":
        return equal(came, expected)
    finite = np.abs(right[np.isfinite(right)])
    return equal(came, expected, 1e-3, 1e-5 + 1e-4 * float(finite.max(initial=0.0)))


def _trains(value: Any) -> bool:
    value = value[0] if isinstance(value, tuple) else value
    value = value.values if hasattr(value, "mask") else value
    return isinstance(value, Tensor) and value.requires_grad


def _sum(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()[:8]
