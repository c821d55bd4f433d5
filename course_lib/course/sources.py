"""Where the numbers in a notebook's prose come from: its own outputs, the tables it reads, or a named publication.

A decimal or a percentage in Markdown is looked for, with the rounding that the prose shows, in

- what the cells printed (of an executed copy), and the numbers written in their code, such as a learning rate;
- the columns value and std of each table that the notebook reads by `results.read("name")`;
- `facts` in the notebook's metadata: {"52.5 %": "Author, Title, place, year, table"}, for what others measured.

Text in backticks, formulas between dollar signs, section numbers and links are not prose. A Markdown cell tagged
`esc10` speaks of the real recordings, one tagged `generated` of the soundscape: in a run on the other data, whose
outputs cannot bear them out, they are left out.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

from course_lib.paths import RESULTS

ONLY_ON = {"esc10": "ESC-10: 400 clips", "generated": "synthetic soundscape"}  # tag -> how the first output begins

_SKIPPED = re.compile(
    r"```.*?```|`[^`]*`|\$[^$]*\$|\]\([^)]*\)"  # code, formulas, link targets
    r"|\b(?:[Ee]xercises?|[Ss]ections?|[Nn]otebooks?|[Vv]ersions?|eq\.|doi) *[\d./]+(?:,? (?:and |to )?[\d.]+)*",
    re.DOTALL,
)
_LIST = r"(?=(?: ?(?:±|to|or|and|against|,|–|→) ?[−+-]?\d[\d,.]*)+"  # the 34 of "34 to 36 %"
_PERCENT_LIST = re.compile(rf"(?<![\w.])(?:(\d[\d,]*(?:\.\d+)?){_LIST} ?%)|(\d[\d,]*\.\d+){_LIST} points))")
_NUMBER = re.compile(r"(?<![\w.])(\d[\d,]*\.\d+|\.\d+|\d[\d,]*(?= ?%))(?! ?(?:million|billion))( ?%| points?\b)?")
_PRINTED = re.compile(r"(?<![\w.])(\d[\d,_]*\.?\d*(?:e[+-]?\d+)?|\.\d+)( ?%)?", re.IGNORECASE)


@dataclass(frozen=True)
class Number:
    """A number in prose: as it is written, its value (percentages and points by 100), half of its last digit."""

    text: str
    value: float
    tolerance: float
    percent: bool
    cell: str

    def is_shown_by(self, value: float) -> bool:
        """Does `value`, rounded as the prose rounds, give this number? Signs are left to the words around it."""
        return abs(abs(value) - self.value) <= self.tolerance * (1 + 1e-6)


def is_held(notebook: NotebookNode) -> bool:
    """Is a notebook held to this page and to one style of boxes? It says so by having `facts`, empty or not."""
    return "facts" in notebook.metadata


def prose_numbers(cell: NotebookNode) -> Iterator[Number]:
    """The decimals and percentages of a Markdown cell, in order; in "25 ± 4 %" both are, and "2.5 points" are 2.5 %."""
    text = _SKIPPED.sub(lambda match: " " * len(match.group()), cell.source)
    listed = {match.start(): match.group(1) or match.group(2) for match in _PERCENT_LIST.finditer(text)}
    found = dict.fromkeys(listed, True)
    for match in _NUMBER.finditer(text):
        listed.setdefault(match.start(), match.group(1))
        found[match.start()] = found.get(match.start(), False) or match.group(2) is not None
    for start in sorted(listed):
        digits, percent = listed[start].replace(",", ""), found[start]
        decimals = len(digits.partition(".")[2]) + 2 * percent
        value = float(digits) / (100 if percent else 1)
        yield Number(listed[start] + " %" * percent, value, 0.5 * 10**-decimals, percent, cell.id)


def unsourced(notebook: NotebookNode, results: Path = RESULTS) -> tuple[list[Number], int]:
    """The numbers of an executed notebook's prose that have no source, and how many numbers it has.

    results: the folder of the recorded tables.
    Raises ValueError for a fact that no prose mentions or that names no source.
    """
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    printed = "\n".join(text for cell in code for text in _texts(cell))
    numbers = [
        number
        for cell in notebook.cells
        if cell.cell_type == "markdown" and _applies(cell, printed)
        for number in prose_numbers(cell)
    ]
    facts = notebook.metadata.get("facts", {})
    _check_facts(facts, [cell.source for cell in notebook.cells if cell.cell_type == "markdown"])
    settings = {value for cell in code for value, _ in _values(cell.source)}
    shown = [*_values(printed), *((value, False) for value in _recorded(code, results))]
    stated = {number.text for fact in facts for number in prose_numbers(NotebookNode(source=fact, id="facts"))}
    missing = []
    for number in numbers:
        in_output = any(
            number.is_shown_by(value) or (number.percent and not percent and number.is_shown_by(value / 100))
            for value, percent in shown
        )
        if not (in_output or number.text in stated or number.value in settings):
            missing.append(number)
    return missing, len(numbers)


def figures_without_text(notebook: NotebookNode) -> list[str]:
    """The ids of the cells whose figures carry no alternative text."""
    return [
        cell.id
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "image/png" in output.get("data", {}) and not output.metadata.get("image/png", {}).get("alt")
    ]


def _applies(cell: NotebookNode, printed: str) -> bool:
    tags = [tag for tag in cell.metadata.get("tags", []) if tag in ONLY_ON]
    return not tags or any(ONLY_ON[tag] in printed for tag in tags)


def _texts(cell: NotebookNode) -> Iterator[str]:
    """What a code cell printed or displayed, as text; of a table the HTML, which leaves out no column."""
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        text = output.get("text") or data.get("text/html") or data.get("text/plain") or ""
        yield re.sub(r"<(style|script).*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL)


def _values(text: str) -> list[tuple[float, bool]]:
    """The numbers in `text`, each with whether a percent sign follows; percentages are divided by 100."""
    return [
        (float(digits.replace(",", "").replace("_", "")) / (100 if percent else 1), bool(percent))
        for digits, percent in _PRINTED.findall(text)
    ]


def _recorded(code: list[NotebookNode], results: Path) -> Iterator[float]:
    """The columns value and std of the tables that the notebook reads."""
    names = {name for cell in code for name in re.findall(r"""results\.read\(["']([\w-]+)["']""", cell.source)}
    for name in sorted(names):
        with open(results / f"{name}.csv", newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                yield from (float(row[column]) for column in ("value", "std") if row[column])


def _check_facts(facts: dict[str, str], prose: list[str]) -> None:
    for fact, source in facts.items():
        if len(source) < 10:
            raise ValueError(f"facts[{fact!r}]: expected the publication that says so, got {source!r}")
        if not any(fact in text for text in prose):
            raise ValueError(f"facts[{fact!r}]: no Markdown cell says this")
