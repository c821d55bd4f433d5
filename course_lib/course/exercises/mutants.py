"""Near misses of a function: its source with one thing changed, as a slip of the hand or the mind would."""

import ast
import copy
import inspect
import textwrap
import warnings
from collections.abc import Callable, Iterator
from typing import Any

Change = tuple[str, ast.AST]

OPERATORS: dict[type[ast.operator], tuple[str, tuple[type[ast.operator], ...]]] = {
    ast.Add: ("+", (ast.Sub, ast.Mult)),
    ast.Sub: ("-", (ast.Add,)),
    ast.Mult: ("*", (ast.Div, ast.Add)),
    ast.Div: ("/", (ast.Mult, ast.FloorDiv)),
    ast.FloorDiv: ("//", (ast.Mult, ast.Div)),
    ast.Mod: ("%", (ast.FloorDiv,)),
    ast.Pow: ("**", (ast.Mult,)),
    ast.BitAnd: ("&", (ast.BitOr,)),
    ast.BitOr: ("|", (ast.BitAnd,)),
}
COMPARISONS: dict[type[ast.cmpop], tuple[str, tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: ("<", (ast.LtE, ast.Gt)),
    ast.LtE: ("<=", (ast.Lt, ast.GtE)),
    ast.Gt: (">", (ast.GtE, ast.Lt)),
    ast.GtE: (">=", (ast.Gt, ast.LtE)),
    ast.Eq: ("==", (ast.NotEq,)),
    ast.NotEq: ("!=", (ast.Eq,)),
}
NAMES = {
    "sum": ("mean", "amax"),
    "mean": ("sum",),
    "amax": ("amin", "sum"),
    "max": ("min",),
    "min": ("max",),
    "maximum": ("minimum",),
    "sin": ("cos",),
    "cos": ("sin",),
    "std": ("var",),
    "var": ("std",),
    "exp": ("log",),
    "log": ("exp", "log2"),
    "log10": ("log", "log2"),
    "square": ("abs",),
    "sigmoid": ("tanh",),
    "tanh": ("sigmoid",),
    "silu": ("relu", "sigmoid", "gelu"),
    "relu": ("sigmoid",),
    "any": ("all",),
    "all": ("any",),
    "ceil": ("floor",),
    "round": ("int",),
    "softmax": ("log_softmax", "sigmoid"),
    "repeat": ("repeat_interleave",),
    "cat": ("stack",),
}


def mutants(source: str, first: int = 1, last: int = 10_000) -> Iterator[tuple[str, ast.Module]]:
    """(what was changed, the module) for each change of the function or class in `source`, in lines first to last.

    What was changed is told without the code around it, so that it may serve as a hint. Decorators are dropped.
    """
    tree = ast.parse(textwrap.dedent(source))
    definition = tree.body[-1]
    assert isinstance(definition, ast.FunctionDef | ast.ClassDef)
    definition.decorator_list = []
    places = [node for statement in definition.body for node in ast.walk(statement)]
    parameters = [a.arg for a in definition.args.args] if isinstance(definition, ast.FunctionDef) else []
    for place, node in enumerate(places):
        if not first <= getattr(node, "lineno", 0) <= last:
            continue
        for said, replacement in _changes(node, parameters):
            changed = copy.deepcopy(tree)
            nodes = [n for statement in changed.body[-1].body for n in ast.walk(statement)]  # type: ignore[attr-defined]
            changed = _Replace(nodes[place], replacement).visit(changed)
            yield said, ast.fix_missing_locations(changed)


def compiled(module: ast.Module, namespace: dict[str, Any], filename: str = "<mutant>") -> Any:
    """The function or class that a mutant defines, among the names of `namespace`."""
    names = dict(namespace)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # a swapped `3[x]` is no typing slip of the learner's
        exec(compile(module, filename, "exec"), names)
    return names[module.body[-1].name]  # type: ignore[attr-defined]


def near_misses(function: Callable[..., Any]) -> Iterator[tuple[str, Callable[..., Any]]]:
    """(what was changed, the changed function) of a Python function; nothing for one whose source is not at hand."""
    try:
        found = list(mutants(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError, AssertionError):  # no source, or that of a file which has changed since
        return
    for said, module in found:
        try:
            yield said, compiled(module, function.__globals__)
        except (SyntaxError, ValueError, TypeError):  # no valid Python
            continue


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST):
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> Any:
        return copy.deepcopy(self.new) if node is self.old else self.generic_visit(node)


def _changes(node: ast.AST, parameters: list[str]) -> Iterator[Change]:
    """What may go wrong at one place."""
    match node:
        case ast.BinOp(left, operator, right):
            sign, others = OPERATORS.get(type(operator), ("", ()))
            for other in others:
                yield f"`{OPERATORS[other][0]}` in place of `{sign}`", ast.BinOp(left, other(), right)
            if isinstance(operator, ast.Sub | ast.Div | ast.FloorDiv | ast.Pow | ast.MatMult | ast.Mod):
                sign = sign or "@"
                yield f"the two sides of `{sign}` swapped", ast.BinOp(right, operator, left)
            if not isinstance(operator, ast.MatMult | ast.BitAnd | ast.BitOr):
                yield f"one side of `{sign}` left out", left
                if isinstance(operator, ast.Add | ast.Mult | ast.Sub):
                    yield f"one side of `{sign}` left out", right
            elif isinstance(operator, ast.BitAnd | ast.BitOr):
                yield "one of two conditions left out", left
                yield "one of two conditions left out", right
        case ast.AugAssign(target, operator, value):
            sign, others = OPERATORS.get(type(operator), ("", ()))
            for other in others[:1]:
                yield f"`{OPERATORS[other][0]}=` in place of `{sign}=`", ast.AugAssign(target, other(), value)
            yield f"`=` in place of `{sign}=`", ast.Assign([target], value)
            yield "one step left out", ast.Pass()
        case ast.Compare(left, [comparison], [right]):
            sign, others = COMPARISONS.get(type(comparison), ("", ()))
            for other in others:
                yield f"`{COMPARISONS[other][0]}` in place of `{sign}`", ast.Compare(left, [other()], [right])
        case ast.BoolOp(operator, values):
            swapped = ast.Or() if isinstance(operator, ast.And) else ast.And()
            words = ("or", "and") if isinstance(operator, ast.And) else ("and", "or")
            yield f"`{words[0]}` in place of `{words[1]}`", ast.BoolOp(swapped, values)
            for i in range(len(values)):
                kept = values[:i] + values[i + 1 :]
                yield "one of several conditions left out", kept[0] if len(kept) == 1 else ast.BoolOp(operator, kept)
        case ast.UnaryOp(ast.USub(), operand):
            yield "a minus left out", operand
        case ast.UnaryOp(ast.Not() | ast.Invert(), operand):
            yield "a condition turned round", operand
        case ast.Constant(bool(value)):
            yield f"`{not value}` in place of `{value}`", ast.Constant(not value)
        case ast.Constant(int(value)):
            yield "a fixed number (a bound, an index, an axis, a count) one too large", ast.Constant(value + 1)
            yield "a fixed number (a bound, an index, an axis, a count) one too small", ast.Constant(value - 1)
        case ast.Constant(float(value)) if value:
            yield "a constant twice too large", ast.Constant(2 * value)
            yield "a constant one too large", ast.Constant(value + 1)
            yield "0 in place of a constant", ast.Constant(0.0)
        case ast.Constant(complex() as value):
            yield "a constant twice too large", ast.Constant(2 * value)
            yield "half of a constant", ast.Constant(value / 2)
        case ast.Subscript(value, ast.Slice(lower, upper, step), context):
            for part, name in ((lower, "lower bound"), (upper, "upper bound"), (step, "step")):
                if part is not None:
                    bounds = [None if other is part else other for other in (lower, upper, step)]
                    yield f"a slice without its {name}", ast.Subscript(value, ast.Slice(*bounds), context)
        case ast.Attribute(value, name, context) if name in NAMES:
            for other in NAMES[name]:
                yield f"`{other}` in place of `{name}`", ast.Attribute(value, other, context)
        case ast.Attribute(value, "T" | "real" | "imag" as name):
            yield f"`{name}` left out", value
        case ast.Name(name, ast.Load() as context):
            for other in NAMES.get(name, ()):
                yield f"`{other}` in place of `{name}`", ast.Name(other, context)
            if name in parameters:
                for other in parameters:
                    if other != name:
                        yield f"`{other}` in place of `{name}`", ast.Name(other, context)
        case ast.Call(function, args, keywords):
            yield from _changed_calls(node, function, args, keywords)
        case ast.Return(ast.Tuple(values, context)):
            yield "two results swapped", ast.Return(ast.Tuple([*values[1::-1], *values[2:]], context))
        case ast.IfExp(_, body, orelse):
            yield "a case left out", body
            yield "a case left out", orelse
        case ast.If(_, body, orelse):
            yield "a condition left out", ast.If(ast.Constant(True), body, [])
            yield "a case left out", ast.If(ast.Constant(False), body, orelse)
        case ast.Assign([ast.Name()], _) | ast.Expr(ast.Call()):
            yield "one step left out", ast.Pass()


def _changed_calls(
    node: ast.Call, function: ast.expr, args: list[ast.expr], keywords: list[ast.keyword]
) -> Iterator[Change]:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "a call")
    if len(args) > 1:
        yield f"two arguments of `{name}` swapped", ast.Call(function, [args[1], args[0], *args[2:]], keywords)
    for keyword in keywords:
        others = [other for other in keywords if other is not keyword]
        yield f"`{name}` without `{keyword.arg}`", ast.Call(function, args, others)
    module = isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)
    if isinstance(function, ast.Attribute) and not (module and function.value.id in ("torch", "np", "F", "math")):  # type: ignore[attr-defined]
        yield f"`{name}` left out", function.value
    elif args:
        yield f"`{name}` left out", args[0]
