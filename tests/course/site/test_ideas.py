"""The order of ideas: none is used before a notebook has introduced it, and what the code imports is declared."""

import nbformat
import pytest

from course_lib.course.exercises.learner import solved_notebooks
from course_lib.course.site.front import head
from course_lib.course.site.ideas import Declared, all_ideas, declared, faults, library_ideas, shortest_path
from course_lib.paths import PROJECT_ROOT

NOTEBOOKS = {path.name[:2]: nbformat.read(path, as_version=4) for path in solved_notebooks()}


def test_no_idea_is_used_before_it_is_introduced():
    assert faults({number: declared(notebook) for number, notebook in NOTEBOOKS.items()}) == []


@pytest.mark.parametrize("number", NOTEBOOKS)
def test_ideas_of_the_modules_that_the_code_imports_are_declared(number):
    if "ideas" not in NOTEBOOKS[number].metadata:
        pytest.skip("declares no ideas yet")
    said = declared(NOTEBOOKS[number])
    names = {*said.introduces, *said.uses, *said.borrows}
    missing = [sorted(ideas) for ideas in library_ideas(NOTEBOOKS[number]) if not ideas & names]
    assert not missing, f"notebook {number} imports a module of one of {missing}: introduces, uses or borrows?"


def test_every_idea_says_something_and_its_modules_exist():
    for name, idea in all_ideas().items():
        assert 6 <= len(idea.says.split()) <= 40 and idea.says.endswith("."), name
        for module in idea.library:
            assert (PROJECT_ROOT / "course_lib" / f"{module.replace('.', '/')}.py").exists(), module


class TestFaults:
    TABLE = {
        "01": Declared(introduces=("RMS",), uses=("decibel",)),
        "02": Declared(introduces=("decibel", "RMS"), borrows=("RMS",)),
    }

    def test_each_kind_is_named(self):
        found = faults(self.TABLE)
        assert "01 uses decibel, which comes in 02" in found
        assert any("RMS" in line and "introduces" in line for line in found)
        assert "02 borrows RMS, which 02 has introduced: it uses it" in found
        assert "02 names RMS twice" in found
        assert "no notebook introduces attention" in found

    @pytest.mark.parametrize("ideas", [{"intoduces": ["RMS"]}, {"uses": ["RMSS"]}])
    def test_a_word_that_is_none_is_refused(self, ideas):
        notebook = nbformat.v4.new_notebook(metadata={"ideas": ideas})
        with pytest.raises(ValueError, match="metadata ideas"):
            declared(notebook)


class TestShortestPath:
    TABLE = {
        "01": Declared(introduces=("RMS",)),
        "02": Declared(introduces=("decibel",)),
        "03": Declared(introduces=("attention",), uses=("RMS",)),
        "04": Declared(introduces=("mask",), uses=("attention",)),
    }

    def test_only_what_is_needed_and_what_that_needs(self):
        assert shortest_path("04", self.TABLE) == ["01", "03"]
        assert shortest_path("02", self.TABLE) == []

    def test_a_page_names_it_and_links_what_the_book_holds(self):
        text = head("04", {"01": "01_a", "04": "04_d"}, self.TABLE, None)
        assert "**Shortest path here:** [01](01_a.ipynb) → 03 → 04" in text
        assert "**Uses:** attention (03)" in text
