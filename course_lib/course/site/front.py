"""The pages beside the notebooks: the map, results, glossary, index of ideas, data cards."""

from __future__ import annotations

import csv
import html
import re
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

from nbformat import NotebookNode

from course_lib import __version__
from course_lib.course.site.address import Repository
from course_lib.course.site.ideas import Declared, Idea, introduced_in, shortest_path
from course_lib.course.syllabus import SYLLABUS
from course_lib.paths import FIGURES, PROJECT_ROOT, RESULTS

SCROLL = '<div class="scroll">'
LINE = "A course in which you build modern sequence models for one-dimensional signals out of tensor operations."

HEARS = (
    "Two of its models run [in your browser](live.md): one hears your microphone, the other finds events in noise that "
    "you turn up. Nothing is sent anywhere."
)


def start(
    notebooks: Mapping[str, NotebookNode],
    stems: Mapping[str, str],
    repository: Repository | None,
    solved: Collection[str],
    heard: bool,
) -> str:
    """The first page: what this is, how to begin, and the map, a card a notebook.

    notebooks, stems: of those that this book holds.  solved: the numbers of all that exist; the others are planned.
    heard: whether the page that hears you is in this book.
    """
    parts = [
        "# Signals from Scratch",
        f"{LINE} Every piece is checked against a trusted reference and measured, with its spread; the notebooks say "
        "where it fails. Everything here can be read, searched and listened to without installing anything.",
        "Begin with [the first notebook](notebooks/00_start_here.ipynb)." if "00" in stems else "",
        f"To work yourself: [the repository]({repository.page})." if repository else "",
        HEARS if heard else "",
        "## The map",
    ]
    for number, part in enumerate(SYLLABUS):
        cards = "".join(_card(n, topic, notebooks.get(n), stems.get(n), n in solved) for n, topic in part.notebooks)
        ends = f'<p class="system">Works at the end: {html.escape(part.system)}</p>' if part.system else ""
        parts.append(f'### {number} {part.title}\n\n<div><ul class="cards">{cards}</ul>{ends}</div>')
    hears = "Live <live>\n" if heard else ""
    toctree = f"notebooks/index\n{hears}results\nglossary\nideas\nreference/index\ndata\nteaching/index\nabout\n"
    parts.append(f'Version {__version__}. <a href="print.html">The whole text on one page</a>, to print.')
    parts.append(f"```{{toctree}}\n:hidden:\n\n{toctree}```")
    return "\n\n".join(filter(None, parts)) + "\n"


def _card(number: str, topic: str, notebook: NotebookNode | None, stem: str | None, exists: bool) -> str:
    if notebook is None:
        why = "not in this build" if exists else "planned"
        return f'<li class="planned"><strong>{number} {html.escape(topic)}</strong><span>{why}</span></li>'
    question = re.search(r"\*\*Question:?\*\*:?\s*(.*?)(?:\n\n|\Z)", notebook.cells[0].source, re.DOTALL)
    text = html.escape(re.sub(r"[*`]", "", " ".join(question[1].split()))) if question else ""
    link = f'<a href="notebooks/{stem}.html"><strong>{number} {html.escape(topic)}</strong></a>'
    return f"<li>{link}<span>{text}</span></li>"


def contents(stems: Mapping[str, str]) -> str:
    """The list of notebooks, part by part, which is also the side bar's."""
    parts = ["# Notebooks", "Each runs in about a minute on two CPU cores and has two to four exercises."]
    for number, part in enumerate(SYLLABUS):
        names = [stems[n] for n, _ in part.notebooks if n in stems]
        if names:
            parts.append(
                f"```{{toctree}}\n:caption: {number} {part.title}\n:maxdepth: 1\n\n" + "\n".join(names) + "\n```"
            )
    return "\n\n".join(parts) + "\n"


def head(number: str, stems: Mapping[str, str], ideas: Mapping[str, Declared], repository: Repository | None) -> str:
    """What stands below a notebook's title: copies to take away, launches, ideas, the shortest path here."""
    stem, said = stems[number], ideas[number]
    where = introduced_in(ideas)

    def to(other: str) -> str:
        return f"[{other}]({stems[other]}.ipynb)" if other in stems and other != number else other

    def named(names: tuple[str, ...], with_place: bool) -> str:
        return ", ".join(f"{name} ({to(where[name])})" if with_place and name in where else name for name in names)

    lines = [
        f'**Take it along:** <a href="../downloads/learner/{stem}.ipynb" download>a copy to work in</a>, exercises '
        f'blank · <a href="../downloads/executed/{stem}.ipynb" download>the executed notebook</a>'
    ]
    if repository:
        lines.append(
            f"**Open it:** [Binder]({repository.binder(stem)}) · [Colab]({repository.colab(stem)}) · "
            f"[Codespaces]({repository.codespace()})"
        )
    if said.introduces:
        lines.append(f"**Introduces:** {named(said.introduces, False)}")
    if said.uses:
        lines.append(f"**Uses:** {named(said.uses, True)}")
    if said.borrows:
        lines.append(f"**Borrows from the library, built later:** {named(said.borrows, True)}")
    path = shortest_path(number, ideas)
    if path:
        lines.append(f"**Shortest path here:** {' → '.join(map(to, path))} → {number}")
    return '<div class="page-facts">\n\n' + "\n\n".join(lines) + "\n\n</div>"


def glossary(ideas: Mapping[str, Idea], notebooks: Mapping[str, Declared], stems: Mapping[str, str]) -> str:
    """Every idea in a sentence or two, by letter, with the notebook that builds it."""
    where, parts = introduced_in(notebooks), ["# Glossary", "```{glossary}"]
    for name, idea in sorted(ideas.items(), key=lambda item: item[0].lower()):
        built = where.get(name)
        place = f" Built in [{built}](notebooks/{stems[built]}.ipynb)." if built in stems else ""
        also = f" Also: {', '.join(idea.also)}." if idea.also else ""
        parts.append(f"{name}\n  {idea.says}{place}{also}\n")
    return "\n".join([*parts[:1], "", *parts[1:], "```"]) + "\n"


def index_of_ideas(
    ideas: Mapping[str, Idea], notebooks: Mapping[str, Declared], stems: Mapping[str, str], rooms: Collection[str]
) -> str:
    """Each idea: where it is built, where it is used, where the library has it; `rooms` have a page in this book."""
    where = introduced_in(notebooks)

    def links(numbers: list[str]) -> str:
        return ", ".join(f"[{n}](notebooks/{stems[n]}.ipynb)" if n in stems else n for n in numbers) or "–"

    def library(module: str) -> str:
        room, name = module.split(".")[0], f"`{module.replace('.', '/')}.py`"
        return f"[{name}](reference/{room}.md)" if room in rooms else name

    rows = ["| idea | built in | used in | in the library |", "| --- | --- | --- | --- |"]
    for name, idea in ideas.items():
        used = [number for number, said in sorted(notebooks.items()) if name in said.uses]
        files = ", ".join(map(library, idea.library))
        built = links([where[name]]) if name in where else "–"
        rows.append(f"| {{term}}`{name}` | {built} | {links(used)} | {files or '–'} |")
    intro = "In the order of the course. A test holds it: no notebook uses an idea before another has built it."
    return "\n\n".join(["# Index of ideas", intro, SCROLL, "\n".join(rows), "</div>"]) + "\n"


def results(files: Path) -> str:
    """The page of recorded results with every table's rows; pictures and tables are copied to `files`."""
    text = (FIGURES / "README.md").read_text(encoding="utf-8")
    for path in [*FIGURES.glob("*.png"), *RESULTS.glob("*.csv")]:
        files.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, files / path.name)
    shown: set[str] = set()
    parts = []
    for section in re.split(r"(?=^## )", text, flags=re.MULTILINE):
        names = [name for name in re.findall(r"\(results/(\w+)\.csv\)", section) if name not in shown]
        shown |= set(names)
        section = re.sub(r"\[(\w+)\]\(results/\w+\.csv\)", r'<a href="#table-\1">\1</a>', section)
        section = re.sub(r"!\[([^\]]*)\]\(([\w.]+)\)", lambda m: _picture(m[1], m[2], files.name), section)
        section = re.sub(r"((?:^\|.*\n)+)", rf"{SCROLL}\n\n\1\n</div>\n", section, flags=re.MULTILINE)
        parts.append(section.rstrip() + "\n")
        parts += [_table(name, files.name) for name in names]
    return re.sub(r"\]\(\.\./", "](", "\n".join(parts))


def _picture(text: str, name: str, folder: str) -> str:
    alt = html.escape(" ".join(text.split()))
    return f'<p><img class="figure" src="files/{folder}/{name}" loading="lazy" alt="{alt}"></p>'


def _table(name: str, folder: str) -> str:
    """A recorded table, folded: a row a measure, with the command, seeds, code hash and date that it says."""
    with open(RESULTS / f"{name}.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = [column for column in rows[0] if any(row[column] for row in rows)]
    top = "".join(f'<th scope="col">{column.replace("_", " ")}</th>' for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(row[c])}</td>" for c in columns) + "</tr>" for row in rows)
    anchor = f'<div class="recorded" id="table-{name}"><details><summary>{name}: {len(rows)} rows</summary>'
    link = f'<p><a href="files/{folder}/{name}.csv" download>{name}.csv</a></p>'
    table = f'<div class="scroll" tabindex="0" role="region" aria-label="{name}"><table class="table">'
    return f"{anchor}{link}{table}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div></details></div>\n"


def data_cards(repository: Repository | None) -> str:
    """The cards of `data/README.md`; links into the repository lead to its page, where that is known."""
    text = (PROJECT_ROOT / "data" / "README.md").read_text(encoding="utf-8")

    def link(match: re.Match) -> str:
        if match[2].startswith(("http", "#")):
            return match[0]
        inside = (PROJECT_ROOT / "data" / match[2]).resolve().relative_to(PROJECT_ROOT).as_posix()
        return f"[{match[1]}]({repository.page}/blob/HEAD/{inside})" if repository else match[1]

    return re.sub(r"\[([^\]]*)\]\(([^)]+)\)", link, text)


def about() -> str:
    """How to cite the course, and what changed in which version."""
    citation = (PROJECT_ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = (PROJECT_ROOT / "CHANGELOG.md").read_text(encoding="utf-8").replace("# Changes", "## Changes", 1)
    changes = re.sub(r"^## (?=\d)", "### ", changes, flags=re.MULTILINE)
    return f"# About\n\nThis is version {__version__}. To cite it:\n\n```yaml\n{citation}```\n\n{changes}"
