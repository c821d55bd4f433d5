"""The RG-LRU against its equations written out in NumPy, as a scan and as a stream, near no leak and in gradients."""

import numpy as np
import pytest
import torch

import course_lib.layers as sl


def by_the_equations(layer, x):
    """(T, C) -> (T, C), step by step, with full matrices in place of blocks."""
    w = {name: value.detach().numpy() for name, value in layer.named_parameters()}
    sigmoid = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
    size = layer.channels // layer.num_blocks
    full = {}
    for gate in ("recurrence", "input"):
        full[gate] = np.zeros((layer.channels, layer.channels))
        for n, block in enumerate(w[f"{gate}_weight"]):
            full[gate][n * size : (n + 1) * size, n * size : (n + 1) * size] = block
    h, states = np.zeros(layer.channels), []
    for x_t in x:
        r = sigmoid(full["recurrence"] @ x_t + w["recurrence_bias"])
        i = sigmoid(full["input"] @ x_t + w["input_bias"])
        a = sigmoid(w["decay_logit"]) ** (8 * r)
        h = a * h + np.sqrt(1 - a**2) * i * x_t
        states.append(h)
    return np.array(states)


@pytest.mark.parametrize("num_blocks", [1, 3])
@pytest.mark.parametrize("steps", [1, 16, 17, 300])
def test_equals_its_equations(num_blocks, steps):
    torch.manual_seed(0)
    layer = sl.RGLRU(6, num_blocks).double()
    torch.nn.init.normal_(layer.recurrence_bias)
    x = torch.randn(1, steps, 6, dtype=torch.float64)
    torch.testing.assert_close(layer(x)[0].detach(), torch.from_numpy(by_the_equations(layer, x[0].numpy())))


def test_begins_with_long_memories_and_a_state_as_large_as_its_input():
    torch.manual_seed(0)
    layer = sl.RGLRU(512)
    eighth = torch.sigmoid(layer.decay_logit) ** 8
    assert 0.9 <= eighth.min() < 0.91 and 0.99 < eighth.max() <= 0.999
    with torch.no_grad():
        for weight in (layer.recurrence_weight, layer.input_weight):
            weight.zero_()
        layer.input_bias.fill_(50.0)  # the input gate is open
        spread = layer(torch.randn(4, 4000, 512))[:, 2000:].std()
    assert abs(spread - 1) < 0.03


@pytest.mark.parametrize("logit", [-40.0, 0.0, 12.0, 200.0])
def test_values_and_gradients_stay_finite_for_every_leak(logit):
    layer = sl.RGLRU(3)
    torch.nn.init.constant_(layer.decay_logit, logit)
    x = torch.randn(2, 1000, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    y = layer(x)
    gradients = torch.autograd.grad(y.square().mean(), [x, *layer.parameters()])
    assert y.isfinite().all() and all(g.isfinite().all() for g in gradients)


def test_a_long_stream_in_float32_stays_with_float64():
    torch.manual_seed(0)
    layer = sl.RGLRU(4)
    x = sl.random_sequence(1, 5000, 4)
    with torch.no_grad():
        streamed = sl.stream(layer, x, 250).values
        exact = layer.double()(x.values.double())
    torch.testing.assert_close(streamed.double(), exact, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((6, 4), "num_blocks: expected a divisor of channels=6, got 4"),
        ((0,), "channels, num_blocks: expected at least 1"),
    ],
)
def test_sizes_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        sl.RGLRU(*arguments)
