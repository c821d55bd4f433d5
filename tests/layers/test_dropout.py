"""Dropout arranged for the CPU: its share, its mean, its independence."""

import pytest
import torch

from course_lib.layers.elementwise import dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.93])
def test_dropout_drops_a_share_and_keeps_the_mean(p):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        x = torch.ones(301, 997, requires_grad=True)
        y = dropout(x, p)
        again = dropout(x, p)
    assert abs((y == 0).double().mean() - p) < 5 * (p * (1 - p) / x.numel()) ** 0.5
    torch.testing.assert_close(y[y != 0], torch.full_like(y[y != 0], 1 / (1 - p)), rtol=2e-3, atol=0.0)
    assert not torch.equal(y, again)
    y.sum().backward()
    torch.testing.assert_close(x.grad, y.detach())  # what was kept has the slope of its factor


def test_dropped_values_are_independent_of_their_neighbours():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kept = (dropout(torch.ones(400_000), 0.5) != 0).double() - 0.5
    for distance in range(1, 9):  # four neighbours come from one random number
        correlation = 4 * (kept[distance:] * kept[:-distance]).mean()
        assert abs(correlation) < 5 / 400_000**0.5


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_dropout_of_nothing_and_of_everything(p):
    x = torch.ones(10_000)
    torch.testing.assert_close(dropout(x, p), x * (1 - p))


def test_dropout_repeats_with_the_seed():
    with torch.random.fork_rng():
        torch.manual_seed(7)
        first = dropout(torch.ones(9_999), 0.3)
        torch.manual_seed(7)
        assert torch.equal(first, dropout(torch.ones(9_999), 0.3))
