"""The receptive field that shows: against layers whose reach is known, whatever they declare."""

import pytest
import torch

import course_lib.layers as sl
from course_lib.sequence import ragged, ragged_tokens
from course_lib.sequence.receptive_field import influence, shown_receptive_field

X = ragged(2)


def test_influence_is_the_pattern_of_the_jacobian():
    layer = sl.Conv1D(2, 2, kernel_size=3, dilation=2, padding="causal").double()
    seen = influence(layer, X, length=7, generator=torch.Generator().manual_seed(0))
    source, target = torch.meshgrid(torch.arange(7), torch.arange(7), indexing="ij")
    assert torch.equal(seen, ((target - source) % 2 == 0) & (target >= source) & (target - source <= 4))
    jacobian = torch.autograd.functional.jacobian(lambda v: layer(v)[0].sum(-1), torch.randn(1, 7, 2).double())
    assert torch.equal(seen, (jacobian[:, 0].abs().sum(-1) > 0).T)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (sl.Delay(3), (-3, -3)),
        (sl.MaxPooling1D(3, 1, "same"), (-1, 1)),
        (sl.Sequential([sl.Downsample1D(2), sl.Upsample1D(2)]), (-1, 0)),
        (sl.LSTM(2, 3), (None, 0)),
        (sl.GroupNorm(1, 2), (None, None)),
        (sl.Lambda(torch.zeros_like), (0, 0)),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("declared", [None, (None, None), (-4, 4)])
def test_what_shows_does_not_depend_on_what_is_declared(layer, expected, declared):
    layer.double()
    if declared is not None:
        layer.receptive_field = declared
    assert shown_receptive_field(layer, X) == expected


def test_tokens_show_it_too():
    layer = sl.Sequential([sl.Embedding(10, 2), sl.Lookahead(1), sl.Conv1D(2, 2, 2)]).double()
    assert shown_receptive_field(layer, ragged_tokens(10)) == (0, 1)
