"""Sinusoids and relative positions against their formulas."""

import math

import pytest
import torch

import course_lib.layers as sl
from course_lib.layers.positional import positions_of, relative_position_bucket, sinusoids


def test_sinusoids_by_hand():
    got = sinusoids(torch.tensor([0, 3, 1_000_000]), 7, min_timescale=2.0, max_timescale=200.0)
    for row, position in zip(got, (0, 3, 1_000_000), strict=True):
        angles = [position / scale for scale in (2.0, 20.0, 200.0)]
        expected = [*map(math.sin, angles), *map(math.cos, angles), 0.0]
        torch.testing.assert_close(row, torch.tensor(expected, dtype=torch.float64))


def test_a_shift_in_time_is_a_rotation_of_the_sinusoids():
    channels, shift = 8, 5
    signal = sinusoids(torch.arange(50), channels)
    sine, cosine = signal.chunk(2, dim=-1)
    step = sinusoids(torch.tensor([shift]), channels)
    turn_sine, turn_cosine = step.chunk(2, dim=-1)
    torch.testing.assert_close(sine[shift:], (sine * turn_cosine + cosine * turn_sine)[:-shift])


def test_timing_signal_is_added_and_leaves_padding_out_of_the_count():
    x = sl.random_sequence(2, 6, 4, seed=0, dtype=torch.float64)
    layer = sl.AddTimingSignal()
    torch.testing.assert_close(layer(x.values) - x.values, sinusoids(torch.arange(6), 4).expand(2, 6, 4))
    mask = torch.tensor([[False, True, True, True, True, True], [True, True, False, True, True, True]])
    y = layer.layer(sl.Sequence(x.values, mask)).values - x.values
    torch.testing.assert_close(y[mask], sinusoids(torch.tensor([0, 1, 2, 3, 4, 0, 1, 2, 3, 4]), 4))


def test_positions_carry_on_from_block_to_block():
    mask = torch.tensor([[False, True, True, False, True]])
    assert positions_of(mask).tolist() == [[0, 0, 1, 1, 2]]
    assert positions_of(mask, torch.tensor([10])).tolist() == [[9, 10, 11, 11, 12]]


def test_buckets_are_exact_near_by_and_logarithmic_far_away():
    distance = torch.arange(-200, 201)
    causal = relative_position_bucket(distance, 16, 100, bidirectional=False)
    assert causal[distance > 0].unique().tolist() == [0]
    back = causal[distance <= 0].flip(0)  # distances 0, -1, -2, …
    assert back[:8].tolist() == list(range(8))
    assert (back.diff() >= 0).all() and back[99] == 14 and (back[100:] == 15).all()
    both = relative_position_bucket(distance, 16, 100, bidirectional=True)
    assert (both[distance <= 0] < 8).all() and (both[distance > 0] >= 8).all()
    assert torch.equal(both[distance < 0].flip(0) + 8, both[distance > 0])


def test_relative_bias_depends_on_distance_only():
    bias = sl.T5RelativePositionBias(num_heads=3, num_buckets=8, max_distance=20)
    whole = bias(30, 30)
    assert whole.shape == (3, 30, 30)
    torch.testing.assert_close(whole[:, 1:, 1:], whole[:, :-1, :-1])
    torch.testing.assert_close(bias(4, 14, offset=10), whole[:, 10:14, :14])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sl.AddTimingSignal(10.0, 1.0), "expected 0 < min <= max"),
        (lambda: sl.AddTimingSignal()(torch.zeros(1, 2, 3, dtype=torch.long)), "floating-point"),
        (lambda: sl.T5RelativePositionBias(2, num_buckets=7), "num_buckets: expected"),
        (lambda: sl.T5RelativePositionBias(2, num_buckets=2), "num_buckets: expected"),
        (lambda: sl.T5RelativePositionBias(2, num_buckets=32, max_distance=8), "max_distance: expected"),
    ],
)
def test_arguments_that_do_not_fit(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_timing_signal_may_count_invalid_steps_too():
    x = sl.random_sequence(1, 5, 4, seed=0, dtype=torch.float64)
    mask = torch.tensor([[False, True, False, True, True]])
    y = sl.AddTimingSignal(counts_invalid=True).layer(sl.Sequence(x.values, mask)).values - x.values
    torch.testing.assert_close(y[mask], sinusoids(torch.tensor([1, 3, 4]), 4))
