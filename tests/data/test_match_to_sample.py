"""Match to sample: which bursts there are, where they lie, that the answer needs both, and what is refused."""

import numpy as np
import pytest

from course_lib.data import match_to_sample
from course_lib.data.match_to_sample import LONGEST, SHORTEST


def test_one_of_the_later_bursts_is_of_the_samples_kind_and_the_three_differ():
    for kinds in (3, 5):
        signals, labels, kind, *_ = match_to_sample(300, kinds=kinds)
        assert signals.shape == (300, 520) and signals.dtype == np.float32
        np.testing.assert_array_equal(kind[np.arange(300), 1 + labels], kind[:, 0])
        assert all(len(set(row[1:])) == 3 for row in kind) and set(kind.ravel()) == set(range(kinds))
        assert (np.bincount(labels) == 100).all()


def test_equal_arguments_give_equal_signals_and_another_seed_others():
    signals = match_to_sample(6, seed=3).signals
    np.testing.assert_array_equal(match_to_sample(6, seed=3).signals, signals)
    assert not np.array_equal(match_to_sample(6, seed=4).signals, signals)


def test_neither_the_sample_nor_the_later_bursts_alone_tell_the_answer():
    _, labels, kind, *_ = match_to_sample(6_000)
    for shown in (kind[:, 0], kind[:, 1] * 9 + kind[:, 2] * 3 + kind[:, 3]):
        for value in np.unique(shown):
            shares = np.bincount(labels[shown == value], minlength=3) / (shown == value).sum()
            assert np.abs(shares - 1 / 3).max() < 0.07, value


def test_only_some_kinds_may_come_as_samples():
    kind = match_to_sample(90, sampled=2).kinds
    assert set(kind[:, 0]) == {0, 1} and set(kind[:, 1:].ravel()) == {0, 1, 2}


def test_gaps_margins_and_pitch_are_what_was_asked_for():
    signals, _, kind, starts, ends = match_to_sample(200, gap=(40, 60), margin=40, noise=(0.0, 0.0))
    between = starts[:, 1:] - ends[:, :-1]
    assert 40 == between.min() and between.max() == 60 and starts.min() >= 40 and ends.max() <= 480
    for signal, kinds, begin, end in zip(signals[:30], kind, starts, ends, strict=False):
        for k, a, b in zip(kinds, begin, end, strict=True):
            period = 4096 / np.abs(np.fft.rfft(signal[a:b], 4096)).argmax()
            assert abs(np.log(period / (SHORTEST * (LONGEST / SHORTEST) ** (k / 2)))) < 0.2


@pytest.mark.parametrize(
    "changed, named",
    [
        ({"count": 0}, "count, kinds, sampled"),
        ({"kinds": 2}, "at least 1 signal and 3 kinds"),
        ({"sampled": 4}, "1 to all kinds"),
        ({"gap": (30, 20)}, "rising ranges"),
        ({"length": 515}, "length: expected at least 516"),
    ],
)
def test_what_cannot_be_drawn_is_refused(changed, named):
    with pytest.raises(ValueError, match=named):
        match_to_sample(**{"count": 3} | changed)
