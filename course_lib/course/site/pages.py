"""From an executed notebook to a page: solutions folded away, figures and sounds as files, words linked."""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_output
from PIL import Image

from course_lib.course.exercises.learner import BEGIN, END, blank
from course_lib.course.site import sounds
from course_lib.course.site.ideas import Idea

KEPT = ("text/html", "text/markdown", "text/latex", "image/svg+xml", "text/plain")
_MARKS = re.compile(rf"^[ \t]*(?:{re.escape(BEGIN)}|{re.escape(END)})[ \t]*\n?", re.MULTILINE)
# What is no running prose: code, mathematics, headings, links, pictures, quoted lines of tables' borders.
_NO_PROSE = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]*\$|^#.*?$|!?\[[^\]]*\]\([^)]*\)|<[^>\n]*>|https?://\S+|^    .*?$",
    re.DOTALL | re.MULTILINE,
)
_NUMBERS = re.compile(r"\b[Nn]otebooks? \d\d(?:(?:, | and | to | or )\d\d)*")


@dataclass(frozen=True)
class Around:
    """What a page knows of the others. stems: number → file name without its end; files: folder for what is served."""

    stems: Mapping[str, str]
    ideas: Mapping[str, Idea]
    files: Path


def page(notebook: NotebookNode, number: str, head: str, around: Around) -> NotebookNode:
    """The notebook as MyST-NB reads it; `head` is Markdown that comes below the title's cell.

    Figures and sounds are written to `around.files / number`; a page finds them two steps up, in `files/`.
    """
    copy = nbformat.from_dict(notebook)
    folder = around.files / number
    folder.mkdir(parents=True, exist_ok=True)
    cells, words = [], _words(around.ideas)
    for place, cell in enumerate(copy.cells):
        if cell.cell_type == "markdown":
            cell.source = linked(cell.source, words, around.stems, number)
            cell.attachments = {}
            cells.append(cell)
            if place == 0:
                cells.append(new_markdown_cell(head))
            continue
        if cell.cell_type != "code":
            cells.append(cell)
            continue
        cell.outputs = [shown for output in cell.outputs if (shown := _shown(output, cell.id, folder, number))]
        if BEGIN in cell.source:
            cells.append(new_markdown_cell(f"```python\n{blank(cell.source)}\n```"))
            cell.source = _MARKS.sub("", cell.source)
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), "hide-input"]
            cell.metadata["mystnb"] = {"code_prompt_show": "Show a solution", "code_prompt_hide": "Hide the solution"}
        cells.append(cell)
    copy.cells = cells
    copy.metadata = {"kernelspec": notebook.metadata.get("kernelspec", {}), "language_info": {"name": "python"}}
    return copy


def download(notebook: NotebookNode) -> NotebookNode:
    """An executed notebook to take away: its sounds compressed, nothing that needs a running kernel."""
    copy = nbformat.from_dict(notebook)
    copy.metadata.pop("widgets", None)
    for cell in copy.cells:
        for output in cell.get("outputs", ()):
            if "text/html" in output.get("data", {}):
                output.data["text/html"] = sounds.players(output.data["text/html"], sounds.as_data)
    return copy


def linked(text: str, words: dict[str, str], stems: Mapping[str, str], here: str) -> str:
    """Markdown whose first use of each word in `words` leads to the glossary, and whose "notebook 05" leads there.

    words: word → its entry in the glossary. What a page has linked is taken out of it, with all words of that entry.
    """
    pieces, last = [], 0
    for match in [*_NO_PROSE.finditer(text), None]:
        prose = text[last : match.start()] if match else text[last:]
        pieces.append(_linked_prose(prose, words, stems, here))
        if match:
            pieces.append(match.group())
            last = match.end()
    return "".join(pieces)


def _linked_prose(prose: str, words: dict[str, str], stems: Mapping[str, str], here: str) -> str:
    if words:
        longest_first = sorted(words, key=len, reverse=True)
        spaced = "|".join(re.escape(word).replace(r"\ ", r"\s") for word in longest_first)  # a line may end there
        pattern = re.compile(rf"(?<![\w-])(?:{spaced})(?![\w-])")
        parts, last = [], 0
        for match in pattern.finditer(prose):
            said = " ".join(match.group().split())
            if (entry := words.get(said)) is None:
                continue  # linked already
            parts += [prose[last : match.start()], f"{{term}}`{said} <{entry}>`"]
            last = match.end()
            for word in [word for word, name in words.items() if name == entry]:
                del words[word]
        prose = "".join(parts) + prose[last:]

    def link(match: re.Match) -> str:
        return f"[{match[0]}]({stems[match[0]]}.ipynb)" if match[0] in stems and match[0] != here else match[0]

    return _NUMBERS.sub(lambda match: re.sub(r"\d\d", link, match[0]), prose)


def _words(ideas: Mapping[str, Idea]) -> dict[str, str]:
    words = {}
    for idea in ideas.values():
        for word in (idea.name, *idea.also):
            words[word] = idea.name
            words.setdefault(word[0].upper() + word[1:], idea.name)
    return words


def _shown(output: NotebookNode, cell: str, folder: Path, number: str) -> NotebookNode | None:
    """An output as the page has it: pictures and sounds in files, tables that scroll, nothing that needs a kernel."""
    if output.output_type == "stream":
        bar = output.name == "stderr" and ("it/s]" in output.text or "%|" in output.text)
        return None if bar else output
    if output.output_type == "error":
        return output
    data = output.data
    if "application/vnd.jupyter.widget-view+json" in data and "image/png" not in data:
        return None  # a slider: the figure before it shows the same
    if "image/png" in data:
        text = output.metadata.get("image/png", {}).get("alt", "")
        return _html(_picture(data["image/png"], text, cell, folder, number))
    if "text/html" in data:
        body = re.sub(r"<link\b[^>]*>", "", data["text/html"])  # matplotlib's film asks a server for its icons
        body = re.sub(r"(<input\b[^>]*?type=\"range\")", r'\1 aria-label="picture of the film"', body)  # has no name

        def keep(mp3: bytes) -> str:
            place = f"{cell}-{len(list(folder.glob(f'{cell}-*.mp3')))}.mp3"
            (folder / place).write_bytes(mp3)
            return f"../files/{number}/{place}"

        body = sounds.players(body, keep)
        if "<table" in body:
            body = f'<div class="scroll" tabindex="0" role="region" aria-label="table">{body}</div>'
        return _html(body)
    kept = {kind: data[kind] for kind in KEPT if kind in data}
    return new_output("display_data", data=kept) if kept else None


def _picture(encoded: str, text: str, cell: str, folder: Path, number: str) -> str:
    name = f"{cell}-{len(list(folder.glob(f'{cell}-*.webp')))}.webp"
    picture = Image.open(io.BytesIO(base64.b64decode(encoded)))
    picture.save(folder / name, lossless=True, method=2)  # the same pixels in half of a PNG's bytes
    size = f'width="{picture.width}" height="{picture.height}"'
    return f'<img class="figure" src="../files/{number}/{name}" {size} loading="lazy" alt="{html.escape(text)}">'


def _html(body: str) -> NotebookNode:
    return new_output("display_data", data={"text/html": body})
