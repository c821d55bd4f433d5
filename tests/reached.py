"""Which cells of a learner's copy a blank can reach: the others do what they did in the solved notebook."""

import ast

from nbformat import NotebookNode

from course_lib.course.workbook.cells import Cell, Program, Statement, program_of


def reached(copy: NotebookNode, solved: NotebookNode) -> set[str]:
    """Ids of the code cells of `copy` that may run otherwise than in `solved`, and of those that these need before.

    Reached is a statement that differs, and one that reads what a reached one bound or may have changed. What a
    statement reads it may change, also in the functions that it calls: all but modules, functions and classes. A check
    changes nothing, which test_every_exercise.py shows. Two names for one object, and global generators, are not
    followed.
    """
    program = _program(copy)
    same = {statement.source for statement in _program(solved).statements}
    reads = _reads(program)
    touches = {s.place: _touched(s, reads[s.place], program) for s in program.statements}

    kept = {cell.id for cell in program.cells if cell.id in program.broken or program.shell[cell.id]}
    names: set[str] = set()
    for s in program.statements:
        if s.source not in same or reads[s.place] & names:
            kept.add(s.cell)
            names |= touches[s.place]
        else:
            names -= _rebound(s)
    while True:
        before, needed = len(kept), set()
        for s in reversed(program.statements):
            if s.cell in kept or touches[s.place] & needed:
                kept.add(s.cell)
                needed = needed - _rebound(s) | reads[s.place]
        if len(kept) == before:
            return kept


def _program(notebook: NotebookNode) -> Program:
    return program_of(Cell(cell.id, cell.source, "") for cell in notebook.cells if cell.cell_type == "code")


def _reads(program: Program) -> dict[int, set[str]]:
    """Place of a statement → the names that it reads, also those that functions behind these names read in turn."""
    own = {name for s in program.statements for name in s.binds}  # the others are Python's
    later: dict[str, set[str]] = {}  # what using a name may read: a function's globals, an object's of its class
    found = {}
    for s in program.statements:
        names, waiting = set(), list(s.loads & own)
        while waiting:
            name = waiting.pop()
            if name not in names:
                names.add(name)
                waiting.extend(later.get(name, ()))
        found[s.place] = names
        for name in s.binds:
            later[name] = s.loads & own if s.defines else names - s.loads
    return found


def _touched(s: Statement, reads: set[str], program: Program) -> set[str]:
    """The names that may stand for something else after the statement."""
    if s.imports or s.defines:
        return set(s.binds)
    if isinstance(s.node, ast.Expr) and s.source.startswith("check."):
        return set()
    fixed = {name for other in program.statements if other.imports or other.defines for name in other.binds}
    return s.binds | s.changes | (reads - fixed)


def _rebound(s: Statement) -> set[str]:
    """The names that surely stand for something new after the statement, whatever they stood for before."""
    simple = isinstance(s.node, ast.Assign) or s.defines or s.imports
    return set(s.binds - s.loads) if simple else set()
