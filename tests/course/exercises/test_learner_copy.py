"""Learner copies: the solution is gone, everything else is as it was, and no file of a learner is written over."""

import os
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course_lib.course.exercises.learner import blank, learner_copy, notebook_path, write_learner_copy

SOLVED = '''def double(x):
    """x -> 2 x"""
    ### BEGIN SOLUTION
    y = x + x

    return y
    ### END SOLUTION


class Twice:
    def one(self):
        ### BEGIN SOLUTION
        return 1
        ### END SOLUTION

check.double(double)'''

BLANK = '''def double(x):
    """x -> 2 x"""
    raise NotImplementedError


class Twice:
    def one(self):
        raise NotImplementedError

check.double(double)'''


@pytest.fixture
def notebook(tmp_path):
    """A solved notebook with outputs, ids and a tag."""
    cells = [
        new_markdown_cell("# Title"),
        new_code_cell(SOLVED, execution_count=3, outputs=[new_output("stream", text="4")], metadata={"tags": ["keep"]}),
    ]
    path = tmp_path / "02_doubling.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "P"}}), path)
    return path


def test_solutions_become_blanks():
    assert blank(SOLVED) == BLANK


def test_source_without_markers_is_untouched():
    assert blank("x = 1\ny = 2") == "x = 1\ny = 2"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def f():\n    ### BEGIN SOLUTION\n    return 1", "without '### END"),
        ("def f():\n    return 1\n    ### END SOLUTION", "without '### BEGIN"),
        ("def f():\n    ### BEGIN SOLUTION\n    ### BEGIN SOLUTION\n    ### END SOLUTION", "twice"),
        ("### BEGIN SOLUTION\nx = 1\n### END SOLUTION", "outside a function"),
        ("def f():\n    return 1  ### BEGIN SOLUTION", "alone on its line"),
    ],
)
def test_markers_that_do_not_pair_are_refused(source, message):
    with pytest.raises(ValueError, match=message):
        blank(source)


def test_copy_keeps_ids_tags_and_kernel_and_drops_outputs(notebook):
    solved, copy = nbformat.read(notebook, as_version=4), learner_copy(notebook)
    assert [cell.id for cell in copy.cells] == [cell.id for cell in solved.cells]
    assert copy.metadata == solved.metadata and copy.cells[0] == solved.cells[0]
    code = copy.cells[1]
    assert code.source == BLANK and code.outputs == [] and code.execution_count is None
    assert code.metadata.tags == ["keep"]
    nbformat.validate(copy)


def test_broken_markers_name_notebook_and_cell(notebook):
    broken = nbformat.read(notebook, as_version=4)
    broken.cells[1].source = "    ### END SOLUTION"
    nbformat.write(broken, notebook)
    with pytest.raises(ValueError, match=f"02_doubling.ipynb, cell {broken.cells[1].id}"):
        learner_copy(notebook)


def test_learners_file_is_never_written_over(notebook):
    path, written = write_learner_copy(notebook)
    assert written and nbformat.read(path, as_version=4).cells[1].source == BLANK
    path.write_text("mine")
    assert write_learner_copy(notebook) == (path, False)
    assert path.read_text() == "mine"


def test_copy_is_whole_or_not_there(notebook, tmp_path, monkeypatch):
    """A full disk shows itself at the write, at the flush or at the rename; a kill leaves what stood there then."""

    def full(*args):
        raise OSError(28, "No space left on device")

    for step in ("fsync", "replace"):
        with monkeypatch.context() as patched:
            patched.setattr(os, step, full)
            with pytest.raises(OSError, match="No space left"):
                write_learner_copy(notebook)
        assert [path.name for path in (tmp_path / "work").rglob("*") if path.is_file()] == []
    code = "import os, sys, pathlib; from course_lib.course.exercises import learner\n"
    code += "os.replace = lambda *names: os._exit(9)\nlearner.write_learner_copy(pathlib.Path(sys.argv[1]))"
    assert subprocess.run([sys.executable, "-c", code, str(notebook)]).returncode == 9
    assert not (tmp_path / "work" / notebook.name).exists()
    path, written = write_learner_copy(notebook)
    assert written and list((tmp_path / "work").glob("*.ipynb")) == [path]
    assert len(list((tmp_path / "work" / ".base").iterdir())) == 1


def test_limit_on_the_size_of_files_leaves_no_half(notebook, tmp_path):
    resource = pytest.importorskip("resource")
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))  # noqa: E731
    code = "import signal, sys, pathlib; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    code += "from course_lib.course.exercises import learner; learner.write_learner_copy(pathlib.Path(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-Bc", code, str(notebook)], preexec_fn=limit, capture_output=True, text=True
    )
    assert done.returncode == 1 and "File too large" in done.stderr
    assert [path for path in (tmp_path / "work").rglob("*") if path.is_file()] == []


def test_link_of_the_learner_is_left_alone(notebook, tmp_path):
    target = tmp_path / "work" / notebook.name
    target.parent.mkdir()
    try:
        target.symlink_to(tmp_path / "nowhere.ipynb")
    except OSError:
        pytest.skip("this account may not make links")
    assert write_learner_copy(notebook) == (target, False)
    assert target.is_symlink()


def test_a_check_does_not_pay_for_reading_notebooks():
    """nbformat takes seconds to import; every kernel that runs a check would."""
    code = "import sys; from course_lib.course import check; check.rms; print('nbformat' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_broken_notebook_leaves_no_copy(notebook, tmp_path):
    broken = nbformat.read(notebook, as_version=4)
    broken.cells[1].source = "    ### END SOLUTION"
    nbformat.write(broken, notebook)
    with pytest.raises(ValueError):
        write_learner_copy(notebook)
    assert list((tmp_path / "work").glob("*")) == []


def test_number_with_and_without_zero(monkeypatch, notebook):
    monkeypatch.setattr("course_lib.course.exercises.learner.NOTEBOOKS", notebook.parent)
    assert notebook_path("2") == notebook_path("02") == notebook
    with pytest.raises(FileNotFoundError, match="there is no notebook '7'; there are: 02"):
        notebook_path("7")
    with pytest.raises(FileNotFoundError):
        notebook_path("x")
