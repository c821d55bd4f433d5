"""What is kept of a learner's checks, through damage, several kernels and full disks."""

import json
import os
import subprocess
import sys

import pytest

from course_lib.course.exercises import check, progress


class TestProgress:
    def test_what_was_passed_stays_passed(self, double):
        check.double_it(lambda x: x)
        assert progress.read()["double_it"]["passed"] is False
        check.double_it(lambda x: 2 * x)
        check.double_it(lambda x: x)
        entry = progress.read()["double_it"]
        assert entry["passed"] is True and entry["attempts"] == 3

    def test_blank_is_no_attempt(self, double):
        def blank(x):
            raise NotImplementedError

        check.double_it(blank)
        assert not progress.progress_file().exists()

    def test_solution_is_nobodys_progress(self, double):
        def solved(x):
            ### BEGIN SOLUTION
            return 2 * x
            ### END SOLUTION

        check.double_it(solved)
        assert progress.read() == {}

    @pytest.mark.parametrize(
        "content", ["", "{", "[1, 2]", '{"double_it": 3}', '{"double_it": {"attempts": "many"}}', "\x00"]
    )
    def test_damaged_file_is_kept_beside_a_new_one(self, double, content):
        folder = progress.progress_file().parent
        folder.mkdir()
        progress.progress_file().write_text(content)
        check.double_it(lambda x: 2 * x)
        assert json.loads(progress.progress_file().read_text())["double_it"]["passed"] is True
        kept = [path.read_text() for path in folder.glob("progress-damaged-*.json")]
        assert kept == [content] or (kept == [] and isinstance(json.loads(content)["double_it"], dict))

    def test_damage_again_and_again_keeps_every_file(self, double):
        folder = progress.progress_file().parent
        folder.mkdir()
        for content in (b"{", b"\xff\xfe", b"[" * 100_000):
            progress.progress_file().write_bytes(content)
            check.double_it(lambda x: 2 * x)
        assert sorted(path.read_bytes()[:2] for path in folder.glob("progress-damaged-*")) == [b"[[", b"{", b"\xff\xfe"]

    def test_what_can_be_read_of_a_damaged_file_goes_on(self, double):
        check.double_it(lambda x: 2 * x)
        entries = json.loads(progress.progress_file().read_text()) | {"another": 3}
        progress.progress_file().write_text(json.dumps(entries))
        assert list(progress.read()) == ["double_it"]
        check.double_it(lambda x: x)
        assert progress.read()["double_it"]["passed"] is True and progress.read()["double_it"]["attempts"] == 2

    def test_kernels_at_once_lose_no_entry(self, tmp_path):
        code = "import sys; from course_lib.course.exercises import progress\n"
        code += "for i in range(20): progress.record(f'{sys.argv[1]}-{i}', 'passed'); progress.record('both', 'hint')"
        kernels = [subprocess.Popen([sys.executable, "-c", code, str(number)]) for number in range(3)]
        assert [kernel.wait(60) for kernel in kernels] == [0, 0, 0]
        entries = progress.read()
        assert len(entries) == 61 and entries["both"]["attempts"] == 60

    def test_folder_that_cannot_be_written_is_no_error(self, double, tmp_path, monkeypatch, capsys):
        (tmp_path / "file").write_text("in the way")
        monkeypatch.setenv("COURSE_WORK", str(tmp_path / "file" / "work"))
        check.double_it(lambda x: 2 * x)
        assert capsys.readouterr().out == "double_it: passed\n"

    def test_failed_write_leaves_the_old_file(self, double, monkeypatch):
        check.double_it(lambda x: 2 * x)
        before = progress.progress_file().read_text()

        def full(*args):
            raise OSError("No space left on device")

        monkeypatch.setattr(os, "replace", full)
        check.double_it(lambda x: x)
        assert progress.progress_file().read_text() == before
        names = {path.name for path in progress.progress_file().parent.iterdir()}
        assert names - {".progress.lock"} == {"progress.json"}
