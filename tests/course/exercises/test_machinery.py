"""Checks: what a learner reads for each thing that can go wrong, and what is kept of it."""

import json
import math
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch

from course_lib.course.exercises import (
    CheckFailed,
    Edge,
    Hint,
    check,
    exercise,
    exercises,
    expect,
    progress,
    run_check,
)
from course_lib.course.exercises.compare import equal
from course_lib.course.exercises.deadline import OutOfTime, deadline
from course_lib.course.exercises.differences import common_difference
from course_lib.course.exercises.draw import Draw


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
        assert hint_of(torch.ones(2, 5), torch.zeros(5, 2)) == "the result has shape (2, 5), expected (5, 2)."

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


class TestEqual:
    @pytest.mark.parametrize(
        ("actual", "expected", "same"),
        [
            (2_591_050, 2_591_051, False),  # whole numbers are exact, however large
            (5.0, 5, True),
            (1.0 + 1e-7, 1.0, True),
            (1, True, False),
            ([True, False], np.array([True, False]), True),
            (np.ones(3, np.float32), torch.ones(3), True),
            ((1.0, torch.ones(2)), [1.0, np.ones(2)], True),
            ({"a": 1.0}, {"a": 1.0, "b": 2.0}, False),
            ((3.0, "anything"), (3.0, ...), True),
            (float("inf"), float("inf"), True),
            (1e-7, 0.0, True),
            (1e-4, 0.0, False),
            (torch.tensor([1e3, 1e-3]), torch.tensor([1e3, 2e-3 + 1e-3]), True),  # a rounding of the largest
        ],
    )
    def test_by_kind(self, actual, expected, same):
        assert equal(actual, expected) is same


class TestCommonDifference:
    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda b: -b, "sign is flipped"),
            (lambda b: 2 * b, "2 times"),
            (lambda b: b / 2, "divided by 2"),
            (lambda b: math.log(2) * b, "ln 2 times"),
            (lambda b: b / len(b), "divided by n"),
            (lambda b: b * math.sqrt(len(b)), "times √(n)"),
            (lambda b: b + 1, "too large by 1"),
            (lambda b: b.T, "axes"),
            (lambda b: b[::-1], "reversed along axis 0"),
            (lambda b: np.roll(b, 1, 1), "too late along axis 1"),
            (lambda b: b[None], "size 1 is too many"),
            (lambda b: b[:-1], "last value along axis 0 is missing"),
            (lambda b: np.concatenate([b, b[:1]]), "one value too many"),
            (lambda b: b.mean(), "mean of what is wanted"),
            (lambda b: b**2, "squares"),
            (lambda b: np.round(b), "rounded"),
        ],
    )
    def test_is_named(self, change, words):
        draw = Draw(0)
        right = [3 * draw.array(3, 4), 3 * draw.array(5, 4), 3 * draw.array(6, 5)]
        assert words in common_difference([(change(b), b) for b in right], [{"n": len(b)} for b in right])

    def test_is_silent_where_one_input_does_not_fit(self):
        b = Draw(0).array(4)
        assert common_difference([(-b, b), (b + 1, b)]) is None
        assert common_difference([(b**3 + b, b)]) is None

    def test_missing_axis_of_size_one(self):
        b = Draw(0).array(3, 1)
        assert "size 1 is missing" in common_difference([(b[:, 0], b)])

    def test_masks_turned_round(self):
        assert "wrong way round" in common_difference([(np.array([True, False]), np.array([False, True]))])


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

    def test_in_time_is_in_time(self):
        with deadline(0.2):
            pass
        time.sleep(0.3)


@pytest.fixture
def own(monkeypatch):
    """Exercises of a test's own: they are forgotten afterwards."""
    from course_lib.course.exercises import registry

    monkeypatch.setattr(registry, "_registered", dict(exercises()))

    def register(reference, inputs, **options):
        exercise(notebook="00", title="A test", minutes=1, inputs=inputs, **options)(reference)

    return register


def centred(x):
    """centred(x): x (N,) -> (N,), its mean taken off"""
    return x - x.mean()


def numbers(draw):
    for n in (2, 4, 7):
        yield draw.tensor(n)
    yield Edge((torch.zeros(3),), "Zeros stay zeros.", nan="0 / 0 is NaN.")


class TestReference:
    @pytest.mark.parametrize(
        "fn",
        [
            lambda x: x - x.mean(),
            lambda x: x.double().numpy() - x.double().numpy().mean(),
            lambda x: [v - sum(x) / len(x) for v in x],
            lambda x: (x - x.mean()).tolist(),
        ],
    )
    def test_other_ways_to_the_same_numbers_pass(self, own, fn):
        own(centred, numbers)
        assert run_check("centred", fn).status == "passed"

    def test_known_mistake_with_the_smallest_input(self, own):
        own(centred, numbers, mistakes=[(lambda x: x, "Nothing was done.")])
        lines = run_check("centred", lambda x: x.clone()).message.splitlines()
        assert lines[0] == "Nothing was done."
        assert lines[1].startswith("  for x = [") and lines[1].count(",") == 1  # two numbers: the smallest
        assert [line.split()[0] for line in lines[2:]] == ["came", "expected"]

    def test_mistake_that_fits_one_input_only_is_no_mistake(self, own):
        own(centred, numbers, mistakes=[(lambda x: x, "Nothing was done.")])
        message = run_check("centred", lambda x: x if len(x) == 2 else x + 1 / len(x)).message
        assert "Nothing was done" not in message

    def test_first_answer_for_ever(self, own):
        own(centred, numbers)
        first = []

        def remembers(x):
            first.append(x - x.mean())
            return first[0]

        assert run_check("centred", remembers).status == "hint"

    def test_edge_has_its_own_hint(self, own):
        own(centred, numbers)
        assert run_check("centred", lambda x: x - x.mean() + (x.abs().sum() == 0)).message.startswith("Zeros stay")
        assert run_check("centred", lambda x: (x - x.mean()) * (x.norm() / x.norm())).message.startswith("0 / 0")

    def test_near_miss_is_told_without_the_solution(self, own):
        def blend(x, y, share):
            """blend(x, y, share): x, y (N,) -> (N,)"""
            return x * share + y * (1 - share) - x * y

        def inputs(draw):
            for n in (2, 3, 5):
                yield draw.tensor(n), draw.tensor(n), draw.number(0.1, 0.9)

        own(blend, inputs)
        outcome = run_check("blend", lambda x, y, share: x * share + y * (1 - share) + x * y)
        assert outcome.message.startswith("Your answer does what the right one would with `+` in place of `-`.")

    def test_changed_input(self, own):
        own(centred, numbers)
        assert "`x` was changed in place" in run_check("centred", lambda x: x.sub_(x.mean())).message

    @pytest.mark.parametrize(
        ("fn", "status"),
        [
            (lambda x, w: (x * w).sum(), "passed"),
            (lambda x, w: (x * w.detach()).sum(), "hint"),
            (lambda x, w: (x * w).sum().detach(), "hint"),
            (lambda x, w: float((x * w).sum()), "hint"),
        ],
    )
    def test_lost_gradient(self, own, fn, status):
        def weighed(x, w):
            """weighed(x, w): (N,), (N,) -> one number"""
            return (x * w).sum()

        own(weighed, lambda draw: [(draw.tensor(n), draw.tensor(n)) for n in (1, 3)], gradients={"w": "w gets none."})
        outcome = run_check("weighed", fn)
        assert outcome.status == status and (status == "passed" or outcome.message.startswith("w gets none."))

    def test_endless_loop(self, own, monkeypatch):
        from course_lib.course.exercises import trial

        monkeypatch.setattr(trial, "SECONDS", 0.2)
        own(centred, numbers)

        def endless(x):
            while True:
                try:
                    x = x + 1
                except Exception:  # noqa: BLE001
                    pass

        assert "loop" in run_check("centred", endless).message

    def test_several_results(self, own):
        def both(x):
            """both(x): (N,) -> mean, spread"""
            return x.mean(), x.std()

        own(both, lambda draw: [draw.tensor(n) for n in (3, 4, 6)], parts=("the mean", "the spread"))
        assert "Two results are expected" in run_check("both", lambda x: x.mean()).message
        assert run_check("both", lambda x: [float(x.mean()), float(x.std())]).status == "passed"
        assert run_check("both", lambda x: (x.mean(), -x.std())).message.startswith("The spread: the sign is flipped")
        assert "is a `return` missing" in run_check("both", lambda x: None).message

    def test_at_most_six_lines(self, own):
        own(_many, lambda draw: [tuple(draw.tensor(2, 3) for _ in range(8))])
        message = run_check("_many", lambda *a: torch.ones(2, 3)).message
        assert len(message.splitlines()) <= 6

    def test_error_in_some_inputs_names_one(self, own):
        own(centred, numbers)

        def fails(x):
            return x - x.mean() if len(x) < 5 else x[10]

        message = run_check("centred", fails).message
        assert message.startswith("it raised IndexError") and "for x = [" in message

    def test_what_torch_does_not_implement_is_an_attempt(self, own):
        own(centred, numbers)
        assert run_check("centred", lambda x: torch.bincount(x / 2)).status == "hint"

    def test_error_of_the_check_is_not_the_learners(self, own):
        own(centred, numbers, call=lambda fn, x: fn(x).no_such_attribute)
        outcome = run_check("centred", torch.abs)  # not written in this file
        assert outcome.status == "hint" and "in the check, not in your code" in outcome.message

    def test_views_and_other_precision_are_tried(self, own):
        own(centred, lambda draw: [draw.tensor(2, 3), draw.tensor(3, 4)])
        message = run_check("centred", lambda x: x.view(-1).sub(x.mean()).view(x.shape)).message
        assert "use `reshape`" in message and "not contiguous" in message


def _many(*arguments):
    """_many(...): (2, 3) each -> (2, 3)"""
    return torch.stack(arguments).sum(0)


class TestLikelyCause:
    @pytest.mark.parametrize(
        ("fn", "cause"),
        [
            (lambda x: x[:, 0], "fewer axes"),
            (lambda x: x.mean(dim=1), "no such axis"),
            (lambda x: x[len(x)], "past the end"),
            (lambda x: [1.0][2], "past the end"),
            (lambda x: x + torch.ones(99), "do not fit"),
            (lambda x: torch.where(x, x, 0.0), "comparison or a mask"),
            (lambda x: unknown_name, "typing slip"),  # noqa: F821
            (lambda x: x.mean().backward(), None),
            (lambda x: centred(), None),  # an inner call, no parameter of the learner's own
            (lambda x: x["a"], None),
            (lambda x: x[0.5], None),
        ],
    )
    def test_is_right_or_silent(self, own, fn, cause):
        own(centred, numbers)
        message = run_check("centred", fn).message
        assert message.startswith("it raised")
        assert (cause in message) if cause else ("Likely cause" not in message), message


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
