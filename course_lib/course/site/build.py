"""Building the book: pages are written to a folder of sources, Sphinx makes the site."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import nbformat
from sphinx.application import Sphinx

from course_lib import __version__
from course_lib.course.exercises.learner import learner_copy, solved_notebooks
from course_lib.course.site import front, live, pages, print_version, reference, slides, teaching, vendor
from course_lib.course.site.address import repository
from course_lib.course.site.executed import BookError, executed
from course_lib.course.site.ideas import all_ideas, declared
from course_lib.paths import PROJECT_ROOT

FOLDER = PROJECT_ROOT / "build" / "book"  # in there: site/, source/, doctrees/, executed/
STATIC = Path(__file__).with_name("static")
LARGEST = 80_000_000  # bytes


def build(
    notebooks: Iterable[Path] | None = None,
    folder: Path = FOLDER,
    *,
    given: Path | None = None,
    workers: int = 2,
    rooms: Iterable[str] = reference.ROOMS,
    said: Callable[[str], object] = print,
) -> Path:
    """Build the book of `notebooks` (default: all) below `folder`; returns the site's folder.

    given: executed copies to take where their code is today's.  rooms: of the library's reference.
    Raises BookError where a notebook fails, a page has a fault that Sphinx warns of, or the site is over 80 MB.
    """
    paths = sorted(notebooks or solved_notebooks())
    outputs = executed(paths, folder / "executed", given=given, workers=workers, said=said)
    source, site = folder / "source", folder / "site"
    for old in (source, site / "files", site / "downloads", site / "slides"):
        shutil.rmtree(old, ignore_errors=True)
    heard = _live(source, said)
    _write_sources(outputs, source, site, list(rooms), heard)
    static = [str(STATIC), *(["_live"] if heard else [])]
    try:
        mathjax = vendor.vendored(vendor.MATHJAX)
        (source / "_vendor" / "mathjax").mkdir(parents=True)
        for path in mathjax.iterdir():
            shutil.copy2(path, source / "_vendor" / "mathjax" / path.name)
        static.append("_vendor")
    except vendor.VendorError as error:
        said(f"formulas stay as they are written: {error}")
    warnings = _sphinx(source, site, folder / "doctrees", static)
    if warnings:
        raise BookError("Sphinx warns:\n" + warnings)
    _search_on_its_own_page(site)
    print_version.write(site, [f"notebooks/{path.stem}" for path in paths])
    size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    said(f"{len(list(site.rglob('*.html')))} pages, {size / 1e6:.1f} MB in {site}")
    if size > LARGEST:
        raise BookError(f"the site has {size / 1e6:.0f} MB; {LARGEST / 1e6:.0f} is the most")
    return site


def _live(source: Path, said: Callable[[str], object]) -> bool:
    """Write what the page that hears you needs; False, and a word, where it cannot be had."""
    try:
        live.beside(source / "_live" / "live")
    except (vendor.VendorError, FileNotFoundError) as error:
        said(f"the page that hears you is left out: {error}")
        shutil.rmtree(source / "_live", ignore_errors=True)
        return False
    (source / "live.md").write_text(live.in_the_book(), encoding="utf-8")
    return True


def _write_sources(
    outputs: dict[Path, nbformat.NotebookNode], source: Path, site: Path, rooms: list[str], heard: bool
) -> None:
    stems = {path.name[:2]: path.stem for path in outputs}
    # Of all notebooks: a book of three has the same paths, as text, that the whole one has as links.
    said = {path.name[:2]: declared(nbformat.read(path, as_version=4)) for path in solved_notebooks()}
    ideas, home = all_ideas(), repository()
    around = pages.Around(stems, ideas, site / "files")

    def write_to(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def write(name: str, text: str) -> None:
        write_to(source / name, text)

    for path, notebook in outputs.items():
        number = path.name[:2]
        shown = pages.page(notebook, number, front.head(number, stems, said, home), around)
        write(f"notebooks/{path.name}", nbformat.writes(shown))
        for kind, copy in (("learner", learner_copy(path)), ("executed", pages.download(notebook))):
            write_to(site / "downloads" / kind / path.name, nbformat.writes(copy))
        write_to(site / "slides" / f"{path.stem}.html", slides.slides(notebook, number))
    numbered = {path.name[:2]: notebook for path, notebook in outputs.items()}
    write("index.md", front.start(numbered, stems, home, said.keys(), heard))
    write("notebooks/index.md", front.contents(stems))
    write("results.md", front.results(site / "files" / "results"))
    write("glossary.md", front.glossary(ideas, said, stems))
    write("ideas.md", front.index_of_ideas(ideas, said, stems, rooms))
    write("data.md", front.data_cards(home))
    write("teaching/index.md", teaching.schedules(numbered, said, stems))
    write("teaching/guide.md", teaching.guide(numbered, said, stems))
    write("about.md", front.about())
    write("reference/index.md", reference.overview(rooms))
    for room in rooms:
        write(f"reference/{room}.md", reference.room_page(room))


def _search_on_its_own_page(site: Path) -> None:
    """The theme has every page fetch the search's index, a large file, which only the search's page needs."""
    index = re.compile(r'<script src="[./]*(?:searchindex|_static/(?:language_data|searchtools))\.js[^"]*"></script>')
    for path in site.rglob("*.html"):
        if path.name != "search.html" and not path.is_relative_to(site / "_static"):
            text = path.read_text(encoding="utf-8")
            path.write_text(index.sub("", text), encoding="utf-8")


def _sphinx(source: Path, site: Path, doctrees: Path, static: list[str]) -> str:
    """Run Sphinx; returns what it warns of."""
    settings = {
        "project": "Signals from Scratch",
        "author": "The authors of Signals from Scratch",
        "version": __version__,
        "release": __version__,
        "html_title": "Signals from Scratch",
        "language": "en",
        "extensions": ["myst_nb", "sphinx.ext.mathjax"],
        "myst_enable_extensions": ["dollarmath", "amsmath", "colon_fence", "attrs_inline"],
        "myst_heading_anchors": 4,
        "nb_execution_mode": "off",
        "nb_ipywidgets_js": {},
        "mathjax_path": "mathjax/tex-svg-full.js",
        "suppress_warnings": ["myst.header", "misc.highlighting_failure"],
        "html_theme": "pydata_sphinx_theme",
        "html_static_path": static,
        "exclude_patterns": ["**/body.html", "**/alone.html", "**/*.safetensors"],
        "html_favicon": str(STATIC / "icon.svg"),
        "html_css_files": ["book.css"],
        "html_js_files": ["book.js"],
        "html_copy_source": False,
        "html_show_sourcelink": False,
        "html_theme_options": {
            "logo": {"text": "Signals from Scratch"},
            "navbar_align": "left",
            "header_links_before_dropdown": 6,
            "navigation_with_keys": False,
            "show_toc_level": 2,
            "footer_start": ["copyright", "last-updated"],
            "footer_end": [],
            "pygments_light_style": "a11y-high-contrast-light",
            "pygments_dark_style": "a11y-high-contrast-dark",
        },
        # Pages without pages below them have nothing to show at the side.
        "html_sidebars": {
            name: [] for name in ("index", "live", "results", "glossary", "ideas", "data", "about", "search")
        },
        "toc_object_entries_show_parents": "hide",
        "html_context": {"default_mode": "auto"},
        "copyright": f"MIT licence, version {__version__}. Recordings: ESC-10 by K. J. Piczak, CC BY 3.0",
    }
    said = io.StringIO()
    app = Sphinx(str(source), None, str(site), str(doctrees), "html", settings, status=None, warning=said, parallel=2)
    app.build()
    # A second book in one process finds its extensions there already.
    return "\n".join(line for line in said.getvalue().splitlines() if "already registered" not in line)
