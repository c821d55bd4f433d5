"""Grading: results travel as they are, marks name what a copy does, tables hold what was found."""

import csv
import io

import nbformat
import numpy as np
import pytest
import torch

from course_lib.__main__ import main
from course_lib.course.exercises.compare import equal
from course_lib.course.exercises.learner import learner_copy, notebook_path
from course_lib.course.grading import wire
from course_lib.course.grading.grade import Grade, answer_apart, copies, paper
from course_lib.course.grading.marks import marks
from course_lib.course.grading.report import as_csv, as_html
from course_lib.course.workbook.cells import Cell, program_of


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        float("nan"),
        2 - 1j,
        "text",
        (1, [2.0, {"a": torch.ones(2, 3)}]),
        torch.arange(6.0).reshape(2, 3).mT,
        torch.tensor([True, False]),
        torch.ones(2, dtype=torch.bfloat16),
        torch.tensor([0.5, -1.0, 2.0], requires_grad=True),
        torch.tensor([1 + 2j, -0.5j]).conj(),
        np.arange(6).reshape(2, 3)[:, ::-1],
        np.float32(1.5),
        np.array(["a", "bc"]),
        torch.empty(0, 3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_result_comes_out_as_it_went_in(value):
    came = wire.load(wire.dump(value))
    assert type(came) is type(value) and equal(came, value, 0.0, 0.0)
    assert getattr(came, "dtype", None) == getattr(value, "dtype", None)


def test_other_objects_come_out_as_their_description():
    assert repr(wire.load(wire.dump({1}))) == "set {1}"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[1]",
        '{"dict": 3}',
        '{"dtype": "O", "shape": [1], "data": ""}',
        '{"dtype": "<f4", "shape": [9], "data": "AA=="}',
        '{"tensor": "load", "dtype": "<f4", "shape": [0], "data": ""}',
    ],
)
def test_a_forged_line_is_refused(line):
    with pytest.raises(ValueError):
        wire.load(line)


def program(source):
    return program_of([Cell("own", source, "")])


@pytest.mark.parametrize(
    ("source", "mark"),
    [
        ("check = print", "sets `check`"),
        ("def check(): pass", "sets `check`"),
        ("from course_lib.course.exercises import exercises", "imports `course_lib.course.exercises.exercises`"),
        ("import course_lib as c\nc.course.exercises.exercises()", "uses `c.course.exercises"),
        ("import torch\ntorch.testing.assert_close = print", "changes `torch.testing.assert_close`"),
        ("import numpy as np\nsetattr(np, 'isclose', print)", "changes `setattr(np"),
        ("import sys\nsys.modules['torch'] = 1", "changes `sys.modules"),
        ("f.__code__ = g.__code__", "uses `f.__code__`"),
        ("eval('1')", "calls `eval`"),
        ("from os import _exit\n_exit(0)", "uses `os._exit`"),
        ("print('rms: passed')", "writes what a check prints"),
        ("open('../notebooks/00_start_here.ipynb')", "names a file of the course"),
        ("!curl example.org", "runs `!curl"),
    ],
)
def test_what_reaches_too_far_is_marked(source, mark):
    found = marks(program(source), program(""), ["rms", "cut"])
    assert any(line.startswith(mark) and line.endswith("(cell own)") for line in found), found
    assert marks(program(source), program(source), ["rms", "cut"]) == []


@pytest.mark.parametrize(
    "source",
    [
        "from course_lib.course import check, results",
        "import matplotlib.pyplot as plt\nplt.rcParams['font.size'] = 9",
        "import numpy as np\nx = np.zeros(3)\nx[0] = 1\nx.shape = (3, 1)",
        "import os\nos.environ['HOME']",
        "%matplotlib inline\nprint('all tests passed')",
    ],
)
def test_ordinary_code_is_not_marked(source):
    assert marks(program(source), program(""), ["rms", "cut"]) == []


def test_the_courses_own_copies_have_no_marks():
    own = learner_copy(notebook_path("00"))
    code = program_of([Cell(cell.id, cell.source, "") for cell in own.cells if cell.cell_type == "code"])
    assert marks(code, paper("00").course, ["rms", "cut"]) == []


def test_nothing_that_was_expected_goes_into_the_sandbox():
    asked = paper("00")
    expected = {id(trial.expected) for trial in asked.trials["rms"]}
    seen = []
    own = program_of([Cell("a", "def rms(x):\n    return record(x)", "")])
    answer, place = asked.course.answers()["rms"]
    answer_apart(asked, "rms", own, own.needed(answer, 1), answer, seen.append)
    assert asked.trials == {} and expected and all("came" in line or "error" in line for line in seen)


HOSTILE = Grade("<b>a</b>/00_x.ipynb", "00", "rms", "hint", "=1+1 <script>alert(1)</script>", 0.5, 0, ("sets `<i>`",))


def test_the_page_escapes_what_learners_wrote_and_loads_nothing():
    page = as_html([HOSTILE, Grade("list", "", "", "error", "no notebook", 0.0)], ["a note & more"])
    assert "<script" not in page and "<b>a" not in page and "<i>" not in page and "&lt;script&gt;" in page
    assert "http" not in page and "src=" not in page and "a note &amp; more" in page


def test_the_table_has_a_row_an_exercise_and_no_formula():
    (row,) = csv.DictReader(io.StringIO(as_csv([HOSTILE])))
    assert row["said"] == "'" + HOSTILE.said and row["status"] == "hint" and row["marks"] == "sets `<i>`"


def test_hidden_copies_are_left_out(tmp_path):
    for name in ("b/00_a.ipynb", "a.ipynb", ".ipynb_checkpoints/00_a.ipynb", "b/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert [path.relative_to(tmp_path).as_posix() for path in copies(tmp_path)] == ["a.ipynb", "b/00_a.ipynb"]


def test_the_command_grades_a_class(tmp_path, capsys):
    for name, solved in (("anna", True), ("bert", False)):
        path = notebook_path("00")
        notebook = nbformat.read(path, as_version=4) if solved else learner_copy(path)
        (tmp_path / name).mkdir()
        if not solved:
            said = nbformat.v4.new_output("stream", text="rms: passed")
            notebook.cells[-1] = nbformat.v4.new_code_cell("1", outputs=[said])
            (tmp_path / name / "progress.json").write_text('{"cut": {"hints": 2}, "rms": {"hints": "many"}}')
        nbformat.write(notebook, tmp_path / name / path.name)
    table, page = tmp_path / "grades.csv", tmp_path / "grades.html"
    assert main(["grade", str(tmp_path), "--out", str(table), str(page)]) == 0
    rows = list(csv.DictReader(table.open()))
    assert [(row["copy"][:4], row["exercise"], row["status"]) for row in rows] == [
        ("anna", "rms", "passed"),
        ("anna", "cut", "passed"),
        ("bert", "rms", "not attempted yet"),
        ("bert", "cut", "not attempted yet"),
    ]
    assert [row["hints"] for row in rows] == ["0", "0", "0", "2"]
    assert rows[2]["marks"] == "its output says that rms passed"
    assert "anna/00_start_here.ipynb" in page.read_text()
    assert "passed: 2." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "--out", "a.csv"], "there is no folder nowhere"),
        ([".", "--out", "a.txt"], "ends in .csv or .html"),
    ],
)
def test_a_wrong_command_says_so(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["grade", *arguments]) == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
