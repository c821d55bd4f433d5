"""Normalisation against PyTorch's modules on the valid steps, and against prefixes for the cumulative kind."""

import pytest
import torch
from torch import nn

import course_lib.layers as sl
from course_lib.sequence import Sequence, ragged


@pytest.mark.parametrize("ours, theirs", [(sl.LayerNorm(6), nn.LayerNorm(6)), (sl.RMSNorm(6), nn.RMSNorm(6, eps=1e-6))])
def test_step_wise_kinds_load_and_equal_pytorch(ours, theirs):
    ours, theirs = ours.double(), theirs.double()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_()
    ours.load_state_dict(theirs.state_dict())
    x, slopes = torch.randn(2, 2, 5, 6, dtype=torch.float64)
    x.requires_grad_()
    torch.testing.assert_close(ours(x), theirs(x))
    gradients = [torch.autograd.grad(layer(x), [x, *layer.parameters()], slopes) for layer in (ours, theirs)]
    for mine, other in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("make", [sl.LayerNorm, sl.RMSNorm, lambda n: sl.GroupNorm(1, n, cumulative=True)])
def test_moments_of_half_precision_are_taken_in_more(make):
    x = torch.randn(1, 3, 512) * 300  # squares beyond the largest float16
    layer = make(512)
    expected = layer(x)
    torch.testing.assert_close(layer.half()(x.half()).float(), expected, rtol=1e-2, atol=1e-2)


def test_batch_norm_trains_on_the_valid_steps():
    x = ragged(4)
    ours, theirs = sl.BatchNorm(4).double(), nn.BatchNorm1d(4).double()
    ours.load_state_dict(theirs.state_dict())
    for _ in range(3):
        y = ours.layer(Sequence(x.values.clone().masked_fill(~x.mask[..., None], torch.nan), x.mask), training=True)
        torch.testing.assert_close(y.values[x.mask], theirs(x.values[x.mask]))
    for name, buffer in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], buffer, msg=name)
    theirs.eval()
    torch.testing.assert_close(ours.layer(x, training=False).values[x.mask], theirs(x.values[x.mask]))


def test_batch_norm_gradients_in_training_equal_pytorch():
    x = ragged(4)
    ours, theirs = sl.BatchNorm(4).double(), nn.BatchNorm1d(4).double()
    values, rows = x.values.clone().requires_grad_(), x.values[x.mask].clone().requires_grad_()
    weights = torch.randn(rows.shape, dtype=torch.float64)
    (ours.layer(Sequence(values, x.mask), training=True).values[x.mask] * weights).sum().backward()
    (theirs(rows) * weights).sum().backward()
    torch.testing.assert_close(values.grad[x.mask], rows.grad)
    assert not values.grad[~x.mask].any()


def test_batch_norm_without_valid_steps_changes_nothing():
    layer = sl.BatchNorm(3)
    before = {name: buffer.clone() for name, buffer in layer.state_dict().items()}
    y = layer.layer(Sequence(torch.full((2, 4, 3), torch.nan), torch.zeros(2, 4, dtype=torch.bool)), training=True)
    assert y.values.isfinite().all()
    for name, buffer in layer.state_dict().items():
        assert torch.equal(buffer, before[name]), name


def test_batch_norm_in_training_refuses_to_step():
    layer, x = sl.BatchNorm(3), Sequence.of(torch.randn(1, 4, 3))
    with pytest.raises(NotImplementedError, match="training=False"):
        layer.step(x, layer.initial_state(1), training=True)
    with pytest.raises(NotImplementedError, match="training=False"):
        layer.train().step(x, layer.initial_state(1))
    layer.step(x, layer.initial_state(1), training=False)


def test_group_norm_equals_pytorch_on_each_items_valid_steps():
    x = ragged(6, lengths=(13, 9))
    ours, theirs = sl.GroupNorm(3, 6).double(), nn.GroupNorm(3, 6).double()
    with torch.no_grad():
        theirs.weight.normal_(), theirs.bias.normal_()
    ours.load_state_dict(theirs.state_dict())
    y = ours.layer(x)
    for item, length in enumerate((13, 9)):
        expected = theirs(x.values[item : item + 1, :length].transpose(1, 2)).transpose(1, 2)
        torch.testing.assert_close(y.values[item : item + 1, :length], expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_group_norm_is_the_same_with_and_without_the_promise_that_all_steps_are_valid(dtype):
    layer = sl.GroupNorm(2, 6).to(torch.promote_types(dtype, torch.float32))
    with torch.no_grad():
        layer.weight.normal_()
    x = torch.randn(3, 5, 4, 6).to(dtype)  # (B, T, S, C)
    mask = torch.ones(3, 5, dtype=torch.bool)
    unsaid, promised = (layer._layer(Sequence(x, mask, all_valid=said), False, None) for said in (False, True))
    assert promised.values.dtype == dtype and promised.all_valid
    torch.testing.assert_close(promised.values, unsaid.values)


def test_cumulative_group_norm_is_group_norm_of_each_prefix():
    x = ragged(2, 6, lengths=(13, 9))
    x = Sequence(x.values, x.mask & (torch.arange(13) != 4))
    y = sl.GroupNorm(3, 6, cumulative=True).double().layer(x)
    whole = nn.GroupNorm(3, 6).double()
    for t in (0, 1, 3, 5, 8):
        kept = [s for s in range(t + 1) if s != 4]
        expected = whole(x.values[:, kept].permute(0, 3, 1, 2)).permute(0, 2, 3, 1)[:, -1]
        torch.testing.assert_close(y.values[:, t], expected)


def test_cumulative_group_norm_survives_a_large_mean_and_a_long_stream():
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(1, 20_000, 2, generator=generator) + 3000
    x = Sequence.of(values)
    layer = sl.GroupNorm(1, 2, cumulative=True)
    exact = layer.layer(Sequence.of(values.double()).to(torch.float32))
    history = values.double()
    expected = (history[0, -1] - history.mean()) / history.var(correction=0).sqrt()
    torch.testing.assert_close(exact.values[0, -1].double(), expected, rtol=1e-3, atol=1e-3)
    streamed = sl.stream(layer, x, block_size=1000)
    torch.testing.assert_close(streamed.values, exact.values)


def test_whole_group_norm_says_why_it_cannot_step():
    layer = sl.GroupNorm(2, 4)
    assert not layer.supports_step
    with pytest.raises(NotImplementedError, match="cumulative=True"):
        layer.initial_state(1)


@pytest.mark.parametrize(
    "layer", [sl.LayerNorm(4), sl.RMSNorm(4), sl.BatchNorm(4), sl.GroupNorm(2, 4), sl.GroupNorm(2, 4, affine=False)]
)
def test_refuses_other_channels_and_integers(layer):
    for x in (torch.randn(1, 3, 5), torch.randn(1, 3), torch.ones(1, 3, 4, dtype=torch.long)):
        with pytest.raises(ValueError, match="x: expected"):
            layer(x)


def test_refuses_groups_that_do_not_divide():
    with pytest.raises(ValueError, match="num_channels"):
        sl.GroupNorm(4, 6)


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_without_padding_is_batch_norm_with_an_idle_mask(training):
    values = torch.randn(3, 7, 5, dtype=torch.float64)
    norms = [sl.BatchNorm(5).double().train(training) for _ in range(2)]
    sequences = [sl.Sequence.of(values), sl.Sequence(values, torch.ones(3, 7, dtype=torch.bool))]  # known, not known
    results = [norm(x).values for norm, x in zip(norms, sequences, strict=True)]
    torch.testing.assert_close(*results, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(norms[0].state_dict(), norms[1].state_dict(), rtol=1e-12, atol=1e-12)
