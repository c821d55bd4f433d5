"""The ideas of the course: what each notebook introduces, uses and borrows, and the order that follows.

`ideas` in a notebook's metadata is {"introduces": [...], "uses": [...], "borrows": [...]}: names of `ideas.toml`. What
is used must have been introduced by an earlier notebook; what is borrowed is a piece of the library that the notebook
calls as it is, and that a later one builds.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import nbformat

from course_lib.course.experiments import provenance
from course_lib.paths import PROJECT_ROOT


@dataclass(frozen=True)
class Idea:
    """`says`: the glossary's text; `also`: other words that prose has for it; `library`: modules of the package."""

    name: str
    says: str
    also: tuple[str, ...] = ()
    library: tuple[str, ...] = ()


@dataclass(frozen=True)
class Declared:
    """What a notebook's metadata say, in the order in which they say it."""

    introduces: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    borrows: tuple[str, ...] = ()


@cache
def all_ideas() -> dict[str, Idea]:
    """The ideas by name, in the order of the course."""
    table = tomllib.loads(resources.files(__package__).joinpath("ideas.toml").read_text(encoding="utf-8"))
    return {
        name: Idea(name, row["says"], tuple(row.get("also", ())), tuple(row.get("library", ())))
        for name, row in table.items()
    }


def declared(notebook: nbformat.NotebookNode) -> Declared:
    """What a notebook says of itself. Raises ValueError for a word that is none of the three, or no idea."""
    said = notebook.metadata.get("ideas", {})
    if unknown := set(said) - {"introduces", "uses", "borrows"}:
        raise ValueError(f"metadata ideas: expected introduces, uses and borrows, got {sorted(unknown)}")
    if unknown := {name for names in said.values() for name in names} - all_ideas().keys():
        raise ValueError(f"metadata ideas: not in ideas.toml: {sorted(unknown)}")
    return Declared(**{word: tuple(names) for word, names in said.items()})


def introduced_in(notebooks: Mapping[str, Declared]) -> dict[str, str]:
    """Idea → the number of the notebook that introduces it."""
    return {name: number for number, said in sorted(notebooks.items()) for name in said.introduces}


def faults(notebooks: Mapping[str, Declared]) -> list[str]:
    """What is wrong with the order of ideas, a line each; `notebooks`: number → what it declares."""
    found, where = [], introduced_in(notebooks)
    for number, said in sorted(notebooks.items()):
        found += [
            f"{number} introduces {name}, as {where[name]} does" for name in said.introduces if where[name] != number
        ]
        for name in said.uses:
            if name not in where:
                found.append(f"{number} uses {name}, which no notebook introduces")
            elif where[name] >= number:
                found.append(f"{number} uses {name}, which comes in {where[name]}")
        found += [
            f"{number} borrows {name}, which {where.get(name)} has introduced: it uses it"
            for name in said.borrows
            if where.get(name, "99") <= number
        ]
        twice = set(said.introduces) & {*said.uses, *said.borrows} | set(said.uses) & set(said.borrows)
        found += [f"{number} names {name} twice" for name in sorted(twice)]
    return found + [f"no notebook introduces {name}" for name in all_ideas() if name not in where]


def library_ideas(notebook: nbformat.NotebookNode) -> set[frozenset[str]]:
    """For each module of the library that the notebook's own imports reach and that holds ideas: those ideas."""
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    reached = {module.removeprefix("course_lib.") for module in provenance.text_reaches(code, PROJECT_ROOT)}
    holds: dict[str, set[str]] = {}
    for idea in all_ideas().values():
        for module in idea.library:
            holds.setdefault(module, set()).add(idea.name)
    return {frozenset(holds[module]) for module in reached & holds.keys()}


def shortest_path(number: str, notebooks: Mapping[str, Declared]) -> list[str]:
    """The notebooks that must come before `number`, in order: whose ideas it uses, and so on."""
    where = introduced_in(notebooks)
    needed, waiting = set(), [number]
    while waiting:
        before = {where[name] for name in notebooks[waiting.pop()].uses if name in where} - needed
        needed |= before
        waiting.extend(before)
    return sorted(needed - {number})
