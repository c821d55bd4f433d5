"""Exercises out of the notebooks, read without running them; exercises of a test's own."""

import ast
import importlib.util
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import CodeType

import nbformat
import pytest

from course_lib.course.exercises import exercise, exercises, expect, registry
from course_lib.course.exercises.learner import BEGIN, learner_copy, solved_notebooks


def is_literal(node: ast.stmt) -> bool:
    """`NAME = 3`, and no `x[2] = 3`, which needs an `x` that the notebook has computed."""
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return False
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    if not all(isinstance(target, ast.Name) for target in targets):
        return False
    try:
        ast.literal_eval(node.value)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class CodeCell:
    """source and its tree.  definitions: imports, functions, classes, literal constants.  attributes: `x.these`."""

    source: str
    tree: ast.Module
    definitions: CodeType
    attributes: frozenset[str]


class NotebookExercises:
    """The check calls of one notebook: {name: argument expressions}, and its definitions."""

    def __init__(self, path: Path):
        self.path, self.number = path, path.name[:2]
        self.calls: dict[str, list[ast.expr]] = {}
        self.repeated: list[str] = []
        for cell in self.solved:
            for node in ast.walk(cell.tree):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    owner = node.func.value
                    if isinstance(owner, ast.Name) and owner.id == "check":
                        if node.func.attr in self.calls:
                            self.repeated.append(node.func.attr)
                        self.calls[node.func.attr] = node.args

    @cached_property
    def solved(self) -> list[CodeCell]:
        return self._cells(nbformat.read(self.path, as_version=4))

    @cached_property
    def blank(self) -> list[CodeCell]:
        """Those of the learner's copy."""
        return self._cells(learner_copy(self.path))

    def _cells(self, notebook: nbformat.NotebookNode) -> list[CodeCell]:
        cells = []
        for cell in notebook.cells:
            if cell.cell_type == "code":
                name = f"<{self.path.name} {cell.id}>"
                tree = ast.parse(cell.source, filename=name)
                kinds = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef
                kept = ast.Module([n for n in tree.body if isinstance(n, kinds) or is_literal(n)], type_ignores=[])
                attributes = frozenset(n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute))
                cells.append(CodeCell(cell.source, tree, compile(kept, name, "exec"), attributes))
        return cells

    def arguments(self, name: str, *, solved: bool) -> list[object]:
        """What the notebook passes to `check.NAME`: from the solved notebook or from the learner's copy."""
        names = self.namespace(name, solved=solved)
        return [eval(compile(ast.Expression(node), "<check>", "eval"), names) for node in self.calls[name]]

    def solution(self, name: str) -> str:
        """The source of the function or class that the notebook passes to `check.NAME`, solution markers and all."""
        (called,) = (node.id for node in self.calls[name] if isinstance(node, ast.Name))
        for cell in self.solved:
            if BEGIN in cell.source:
                for node in cell.tree.body:
                    if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == called:
                        return ast.get_source_segment(cell.source, node)
        raise LookupError(f"{self.path.name} has no solution {called!r}")

    def namespace(self, name: str, *, solved: bool) -> dict[str, object]:
        """The names that are there when `check.NAME` is called: nothing but `definitions` is executed."""
        names: dict[str, object] = {"__name__": "notebook"}
        for cell in self.solved if solved else self.blank:
            exec(cell.definitions, names)
            if name in cell.attributes:
                break  # a later cell may use the name again
        return names


def wrong_answers(number: str) -> dict[str, dict[str, tuple]]:
    """WRONG of `wrong_nbNN.py`: {check: {label: (callable or tuple of callables, fragment of the hint)}}."""
    path = Path(__file__).with_name(f"wrong_nb{number}.py")
    if not path.exists():
        return {}
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.WRONG


NOTEBOOK_EXERCISES = {found.number: found for found in (NotebookExercises(path) for path in solved_notebooks())}


@pytest.fixture(autouse=True)
def own_work_folder(tmp_path, monkeypatch):
    """No test touches the learner's own folder."""
    monkeypatch.setenv("COURSE_WORK", str(tmp_path / "work"))
    monkeypatch.delenv("COURSE_CHECK", raising=False)


@pytest.fixture
def own(monkeypatch):
    """Registers exercises of a test's own, which are forgotten afterwards."""
    monkeypatch.setattr(registry, "_registered", dict(exercises()))

    def register(reference, inputs=None, **options):
        exercise(notebook="00", title="A test", minutes=1, inputs=inputs, **options)(reference)

    return register


@pytest.fixture
def double(own):
    """An exercise of the test's own: `check.double_it(fn)` wants fn(3.0) == 6.0."""

    def double_it(fn):
        """double_it(x) -> 2 x"""
        expect(fn(3.0), 6.0, mistakes=[(9.0, "You squared it.")])

    own(double_it)


def pytest_generate_tests(metafunc):
    """`notebook_exercises`: each notebook; `exercise_of`: each (notebook, name of a check it calls)."""
    if "notebook_exercises" in metafunc.fixturenames:
        metafunc.parametrize("notebook_exercises", NOTEBOOK_EXERCISES.values(), ids=NOTEBOOK_EXERCISES)
    if "exercise_of" in metafunc.fixturenames:
        pairs = [(found, name) for found in NOTEBOOK_EXERCISES.values() for name in found.calls]
        metafunc.parametrize("exercise_of", pairs, ids=[f"{found.number}-{name}" for found, name in pairs])


@pytest.fixture
def wrong():
    return wrong_answers
