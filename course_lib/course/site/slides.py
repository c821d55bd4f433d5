"""Slides of a notebook: its question, a slide a figure, its recap, in one HTML file; figures are the page's files."""

from __future__ import annotations

import html
import re

from markdown_it import MarkdownIt
from nbformat import NotebookNode

STYLE = """
html { scroll-snap-type: y mandatory; font: clamp(16px, 2.4vmin, 28px)/1.4 system-ui, sans-serif;
  color: #1b2026; background: #fff; }
body { margin: 0; }
section { min-height: 100vh; box-sizing: border-box; padding: 5vh 6vw; scroll-snap-align: start; display: flex;
  flex-direction: column; justify-content: center; }
h1, h2 { line-height: 1.15; margin: 0.2em 0; }
img { max-width: 100%; max-height: 68vh; object-fit: contain; align-self: center; }
footer { font-size: 0.6em; color: #4a545e; }
pre, table { overflow-x: auto; display: block; }
@media print { section { break-after: page; min-height: 0; } }
"""
# Arrows and space turn the page, as in any presentation.
SCRIPT = """
const slides = [...document.querySelectorAll("section")];
addEventListener("keydown", event => {
  const by = { ArrowRight: 1, PageDown: 1, " ": 1, ArrowLeft: -1, PageUp: -1 }[event.key];
  if (!by) return;
  event.preventDefault();
  const now = slides.findIndex(slide => slide.getBoundingClientRect().bottom > innerHeight / 2);
  slides[Math.max(0, Math.min(slides.length - 1, now + by))].scrollIntoView();
});
"""
_HEADING = re.compile(r"^## +(.*)$", re.MULTILINE)
_NO_SLIDE = ("Recap", "Exercise", "Appendix", "References")


def slides(notebook: NotebookNode, number: str) -> str:
    """The slides of an executed notebook. A section without a figure gives none; a section's figures one each."""
    title = notebook.cells[0].source.splitlines()[0].lstrip("# ")
    question = re.search(r"\*\*Question:?\*\*:?\s*(.*?)(?:\n\n|\Z)", notebook.cells[0].source, re.DOTALL)
    pages = [f"<h1>{html.escape(title)}</h1>" + (_markdown(question[1]) if question else "")]
    heading, recap = "", ""
    for cell in notebook.cells[1:]:
        if cell.cell_type == "markdown":
            if found := _HEADING.findall(cell.source):
                heading = found[-1]
            if re.match(r"## +Recap", cell.source):
                recap = cell.source.partition("\n")[2]
        elif not heading.startswith(_NO_SLIDE):
            shown = [output for output in cell.outputs if "image/png" in output.get("data", {})]
            names = (f"../files/{number}/{cell.id}-{place}.webp" for place in range(len(shown)))
            pages += [_figure(heading, output, name) for output, name in zip(shown, names, strict=True)]
    if recap:
        pages.append("<h2>Recap</h2>" + _markdown(recap.split("**What broke")[0]))
        if "**What broke" in recap:
            pages.append(_markdown("**What broke" + recap.split("**What broke")[1].split("**References")[0]))
    foot = f"<footer>Signals from Scratch · {html.escape(title)}</footer>"
    body = "\n".join(f"<section>{page}{foot}</section>" for page in pages)
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>{html.escape(title)}</title><link rel='icon' href='../_static/icon.svg'><style>{STYLE}</style></head>"
        f"<body><main>{body}</main><script>{SCRIPT}</script></body></html>\n"
    )


def _figure(heading: str, output: NotebookNode, address: str) -> str:
    text = html.escape(output.metadata.get("image/png", {}).get("alt", ""))
    return f'<h2>{html.escape(heading)}</h2><img class="figure" loading="lazy" alt="{text}" src="{address}">'


def _markdown(text: str) -> str:
    return MarkdownIt("commonmark").enable("table").render(text)
