"""Copies for Colab: the learner's, below a cell that installs the course at one commit."""

import ast
import json

from course_lib.course.exercises.learner import BEGIN, learner_copy, notebook_path, solved_notebooks
from course_lib.course.site.address import Repository
from course_lib.course.site.colab import colab_copy, setup_cell, write_copies

HOME, COMMIT = Repository("ada", "signals"), "0123456789abcdef0123456789abcdef01234567"


def test_one_cell_comes_before_the_learners_copy():
    first, *rest = colab_copy(notebook_path("05"), HOME, COMMIT).cells
    assert rest == learner_copy(notebook_path("05")).cells
    assert HOME.page in first.source and COMMIT in first.source


def test_the_cell_is_python_and_pins_neither_torch_nor_numpy():
    source = setup_cell(HOME, COMMIT)
    ast.parse(source)
    assert "torch" not in source and "numpy" not in source and "==" not in source


def test_all_notebooks_are_written_and_carry_no_solution(tmp_path):
    written = write_copies(tmp_path / "copies", HOME, COMMIT)
    assert [path.name for path in written] == [path.name for path in solved_notebooks()]
    for path in written:
        text = path.read_text(encoding="utf-8")
        assert BEGIN not in text and json.loads(text)["cells"][0]["id"] == "colab-setup"
