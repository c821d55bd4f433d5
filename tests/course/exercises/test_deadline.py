"""A learner's endless loop comes to an end."""

import sys
import threading
import time

import pytest

from course_lib.course.exercises.deadline import OutOfTime, deadline


class TestDeadline:
    def test_python_loop_ends(self):
        with pytest.raises(OutOfTime), deadline(0.05):
            while True:
                pass

    def test_sleep_ends(self):
        began = time.monotonic()
        with pytest.raises(OutOfTime), deadline(0.05):
            time.sleep(5)
        assert time.monotonic() - began < 2

    def test_loop_in_another_thread_ends(self):
        caught = []

        def work():
            try:
                with deadline(0.05):
                    while True:
                        pass
            except OutOfTime:
                caught.append(True)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join(5)
        assert caught == [True]

    @pytest.mark.parametrize("in_a_thread", [False, True])
    def test_an_import_is_let_finish(self, tmp_path, monkeypatch, in_a_thread):
        """Cut off, `import sympy` left a package without its parts, and exports failed for the rest of the session."""
        name = f"slow_to_import_{in_a_thread}"
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("from . import part\nimport time\ntime.sleep(0.3)\nwhole = True\n")
        (tmp_path / name / "part.py").write_text("")
        monkeypatch.syspath_prepend(tmp_path)
        seen = []

        def work():
            try:
                with deadline(0.05):
                    package = __import__(name)
                    seen.append(package.whole)
                    while True:
                        pass
            except OutOfTime:
                seen.append("out of time")

        if in_a_thread:
            thread = threading.Thread(target=work)
            thread.start()
            thread.join(5)
        else:
            work()
        assert seen == [True, "out of time"] and hasattr(sys.modules[name], "part")

    def test_an_import_outside_the_block_is_none(self, tmp_path, monkeypatch):
        (tmp_path / "checks_itself.py").write_text(
            "from course_lib.course.exercises.deadline import OutOfTime, deadline\n"
            "try:\n"
            "    with deadline(0.05):\n"
            "        while True:\n"
            "            pass\n"
            "except OutOfTime:\n"
            "    ended = True\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        began = time.monotonic()
        assert __import__("checks_itself").ended and time.monotonic() - began < 3

    def test_in_time_is_in_time(self):
        with deadline(0.2):
            pass
        time.sleep(0.3)
