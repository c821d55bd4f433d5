"""`check.NAME(fn)`: the line that it prints, and when it raises."""

import pytest
import torch

from course_lib.course.exercises import CheckFailed, check, exercise, progress, run_check


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
            (runs_past_the_end, ["IndexError", "runs past the end"]),
            (two_parameters, ["TypeError", "missing 1 required positional argument", "compare the `def` line"]),
            (wrong_shapes, ["RuntimeError", "shapes cannot be multiplied", "two shapes do not fit"]),
            (torch.nn.Module(), ["missing the required"]),
            (3, ["a function is expected, got 3"]),
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
