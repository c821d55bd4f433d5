"""README: notebooks that exist are linked, planned ones are not, links lead somewhere, pictures can be read."""

import re

import pytest

from course_lib.__main__ import build_parser
from course_lib.course.exercises.learner import solved_notebooks
from course_lib.course.syllabus import SYLLABUS
from course_lib.paths import PROJECT_ROOT

README = (PROJECT_ROOT / "README.md").read_text(encoding="utf-8")
LINKS = re.findall(r"\[([^\]]*)\]\(([^)]+)\)", README)
PICTURES = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", README)


@pytest.mark.parametrize("index", range(len(SYLLABUS)))
def test_map_links_the_notebooks_that_exist_and_names_the_planned_ones(index):
    exists = {path.name[:2]: path.name for path in solved_notebooks()}
    cells = [
        f"[{number} {topic}](notebooks/{exists[number]})" if number in exists else f"*{number} {topic}*"
        for number, topic in SYLLABUS[index].notebooks
    ]
    row = f"| {index} {SYLLABUS[index].title} | {' · '.join(cells)} |"
    assert row in README, f"README.md needs this line:\n{row}"


def test_links_inside_the_repository_lead_somewhere():
    for _, target in LINKS:
        assert target.startswith("https://") or (PROJECT_ROOT / target).exists(), target


def test_twelve_pictures_with_text_that_stands_in_for_them():
    assert len(PICTURES) == 12
    for text, target in PICTURES:
        assert len(text.split()) >= 15, target
        assert (PROJECT_ROOT / target).stat().st_size < 500_000


def test_pictures_are_attributed():
    assert "K. J. Piczak, CC BY 3.0" in README


def test_commands_exist():
    help_text = build_parser().format_help()
    for command in re.findall(r"-m course_lib (\w+)", README):
        assert re.search(rf"^    {command}\b", help_text, re.MULTILINE), command
