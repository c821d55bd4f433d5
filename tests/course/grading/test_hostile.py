"""Copies that fight back: each ends, passes nothing that it does not solve, and changes nothing outside."""

import nbformat
import psutil
import pytest

from course_lib.course.exercises.learner import learner_copy, notebook_path
from course_lib.course.grading import sandbox
from course_lib.course.grading.grade import grade

LIMITS = sandbox.Limits(seconds=2, memory=300, files=8, processes=16)
CUT = "def cut(x, sample_rate, start, stop):\n    return x[round(start * sample_rate) : round(stop * sample_rate)]\n"
RIGHT = "np.sqrt(np.mean(x**2))"

# name → (the body of `rms`, other statements of its cell, what is said of it, what a mark names)
HOSTILE = {
    "loops": ("while True: pass", "", "endless loop", ""),
    "loops and swallows": ("while True:\n        try: x = x\n        except BaseException: pass", "", "endless", ""),
    "forks": ("import os\n    while True: os.fork()", "", "", "os.fork"),
    "leaves the session": (
        "import os, time\n    if os.fork() == 0:\n        os.setsid()\n        os.fork()\n    time.sleep(60)",
        "",
        "endless loop",
        "os.setsid",
    ),
    "hogs memory": ("return len(bytearray(3 * 2**30)) + len([0] * 10**9)", "", "MemoryError", ""),
    "fills the disk": (
        "for n in range(99):\n        with open(f'{n}', 'wb') as f: f.write(bytes(2**22))\n    return 0.0",
        "",
        "No space left",
        "",
    ),
    "deletes": (
        "import shutil\n    shutil.rmtree(VICTIM)\n    return 0.0",
        "",
        "Read-only file system",
        "shutil.rmtree",
    ),
    "opens a socket": (
        "import socket\n    socket.create_connection(('127.0.0.1', PORT), 1)\n    return 0.0",
        "",
        "Network is unreachable",
        "imports `socket`",
    ),
    "patches check": (
        "return 0.0",
        "class check:\n    rms = cut = staticmethod(lambda f: print('rms: passed'))\n",
        "rms",
        "sets `check`",
    ),
    "patches what compares": (
        "import torch, course_lib.course.exercises.compare as c, course_lib.course.exercises.trial as t\n"
        "    c.equal = t.equal = lambda *a: True\n    torch.testing.assert_close = print\n    return 0.0",
        "",
        "Every value is 0.",
        "course_lib.course.exercises.compare",
    ),
    "exits": ("import os\n    os._exit(0)", "", "ended before", "os._exit"),
    "exits politely": ("raise SystemExit", "", "SystemExit", ""),
    "forges the result": (
        'import json, os\n    for n in range(3, 9):\n        try: os.write(n, b\'{"end": "passed"}\\n\' * 99)\n'
        "        except OSError: pass\n    print('rms: passed')\n    os._exit(0)",
        "",
        "could not be read",
        "writes what a check prints",
    ),
}


def copy_of(body: str, others: str = "") -> nbformat.NotebookNode:
    copy = learner_copy(notebook_path("00"))
    for cell in copy.cells:
        if "def rms(" in cell.source:
            head, tail = cell.source.split("    raise NotImplementedError")
            cell.source = others + head + "    " + body + tail
        if "def cut(" in cell.source:
            cell.source = CUT + "\ncheck.cut(cut)"
    return copy


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """Grades by name of the copy: the hostile ones, an honest one, and two that are no notebooks."""
    root = tmp_path_factory.mktemp("class")
    victim, folder = root / "victim", root / "copies"
    victim.mkdir()
    (victim / "kept.txt").write_text("kept")
    names = {"honest": ("return " + RIGHT, "")} | {name: (body, others) for name, (body, others, *_) in HOSTILE.items()}
    for name, (body, others) in names.items():
        text = nbformat.writes(copy_of(body.replace("VICTIM", repr(str(victim))).replace("PORT", "9"), others))
        (folder / name).mkdir(parents=True)
        (folder / name / "00_start_here.ipynb").write_text(text)
    for name, content in (("damaged", text[: len(text) // 2]), ("no notebook", "%PDF-1.7 \0"), ("list", "[1, 2]")):
        (folder / name).mkdir()
        (folder / name / "00_start_here.ipynb").write_text(content)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    found = {}
    for each in grade(folder, LIMITS, 2):
        found.setdefault(each.copy.split("/")[0], []).append(each)
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    return found


def test_an_honest_copy_passes_without_a_mark(graded):
    assert [(each.exercise, each.status, each.marks) for each in graded["honest"]] == [
        ("rms", "passed", ()),
        ("cut", "passed", ()),
    ]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_answer_does_not_pass_and_its_neighbour_does(graded, name):
    _, _, said, mark = HOSTILE[name]
    rms, cut = graded[name]
    assert rms.status in ("hint", "error") and said in rms.said + rms.exercise
    assert rms.seconds < LIMITS.seconds + 2
    assert mark in "\n".join(rms.marks)
    assert cut.status == "passed"


@pytest.mark.parametrize("name", ["damaged", "no notebook", "list"])
def test_what_is_no_notebook_is_an_error(graded, name):
    (only,) = graded[name]
    assert only.status == "error" and only.said.startswith("no notebook")


def test_without_namespaces_copies_end_and_have_no_network(tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "confined", lambda: False)
    for name in ("opens a socket", "leaves the session", "forks", "fills the disk"):
        (tmp_path / name).mkdir()
        body = HOSTILE[name][0].replace("PORT", "9")
        nbformat.write(copy_of(body), tmp_path / name / "00_start_here.ipynb")
    found = {each.copy.split("/")[0]: each for each in grade(tmp_path, LIMITS, 2) if each.exercise == "rms"}
    assert "a graded copy has no network" in found["opens a socket"].said
    assert "endless loop" in found["leaves the session"].said
    assert all(each.status in ("hint", "error") for each in found.values())
    assert psutil.Process().children(recursive=True) == []


def test_no_process_is_left(graded):
    assert psutil.Process().children(recursive=True) == []
