"""README, the page of results, CONTRIBUTING: links lead somewhere, pictures can be read, the code is as they say."""

import re
import tomllib
from collections import Counter

import pytest

from course_lib.__main__ import build_parser
from course_lib.course.exercises.learner import solved_notebooks
from course_lib.course.experiments import experiments
from course_lib.course.syllabus import SYLLABUS
from course_lib.paths import FIGURES, PROJECT_ROOT

README = (PROJECT_ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = (PROJECT_ROOT / "figures" / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (PROJECT_ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PAGES = [("README.md", README), ("figures/README.md", RESULTS), ("CONTRIBUTING.md", CONTRIBUTING)]
every_page = pytest.mark.parametrize(("page", "text"), PAGES, ids=[page for page, _ in PAGES])


def pictures(text: str) -> list[tuple[str, str]]:
    """Alternative text and target."""
    return re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", text)


@pytest.mark.parametrize("index", range(len(SYLLABUS)))
def test_map_links_the_notebooks_that_exist_and_names_the_planned_ones(index):
    exists = {path.name[:2]: path.name for path in solved_notebooks()}
    cells = [
        f"[{number} {topic}](notebooks/{exists[number]})" if number in exists else f"*{number} {topic}*"
        for number, topic in SYLLABUS[index].notebooks
    ]
    row = f"| {index} {SYLLABUS[index].title} | {' · '.join(cells)} |"
    assert row in README, f"README.md needs this line:\n{row}"


@every_page
def test_links_inside_the_repository_lead_somewhere(page, text):
    for target in re.findall(r"\]\(([^)]+)\)", text):
        file, _, heading = target.partition("#")
        # GitHub reads ../../ as the repository's own address, wherever it is; there it names the published book.
        own = target == "../../deployments/github-pages"
        assert own or target.startswith("https://") or ((PROJECT_ROOT / page).parent / file).exists(), target
        assert not heading or re.search(rf"^#+ {heading.replace('-', ' ')}$", text, re.MULTILINE | re.IGNORECASE), (
            target
        )


def test_readme_says_who_it_is_for_before_it_shows_four_pictures():
    assert README.index("## Who it is for") < README.index("## Begin") < README.index("![")
    assert len(pictures(README)) == 4


def test_every_picture_stands_on_a_page_with_text_in_its_place():
    shown = [(text, (PROJECT_ROOT / page).parent / target) for page, all in PAGES for text, target in pictures(all)]
    assert {path.resolve() for _, path in shown} == set(FIGURES.glob("*.png"))
    for text, path in shown:
        assert len(text.split()) >= 15, path
        assert path.stat().st_size < 500_000


def test_pictures_are_attributed():
    for text in (README, RESULTS):
        assert "K. J. Piczak, CC BY 3.0" in text


def test_every_recorded_table_stands_on_the_page_of_results_with_its_command():
    rows = dict(
        re.findall(
            r"^\| \[(\w+)\]\(results/\1\.csv\) .*`python -m course_lib measure (\w+)` \|$", RESULTS, re.MULTILINE
        )
    )
    assert set(rows) == {path.stem for path in FIGURES.glob("results/*.csv")}
    assert set(rows.values()) <= set(experiments())


def test_rooms_and_arrows_are_those_of_the_linter():
    """A room may import what stands on a lower floor and is not forbidden to it."""
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    floors, *others = project["tool"]["importlinter"]["contracts"]
    floors = [[name.strip().removeprefix("course_lib.") for name in floor.split("|")] for floor in floors["layers"]]
    allowed = {
        room: {r for below in floors[i + 1 :] for r in below} for i, floor in enumerate(floors) for room in floor
    }
    for contract in others:
        for room in contract.get("source_modules", ()) if contract["type"] == "forbidden" else ():
            forbidden = {name.removeprefix("course_lib.") for name in contract["forbidden_modules"]}
            allowed[room.removeprefix("course_lib.")] -= forbidden
    table = {}
    for rooms, imports in re.findall(r"^\| (`[^|]*) \| [^|]* \| ([^|]*) \|$", CONTRIBUTING, re.MULTILINE):
        for room in re.findall(r"`(\w+)`", rooms):
            table[room] = set(re.findall(r"`(\w+)`", imports))
    assert table == allowed


def test_commands_exist():
    help_text = build_parser().format_help()
    for command in re.findall(r"-m course_lib (\w+)", README + RESULTS + CONTRIBUTING):
        assert re.search(rf"^    {command}\b", help_text, re.MULTILINE), command


def test_no_two_rooms_of_the_library_have_a_file_of_one_name():
    files = [path for path in (PROJECT_ROOT / "course_lib").glob("*/*.py") if path.parent.name != "course"]
    names = Counter(path.name for path in files if path.name != "__init__.py")
    assert {name: count for name, count in names.items() if count > 1} == {}


def test_a_file_over_400_lines_is_two_ideas():
    files = [path for room in ("course_lib", "tests") for path in (PROJECT_ROOT / room).rglob("*.*")]
    lengths = {
        str(path.relative_to(PROJECT_ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in files
        if path.suffix in (".py", ".js", ".css")
    }
    assert len(lengths) > 500
    assert {name: length for name, length in lengths.items() if length > 400} == {}
