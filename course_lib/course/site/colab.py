"""Copies of the notebooks for Colab: the learner's copy below one cell that installs the course at a commit."""

from __future__ import annotations

from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from course_lib.course.exercises.learner import learner_copy, solved_notebooks, write_notebook
from course_lib.course.site.address import Repository

# Ranges, not pins: Colab's own torch and numpy stay where they fit. Without JupyterLab, which Colab is instead of.
EXTRAS = "series,track,search,serve,ecg"
BESIDE = ("mir_eval", "nbclient", "nbformat", "nbdime", "ipywidgets")


def setup_cell(repository: Repository, commit: str) -> str:
    """The source of the cell: the checkout at the commit, which has the recorded tables, and the library from it."""
    return "\n".join(
        [
            "# Run this first: it installs the course (a minute or two). Recordings are optional; see the last line.",
            "import os, subprocess, sys",
            "",
            'if not os.path.isdir("/tmp/course"):',
            f'    subprocess.run(["git", "clone", "-q", "{repository.page}", "/tmp/course"], check=True)',
            f'    subprocess.run(["git", "-C", "/tmp/course", "checkout", "-q", "{commit}"], check=True)',
            '    pip = [sys.executable, "-m", "pip", "install", "-q"]',
            f'    subprocess.run([*pip, "-e", "/tmp/course[{EXTRAS}]", *{list(BESIDE)}], check=True)',
            'sys.path.insert(0, "/tmp/course")',
            'os.chdir("/tmp/course/notebooks")',
            "# !python -m course_lib data fetch esc10  # 40 MB of recordings, in place of generated sound",
        ]
    )


def colab_copy(path: Path, repository: Repository, commit: str) -> NotebookNode:
    """The learner's copy of the solved notebook at `path`, with the set-up cell before everything else."""
    copy = learner_copy(path)
    copy.cells.insert(0, new_code_cell(setup_cell(repository, commit), id="colab-setup"))
    copy.metadata["colab"] = {"name": path.name}
    return copy


def write_copies(folder: Path, repository: Repository, commit: str) -> list[Path]:
    """A copy of every notebook in `folder`, and a page that says what they are."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for path in solved_notebooks():
        write_notebook(folder / path.name, colab_copy(path, repository, commit), over=True)
        written.append(folder / path.name)
    text = f"Copies for Colab, written by the book's workflow from commit {commit} of {repository.page}.\n"
    (folder / "README.md").write_text(text, encoding="utf-8")
    return written
