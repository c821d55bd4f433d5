"""No `nn.Module` is defined in `course_lib.course`: models and layers live in the library, where readers look for them.

Classes are found in the source, also those that stand in functions or are made by `type(...)`; what their bases are is
asked of the imported module, so that aliases, layers and models count. Answers to exercises are passed over.
"""

import ast
import importlib
from contextlib import suppress
from pathlib import Path

import pytest
from torch import nn

from course_lib import course

FOLDER = Path(course.__file__).parent
FILES = sorted(path for path in FOLDER.rglob("*.py") if "exercises" not in path.relative_to(FOLDER).parts)


def modules_in(source: str, known: dict) -> list[str]:
    """Names of the classes in `source` that are an `nn.Module`.  known: the names that its module has.

    Raises NameError for a base of which that cannot be told.
    """
    nodes = list(ast.walk(ast.parse(source)))
    known = dict(known)
    for node in nodes:  # what functions import, too
        if isinstance(node, ast.Import | ast.ImportFrom):
            with suppress(ImportError):
                exec(compile(ast.Module([node], []), "import", "exec"), known)
    classes = [(node.name, node.bases, node.lineno) for node in nodes if isinstance(node, ast.ClassDef)]
    for node in nodes:
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "type" and len(node.args) == 3:
            classes.append((ast.unparse(node.args[0]), getattr(node.args[1], "elts", [node.args[1]]), node.lineno))
    found = []
    for name, bases, _ in sorted(classes, key=lambda entry: entry[2]):
        kinds = [_base(base, known) for base in bases]
        known[name] = nn.Module if any(issubclass(kind, nn.Module) for kind in kinds) else object
        found += [name] if known[name] is nn.Module else []
    return found


def _base(node: ast.expr, known: dict) -> type:
    """What a base is: a class, a generic one, or the type of a call such as `namedtuple(...)`."""
    value = eval(compile(ast.Expression(node), "base", "eval"), dict(known))
    value = getattr(value, "__origin__", value)
    return value if isinstance(value, type) else type(value)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_no_class_of_the_course_is_a_module(path):
    name = ".".join(["course_lib.course", *path.relative_to(FOLDER).with_suffix("").parts]).removesuffix(".__init__")
    module = importlib.import_module(name)
    assert modules_in(path.read_text(encoding="utf-8"), vars(module)) == []
    own = [value for value in vars(module).values() if isinstance(value, type) and value.__module__ == name]
    assert not [one.__name__ for one in own if issubclass(one, nn.Module)]


PLANTED = """
from typing import NamedTuple
from torch import nn as net
from torch.nn import Linear as Map
import course_lib.layers as sl
class Plain: ...
class Row(NamedTuple): ...
class Direct(net.Module): ...
class OneHead(Map): ...
class Layer(sl.StatelessLayer): ...
class Chained(Layer, Plain): ...
def make(width):
    from course_lib.models import LSTMEventClassifier as Base
    class Inside(Base): ...
    class Harmless(Plain): ...
    return type("Made", (Inside,), {})
"""


def test_planted_modules_are_found():
    assert modules_in(PLANTED, {}) == ["Direct", "OneHead", "Layer", "Chained", "Inside", "'Made'"]
    with pytest.raises(NameError):
        modules_in("def f(base):\n    class Unknown(base): ...", {})
