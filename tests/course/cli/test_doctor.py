"""`doctor`: what is ok, what is a note, what is a problem."""

import os
import sys

import psutil
import pytest

from course_lib.__main__ import main
from course_lib.course.cli import doctor


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "nothing here"))


def test_healthy_machine(capsys):
    code = main(["doctor"])
    out = capsys.readouterr().out
    assert ("problem" in out) == (code == 1)
    for subject in ("Python", "packages", "device", "cores", "memory", "disk", "folder", "data"):
        assert f" {subject} " in out
    assert "esc10 is not here" in out and "data fetch esc10" in out


def test_missing_package_is_a_problem_and_a_different_one_a_note(tmp_path, monkeypatch, capsys):
    (tmp_path / "requirements.txt").write_text("numpy==0.0.1\nno-such-package==1.0\nno-such-tool==1.0\n# torch==9\n")
    tables = '[project.optional-dependencies]\nbook = ["no-such-tool>=1,<2"]\ndev = ["course-lib[book]"]\n'
    (tmp_path / "pyproject.toml").write_text(tables)
    monkeypatch.setattr(doctor, "PROJECT_ROOT", tmp_path)
    missing, other, unused = doctor.packages()
    assert unused.state == "note" and "no-such-tool" in unused.text and "no-such-tool" not in missing.text
    assert missing.state == "problem" and "no-such-package" in missing.text and "pip install" in missing.text
    assert other.state == "note" and "numpy" in other.text and "tested with 0.0.1" in other.text


@pytest.mark.parametrize(("version", "state"), [((3, 10, 4), "problem"), ((3, 14, 9), "ok"), ((3, 15, 0), "problem")])
def test_python_that_is_too_old_or_too_new(monkeypatch, version, state):
    monkeypatch.setattr(sys, "version_info", version)
    finding = next(doctor.python())
    assert finding.state == state and ("<3.15" in finding.text) == (state == "problem")


def test_without_a_checkout_the_package_says_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.setattr("course_lib.paths.PROJECT_ROOT", tmp_path)
    wanted = ["numpy<3,>=2", "no-such-package>=1", 'aeon; extra == "series"']
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda name: wanted)
    (missing,) = doctor.packages()
    assert missing.state == "problem" and missing.text == (
        "missing: no-such-package; python -m pip install no-such-package"
    )
    assert next(doctor.checkout()).state == "note"


def test_little_memory_and_a_full_disk(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: (4 * 2**30, 2**30))
    assert next(doctor.memory()).state == "note"
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 2**30}))
    assert next(doctor.disk()).state == "problem"


def test_question_that_fails_is_a_problem_and_the_others_are_asked(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "cores", lambda: 1 / 0)
    monkeypatch.setattr(doctor, "memory", lambda: iter([doctor.Finding("memory", "ok", "plenty")]))
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "ZeroDivisionError" in out and "plenty" in out


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_folder_that_cannot_be_written(tmp_path, monkeypatch):
    tmp_path.chmod(0o500)
    states = [finding.state for finding in doctor.folders()]
    tmp_path.chmod(0o700)
    assert states == ["problem", "problem"]
