"""Activations against PyTorch's, arithmetic, shapes, dropout, and what each refuses."""

import pytest
import torch
import torch.nn.functional as F

import course_lib.layers as sl

X = torch.linspace(-6, 6, 2 * 5 * 4).reshape(2, 5, 4)


@pytest.mark.parametrize(
    ("layer", "oracle"),
    [
        (sl.ReLU(), torch.nn.ReLU()),
        (sl.GELU(), torch.nn.GELU()),
        (sl.GELU(approximate="tanh"), torch.nn.GELU(approximate="tanh")),
        (sl.SiLU(), torch.nn.SiLU()),
        (sl.Mish(), torch.nn.Mish()),
        (sl.Sigmoid(), torch.nn.Sigmoid()),
        (sl.Tanh(), torch.nn.Tanh()),
        (sl.Softmax(), torch.nn.Softmax(dim=-1)),
        (sl.GLU(), torch.nn.GLU()),
        (sl.Flatten(), torch.nn.Flatten(start_dim=2)),
    ],
    ids=lambda layer: str(layer),
)
def test_equals_pytorch(layer, oracle):
    torch.testing.assert_close(layer(X), oracle(X))


def test_gated_units_by_hand():
    feature, gate = X.chunk(2, dim=-1)
    torch.testing.assert_close(sl.SwiGLU()(X), F.silu(feature) * gate)
    torch.testing.assert_close(sl.GEGLU()(X), F.gelu(feature) * gate)
    with pytest.raises(ValueError, match="even last axis"):
        sl.SwiGLU()(torch.zeros(2, 5, 3))


def test_softmax_is_computed_in_float32_at_least():
    x = (X * 1000).to(torch.float16)
    y = sl.Softmax()(x)
    assert y.dtype == torch.float16
    torch.testing.assert_close(y, F.softmax(x.float(), dim=-1).to(torch.float16))
    torch.testing.assert_close(sl.Softmax()(X).sum(-1), torch.ones(2, 5))
    torch.testing.assert_close(sl.Softmax(axis=2)(X), sl.Softmax(axis=-1)(X))
    for axis in (0, 1, 3, -2, -3):
        with pytest.raises(ValueError, match="axis: expected a channel axis"):
            sl.Softmax(axis)(X)


def test_dropout_scales_what_it_keeps():
    layer = sl.Dropout(0.25)
    torch.manual_seed(0)
    y = layer(torch.ones(1, 10_000, 1))
    torch.testing.assert_close(y.unique(), torch.tensor([0.0, 4 / 3]))
    assert abs((y == 0).float().mean().item() - 0.25) < 0.02
    assert torch.equal(layer.eval()(X), X)
    with pytest.raises(ValueError, match="p: expected a probability"):
        sl.Dropout(1.5)


def test_lambda_infers_or_is_told_what_comes_out():
    layer = sl.Lambda(lambda v: v.mean(-1).to(torch.float64))
    assert layer.output_spec(sl.ChannelSpec((4,))) == ((), torch.float64)
    assert layer(X).shape == (2, 5)
    told = sl.Lambda(lambda v: v[..., :2], output_spec=((2,), torch.float32))
    assert told.output_spec(sl.ChannelSpec((4,))) == ((2,), torch.float32)
    with pytest.raises(ValueError, match=r"function: expected \(1, 1, ...\)"):
        sl.Lambda(lambda v: v.sum())(X)
    with pytest.raises(ValueError, match="function: does not take zeros"):
        sl.Lambda(lambda v: v @ torch.zeros(3, 3))(X)


def test_scale_and_add_broadcast_to_the_channels_and_no_further():
    factors = torch.tensor([1.0, 2.0, 3.0, 4.0])
    torch.testing.assert_close(sl.Scale(factors)(X), X * factors)
    torch.testing.assert_close(sl.Add(-1.5)(X), X - 1.5)
    assert sl.Scale(0.5)(torch.ones(2, 5, 4, dtype=torch.long)).dtype == torch.float32
    assert "value" in sl.Add(factors).state_dict() and not sl.Add(1.0).state_dict()
    for value in (torch.ones(3), torch.ones(2, 4)):
        with pytest.raises(ValueError, match="do not take a value of shape"):
            sl.Scale(value)(X)


def test_reshape_keeps_batch_and_time():
    assert sl.Reshape((2, -1))(X).shape == (2, 5, 2, 2)
    assert sl.Reshape((4, 1))(X[:, :0]).shape == (2, 0, 4, 1)
    torch.testing.assert_close(sl.Flatten()(sl.Reshape((2, 2))(X)), X)
    for shape in ((3,), (3, -1)):
        with pytest.raises(ValueError, match="x: expected channels of"):
            sl.Reshape(shape)(X)
    with pytest.raises(ValueError, match="shape: expected sizes"):
        sl.Reshape((-1, -1))


def test_activations_refuse_integers():
    for layer in (sl.ReLU(), sl.GELU(), sl.Softmax(), sl.GLU()):
        with pytest.raises(ValueError, match="real floating-point numbers, got torch.int64"):
            layer(torch.ones(2, 5, 4, dtype=torch.long))
