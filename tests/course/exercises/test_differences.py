"""What a learner reads of a result that is not the expected one."""

import math

import numpy as np
import pytest
import torch

from course_lib.course.exercises import Draw, Hint, expect
from course_lib.course.exercises.compare import equal
from course_lib.course.exercises.differences import common_difference


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
