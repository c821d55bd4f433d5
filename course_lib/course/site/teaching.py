"""Pages for those who teach: two schedules, and for each notebook what a class needs to know."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from nbformat import NotebookNode

from course_lib.course.exercises.registry import Exercise, exercises
from course_lib.course.site.ideas import Declared, introduced_in, shortest_path

_TIME = re.compile(r"(?:about )?(\d+) (minutes|hours?)(?: of reading| to read)")
_PREDICT = re.compile(r"^> \*\*Predict\.?\*\*\s*((?:.*\n?>?)*)", re.MULTILINE)
HOW = """
A class works as a reader does: a copy with blanks, predictions before experiments, checks that say what is probably
wrong. What a teacher adds is time for the predictions, and somebody to disagree with.

- Hand out copies: `python -m course_lib start --all`, or the downloads on each notebook's page.
- Ask for the predictions aloud before the cell below is run. Nothing is scored.
- Grade a folder of copies: `python -m course_lib grade copies/ --out grades.csv grades.html`. Each exercise runs by
  itself, without network or files. A row says passed, a hint, not attempted, or an error. Copying is not seen.
- A pass is worth its minutes, below. Let hints cost nothing, or learners stop asking for them. Give half of the marks
  to a text: one prediction that did not come true, and what the notebook measured about it.
"""


@cache
def plans() -> dict[str, Any]:
    """The schedules and questions of `teaching.toml`."""
    return tomllib.loads(resources.files(__package__).joinpath("teaching.toml").read_text(encoding="utf-8"))


def minutes(notebook: NotebookNode) -> int | None:
    """What the notebook's first cell says that reading and exercises take; None where it says nothing."""
    match = _TIME.search(" ".join(notebook.cells[0].source.split()))
    return int(match[1]) * (60 if match[2].startswith("hour") else 1) if match else None


def schedules(notebooks: Mapping[str, NotebookNode], said: Mapping[str, Declared], stems: Mapping[str, str]) -> str:
    """The page of the two schedules: 14 weeks with homework, two days without."""
    rows = ["| week | theme | notebooks | minutes | in class |", "| --- | --- | --- | --- | --- |"]
    for week, plan in enumerate(plans()["weeks"], 1):
        rows.append(
            f"| {week} | {plan['theme']} | {_links(plan['notebooks'], stems)} | "
            f"{_total(plan['notebooks'], notebooks)} | {plan['class']} |"
        )
    days = ["| when | notebooks | minutes in class | to be told first |", "| --- | --- | --- | --- |"]
    where, seen = introduced_in(said), set()
    for plan in plans()["days"]:
        missing: dict[str, None] = {}
        for number in plan["notebooks"]:
            told = [name for name in said[number].uses if where.get(name) not in seen] if number in said else []
            missing |= dict.fromkeys(told)
            seen.add(number)
        told = ", ".join(f"{name} ({where[name]})" for name in missing if name in where)
        days.append(f"| {plan['theme']} | {_links(plan['notebooks'], stems)} | {plan['minutes']} | {told or '–'} |")
    projects = plans()["projects"]
    return "\n\n".join(
        [
            "# Teaching",
            HOW.strip(),
            "## 14 weeks",
            "Minutes are what a reader needs alone, exercises included; a week has one meeting of 90 minutes.",
            '<div class="scroll">',
            "\n".join(rows),
            "</div>",
            f"**Projects**, on {_links(projects['notebooks'], stems)}. {projects['text']}",
            "## Two days",
            "A path through signals, attention, streams and events. The last column names ideas that the path leaves "
            "out, with the notebook that builds them: five minutes each at the board.",
            '<div class="scroll">',
            "\n".join(days),
            "</div>",
            "```{toctree}\n:hidden:\n\nguide\n```",
            "[A guide to each notebook](guide.md) has prerequisites, exercises, usual mistakes, questions and slides.",
        ]
    )


def guide(notebooks: Mapping[str, NotebookNode], said: Mapping[str, Declared], stems: Mapping[str, str]) -> str:
    """The page with a section a notebook; `notebooks`: number → the solved one."""
    known: dict[str, list[Exercise]] = {}
    for one in exercises().values():
        known.setdefault(one.notebook, []).append(one)
    parts = ["# A guide to each notebook"]
    for number, notebook in sorted(notebooks.items()):
        parts.append(_section(number, notebook, known.get(number, []), said, stems))
    return "\n\n".join(parts) + "\n"


def _section(
    number: str,
    notebook: NotebookNode,
    tasks: list[Exercise],
    said: Mapping[str, Declared],
    stems: Mapping[str, str],
) -> str:
    title = notebook.cells[0].source.splitlines()[0].lstrip("# ")
    time = minutes(notebook)
    facts = [f"about {time} minutes"] if time else []
    facts.append(f"before it: {_links(shortest_path(number, said), stems) or 'nothing'}")
    facts.append(f"[the notebook](../notebooks/{stems[number]}.ipynb)")
    facts.append(f'<a href="../slides/{stems[number]}.html">slides</a>')
    parts = [f"## {title}", " · ".join(facts)]
    if tasks:
        marks = "; ".join(f"{one.title} ({one.minutes})" for one in tasks)
        parts.append(f"**Graded:** {marks}. The numbers are minutes, and serve as marks.")
    stuck = [hint for one in tasks for *_, hint in one.mistakes][:4]
    if stuck:
        parts.append("**Where learners get stuck** (mistakes that the checks know, as they say it):")
        parts.append("\n".join(f"- {_plain(hint)}" for hint in stuck))
    asked = [
        question for cell in notebook.cells if cell.cell_type == "markdown" for question in predictions(cell.source)
    ]
    questions = [*asked[:4], plans()["questions"].get(number)]
    parts.append("**Questions for discussion:**")
    parts.append("\n".join(f"- {question}" for question in questions if question))
    return "\n\n".join(parts)


def predictions(text: str) -> list[str]:
    """The questions of a Markdown cell's Predict boxes, each on one line."""
    found = []
    for box in re.split(r"\n(?!>)", text):
        if match := _PREDICT.search(box):
            found.append(" ".join(re.sub(r"^> ?", "", match[1], flags=re.MULTILINE).split()))
    return [question for question in found if question]


def _plain(hint: str) -> str:
    """A hint as Markdown: the braces that an answer's values fill are left out, stars are no emphasis."""
    return re.sub(r"([*_<|])", r"\\\1", re.sub(r"\{[^}]*\}", "…", " ".join(str(hint).split())))


def _links(numbers: list[str], stems: Mapping[str, str]) -> str:
    return ", ".join(f"[{n}](../notebooks/{stems[n]}.ipynb)" if n in stems else n for n in numbers)


def _total(numbers: list[str], notebooks: Mapping[str, NotebookNode]) -> str:
    known = [time for n in numbers if n in notebooks and (time := minutes(notebooks[n]))]
    return str(sum(known)) if len(known) == len(numbers) else "–"
