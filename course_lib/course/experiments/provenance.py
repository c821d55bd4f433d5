"""Which code and which data made a number: short hashes that change where, and only where, it could have changed."""

import ast
import functools
import hashlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from course_lib.data import AudioData
from course_lib.paths import PROJECT_ROOT

PACKAGE = "course_lib"
# What runs measurements, writes tables, draws and finds files decides no number.
BESIDE = {f"{PACKAGE}.{name}" for name in ("plots", "files", "paths", "course.experiments.results")} | {
    f"{PACKAGE}.course.experiments.{name}" for name in ("runner", "provenance")
}


def code_hash(module: str, root: Path = PROJECT_ROOT) -> str:
    """Eight digits for the code that `module` runs: its own and that of each module of the library that it reaches.

    Reached is what imports lead to, from module to module; through a room's `__init__`, only the file that defines the
    name. Comments, docstrings, annotations, layout and the places of files do not count, so a file that moves or gains
    types makes no number stale, and neither does a change in a file that the measurement never sees.
    root: the folder that holds the package, such as another checkout's.  Raises FileNotFoundError for no such module.
    """
    if _file(module, root) is None:
        raise FileNotFoundError(f"module: expected one below {root}, got {module!r}")
    return _hash([module], root, "")


def text_hash(code: str, root: Path = PROJECT_ROOT) -> str:
    """As `code_hash`, for code that is in no module, such as a notebook's cells: of the modules that it reaches.

    Magics are left out. Raises SyntaxError for code that Python cannot read.
    """
    source = _text(code)
    return _hash(_reached_by(source, root), root, source.meaning)


def text_reaches(code: str, root: Path = PROJECT_ROOT) -> set[str]:
    """The modules of the package that the imports in `code` lead to, not those that these import in turn."""
    return set(_reached_by(_text(code), root))


def _text(code: str) -> "_Source":
    lines = (
        re.sub(r"\S.*", "pass", line) if line.lstrip().startswith(("%", "!")) else line for line in code.splitlines()
    )
    return _Source("\n".join(lines), is_room=False)


def _hash(modules: Iterable[str], root: Path, text: str) -> str:
    waiting, seen = list(modules), set()
    while waiting:
        name = waiting.pop()
        if name not in seen and not _beside(name):
            seen.add(name)
            waiting.extend(_reached_by(_source(name, root), root))
    parts = sorted(_source(name, root).meaning for name in seen)
    if text:
        parts.append(text)
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=4).hexdigest()


def fingerprint(data: Any) -> str:
    """Eight digits for what `data` holds: arrays, tensors, text and numbers in dicts, sequences and dataclasses.

    Of `AudioData` the files, labels, folds and recordings count, at whatever rate: what the files hold is checked
    against their checksums when they are loaded, and decoders differ in the last bit.
    """
    digest = hashlib.blake2b(digest_size=4)
    for piece in _pieces(data):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(data: Any) -> Iterator[bytes]:
    if isinstance(data, AudioData):
        yield from _pieces([data.files, data.labels, data.folds, data.groups])
    elif isinstance(data, np.ndarray) and data.dtype.kind not in "OUT":
        yield f"{data.dtype.str} {data.shape}".encode() + np.ascontiguousarray(data).tobytes()
    elif isinstance(data, Tensor):
        yield from _pieces(data.detach().cpu().numpy())
    elif isinstance(data, Mapping):
        for key, value in data.items():
            yield from _pieces([key, value])
    elif is_dataclass(data):
        yield from _pieces([getattr(data, field.name) for field in fields(data)])
    elif isinstance(data, list | tuple | np.ndarray):
        yield f"{len(data)}:".encode()
        for value in data:
            yield from _pieces(value)
    else:
        yield f"{data!r};".encode()


def _beside(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in BESIDE)


def _file(module: str, root: Path) -> Path | None:
    base = root.joinpath(*module.split("."))
    if root == PROJECT_ROOT and module in sys.modules:  # wherever it was imported from
        return Path(str(sys.modules[module].__file__))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.exists()), None)


class _Source:
    """What a file imports, which attributes of which names it uses, and what it means."""

    def __init__(self, text: str, *, is_room: bool):
        self.tree, self.is_room = ast.parse(text), is_room
        self.imports = []  # (module, name or None, what it is called here)
        self.attributes = set()  # (name, attribute)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom):
                self.imports += [(node.module or "", alias.name, alias.asname or alias.name) for alias in node.names]
            elif isinstance(node, ast.Import):
                self.imports += [(alias.name, None, alias.asname or alias.name) for alias in node.names]
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                self.attributes.add((node.value.id, node.attr))

    @functools.cached_property
    def meaning(self) -> str:
        """What the file defines, and those imports from outside the package whose names something uses."""
        body = _dump(self.tree)
        used = {
            f"{module} {name} {here};"
            for module, name, here in self.imports
            if f"id={here.split('.')[0]!r}" in body and module.split(".")[0] != PACKAGE
        }
        return body + "".join(sorted(used))


@functools.cache
def _read(path: Path, changed: int) -> _Source:
    return _Source(path.read_text(encoding="utf-8"), is_room=path.name == "__init__.py")


def _source(module: str, root: Path) -> _Source:
    path = _file(module, root)
    return _read(path, path.stat().st_mtime_ns)


def _reached_by(source: "_Source", root: Path) -> Iterator[str]:
    """The modules of the package that it imports; of a room's `__init__`, only those that define what is used."""
    rooms = {}  # what a room is called here → the room
    for imported, name, here in source.imports:
        if imported.split(".")[0] == PACKAGE:
            whole = imported if name is None or not _file(f"{imported}.{name}", root) else f"{imported}.{name}"
            if whole == imported and name is not None:
                yield from _defining(imported, name, root)
            elif _source(whole, root).is_room:
                rooms[here] = whole
            else:
                yield whole
    for name, attribute in source.attributes:
        if name in rooms:
            yield from _defining(rooms[name], attribute, root)


def _defining(module: str, name: str, root: Path) -> Iterator[str]:
    """The module in which `name` of `module` is written, followed through the imports of rooms."""
    if _beside(module) or _file(module, root) is None:
        return
    source = _source(module, root)
    if source.is_room and _file(f"{module}.{name}", root):
        yield f"{module}.{name}"
        return
    for imported, original, here in source.imports if source.is_room else ():
        if here == name and original is not None:
            yield from _defining(imported, original, root)
            return
    yield module


def _dump(node: Any) -> str:
    """A syntax tree without docstrings, annotations, imports and positions; the same under every version of Python."""
    if isinstance(node, list):
        return "[" + ",".join(filter(None, map(_dump, node))) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    if text or isinstance(node, ast.Import | ast.ImportFrom):
        return ""
    kept = []
    for field, value in ast.iter_fields(node):
        passed_over = field in ("annotation", "returns", "ctx", "type_comment", "type_params", "kind", "type_ignores")
        if not passed_over and value is not None and value != []:
            kept.append(f"{field}={_dump(value)}")
    return f"{type(node).__name__}({','.join(kept)})"
