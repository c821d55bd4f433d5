"""An answer tried beside the reference: what passes, and what a learner reads where it does not."""

import pytest
import torch

from course_lib.course.exercises import Edge, run_check


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
