"""The library's reference: every public name of its rooms with signature and docstring, read without importing it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from course_lib.paths import PROJECT_ROOT

ROOMS = ("sequence", "layers", "models", "losses", "events", "data", "training", "plots", "estimator", "export")


def room_page(room: str, root: Path = PROJECT_ROOT) -> str:
    """MyST Markdown of one room: its docstring, then its files with their public classes and functions."""
    folder = root / "course_lib" / room
    parts = [f"# {room}", text(ast.get_docstring(_tree(folder / "__init__.py")) or "")]
    for path in sorted(folder.glob("[!_]*.py")):
        tree = _tree(path)
        entries = list(_entries(tree, f"course_lib.{room}.{path.stem}"))
        if entries:
            parts += [f"## {path.stem}", text(ast.get_docstring(tree) or ""), *entries]
    return "\n\n".join(parts) + "\n"


def overview(rooms: Iterable[str], root: Path = PROJECT_ROOT) -> str:
    """The first page of the reference: each of `rooms` with the first paragraph of its docstring."""
    rooms, rows = list(rooms), []
    for room in rooms:
        first = (ast.get_docstring(_tree(root / "course_lib" / room / "__init__.py")) or "").partition("\n\n")[0]
        rows.append(f"- [{room}]({room}.md): {text(first)}")
    names = "\n".join(rooms)
    intro = (
        "Every public name of the library's rooms, with its docstring. Tensors are `(B, T, C)`: batch, time, channels."
    )
    return f"# The library\n\n{intro}\n\n" + "\n".join(rows) + f"\n\n```{{toctree}}\n:hidden:\n\n{names}\n```\n"


def text(docstring: str) -> str:
    """A docstring as Markdown: code in backticks and indented code as they are, stars and underscores no emphasis."""
    lines = []
    for line in docstring.replace("``", "`").splitlines():
        if line.startswith("    "):
            lines.append(line)
            continue
        pieces = re.split(r"(`[^`]*`)", re.sub(r"::$", ":", line))
        plain = [
            piece if index % 2 else re.sub(r"([*_<$\[\]{}|#])", r"\\\1", piece) for index, piece in enumerate(pieces)
        ]
        lines.append("".join(plain))
    return "\n".join(lines)


def _entries(tree: ast.Module, module: str) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and any("overload" in ast.unparse(d) for d in node.decorator_list):
            continue
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield _entry("function", f"{module}.{node.name}", _signature(node), ast.get_docstring(node) or "")
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            methods = [child for child in node.body if isinstance(child, ast.FunctionDef)]
            start = next(
                (_signature(child, bound=True, returns=False) for child in methods if child.name == "__init__"), ""
            )
            fields = [
                f"{child.target.id}: {ast.unparse(child.annotation)}"
                + (f" = {ast.unparse(child.value)}" if child.value else "")
                for child in node.body
                if isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Name)
            ]
            dataclass = any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)
            yield _entry(
                "class",
                f"{module}.{node.name}",
                start or f"({', '.join(fields)})" * dataclass,
                ast.get_docstring(node) or "",
            )
            for child in methods:
                said = ast.get_docstring(child)
                if said and not child.name.startswith("_"):
                    kind = "property" if any("property" in ast.unparse(d) for d in child.decorator_list) else "method"
                    signature = "" if kind == "property" else _signature(child, bound=True)
                    yield _entry(kind, f"{module}.{node.name}.{child.name}", signature, said)


def _entry(kind: str, name: str, signature: str, docstring: str) -> str:
    return f"````{{py:{kind}}} {name}{signature}\n\n{text(docstring)}\n````"


def _signature(node: ast.FunctionDef, *, bound: bool = False, returns: bool = True) -> str:
    arguments = ast.parse(ast.unparse(node)).body[0].args  # type: ignore[attr-defined]  # a copy to change
    static = any("staticmethod" in ast.unparse(decorator) for decorator in node.decorator_list)
    if bound and not static and arguments.args:
        arguments.args = arguments.args[1:]
    back = f" -> {ast.unparse(node.returns)}" if returns and node.returns else ""
    return f"({ast.unparse(arguments)}){back}"


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))
