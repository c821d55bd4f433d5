"""Pooling a whole sequence: loops as oracle, padding, statistics, refusals."""

import pytest
import torch

import course_lib.layers as sl

float64 = torch.float64
LENGTHS = [6, 4, 1]


def ragged(*channels, nan=True):
    values = torch.randn(3, 6, *channels, generator=torch.Generator().manual_seed(0), dtype=float64)
    mask = torch.arange(6) < torch.tensor(LENGTHS)[:, None]
    if nan:
        values[~mask] = torch.nan
    return sl.Sequence(values, mask)


def items(x):
    return [x.values[i, :length] for i, length in enumerate(LENGTHS)]


def test_mean_and_max_are_over_the_valid_steps():
    x = ragged(4)
    torch.testing.assert_close(sl.MeanPooling()(x), torch.stack([v.mean(0) for v in items(x)]))
    torch.testing.assert_close(sl.MaxPooling()(x), torch.stack([v.amax(0) for v in items(x)]))
    dense = torch.randn(2, 5, 4, 3)
    torch.testing.assert_close(sl.MeanPooling()(dense), dense.mean(1))
    torch.testing.assert_close(sl.MaxPooling()(dense), dense.amax(1))


def test_statistics_are_mean_and_deviation_of_the_valid_steps():
    x = ragged(4)
    expected = [torch.cat([v.mean(0), (v.var(0, correction=0) + 1e-5).sqrt()]) for v in items(x)]
    torch.testing.assert_close(sl.StatisticsPooling()(x), torch.stack(expected))
    still = torch.ones(2, 5, 3, requires_grad=True)
    sl.StatisticsPooling()(still).sum().backward()
    assert still.grad.isfinite().all()


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attention_pooling_is_the_formula(heads):
    x = ragged(4)
    layer = sl.AttentionPooling(4, heads, statistics=True, hidden_size=5).double()
    pooled, weights = layer(x, return_weights=True)
    for i, v in enumerate(items(x)):
        a = torch.softmax(layer.score(v), dim=0)  # (T, H)
        torch.testing.assert_close(weights[i, :, : len(v)], a.T)
        each = a.repeat_interleave(4 // heads, dim=1)  # (T, C): a channel's own head
        mean = (each * v).sum(0)
        variance = (each * v.square()).sum(0) - mean.square()
        torch.testing.assert_close(pooled[i], torch.cat([mean, (variance + 1e-5).sqrt()]))
    assert (weights[~x.mask[:, None].expand_as(weights)] == 0).all()
    only_mean = sl.AttentionPooling(4, heads, hidden_size=5).double()
    only_mean.load_state_dict(layer.state_dict())
    torch.testing.assert_close(only_mean(x), pooled[:, :4])


def test_all_scores_equal_is_the_plain_mean_and_deviation():
    layer = sl.AttentionPooling(4, 2, statistics=True).double()
    torch.nn.init.zeros_(layer.score[-1].weight)
    x = torch.randn(2, 7, 4, dtype=float64)
    expected = torch.cat([x.mean(1), (x.var(1, correction=0) + 1e-5).sqrt()], dim=1)
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize(
    "make",
    [sl.MeanPooling, sl.MaxPooling, sl.StatisticsPooling, lambda: sl.AttentionPooling(4, 2, True).double()],
    ids=["mean", "max", "statistics", "attention"],
)
def test_padding_reaches_neither_values_nor_gradients(make):
    layer = make()
    results = []
    for x in (ragged(4, nan=False), ragged(4)):
        leaf = x.values.requires_grad_()
        y = layer(sl.Sequence(leaf, x.mask))
        results.append((y, *torch.autograd.grad(y.square().sum(), [leaf, *layer.parameters()])))
    for finite, spoiled in zip(*results, strict=True):
        torch.testing.assert_close(spoiled, finite)


@pytest.mark.parametrize("make", [sl.MeanPooling, sl.MaxPooling, lambda: sl.AttentionPooling(4)])
def test_nothing_valid_gives_zeros(make):
    x = torch.full((2, 3, 4), torch.nan)
    pooled = make()(sl.Sequence(x, torch.zeros(2, 3, dtype=torch.bool)))
    assert (pooled == 0).all()
    assert (make()(torch.zeros(2, 0, 4)) == 0).all()


def test_equal_steps_have_finite_gradients():
    x = torch.ones(2, 5, 4, requires_grad=True)
    sl.AttentionPooling(4, statistics=True)(x).sum().backward()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: sl.AttentionPooling(6, 4), "num_heads: expected a divisor of embed_dim=6, got 4"),
        (lambda: sl.AttentionPooling(6)(torch.zeros(2, 3, 5)), r"expected \(B, T, 6\)"),
        (lambda: sl.AttentionPooling(6)(torch.zeros(2, 3, 6, dtype=float64)), "expected torch.float32"),
        (lambda: sl.MeanPooling()(torch.zeros(2, 3, 5, dtype=torch.long)), "expected a floating dtype"),
        (lambda: sl.MaxPooling()(torch.zeros(3)), r"expected \(B, T, ...\)"),
    ],
)
def test_what_does_not_fit_is_named(make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make()


@pytest.mark.parametrize("bad", [torch.nan, -torch.inf, torch.inf])
@pytest.mark.parametrize("channels", [(), (2,), (2, 3)])
def test_the_maximum_of_valid_steps_is_theirs_whatever_they_are(bad, channels):
    values = torch.full((3, 4, *channels), bad)
    values[:, 2:] = 3.0
    mask = torch.tensor([[True, True, False, False], [False] * 4, [False, True, True, False]])
    got = sl.MaxPooling()(sl.Sequence(values, mask))
    expected = torch.stack([values[0, :2].amax(0), torch.zeros(channels), values[2, 1:3].amax(0)])
    torch.testing.assert_close(got, expected, equal_nan=True)
