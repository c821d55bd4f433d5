"""What in a copy reaches for the checks, the library or the machine. A mark is for a teacher to look at.

Marks are found by reading, so disguised code escapes them; the verdict does not rest on them.
"""

import ast
from collections.abc import Iterator

from course_lib.course.workbook.cells import Program, Statement

OURS = {"check", "mine", "predict", "results", "run_check"}  # what a notebook takes from course_lib.course
MODULES = {
    "ctypes",
    "gc",
    "importlib",
    "builtins",
    "multiprocessing",
    "signal",
    "socket",
    "subprocess",
    "unittest",
    "pty",
}
CALLS = {"exec", "eval", "compile", "__import__", "globals"}
INSIDES = {
    "__dict__",
    "__globals__",
    "__code__",
    "__subclasses__",
    "__builtins__",
    "__defaults__",
    "_getframe",
    "settrace",
}
REACHES = {
    "os": {"_exit", "abort", "fork", "forkpty", "kill", "killpg", "system", "popen", "remove", "unlink", "rmdir"}
    | {"removedirs", "rename", "replace", "truncate", "chmod", "execv", "execvp", "posix_spawn", "write", "setsid"},
    "sys": {"exit", "modules", "setrecursionlimit", "path", "meta_path"},
    "shutil": {"rmtree", "move"},
    "inspect": {"currentframe", "stack", "getouterframes"},
}
SETTINGS = {"matplotlib", "plt", "rcParams"}  # libraries that are set up by assigning to them


def marks(program: Program, course: Program, names: list[str]) -> list[str]:
    """One line for each thing that is not in the course's own copy of the notebook.

    names: of the exercises, whose "passed" nothing but a check prints.
    """
    own = {ast.dump(statement.node) for statement in course.statements}
    taken = {name: module for s in program.statements for node in ast.walk(s.node) for name, module in _taken(node)}
    shells = {line for lines in course.shell.values() for line in lines}
    found: dict[str, None] = {}
    for cell, lines in program.shell.items():
        for line in lines:
            if line not in shells and line.lstrip().startswith(("!", "%%", "%run", "%sx", "%system")):
                found[f"runs `{_short(line)}` (cell {cell})"] = None
    for statement in program.statements:
        if ast.dump(statement.node) not in own:
            for mark in [*_of(statement, taken), *_forged(statement, names)]:
                found[f"{mark} (cell {statement.cell})"] = None
    return list(found)


def _of(statement: Statement, taken: dict[str, str]) -> Iterator[str]:
    ours = isinstance(statement.node, ast.ImportFrom) and statement.node.module == "course_lib.course"
    for name in sorted(statement.binds & {"check", "run_check"}):
        if not ours:
            yield f"sets `{name}`"
    for node in ast.walk(statement.node):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for _, module in _taken(node):
                root = module.split(".")[0]
                inside = module.startswith("course_lib.course") and module.rsplit(".", 1)[-1] not in OURS
                if root in MODULES or inside:
                    yield f"imports `{module}`"
        elif isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Delete):
            targets = node.targets if isinstance(node, ast.Assign | ast.Delete) else [node.target]
            for target in targets:
                root = _root(target)
                if root != target and isinstance(root, ast.Name) and root.id in taken:
                    if taken[root.id].split(".")[0] not in SETTINGS and root.id not in SETTINGS:
                        yield f"changes `{_short(ast.unparse(target))}`"
        elif isinstance(node, ast.Attribute):
            root = _root(node)
            module = taken.get(root.id, "") if isinstance(root, ast.Name) else ""
            if node.attr in INSIDES or node.attr in REACHES.get(module, ()):
                yield f"uses `{_short(ast.unparse(node))}`"
            elif module.split(".")[0] == "course_lib" and ".course.exercises" in f"{module}.{ast.unparse(node)}":
                yield f"uses `{_short(ast.unparse(node))}`"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            first = _root(node.args[0]) if node.args else None
            if node.func.id in CALLS:
                yield f"calls `{node.func.id}`"
            elif node.func.id in ("setattr", "delattr", "vars") and isinstance(first, ast.Name) and first.id in taken:
                yield f"changes `{_short(ast.unparse(node))}`"
            elif taken.get(node.func.id, "").rsplit(".", 1)[-1] in REACHES.get(
                taken.get(node.func.id, "").rsplit(".", 1)[0], ()
            ):
                yield f"uses `{taken[node.func.id]}`"


def _forged(statement: Statement, names: list[str]) -> Iterator[str]:
    for node in ast.walk(statement.node):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if any(f"{name}: passed" in node.value for name in names) or node.value.strip() == ": passed":
                yield f"writes what a check prints, `{_short(node.value)}`"
            if node.value.endswith(".ipynb") or "progress.json" in node.value:
                yield f"names a file of the course, `{_short(node.value)}`"


def _taken(node: ast.AST) -> Iterator[tuple[str, str]]:
    """The names that an import binds, with what they stand for."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.asname or alias.name.split(".")[0], alias.name if alias.asname else alias.name.split(".")[0]
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            yield alias.asname or alias.name, f"{node.module or ''}.{alias.name}"


def _root(node: ast.expr) -> ast.expr:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:57] + "..."
