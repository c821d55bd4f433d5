"""Checks: what a learner reads for each thing that can go wrong, and what is kept of it."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from course_lib.course.exercises import CheckFailed, Hint, check, exercise, exercises, expect, progress, run_check


def hint_of(*args, **kwargs) -> str:
    with pytest.raises(Hint) as caught:
        expect(*args, **kwargs)
    return str(caught.value)


class TestExpect:
    @pytest.mark.parametrize(
        ("actual", "expected"),
        [
            (torch.tensor([1.0, 2.0]), [1, 2]),
            (np.float32(0.1), 0.1),
            (torch.ones(2, dtype=torch.bfloat16), np.ones(2)),
            (torch.ones(2, requires_grad=True), torch.ones(2)),
            ([float("nan"), 1.0], [float("nan"), 1.0]),
            (torch.tensor([1 + 2j]), np.array([1 + 2j])),
            ("dog", "dog"),
            (True, True),
        ],
    )
    def test_equal_values_of_any_kind_pass(self, actual, expected):
        expect(actual, expected)

    def test_shapes_are_both_named(self):
        assert hint_of(torch.zeros(2, 5), torch.zeros(5, 2)) == "the result has shape (2, 5), expected (5, 2)."

    def test_no_broadcasting(self):
        assert "shape (1,), expected ()" in hint_of(np.zeros(1), 0.0)

    def test_first_difference_is_located(self):
        message = hint_of([[1.0, 2.0], [3.0, 5.0]], [[1.0, 2.0], [3.0, 4.0]], what="the output")
        assert message == "the output has the right shape, but 1 of 4 values differ: [1, 1] is 5, expected 4."

    def test_difference_below_the_message_tolerance_is_still_told(self):
        assert "1 of 2 values differ" in hint_of([1.0, 2.0], [1.0, 2.000001], rtol=1e-9, atol=0)

    def test_none_and_nan_are_named(self):
        assert "`return` missing" in hint_of(None, 1.0)
        assert "NaN" in hint_of([np.nan, 1.0], [1.0, 1.0])

    def test_things_that_are_no_numbers(self):
        assert hint_of("cat", "dog") == "the result is 'cat' (str), expected 'dog'."
        assert "list" in hint_of([[1, 2], [3]], np.zeros(2))

    def test_known_mistake_comes_before_any_difference(self):
        mistakes = [(torch.zeros(3), "You returned the bias."), (torch.tensor([2.0]), "Twice.")]
        assert hint_of(torch.tensor([2.0]), torch.tensor([1.0]), mistakes=mistakes) == "Twice."
        assert hint_of(torch.zeros(3), torch.tensor([1.0]), mistakes=mistakes) == "You returned the bias."

    def test_mistake_that_gives_the_right_value_is_passed_over(self):
        expect(1.0, 1.0, mistakes=[(1.0, "never shown")])


@pytest.fixture
def double(monkeypatch):
    """An exercise of this test's own: `check.double_it(fn)` wants fn(3.0) == 6.0."""
    from course_lib.course.exercises import registry

    monkeypatch.setattr(registry, "_registered", dict(exercises()))

    @exercise(notebook="00", title="Twice", minutes=1)
    def double_it(fn):
        """double_it(x) -> 2 x"""
        expect(fn(3.0), 6.0, mistakes=[(9.0, "You squared it.")])

    return double_it


def blank(x):
    raise NotImplementedError


def blank_with_words(x):
    raise NotImplementedError("write me")


def looks_at_none(x):
    return None + x


def runs_past_the_end(x):
    return [x][1]


def two_parameters(x, y):
    return x + y


def wrong_shapes(x):
    return torch.ones(2, 3) @ torch.ones(2, 3)


class TestRunCheck:
    @pytest.mark.parametrize(
        ("fn", "line"),
        [
            (lambda x: 2 * x, "double_it: passed"),
            (blank, "double_it: not attempted yet"),
            (blank_with_words, "double_it: not attempted yet"),
            (lambda x: x**2, "double_it: You squared it."),
            (lambda x: x, "double_it: the result is 3, expected 6."),
        ],
    )
    def test_prints_one_line(self, double, capsys, fn, line):
        check.double_it(fn)
        assert capsys.readouterr().out == line + "\n"

    @pytest.mark.parametrize(
        ("fn", "pieces"),
        [
            (looks_at_none, ["TypeError", "return None + x", "a value is None"]),
            (runs_past_the_end, ["IndexError", "bounds of the loop"]),
            (two_parameters, ["TypeError", "missing 1 required positional argument", "compare the `def` line"]),
            (wrong_shapes, ["RuntimeError", "shapes cannot be multiplied", "two shapes do not fit"]),
            (torch.nn.Module(), ["missing the required", "Likely cause"]),
            (3, ["'int' object is not callable", "Likely cause"]),
        ],
    )
    def test_exception_becomes_a_line_with_the_likely_cause(self, double, fn, pieces):
        outcome = run_check("double_it", fn)
        assert outcome.status == "hint"
        assert "\n" not in outcome.message
        for piece in pieces:
            assert piece in outcome.message

    def test_interrupt_is_not_swallowed(self, double):
        def interrupted(x):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run_check("double_it", interrupted)

    def test_unknown_check_names_the_known_ones(self):
        with pytest.raises(AttributeError, match="no check is called 'nonsense'.*rms"):
            check.nonsense  # noqa: B018

    def test_tab_completion_and_help(self, double):
        assert "double_it" in dir(check)
        assert check.double_it.__doc__ == "double_it(x) -> 2 x"

    @pytest.mark.parametrize("fn", [blank, lambda x: x])
    def test_course_check_raise(self, double, monkeypatch, fn):
        monkeypatch.setenv("COURSE_CHECK", "raise")
        with pytest.raises(CheckFailed, match="double_it"):
            check.double_it(fn)
        check.double_it(lambda x: 2 * x)
        assert progress.read() == {}

    def test_two_checks_of_one_name_are_refused(self, double, monkeypatch):
        def double_it(fn):
            """Another one."""

        monkeypatch.setattr(double_it, "__module__", "elsewhere")
        with pytest.raises(ValueError, match="two checks are called 'double_it'"):
            exercise(notebook="01", title="Twice", minutes=1)(double_it)

    def test_notebook_number_has_two_digits(self):
        with pytest.raises(ValueError, match="two digits"):
            exercise(notebook="2", title="Twice", minutes=1)


class TestProgress:
    def test_what_was_passed_stays_passed(self, double):
        check.double_it(lambda x: x)
        assert progress.read()["double_it"]["passed"] is False
        check.double_it(lambda x: 2 * x)
        check.double_it(lambda x: x)
        entry = progress.read()["double_it"]
        assert entry["passed"] is True and entry["attempts"] == 3

    def test_blank_is_no_attempt(self, double):
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
