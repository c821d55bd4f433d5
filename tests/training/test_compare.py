"""compare: scipy's numbers, intervals that hold the truth as often as they say, at most 5 % wrong verdicts."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from course_lib.training import compare


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_pairs_are_scipys_t_test_on_the_differences():
    a, b = rng().normal(0.8, 0.05, (2, 7))
    found, t = compare(a, b), stats.ttest_rel(a, b)
    assert found.difference == pytest.approx((a - b).mean())
    assert (found.low, found.high) == pytest.approx(tuple(t.confidence_interval(0.95)))
    assert found.p == found.p_holm == pytest.approx(t.pvalue)
    assert found.agree == (np.sign(a - b) == np.sign((a - b).mean()).sum()).sum() and found.units == 7


def test_unrelated_scores_are_welchs_t_test():
    a, b = rng().normal(1, 1, 5), rng(1).normal(0, 3, 9)
    found, t = compare(a, b, paired=False), stats.ttest_ind(a, b, equal_var=False)
    assert (found.low, found.high) == pytest.approx(tuple(t.confidence_interval(0.95)))
    assert found.p == pytest.approx(t.pvalue) and found.agree is None and found.units == 14


def test_lists_tensors_series_and_right_or_wrong_are_scores():
    a, b = rng().integers(0, 2, (2, 40))
    expected = compare(a.astype(float), b.astype(float))
    for made in (list, tuple, torch.tensor, pd.Series, lambda x: x.astype(bool), lambda x: torch.tensor(x).bfloat16()):
        assert compare(made(a), made(b)) == expected


def test_verdicts_are_the_two_words_and_say_which_way():
    noise, base = rng().normal(0, 0.01, 10), rng(1).normal(0.8, 0.1, 10)
    better, worse, same = compare(
        {"better": base + 0.1 + noise, "worse": base - 0.1 + noise, "same": base + noise}, base
    ).values()
    assert (better.verdict, worse.verdict, same.verdict) == ("shown", "shown", "not shown")
    assert better.difference > 0 > worse.difference and better.agree == worse.agree == 10


def test_pairs_are_sharper_than_groups_where_seeds_differ():
    base = rng().normal(0.8, 0.1, 8)
    better = base + 0.02 + rng(1).normal(0, 0.005, 8)
    assert compare(better, base).verdict == "shown" and compare(better, base, paired=False).verdict == "not shown"


@pytest.mark.parametrize("n", [2, 3, 5, 20])
def test_the_interval_holds_the_truth_as_often_as_it_says(n):
    draws = rng(n)
    inside = 0
    for _ in range(600):
        base = draws.normal(0, 1, n)
        found = compare(base + draws.normal(0.3, 0.2, n), base)
        inside += found.low <= 0.3 <= found.high
    assert 0.93 * 600 <= inside <= 0.97 * 600


@pytest.mark.parametrize("paired", [True, False])
def test_recordings_not_clips_are_the_unit(paired):
    """Clips of one recording fail together: counted as clips, the interval is too narrow; as recordings, it holds."""
    draws, wrong, naive = rng(5), 0, 0
    for _ in range(400):
        group = np.repeat(np.arange(12), draws.integers(1, 8, 12))
        a, b = draws.normal(0, 1, (2, 12))[:, group] + draws.normal(0, 0.3, (2, len(group)))
        groups = group if paired else (group, group)
        wrong += compare(a, b, paired=paired, groups=groups).verdict == "shown"
        naive += compare(a, b, paired=paired).verdict == "shown"
    assert wrong <= 0.075 * 400 < 0.2 * 400 < naive


def test_groups_are_averages_over_recordings():
    a, b, group = [1.0, 3.0, 5.0, 0.0], [0.0, 0.0, 0.0, 1.0], ["x", "x", "y", "z"]
    found, by_hand = compare(a, b, groups=group), compare([2.0, 5.0, 0.0], [0.0, 0.0, 1.0])
    assert found == by_hand and found.units == 3 and found.agree == 2
    assert compare(a, b, groups=range(4)) == compare(a, b)
    sides = compare(a, [0.0, 1.0, 1.0], paired=False, groups=(group, [7, 8, 8]))
    assert sides == compare([2.0, 5.0, 0.0], [0.0, 1.0], paired=False)


@pytest.mark.parametrize("n", [3, 10])
def test_several_comparisons_are_rarely_wrong_together(n):
    """Ten settings that change nothing: some verdict is 'shown' in at most one call of twenty."""
    draws, calls = rng(7), 300
    wrong = once = 0
    for _ in range(calls):
        base = draws.normal(0.8, 0.05, n)
        found = compare({str(i): base + draws.normal(0, 0.02, n) for i in range(10)}, base)
        wrong += any(one.verdict == "shown" for one in found.values())
        once += any(one.p <= 0.05 for one in found.values())
    assert wrong / calls <= 0.05 + 2 * (0.05 * 0.95 / calls) ** 0.5 and once / calls > 0.2


def test_holm_by_hand():
    base = np.zeros(6)
    scores = {str(i): rng(i).normal(0.02 * i, 0.03, 6) for i in range(1, 6)}
    found = compare(scores, base)
    p, corrected = found.table["p"].sort_values(), found.table["p_holm"]
    expected = (p * [5, 4, 3, 2, 1]).cummax().clip(upper=1)
    pd.testing.assert_series_equal(corrected[p.index], expected, check_names=False)
    assert ((found.table["verdict"] == "shown") == (corrected <= 0.05)).all()


def test_several_come_as_a_dict_a_list_or_a_frame_and_print_as_a_table():
    base = rng().normal(0.8, 0.05, 6)
    columns = {"no mixup": base - 0.01 * np.arange(6), "no warm-up": base + rng(1).normal(0, 0.1, 6)}
    found = compare(columns, base)
    assert found == compare(pd.DataFrame(columns), base) and list(found) == list(columns)
    assert list(compare(list(columns.values()), base).values()) == list(found.values())
    lines = str(found).splitlines()
    assert len(lines) == 3 and lines[1].startswith("no mixup") and lines[1].endswith("shown")
    assert list(found.table.index) == list(columns) and found.table.loc["no mixup", "difference"] == pytest.approx(
        -0.025
    )
    assert "agree" in str(found["no mixup"]) and str(found["no mixup"]).endswith("shown")


def test_two_seeds_show_little_and_say_so():
    found = compare([0.91, 0.94], [0.80, 0.81])
    assert found.verdict == "not shown" and found.low < 0 < found.high and found.agree == found.units == 2


@pytest.mark.parametrize(("n", "verdict"), [(2, "not shown"), (5, "not shown"), (6, "shown"), (30, "shown")])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_no_spread_is_judged_by_signs_not_by_an_infinite_t(n, verdict, dtype):
    base = np.linspace(0.1, 0.9, n).astype(dtype)  # the differences are 0.1 up to rounding
    found = compare(base + dtype(0.1), base)
    assert found.verdict == verdict and found.p == 2 / 2**n
    assert (found.low <= 0 <= found.high) == (verdict == "not shown")
    nothing = compare(base, base)
    assert (nothing.difference, nothing.p, nothing.verdict) == (0, 1, "not shown")


def test_no_spread_in_unrelated_scores():
    assert compare([0.9] * 3, [0.8] * 3, paired=False).p == pytest.approx(2 / 20)
    assert compare([0.9] * 6, [0.8] * 6, paired=False).verdict == "shown"
    assert compare([0.9] * 6, [0.9] * 4, paired=False).p == 1
    one_side = compare([0.875] * 5, rng().normal(0.5, 0.01, 5), paired=False)
    assert one_side.verdict == "shown" and np.isfinite(one_side.low)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: compare([1.0, np.nan], [1.0, 2.0]), r"^scores: .*finite.*nan"),
        (lambda: compare([1.0, 2.0], [1.0, np.inf]), r"^baseline: .*finite.*inf"),
        (lambda: compare({"a": [1.0, 2.0], "b": [1.0, np.nan]}, [1.0, 2.0]), r"^scores\['b'\]: "),
        (lambda: compare([1.0, 2.0, 3.0], [1.0, 2.0]), r"^scores: expected 2 numbers.*got 3"),
        (lambda: compare([[1.0, 2.0], [1.0]], [1.0, 2.0]), r"^scores\['1'\]: expected 2"),
        (lambda: compare([1.0], [2.0]), r"^scores: expected at least two units.*one"),
        (lambda: compare([1.0, 2.0], [2.0], paired=False), r"^baseline: expected at least two units"),
        (lambda: compare([1.0, 2.0], [2.0, 1.0], groups=["same", "same"]), r"^scores: expected at least two units"),
        (lambda: compare([1.0, 2.0], [2.0, 1.0], groups=["one"]), r"^groups: expected a label for each of 2"),
        (lambda: compare(np.ones((2, 3)), np.ones(3)), r"^scores: .*\(N,\).*\(2, 3\)"),
        (lambda: compare([], []), r"^scores: "),
        (lambda: compare({}, [1.0, 2.0]), r"^scores: "),
        (lambda: compare([1.0, None], [1.0, 2.0]), r"^scores: expected finite"),
        (lambda: compare([1.0, "high"], [1.0, 2.0]), r"^scores: expected one number"),
        (lambda: compare(pd.Series([1.0, 2], [0, 1]), pd.Series([1.0, 2], [1, 0])), r"^scores: .*index"),
    ],
)
def test_errors_name_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call()
