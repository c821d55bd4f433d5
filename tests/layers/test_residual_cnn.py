"""Squeeze-and-excitation, residual blocks and the multi-scale CNN: formulas, reach, cost, refusals."""

import pytest
import torch
import torch.nn.functional as F

import course_lib.layers as sl
from course_lib.sequence.receptive_field import influence

float64 = torch.float64


def gradients(y, *inputs):
    slopes = torch.randn(y.shape, generator=torch.Generator().manual_seed(9), dtype=float64)
    return torch.autograd.grad((y * slopes).sum(), inputs)


def assert_same_in_value_and_gradient(y, expected, *inputs):
    torch.testing.assert_close(y, expected)
    for mine, other in zip(gradients(y, *inputs), gradients(expected, *inputs), strict=True):
        torch.testing.assert_close(mine, other)


def size(module):
    return sum(p.numel() for p in module.parameters())


def test_squeeze_and_excitation_is_the_formula():
    layer = sl.SqueezeExcitation(6, reduction=2).double()
    x = torch.randn(2, 5, 6, dtype=float64, requires_grad=True)
    w = torch.sigmoid(layer.excite(F.relu(layer.squeeze(x.mean(1)))))
    assert_same_in_value_and_gradient(layer(x), x * w[:, None], x, *layer.parameters())
    torch.testing.assert_close(layer.weights(x), w)


def test_block_is_the_formula_in_torch_functions():
    block = sl.ResidualBlock(3, 4, dilations=(1, 2, 4)).double().eval()
    x = torch.randn(2, 20, 3, dtype=float64, requires_grad=True)
    body, shortcut = block[0].body, block[0].shortcut
    h = x.transpose(1, 2)
    for i, (conv, norm) in enumerate(((body[0], body[1]), (body[3], body[4]), (body[6], body[7]))):
        h = F.mish(h) if i else h
        dilation = (1, 2, 4)[i]
        h = F.conv1d(h, conv.weight, padding=dilation, dilation=dilation)
        h = F.batch_norm(h, norm.running_mean, norm.running_var, norm.weight, norm.bias)
    h = h * body[8].weights(h.transpose(1, 2))[:, :, None]
    norm = shortcut[1]
    s = F.conv1d(x.transpose(1, 2), shortcut[0].weight)
    s = F.batch_norm(s, norm.running_mean, norm.running_var, norm.weight, norm.bias)
    assert_same_in_value_and_gradient(block(x), F.mish(h + s).transpose(1, 2), x, *block.parameters())


def test_reach_of_the_dilations():
    block = sl.ResidualBlock(2, 2, kernel_size=3, dilations=(1, 2, 4), squeeze=False)
    assert block.receptive_field == (-7, 7)
    shown = influence(block.double().eval(), sl.Sequence.of(torch.randn(2, 30, 2, dtype=float64)), 30)
    sources = shown[:, 15].nonzero().flatten()
    assert (sources.min(), sources.max()) == (8, 22)


def test_each_stage_is_coarser():
    cnn = sl.MultiScaleCNN(1).eval()
    assert [stage.output_ratio.denominator for stage in cnn] == [2, 1, 2, 2, 2]
    assert cnn(torch.randn(2, 1024, 1)).shape == (2, 64, 256)
    assert cnn(torch.randn(2, 1, 1)).shape == (2, 1, 256)
    assert [tuple(w.shape) for w in cnn.channel_weights(torch.randn(2, 100, 1))] == [(2, c) for c in (32, 64, 128, 256)]


def test_channel_weights_are_those_that_the_blocks_used():
    cnn = sl.MultiScaleCNN(1, (4, 6), (2, 2)).eval()
    x = torch.randn(2, 20, 1)
    first = cnn[1]
    h = first[0].body[:-1](cnn[0](x))
    torch.testing.assert_close(cnn.channel_weights(x)[0], first[0].body[-1].weights(h))
    assert sl.MultiScaleCNN(1, (4,), (1,), squeeze=False).channel_weights(x) == []


def test_looking_at_the_weights_changes_nothing():
    cnn = sl.MultiScaleCNN(1, (4, 6), (2, 2))  # in training mode
    x = torch.randn(2, 20, 1)
    before = {name: value.clone() for name, value in cnn.state_dict().items()}
    cnn.channel_weights(x)
    torch.testing.assert_close(dict(cnn.state_dict()), before)


def test_a_slice_keeps_the_mode():
    cnn = sl.MultiScaleCNN(1, (4,), (1,)).eval()
    assert not cnn[:1].training and cnn.train()[:1].training


def test_separable_convolutions_cost_less():
    plain, separable = (sl.ResidualBlock(64, 64, squeeze=False, separable=s) for s in (False, True))
    assert size(plain) == 3 * (3 * 64 * 64 + 2 * 64)
    assert size(separable) == 3 * (3 * 64 + 64 * 64 + 2 * 64)
    x = torch.randn(2, 9, 64)
    assert separable(x).shape == plain(x).shape


def test_without_residual_zero_weights_stop_the_signal():
    for residual in (True, False):
        block = sl.ResidualBlock(3, 3, norm_kind="layer", squeeze=False, residual=residual)
        torch.nn.init.zeros_(block[0].body[-1].weight if residual else block[0][-1].weight)
        x = torch.randn(2, 6, 3)
        expected = F.mish(x) if residual else torch.zeros_like(x)
        torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize("norm_kind", ["batch", "group", "layer", "rms"])
def test_constant_single_step_and_single_item_train(norm_kind):
    cnn = sl.MultiScaleCNN(2, (4, 8), (2, 2), norm_kind=norm_kind)
    for x in (torch.ones(3, 12, 2), torch.randn(1, 1, 2)):
        cnn(x).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in cnn.parameters() if p.grad is not None)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: sl.ResidualBlock(2, 3, dilations=()), "dilations: expected at least one"),
        (lambda: sl.ResidualBlock(2, 3, norm_kind="max"), "norm_kind: expected one of"),
        (lambda: sl.MultiScaleCNN(1, (4, 8), (2,)), "channels, strides: expected one of each"),
        (lambda: sl.SqueezeExcitation(0), "channels, reduction: expected at least 1"),
        (lambda: sl.MultiScaleCNN(2, (4,), (1,))(torch.zeros(2, 9, 3)), r"expected \(B, T, 2\)"),
        (lambda: sl.SqueezeExcitation(4).weights(torch.zeros(2, 9, 3)), r"expected \(B, T, 4\)"),
    ],
)
def test_what_does_not_fit_is_named(make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make()


def test_squeeze_cannot_step_and_says_why():
    block = sl.ResidualBlock(2, 2)
    with pytest.raises(NotImplementedError, match="SqueezeExcitation cannot .*mean of the whole sequence"):
        block.initial_state(1)
