"""Slicing a notebook: what a function needs, and nothing else."""

import json

import pytest

from course_lib.course.workbook.cells import Cell, NotANotebook, program_of, read_program

CELLS = (
    "import numpy as np\nfrom math import *\n%matplotlib inline\nimport torch",
    "rate = 2\nslow = train_for_hours()",
    "def helper(x):\n    return np.sqrt(x) * rate\n\nx = slow + 1",
    "rate = rate + 1\nhelper.rate = 5\ntorch.equal = None",
    "@helper\ndef answer(x):\n    x = helper(x)\n    return x\n\ncheck.answer(answer)",
    "rate = 'later'",
)


@pytest.fixture
def program():
    return program_of([Cell(f"c{n}", source, "") for n, source in enumerate(CELLS)])


def test_a_function_brings_what_it_uses_and_no_more(program):
    answer, place = program.answers()["answer"]
    assert [statement.source for statement in program.needed(answer, place)] == [
        "import numpy as np",
        "from math import *",
        "rate = 2",
        "def helper(x):\n    return np.sqrt(x) * rate",
        "rate = rate + 1",
        "helper.rate = 5",
        "@helper\ndef answer(x):\n    x = helper(x)\n    return x",
    ]


def test_a_local_name_is_not_the_notebooks(program):
    answer, place = program.answers()["answer"]
    assert not any("slow" in statement.source for statement in program.needed(answer, place))


def test_the_last_definition_before_the_check_counts():
    program = program_of([Cell("a", "def f(): return 1\ndef f(): return 2\ncheck.f(f)\ndef f(): return 3", "")])
    assert [statement.source for statement in program.needed(*program.answers()["f"])] == ["def f(): return 2"]


def test_a_cell_that_python_cannot_read_is_told_with_its_line():
    program = program_of([Cell("a", "x = 1", ""), Cell("b", "y = 2\ndef f(:\n    pass", ""), Cell("c", "return 1", "")])
    assert [statement.source for statement in program.statements] == ["x = 1"]
    assert program.broken["b"] == "SyntaxError: invalid syntax, line 2 of its cell" and "c" in program.broken


def test_magics_are_kept_apart():
    program = program_of([Cell("a", "!ls\nif True:\n    %time x = 1\nnp.sum?", ""), Cell("b", "%%bash\nrm x", "")])
    assert program.shell == {"a": ["!ls", "    %time x = 1", "np.sum?"], "b": ["%%bash", "rm x"]}
    assert len(program.statements) == 3


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{}", b'{"cells": 3}', b'{"cells": [{}]}', b"[" * 100_000])
def test_what_is_no_notebook_is_refused(content, tmp_path):
    (tmp_path / "x.ipynb").write_bytes(content)
    with pytest.raises(NotANotebook, match="no notebook"):
        read_program(tmp_path / "x.ipynb")


def test_outputs_are_what_cells_said(tmp_path):
    outputs = [{"output_type": "stream", "text": ["rms: ", "passed\n"]}, {"output_type": "display_data", "data": {}}]
    cells = [{"cell_type": "code", "source": ["x = 1\n", "y = 2"], "outputs": outputs}, {"cell_type": "markdown"}]
    (tmp_path / "x.ipynb").write_text(json.dumps({"cells": cells}))
    (cell,) = read_program(tmp_path / "x.ipynb").cells
    assert cell == Cell("0", "x = 1\ny = 2", "rms: passed\n")
