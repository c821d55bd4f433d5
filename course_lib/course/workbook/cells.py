"""A notebook's code, statement by statement: which of them a function needs to run, without running the others."""

import ast
import dis
import json
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any

LARGEST = 20 * 2**20  # bytes; a learner's copy with all its figures has a tenth of it
CANNOT_COMPILE = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError)


class NotANotebook(ValueError):
    """The file holds no notebook that can be read."""


@dataclass(frozen=True)
class Cell:
    """A code cell: its id (or its number, where it has none), its source, and what its outputs say."""

    id: str
    source: str
    said: str


@dataclass(frozen=True)
class Statement:
    """One statement at a cell's margin; `loads` and `binds` are names of the notebook that it reads and sets."""

    cell: str
    place: int  # in the order of the notebook
    node: ast.stmt
    source: str
    loads: frozenset[str]
    binds: frozenset[str]
    changes: frozenset[str]  # names of which it sets an attribute or an item

    @property
    def filename(self) -> str:
        """What tracebacks call the cell."""
        return f"<cell {self.cell}>"

    @property
    def defines(self) -> bool:
        """Whether it is a function or a class, whose body runs later."""
        return isinstance(self.node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)

    @property
    def imports(self) -> bool:
        """Whether it is an import."""
        return isinstance(self.node, ast.Import | ast.ImportFrom)

    def compiled(self) -> CodeType:
        """Its code, which knows the cell and the line."""
        return _compiled(self.node, self.filename)


@dataclass
class Program:
    """All that a notebook's code cells hold; `broken` says of cells that Python cannot read why."""

    cells: list[Cell]
    statements: list[Statement] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)
    shell: dict[str, list[str]] = field(default_factory=dict)  # lines for IPython or the shell, by cell

    def answers(self) -> dict[str, tuple[ast.expr, int]]:
        """Name of a check → what the notebook's last call hands to it, and that call's place."""
        found = {}
        for statement in self.statements:
            for node in ast.walk(statement.node):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and isinstance(node.func.value, ast.Name)
                    and node.func.value.id == "check"
                    and len(node.args) == 1
                ):
                    found[node.func.attr] = node.args[0], statement.place
        return found

    def needed(self, answer: ast.expr, place: int) -> list[Statement]:
        """The statements before `place` that `answer` needs, in order: what binds its names, and so on.

        Of several that bind a name the last one counts, and the one before it where it reads the name itself.
        """
        chosen: dict[int, Statement] = {}
        asked: set[tuple[str, int]] = set()
        waiting = [(node.id, place) for node in ast.walk(answer) if isinstance(node, ast.Name)]
        while waiting:
            name, before = waiting.pop()
            if (name, before) in asked:
                continue
            asked.add((name, before))
            for statement in self._setting(name, before):
                if statement.place not in chosen:
                    chosen[statement.place] = statement
                    seen_from = place if statement.defines else statement.place
                    waiting += [(other, seen_from) for other in statement.loads]
        return [chosen[number] for number in sorted(chosen)]

    def _setting(self, name: str, before: int) -> Iterator[Statement]:
        """The statement that binds `name` last before a place, those after it that change it, all `import *`."""
        changing = []
        for statement in reversed(self.statements[:before]):
            if "*" in statement.binds:
                yield statement
            if name in statement.changes:
                changing.append(statement)
            if name in statement.binds:
                yield statement
                if not statement.imports:  # who changes a library is not needed, and marked elsewhere
                    yield from changing
                return


def read_program(path: Path) -> Program:
    """The code of the notebook at `path`. Raises NotANotebook, saying why, for a file that is none; OSError."""
    if path.stat().st_size > LARGEST:
        raise NotANotebook(f"a file of {path.stat().st_size / 2**20:.0f} MiB: more than a notebook has")
    try:
        content = json.loads(path.read_bytes())
        cells = [_cell(number, cell) for number, cell in enumerate(content["cells"]) if cell["cell_type"] == "code"]
    except (ValueError, RecursionError) as error:
        raise NotANotebook(f"no notebook: {type(error).__name__} in its JSON") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise NotANotebook("no notebook: JSON, but no list of cells") from error
    return program_of(cells)


def program_of(cells: Iterable[Cell]) -> Program:
    """The statements of code cells."""
    program = Program(list(cells))
    for cell in program.cells:
        text, program.shell[cell.id] = _without_magics(cell.source)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                nodes = ast.parse(text).body
                codes = [_compiled(node, cell.id) for node in nodes]
        except CANNOT_COMPILE as error:
            line = f", line {error.lineno} of its cell" if isinstance(error, SyntaxError) and error.lineno else ""
            program.broken[cell.id] = f"{type(error).__name__}: {str(error).split(' (')[0]}{line}"
            continue
        for node, code in zip(nodes, codes, strict=True):
            source = _source(text, node)
            names = frozenset(_names(code, "LOAD")), _bound(code, node), frozenset(_changed(node))
            program.statements.append(Statement(cell.id, len(program.statements), node, source, *names))
    return program


def _cell(number: int, cell: dict[str, Any]) -> Cell:
    source = cell["source"]
    said = []
    for output in cell.get("outputs") or []:
        text = output.get("text", "") if isinstance(output, dict) else ""
        said.append("".join(map(str, text)) if isinstance(text, list) else str(text))
    return Cell(
        str(cell.get("id", number)), "".join(source) if isinstance(source, list) else str(source), "".join(said)
    )


def _without_magics(source: str) -> tuple[str, list[str]]:
    """The Python of a cell, line by line as it was, and its lines for IPython and the shell."""
    lines = source.splitlines()
    if source.lstrip().startswith("%%"):
        return "", lines
    magic = [line for line in lines if re.match(r"\s*([%!]|\?\w|[\w.]+\?\??$)", line)]
    return "\n".join(re.sub(r"\S.*", "pass", line, count=1) if line in magic else line for line in lines), magic


def _compiled(node: ast.stmt, filename: str) -> CodeType:
    return compile(ast.Module([node], []), filename, "exec", dont_inherit=True)


def _source(text: str, node: ast.stmt) -> str:
    """The text of a statement, with its decorators."""
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    return "\n".join(text.splitlines()[first - 1 : node.end_lineno])


def _names(code: CodeType, kind: str) -> Iterator[str]:
    """Names that a piece of code, or one inside it, loads from (LOAD) or stores in (STORE) the notebook."""
    for instruction in dis.get_instructions(code):
        operation = instruction.opname
        if operation.startswith(kind) and ("NAME" in operation or "GLOBAL" in operation):
            yield instruction.argval
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner, kind)


def _bound(code: CodeType, node: ast.stmt) -> frozenset[str]:
    """What the statement itself stores, and what functions in it declare `global`; `*` for an import of everything."""
    if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
        return frozenset("*")
    own = {i.argval for i in dis.get_instructions(code) if i.opname.startswith("STORE") and "NAME" in i.opname}
    return frozenset(own | {name for inner in ast.walk(node) if isinstance(inner, ast.Global) for name in inner.names})


def _changed(node: ast.stmt) -> Iterator[str]:
    """Names of which an assignment at the margin sets an attribute or an item."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
    for target in targets:
        root: ast.expr = target
        while isinstance(root, ast.Attribute | ast.Subscript):
            root = root.value
        if isinstance(root, ast.Name) and root is not target:
            yield root.id
