"""Sinusoidal and learned positions: the published formula, the table, what lies beyond it."""

from math import cos, sin

import pytest
import torch

import course_lib.layers as sl


def test_sinusoids_are_those_of_the_formula():
    layer = sl.PositionalEncoding(6).double()
    y = layer(torch.zeros(1, 50, 6, dtype=torch.float64))[0]
    for t in (0, 1, 7, 49):
        for i in range(3):
            angle = t / 10_000 ** (2 * i / 6)
            assert y[t, 2 * i].item() == pytest.approx(sin(angle), abs=1e-12)
            assert y[t, 2 * i + 1].item() == pytest.approx(cos(angle), abs=1e-12)


def test_dot_products_of_sinusoids_depend_on_distance():
    code = sl.PositionalEncoding(8).double()(torch.zeros(1, 40, 8, dtype=torch.float64))[0]
    products = code @ code.T
    for distance in (0, 1, 5):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal))


def test_learned_positions_are_rows_of_the_table():
    layer = sl.LearnedPositions(9, 4)
    x = torch.randn(2, 6, 4)
    torch.testing.assert_close(layer(x), x + layer.weight[:6])


def test_padding_in_front_does_not_count():
    x = torch.randn(1, 5, 4)
    front = sl.Sequence(torch.cat([torch.full((1, 3, 4), torch.nan), x], dim=1), torch.arange(8)[None] >= 3)
    for layer in (sl.PositionalEncoding(4), sl.LearnedPositions(5, 4)):
        torch.testing.assert_close(layer(front).values[:, 3:], layer(x))


def test_steps_beyond_the_table_are_refused():
    layer = sl.LearnedPositions(5, 4)
    with pytest.raises(ValueError, match="at most max_length=5 steps, got 6"):
        layer(torch.zeros(2, 6, 4))
    with pytest.raises(ValueError, match="below max_length=5, got 5"):
        layer(sl.Sequence(torch.zeros(2, 6, 4), torch.ones(2, 6, dtype=torch.bool)))
    state = layer.initial_state(1)
    block = sl.Sequence.of(torch.zeros(1, 4, 4))
    _, state = layer.step(block, state)
    with pytest.raises(ValueError, match="below max_length=5, got 7"):
        layer.step(block, state)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: sl.PositionalEncoding(5), "embed_dim: expected an even number"),
        (lambda: sl.PositionalEncoding(6, base=0), "base: expected a positive number"),
        (lambda: sl.PositionalEncoding(6)(torch.zeros(1, 3, 4)), r"expected \(B, T, 6\)"),
        (lambda: sl.PositionalEncoding(6)(torch.zeros(1, 3, 6, dtype=torch.long)), "expected real floating-point"),
        (lambda: sl.LearnedPositions(0, 4), "max_length, embed_dim: expected at least 1"),
        (lambda: sl.LearnedPositions(5, 4)(torch.zeros(1, 3, 6)), r"expected \(B, T, 4\)"),
    ],
)
def test_what_does_not_fit_is_named(make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make()
