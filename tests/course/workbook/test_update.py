"""A newer version of a notebook comes into a learner's copy: no cell is lost, and no half file is left."""

import os

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course_lib.course.exercises.learner import write_learner_copy, write_notebook
from course_lib.course.workbook.update import is_behind, update

TASK = '''def double(x):
    """old words"""
    n = 1
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION


check.double(double)'''
ANSWER = "    return x + x"


@pytest.fixture
def course(tmp_path, monkeypatch):
    """The course's notebook of four cells, of which a learner has a copy."""
    monkeypatch.setenv("COURSE_WORK", str(tmp_path / "work"))
    path = tmp_path / "02_doubling.ipynb"
    cells = [
        new_markdown_cell("# Title", id="title"),
        new_code_cell("x = 1", id="setup"),
        new_code_cell(TASK, id="task"),
        new_markdown_cell("The end", id="end"),
    ]
    nbformat.write(new_notebook(cells=cells), path)
    write_learner_copy(path)
    return path


def change(path, **sources):
    """Change cells by id; None takes one out, and a name that is new comes before the last."""
    notebook = nbformat.read(path, as_version=4)
    for name, source in sources.items():
        there = [cell for cell in notebook.cells if cell.id == name]
        if source is None:
            notebook.cells.remove(there[0])
        elif there:
            there[0].source = source(there[0].source) if callable(source) else source
        else:
            notebook.cells.insert(len(notebook.cells) - 1, new_code_cell(source, id=name))
    nbformat.write(notebook, path)


def copy_of(path):
    return path.parent / "work" / path.name


def base_of(path):
    """What the copy was made from."""
    (base,) = (path.parent / "work" / ".base").iterdir()
    return base


def sources(path):
    return {cell.id: cell.source for cell in nbformat.read(copy_of(path), as_version=4).cells}


def answered(source):
    return source.replace("    raise NotImplementedError", ANSWER)


def test_a_fresh_copy_is_up_to_date_and_names_its_version(course):
    assert is_behind(course) is False and update(course).state == "up to date"
    made = nbformat.read(copy_of(course), as_version=4).metadata.course
    assert set(made) == {"version", "made_from"} and base_of(course).exists()


def test_what_only_one_side_changed_comes_or_stays(course):
    change(copy_of(course), setup="x = 2", own="my_own = 3", task=answered)
    change(course, title="# New title", added="y = 4", end=None)
    assert is_behind(course) is True
    done = update(course)
    assert (done.state, done.twice) == ("updated", ())
    assert list(sources(course)) == ["title", "setup", "task", "added", "own"]
    assert sources(course)["title"] == "# New title" and sources(course)["setup"] == "x = 2"
    assert ANSWER in sources(course)["task"] and sources(course)["own"] == "my_own = 3"
    assert is_behind(course) is False and update(course).state == "up to date"


def test_lines_of_one_cell_are_merged(course):
    change(copy_of(course), task=answered)
    change(course, task=TASK.replace("old words", "new words"))
    assert update(course).twice == ()
    assert ANSWER in sources(course)["task"] and "new words" in sources(course)["task"]


def test_a_conflict_keeps_both_the_learners_last(course):
    change(copy_of(course), setup="x = 'mine'")
    change(course, setup="x = 'new'")
    assert update(course).twice == ("setup",)
    notebook = nbformat.read(copy_of(course), as_version=4)
    assert [cell.source for cell in notebook.cells[1:3]] == ["x = 'new'", "x = 'mine'"]
    assert notebook.cells[1].metadata.tags == ["course-update"] and notebook.cells[2].id == "setup"
    nbformat.validate(notebook)


def test_a_second_conflict_in_the_same_cell_loses_neither(course):
    change(copy_of(course), setup="x = 'mine'")
    for value in ("new", "newer"):
        change(course, setup=f"x = '{value}'")
        update(course)
    said = [cell.source for cell in nbformat.read(copy_of(course), as_version=4).cells]
    assert "x = 'mine'" in said and "x = 'newer'" in said
    nbformat.validate(nbformat.read(copy_of(course), as_version=4))


def test_outputs_stay_where_the_source_does(course):
    notebook = nbformat.read(copy_of(course), as_version=4)
    notebook.cells[1].outputs = [new_output("stream", text="kept")]
    nbformat.write(notebook, copy_of(course))
    change(course, title="# New")
    update(course)
    assert nbformat.read(copy_of(course), as_version=4).cells[1].outputs[0].text == "kept"


def test_a_cell_that_the_learner_deleted_stays_away_unless_it_changed(course):
    change(copy_of(course), title=None, setup=None)
    change(course, setup="x = 'new'", end="The very end")
    update(course)
    assert "title" not in sources(course) and sources(course)["setup"] == "x = 'new'"


def test_a_cell_that_the_course_gave_up_stays_where_the_learner_changed_it(course):
    change(copy_of(course), setup="x = 'mine'")
    change(course, setup=None)
    update(course)
    assert sources(course)["setup"] == "x = 'mine'"


@pytest.mark.parametrize("base", [None, "{", "other"])
def test_without_its_base_a_copy_keeps_all_cells(course, base):
    if base is None:
        base_of(course).unlink()
    elif base == "other":
        nbformat.write(new_notebook(), base_of(course))
    else:
        base_of(course).write_text(base)
    change(copy_of(course), task=answered)
    change(course, title="# New title")
    done = update(course)
    assert set(done.twice) == {"title", "task"}
    said = "\n".join(sources(course).values())
    assert "# Title" in said and "# New title" in said and ANSWER in said


def test_a_full_disk_leaves_the_old_copy(course, monkeypatch):
    change(copy_of(course), setup="x = 'mine'")
    change(course, title="# New title")
    before = copy_of(course).read_bytes()

    def full(*args):
        raise OSError(28, "No space left on device")

    for step in ("fsync", "replace"):
        with monkeypatch.context() as patched:
            patched.setattr(os, step, full)
            with pytest.raises(OSError, match="No space left"):
                update(course)
        assert copy_of(course).read_bytes() == before
    assert update(course).state == "updated"


def test_an_update_that_was_cut_short_can_be_repeated(course, monkeypatch):
    """Between what the new copy is made from and the copy itself the process is killed."""
    change(copy_of(course), setup="x = 'mine'")
    change(course, title="# New title")
    base = base_of(course)

    def killed(path, *args, **options):
        if path == copy_of(course):
            raise KeyboardInterrupt
        write_notebook(path, *args, **options)

    with monkeypatch.context() as patched:
        patched.setattr("course_lib.course.workbook.update.write_notebook", killed)
        with pytest.raises(KeyboardInterrupt):
            update(course)
    assert base.exists() and sources(course)["title"] == "# Title"
    update(course)
    assert list(sources(course).values())[:2] == ["# New title", "x = 'mine'"]
    assert base_of(course).exists()


def test_a_copy_that_is_no_notebook_is_left_alone(course):
    copy_of(course).write_text("{")
    change(course, title="# New")
    with pytest.raises(ValueError, match="02_doubling.ipynb is no notebook"):
        update(course)
    assert copy_of(course).read_text() == "{"
