"""Every notebook: what its file promises, and that the learner's copy runs with nothing filled in."""

import ast
import re
import statistics

import nbformat
import pytest

from course_lib.course.cli.execute import execute
from course_lib.course.exercises.learner import BEGIN, END, blank, learner_copy, solved_notebooks
from course_lib.course.sources import is_held
from course_lib.course.syllabus import SYLLABUS
from tests.reached import reached

NOTEBOOKS = solved_notebooks()
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])


def code_cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


@every_notebook
def test_is_in_the_syllabus(path):
    assert path.name[:2] in {number for part in SYLLABUS for number, _ in part.notebooks}


@every_notebook
def test_file_is_valid_with_ids_and_the_common_kernel(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) >= (4, 5)
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    assert notebook.metadata.kernelspec.name == "python3"


@every_notebook
def test_outputs_are_stripped(path):
    for cell in code_cells(path):
        assert cell.outputs == [] and cell.execution_count is None, cell.id
    assert "widgets" not in nbformat.read(path, as_version=4).metadata


@every_notebook
def test_cells_are_short(path):
    lengths = [sum(bool(line.strip()) for line in cell.source.splitlines()) for cell in code_cells(path)]
    assert max(lengths) <= 30
    assert statistics.median(lengths) <= 8


@every_notebook
def test_asserts_something(path):
    trees = [ast.parse(cell.source) for cell in code_cells(path)]
    asserts = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    assert len(asserts) >= 3


@every_notebook
def test_solutions_pair_and_stand_inside_functions(path):
    marked = 0
    for cell in code_cells(path):
        blanked = blank(cell.source)  # raises where markers do not pair
        if BEGIN not in cell.source:
            continue
        marked += 1
        lines = cell.source.splitlines()
        functions = [n for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.FunctionDef)]
        for number, line in enumerate(lines, start=1):
            if line.strip() in (BEGIN, END):
                # A comment that closes a body is no part of the syntax tree, hence the look at the line above it.
                near = number if line.strip() == BEGIN else number - 1
                assert any(f.lineno < near <= f.end_lineno for f in functions), f"{cell.id}: line {number}"
        ast.parse(blanked)
    assert 2 <= marked <= 8, "two to four exercises a notebook; an exercise may span two cells"


@pytest.mark.parametrize("path", [p for p in NOTEBOOKS if is_held(nbformat.read(p, 4))], ids=lambda path: path.stem)
def test_boxes_have_one_style_and_paragraphs_are_short(path):
    prose = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    number = str(int(path.name[:2]))
    for cell in prose:
        for line in cell.source.splitlines():
            if re.match(r"#+ Exercise", line):
                assert re.fullmatch(rf"### Exercise {number}\.\d: [A-Z].* \(\d+ minutes\)", line), line
            if "**Predict" in line:
                assert line.startswith("> **Predict.** "), line
        for paragraph in re.split(r"\n\n|\n(?=- )", cell.source):
            if not paragraph.startswith(("**References.**", "|")):
                assert len(paragraph.split()) <= 90, f"{cell.id}: {len(paragraph.split())} words"


@every_notebook
def test_every_predict_box_takes_an_answer_and_shows_what_came(path):
    cells = nbformat.read(path, as_version=4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    for at, cell in enumerate(cells):
        if cell.cell_type == "markdown" and "> **Predict.**" in cell.source:
            asked = re.search(r"(\w+) = predict\(\s*\"", "\n".join(after.source for after in cells[at + 1 : at + 3]))
            assert asked, f"{cell.id}: no cell `name = predict(...)` below the box"
            assert f"{asked[1]}.came(" in code, f"{cell.id}: {asked[1]}.came(...) shows the result"
    assert "predict(" not in code or "predict.recap()" in code


@every_notebook
def test_names_no_place_on_one_machine(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"""["'(`](/|[A-Z]:\\)(home|root|Users|work|tmp|mnt|data)\b""", text.replace('\\"', '"'))


@every_notebook
@pytest.mark.slow
def test_learner_copy_runs_with_nothing_filled_in(path, tmp_path, request):
    """Of its cells those run that a blank can reach; all of them (but for measurements) with `--whole-copies`."""
    copy = learner_copy(path)
    copy.metadata.kernelspec.name = request.config.option.nbmake_kernel or "python3"
    if request.config.option.whole_copies:
        copy.cells = [cell for cell in copy.cells if "measurement" not in cell.metadata.get("tags", [])]
    else:
        kept = reached(copy, nbformat.read(path, as_version=4))
        copy.cells = [cell for cell in copy.cells if cell.cell_type == "code" and cell.id in kept]
    environment = {"COURSE_CHECK": "", "COURSE_WORK": str(tmp_path)}
    execution = execute(copy, tmp_path, environment=environment)
    assert execution.ok, execution.error
    outputs = [output for cell in copy.cells if cell.cell_type == "code" for output in cell.outputs]
    assert all(output.output_type != "error" for output in outputs)
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    checks = re.findall(r"^check\.(\w+)\(", "\n".join(cell.source for cell in code_cells(path)), re.MULTILINE)
    assert checks
    for name in checks:
        assert f"{name}: not attempted yet" in printed
