"""The book in Chromium: a small one that is built here, or, where COURSE_BOOK names its folder, a whole one."""

import base64
import io
import os
import re
from pathlib import Path
from urllib.parse import unquote

import nbformat
import numpy as np
import pytest
import soundfile
from bs4 import BeautifulSoup
from nbformat.v4 import new_output
from PIL import Image

from course_lib.course.exercises.learner import notebook_path
from course_lib.course.site.build import build
from tests.course.site.chromium import DESK, MARKS, PHONE, axe_script, serious_faults, serving, watched

pytestmark = MARKS


def picture() -> str:
    file = io.BytesIO()
    Image.fromarray(np.full((300, 1400, 3), 200, dtype=np.uint8)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def player() -> str:
    file = io.BytesIO()
    soundfile.write(file, 0.1 * np.sin(np.arange(16000) / 9), 16000, format="WAV")
    wav = base64.b64encode(file.getvalue()).decode()
    return f'<audio controls="controls"><source src="data:audio/wav;base64,{wav}" type="audio/wav" /></audio>'


def with_outputs(path: Path, cells: int) -> nbformat.NotebookNode:
    """The beginning of a notebook, each kind of output in turn below its code cells."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = notebook.cells[:cells]
    wide = "<table><tr>" + "".join(f"<td>column_{i}</td>" for i in range(40)) + "</tr></table>"
    turn = [
        new_output("display_data", {"image/png": picture()}, metadata={"image/png": {"alt": "A grey rectangle."}}),
        new_output("display_data", {"text/html": player()}),
        new_output("display_data", {"text/html": wide}),
        new_output("stream", name="stdout", text="a long line " * 40 + "\n"),
    ]
    for place, cell in enumerate(cell for cell in notebook.cells if cell.cell_type == "code"):
        cell.outputs, cell.execution_count = [turn[place % 4]], place + 1
    return notebook


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of a site: notebook 05 up to its second exercise, and the beginning of 15, which has formulas."""
    if os.environ.get("COURSE_BOOK"):
        return Path(os.environ["COURSE_BOOK"]).resolve()
    folder = tmp_path_factory.mktemp("book")
    paths = []
    for number, cells in (("05", 20), ("15", 20)):
        notebook = with_outputs(notebook_path(number), cells)
        if number == "15":
            notebook.cells.append(nbformat.v4.new_markdown_cell(r"A formula, $\sum_t x_t$, and $$\frac{a}{b}$$"))
        path = folder / "given" / notebook_path(number).name
        path.parent.mkdir(exist_ok=True)
        nbformat.write(notebook, path)
        paths.append(path)
    return build(paths, folder, given=folder / "given", rooms=["sequence"])


@pytest.fixture(scope="module")
def address(site):
    with serving(site) as address:
        yield address


@pytest.fixture
def page(browser, address):
    """A page that keeps what goes wrong on it, in `page.wrong`."""
    page = watched(browser.new_page(viewport=DESK), address)
    yield page
    page.close()


def names(site: Path) -> list[str]:
    found = (path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    return sorted(name for name in found if not name.startswith("_static/"))


def test_every_page_opens_in_silence_asks_nobody_else_and_fits_a_phone(page, site, address):
    too_wide = []
    page.set_viewport_size(PHONE)
    for name in names(site):
        answer = page.goto(address + name, wait_until="load")
        assert answer.ok, name
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > PHONE["width"]:
            too_wide.append(f"{name}: {width}")
    assert page.wrong == []
    assert too_wide == []


def test_first_page_is_light(page, site, address):
    sizes = []
    page.on("response", lambda answer: sizes.append(len(answer.body()) if answer.ok else 0))
    page.goto(address, wait_until="networkidle")
    assert 0 < sum(sizes) < 1_000_000


def test_search_finds_rotary(page, site, address):
    page.goto(address + "search.html?q=rotary")
    page.wait_for_selector("#search-results li a[href*='05_rotary']", timeout=20_000)
    assert page.wrong == []


def test_a_sound_plays(page, site, address):
    name = next(name for name in names(site) if "<audio" in (site / name).read_text(encoding="utf-8"))
    page.goto(address + name)
    page.evaluate("document.querySelector('audio').play()")
    page.wait_for_function("document.querySelector('audio').currentTime > 0.1", timeout=10_000)


def test_a_solution_is_folded_away_and_unfolds(page, site, address):
    page.goto(address + "notebooks/05_rotary_embeddings.html")
    solution = page.locator("details.hide", has_text="torch.stack").first
    assert not solution.locator("pre").is_visible()
    solution.locator("summary").click()
    assert solution.locator("pre").is_visible()
    assert "BEGIN" not in solution.inner_text()


def test_formulas_are_set_without_asking_anybody(page, site, address):
    if not (site / "_static" / "mathjax").exists():
        pytest.skip("MathJax could not be fetched when the site was built")
    name = next(name for name in names(site) if "math notranslate" in (site / name).read_text(encoding="utf-8"))
    page.goto(address + name)
    page.wait_for_selector("mjx-container svg", timeout=20_000)
    assert page.wrong == []


def test_links_lead_somewhere(site):
    pages = {name: BeautifulSoup((site / name).read_text(encoding="utf-8"), "html.parser") for name in names(site)}
    ids = {name: {tag["id"] for tag in soup.find_all(id=True)} for name, soup in pages.items()}
    broken = []
    for name, soup in pages.items():
        for tag in soup.find_all(["a", "img", "audio", "script", "link"]):
            target = tag.get("href") or tag.get("src") or ""
            if not target or re.match(r"[a-z]+:", target):
                continue
            file, _, anchor = unquote(target).partition("#")
            path = ((site / name).parent / file.partition("?")[0]).resolve() if file else site / name
            path = path / "index.html" if path.is_dir() else path
            inside = path.relative_to(site.resolve()).as_posix() if path.is_relative_to(site.resolve()) else None
            if inside is None or not path.exists() or (anchor and inside in ids and anchor not in ids[inside]):
                broken.append(f"{name}: {target}")
    assert broken == []


def test_every_figure_has_text(site):
    without = [
        f"{name}: {image.get('src')}"
        for name in names(site)
        for image in BeautifulSoup((site / name).read_text(encoding="utf-8"), "html.parser").select("img.figure")
        if not image.get("alt")
    ]
    assert without == []


@pytest.mark.parametrize(("scheme", "rules"), [("light", None), ("dark", ["color-contrast"])], ids=["light", "dark"])
def test_axe_finds_no_serious_fault(browser, site, address, scheme, rules):
    """In the dark other colours are shown, and nothing else is other: one page of each look will do."""
    axe = axe_script()
    page = browser.new_page(viewport=DESK, color_scheme=scheme)
    faults, only = [], {"runOnly": rules} if rules else {}
    plain = ("data", "genindex", "print", "reference", "results")
    for name in names(site):
        if rules and name.startswith(plain) or (site / name).stat().st_size > 2_000_000:
            continue  # axe takes minutes over the whole text on one page; a small book's has the same markup
        page.goto(address + name)
        faults += [f"{name}: {fault}" for fault in serious_faults(page, axe, only)]
    page.close()
    assert faults == []
