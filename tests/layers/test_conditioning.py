"""Conditioning: the four combinations by hand, alignment behind latencies and leading invalid steps, errors."""

import pytest
import torch

import course_lib.layers as sl

X = sl.random_sequence(2, 7, 4, seed=0, lengths=[7, 5])
C = sl.random_sequence(2, 7, 4, seed=1)


def test_combinations_by_hand():
    x, c = X.values, C.values
    expected = {"add": x + c, "multiply": x * c, "concatenate": torch.cat([x, c], dim=-1)}
    for combination, values in expected.items():
        y = sl.Conditioning("c", combination, channels=4).layer(X, constants={"c": C})
        torch.testing.assert_close(y.masked().values, sl.Sequence(values, X.mask).masked().values)
    project = sl.Dense(8, 4)
    scale, shift = project(c).chunk(2, dim=-1)
    y = sl.Conditioning("c", "scale_and_shift", project)(x, constants={"c": C})
    torch.testing.assert_close(y, x * (1 + scale) + shift)


def test_channels_broadcast():
    x = torch.randn(2, 7, 3, 4)
    y = sl.Conditioning("c", "multiply")(x, constants={"c": C})
    torch.testing.assert_close(y, x * C.values[:, :, None])


def test_valid_where_both_are():
    short = C[:, :6]
    short = sl.Sequence(short.values, short.mask & torch.tensor([[True] * 6, [True, False, True, True, True, True]]))
    y = sl.Conditioning("c").layer(X, constants={"c": short})
    assert y.mask.int().tolist() == [[1, 1, 1, 1, 1, 1, 0], [1, 0, 1, 1, 1, 0, 0]]
    assert not sl.Conditioning("c").layer(X, constants={"c": C[:, :0]}).mask.any()


def test_step_0_belongs_to_the_first_valid_step():
    late = sl.Sequence(X.values, torch.arange(7)[None] >= torch.tensor([[3], [0]]))
    layer = sl.Conditioning("c", "add")
    for y in (layer.layer(late, constants={"c": C}), sl.stream(layer, late, 2, constants={"c": C})):
        torch.testing.assert_close(y.values[0, 3:], X.values[0, 3:] + C.values[0, :4])
        torch.testing.assert_close(y.values[1], X.values[1] + C.values[1])


@pytest.mark.parametrize("size", [1, 2, 5])
def test_alignment_does_not_depend_on_latency(size):
    layer = sl.Sequential([sl.StepDelay(3), sl.Conditioning("c", "multiply")])
    y = sl.stream(layer, X, size, constants={"c": C})
    torch.testing.assert_close(y.masked().values, sl.Sequence(X.values * C.values, X.mask).masked().values)


def test_nested_layers_see_the_constants():
    layer = sl.Residual(sl.Sequential([sl.Dense(4), sl.Conditioning("c", "multiply"), sl.Lookahead(0)]))
    y = layer(X.values, constants={"c": C})
    torch.testing.assert_close(y, X.values + layer[0][0](X.values) * C.values)


@pytest.mark.parametrize(
    ("layer", "constants", "message"),
    [
        (sl.Conditioning("c"), None, "constants: expected a Sequence named 'c'"),
        (sl.Conditioning("c"), {"d": C}, r"got one of \['d'\]"),
        (sl.Conditioning("c"), {"c": C.values}, "got Tensor"),
        (sl.Conditioning("c"), {"c": C[:1]}, r"constants\['c'\]: expected \(2, S, \.\.\.\), got \(1, "),
        (sl.Conditioning("c"), {"c": C.to(torch.float64)}, "expected torch.float32, got torch.float64"),
        (sl.Conditioning("c", channels=3), {"c": C}, r"expected \(2, S, 3\), got \(2, 7, 4\)"),
        (sl.Conditioning("c", "multiply", sl.Dense(3, 4)), {"c": C}, r"channels \(3,\), after the projection, do not"),
        (sl.Conditioning("c", "scale_and_shift"), {"c": C}, "do not scale_and_shift"),
    ],
)
def test_refuses_constants_that_do_not_fit(layer, constants, message):
    with pytest.raises(ValueError, match=message):
        layer.layer(X, constants=constants)
    with pytest.raises(ValueError, match=message):
        layer.step(X, layer.initial_state(2, X.spec), constants=constants)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("c", "subtract"), "combination: expected one of add"),
        (("c", "concatenate"), "channels: needed"),
        (("c", "concatenate", sl.Dense(3)), "channels: needed"),
        (("c", "add", sl.Delay(1)), "projection: expected a layer that treats each step alone"),
    ],
)
def test_refuses_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        sl.Conditioning(*arguments)
