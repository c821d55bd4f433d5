"""Rotary embedding: the rotation as complex numbers, relativity, precision far into a stream."""

import pytest
import torch

import course_lib.layers as sl
from course_lib.layers.rotary import rotary, rotary_angles


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_is_a_multiplication_of_complex_numbers():
    x, positions = normal(2, 3, 5, 8), torch.tensor([0, 1, 2, 7, 100])
    rates = 10_000.0 ** (-torch.arange(4, dtype=torch.float64) / 4)
    turned = torch.complex(x[..., :4], x[..., 4:]) * torch.exp(1j * positions[:, None] * rates)
    torch.testing.assert_close(rotary(x, positions), torch.cat([turned.real, turned.imag], dim=-1))


def test_each_item_may_have_its_own_positions():
    x, positions = normal(2, 3, 5, 8), torch.tensor([[0, 1, 2, 3, 4], [7, 7, 8, 9, 10]])
    expected = torch.cat([rotary(x[i : i + 1], positions[i]) for i in range(2)])
    torch.testing.assert_close(rotary(x, positions), expected)


def test_dot_products_depend_on_distance_only_and_lengths_stay():
    q, k = normal(1, 1, 1, 16), normal(1, 1, 1, 16, seed=1)

    def score(query_position, key_position):
        turned = rotary(q, torch.tensor([query_position])), rotary(k, torch.tensor([key_position]))
        return (turned[0] * turned[1]).sum()

    torch.testing.assert_close(score(5, 2), score(105, 102))
    torch.testing.assert_close(score(5, 2), score(1_000_005, 1_000_002), rtol=0, atol=1e-8)
    assert (score(5, 2) - score(6, 2)).abs() > 1e-3
    torch.testing.assert_close(rotary(q, torch.tensor([77])).norm(), q.norm())


def test_angles_need_float64():
    """At 10⁶ steps a product in float32 is off by hundredths of a radian; cast after the cosine, nothing is lost."""
    positions = torch.arange(1_000_000, 1_000_100)
    exact = rotary_angles(positions, 64)
    rates = 10_000.0 ** -(torch.arange(0, 64, 2, dtype=torch.float32) / 64)
    single = positions.float()[:, None] * rates
    assert (torch.cos(single).double() - torch.cos(exact)).abs().max() > 0.02
    assert (torch.cos(exact).float().double() - torch.cos(exact)).abs().max() < 1e-7
    q = normal(1, 1, 100, 64, dtype=torch.float32)
    near, far = rotary(q, torch.arange(100)), rotary(q, positions)
    torch.testing.assert_close(near @ near.mT, far @ far.mT, rtol=1e-4, atol=1e-4)


def test_half_precision_is_rotated_in_float32():
    x = normal(1, 1, 50, 8, dtype=torch.float32)
    got = rotary(x.bfloat16(), torch.arange(50))
    assert got.dtype == torch.bfloat16
    torch.testing.assert_close(got, rotary(x.bfloat16().float(), torch.arange(50)).bfloat16())


def test_positions_count_valid_steps():
    layer = sl.RotaryEmbedding()
    values = normal(1, 6, 4)
    mask = torch.tensor([[False, False, True, True, False, True]])
    got = layer.layer(sl.Sequence(values, mask)).values[mask]
    expected = layer(values[mask][None])[0]
    torch.testing.assert_close(got, expected)


def test_refuses_odd_channels_and_integers():
    with pytest.raises(ValueError, match="even number of channels"):
        rotary(normal(1, 1, 4, 5), torch.arange(4))
    with pytest.raises(ValueError, match="D even"):
        sl.RotaryEmbedding()(normal(1, 4, 5))
    with pytest.raises(ValueError, match="floating-point"):
        sl.RotaryEmbedding()(torch.zeros(1, 4, 6, dtype=torch.long))
    with pytest.raises(ValueError, match="base: expected a positive"):
        sl.RotaryEmbedding(0.0)


def test_positions_may_count_invalid_steps_too():
    values, mask = normal(2, 6, 4), torch.tensor([[True, False, True, False, True, True], [False, True] * 3])
    layer = sl.RotaryEmbedding(counts_invalid=True)
    whole = layer.layer(sl.Sequence(values, mask))
    torch.testing.assert_close(whole.values[mask], layer(values)[mask])
    streamed = sl.stream(layer, sl.Sequence(values, mask), [1, 3, 2])
    torch.testing.assert_close(streamed.values[mask], layer(values)[mask])
    assert not torch.allclose(whole.values[mask], sl.RotaryEmbedding().layer(whole.with_values(values)).values[mask])
