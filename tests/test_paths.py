"""Where things live: the variables win, then the checkout, then the user's own folders."""

from pathlib import Path

import pytest

from course_lib import paths


@pytest.fixture
def no_variables(monkeypatch):
    for variable in ("COURSE_DATA", "COURSE_CACHE", "COURSE_WORK"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def no_checkout(tmp_path, monkeypatch):
    """The library as an installed package, and a home folder of this test's own."""
    monkeypatch.setattr(paths, "PROJECT_ROOT", tmp_path / "site-packages")
    for variable in ("HOME", "USERPROFILE", "LOCALAPPDATA", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    return tmp_path / "home"


FOLDERS = [
    ("COURSE_CACHE", paths.cache_dir),
    ("COURSE_WORK", paths.work_dir),
    ("COURSE_DATA", lambda: paths.data_roots()[0]),
]


def test_in_a_checkout_everything_stays_in_it(no_variables):
    assert paths.in_checkout()
    for folder in (paths.cache_dir(), paths.work_dir(), paths.runs_dir(), *paths.data_roots()):
        assert folder.is_relative_to(paths.PROJECT_ROOT)


def test_without_a_checkout_nothing_is_written_beside_the_package(no_variables, no_checkout, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not paths.in_checkout()
    for folder in (paths.cache_dir(), paths.work_dir(), *paths.data_roots()):
        assert folder.is_relative_to(no_checkout) and "course-lib" in folder.parts
    assert paths.runs_dir() == tmp_path / "runs"


@pytest.mark.parametrize(("variable", "folder"), FOLDERS, ids=[variable for variable, _ in FOLDERS])
@pytest.mark.parametrize("checkout", [True, False])
def test_variables_win(variable, folder, checkout, request, monkeypatch):
    if not checkout:
        request.getfixturevalue("no_checkout")
    monkeypatch.setenv(variable, "~/mine")
    assert folder() == Path("~/mine").expanduser()
    monkeypatch.setenv(variable, "")
    assert folder() != Path("")
