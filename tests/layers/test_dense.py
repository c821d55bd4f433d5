"""Dense maps against `nn.Linear` and `torch.einsum`; lazy weights; maps with weights for every time step."""

import copy
import io

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import course_lib.layers as sl

X = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))


def test_dense_loads_and_equals_linear():
    linear = nn.Linear(4, 3)
    dense = sl.Dense(3, 4, activation=torch.tanh)
    dense.load_state_dict(linear.state_dict())
    torch.testing.assert_close(dense(X), torch.tanh(linear(X)))
    torch.testing.assert_close(sl.Dense(3, bias=False)(X).shape, torch.Size([2, 5, 3]))
    assert sl.Dense(3, 4)(X[:, None].expand(2, 6, 5, 4)).shape == (2, 6, 5, 3)


def test_dense_begins_as_linear_does():
    torch.manual_seed(0)
    dense, linear = sl.Dense(500, 100), nn.Linear(100, 500)
    for ours, theirs in zip(dense.parameters(), linear.parameters(), strict=True):
        torch.testing.assert_close(ours.abs().max(), theirs.abs().max(), rtol=0.02, atol=0)
        torch.testing.assert_close(ours.std(), theirs.std(), rtol=0.1, atol=0)


@pytest.mark.parametrize(
    ("make", "x"),
    [
        (lambda: sl.Dense(3), X),
        (lambda: sl.EinsumDense("...i,io->...o", (3,), "o"), X),
        (lambda: sl.SequenceDense(3, num_steps=6), X),
        (lambda: sl.MaskedDense(3, num_steps=6), X),
    ],
    ids=["Dense", "EinsumDense", "SequenceDense", "MaskedDense"],
)
class TestLazyWeights:
    def test_data_give_the_shape_once(self, make, x):
        layer = make()
        assert layer.input_spec is None
        with pytest.raises(ValueError, match="spec: .* does not know its input"):
            layer.initial_state(2)
        layer(x)
        assert layer.input_spec == ((4,), torch.float32)
        weight = layer.weight.clone()
        layer(x)
        assert torch.equal(layer.weight, weight)
        with pytest.raises(ValueError, match="x: expected"):
            layer(x[..., :3])

    def test_initial_state_gives_the_shape(self, make, x):
        layer = make()
        state = layer.initial_state(2, sl.ChannelSpec((4,)))
        y, _ = layer.step(sl.Sequence.of(x), state)
        torch.testing.assert_close(y.values, layer(x))

    def test_moves_and_casts_before_and_after(self, make, x):
        layer = make().double()
        assert layer(x.double()).dtype == torch.float64
        assert layer.float()(x).dtype == torch.float32
        assert make().to("meta").weight.device.type == "meta"
        with pytest.raises(ValueError, match="expected torch.float32, got torch.float64"):
            make()(x.double())

    def test_saves_and_loads_before_and_after(self, make, x):
        layer, fresh = make(), make()
        y = layer(x)
        file = io.BytesIO()
        torch.save(layer.state_dict(), file)
        file.seek(0)
        fresh.load_state_dict(torch.load(file))
        torch.testing.assert_close(fresh(x), y)
        untouched = make()
        make().load_state_dict(untouched.state_dict())
        torch.testing.assert_close(copy.deepcopy(untouched)(x).shape, y.shape)

    def test_counts_and_trains(self, make, x):
        layer = make()
        layer(x)
        assert sum(p.numel() for p in layer.parameters()) > 0
        before = layer.weight.clone()
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
        layer(x).square().sum().backward()
        optimizer.step()
        assert not torch.equal(layer.weight, before)


@pytest.mark.parametrize(
    ("equation", "input_shape", "output_shape", "bias_axes", "bias_shape"),
    [
        ("...nh,nhd->...d", (2, 3), (6,), "d", (6,)),
        ("...d,dnh->...nh", (6,), (2, 3), "nh", (2, 3)),
        ("...d,dnh->...nh", (6,), (2, 3), "n", (2, 1)),
        ("...nh,hk->...nk", (2, 3), (2, 5), "k", (5,)),
        ("...nh,nh->...nh", (2, 3), (2, 3), "", None),
    ],
)
def test_einsum_dense_equals_einsum(equation, input_shape, output_shape, bias_axes, bias_shape):
    x = torch.randn(2, 5, *input_shape)
    for given in (None, input_shape):
        layer = sl.EinsumDense(equation, output_shape, bias_axes, given)
        expected = torch.einsum(equation, x, layer(x) is not None and layer.weight)
        if bias_shape is not None:
            assert layer.bias.shape == bias_shape
            expected = expected + layer.bias
        torch.testing.assert_close(layer(x), expected)
        assert layer.input_spec.shape == input_shape


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("...i,io->", (3,)), "equation: expected the form"),
        (("i,io->o", (3,)), "equation: expected the form"),
        (("...i,ij->...k", (3,)), "each axis once in at least two"),
        (("...ii,io->...o", (3,)), "each axis once in at least two"),
        (("...i,io->...o", (3, 4)), "output_shape: expected sizes for 'o'"),
        (("...i,io->...o", (3,), "i"), "bias_axes: expected letters of 'o'"),
        (("...i,io->...o", (3,), "o", (2, 4)), "x: expected channel axes 'i'"),
        (("...nh,hk->...nk", (2, 5), "", (3, 4)), "x: expected 2 on axis 'n'"),
    ],
)
def test_einsum_dense_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        sl.EinsumDense(*arguments)


def test_dense_refuses():
    with pytest.raises(ValueError, match="features, in_features: expected at least 1"):
        sl.Dense(0)
    with pytest.raises(ValueError, match=r"expected \(B, T, 4\), got \(B, T, 5\) in Dense: is the time axis second"):
        sl.Dense(3, 4)(X.transpose(1, 2))
    with pytest.raises(ValueError, match=r"expected \(B, T, ..., C\)"):
        sl.Dense(3)(X[..., 0])


def test_autocast_is_allowed_to_change_the_dtype():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = sl.Sequential([sl.Dense(3), sl.ReLU(), sl.Dense(2)])(X)
    assert y.dtype == torch.bfloat16


def test_sequence_dense_has_a_map_for_every_step():
    layer = sl.SequenceDense(3, num_steps=5, in_features=4)
    expected = [F.linear(X[:, t], layer.weight[t], layer.bias[t]) for t in range(5)]
    torch.testing.assert_close(layer(X), torch.stack(expected, dim=1))


def test_masked_dense_is_one_map_of_the_whole_sequence():
    layer = sl.MaskedDense(3, num_steps=5, in_features=4)
    y = layer(X)
    for t in range(5):
        expected = layer.bias[t] + sum(F.linear(X[:, s], layer.weight[s, t]) for s in range(t + 1))
        torch.testing.assert_close(y[:, t], expected)


@pytest.mark.parametrize("make", [sl.SequenceDense, sl.MaskedDense])
def test_steps_are_numbered_from_the_first_valid_one_and_end(make):
    layer = make(3, 4, in_features=4)
    x = sl.random_sequence(1, 7, 4, seed=0)
    late = sl.Sequence(x.values, torch.arange(7)[None] >= 2)
    y = layer.layer(late)
    torch.testing.assert_close(y.values[:, 2:6], layer(x.values[:, 2:6]))
    assert y.mask.tolist() == [[False] * 2 + [True] * 4 + [False]]
    with pytest.raises(ValueError, match="num_steps"):
        make(3, 0)
