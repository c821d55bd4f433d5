"""Filters equal scipy.signal.lfilter, whole and streamed, and their gradients are those of the recursion."""

import numpy as np
import pytest
import torch
from scipy import signal

import course_lib.layers as sl
from course_lib.sequence import Sequence

FILTERS = {
    "leaky integrator": ([0.1], [1.0, -0.9]),
    "scaled": ([1.0, 2.0], [4.0, 1.0, 0.5]),
    "longer numerator": ([1.0, 2.0, 3.0, 4.0], [2.0, 0.5]),
    "gain": ([3.0], [2.0]),
    "low-pass": signal.butter(4, 0.2),
    "narrow band": signal.butter(2, [0.01, 0.02], "bandpass"),
    "notch": signal.iirnotch(0.1, 30),
    "elliptic": signal.ellip(6, 1, 60, 0.3),
    "unstable": ([1.0], [1.0, -1.05]),
}


@pytest.mark.parametrize("name", FILTERS)
def test_iir_equals_scipy_whole_and_streamed(name):
    b, a = FILTERS[name]
    x = sl.random_sequence(2, 300, 3, seed=0, dtype=torch.float64)
    expected = signal.lfilter(b, a, x.values.numpy(), axis=1)
    layer = sl.IIRFilter(b, a)
    np.testing.assert_allclose(layer.layer(x).values.numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(sl.stream(layer, x, [1, 70, 7]).values.numpy(), expected, rtol=1e-12)


def test_the_state_is_scipys():
    b, a = FILTERS["low-pass"]
    x = sl.random_sequence(1, 50, 1, seed=0, dtype=torch.float64)
    layer = sl.IIRFilter(b, a)
    _, state = layer.step(x, layer.initial_state(1, x.spec))
    _, expected = signal.lfilter(b, a, x.values[0, :, 0].numpy(), zi=np.zeros(4))
    np.testing.assert_allclose(state[0, 0].numpy(), expected)


def test_single_precision_data_is_filtered_in_double():
    b, a = FILTERS["narrow band"]
    x = sl.random_sequence(1, 5000, 1, seed=0)
    expected = signal.lfilter(b, a, x.values.double().numpy(), axis=1)
    y = sl.stream(sl.IIRFilter(b, a), x, 100).values
    assert y.dtype == torch.float32
    np.testing.assert_allclose(y.numpy(), expected, atol=1e-6 * abs(expected).max())


@pytest.mark.parametrize("name", ["scaled", "longer numerator", "low-pass", "gain"])
def test_gradients_of_input_and_state(name):
    layer = sl.IIRFilter(*FILTERS[name])
    x = torch.randn(2, 9, dtype=torch.float64, requires_grad=True)
    state = torch.randn(2, layer.order, dtype=torch.float64, requires_grad=True)

    def step(x, state):
        y, state = layer.step(Sequence.of(x), state)
        return y.values, state

    assert torch.autograd.gradcheck(step, (x, state))


@pytest.mark.parametrize("channels", [(), (3,), (2, 2)])
def test_fir_equals_scipy(channels):
    b = signal.firwin(31, 0.3)
    x = sl.random_sequence(2, 100, *channels, seed=0, dtype=torch.float64)
    expected = signal.lfilter(b, 1, x.values.numpy(), axis=1)
    np.testing.assert_allclose(sl.FIRFilter(b).layer(x).values.numpy(), expected, atol=1e-12)
    centred = np.apply_along_axis(np.convolve, 1, x.values.numpy(), b, "same")
    np.testing.assert_allclose(sl.FIRFilter(b, "same").layer(x).values.numpy(), centred, atol=1e-12)


def test_invalid_steps_are_zeros_through_which_the_filter_rings_on():
    x = torch.tensor([[1.0, torch.nan, torch.nan, 0.0]])
    y = sl.IIRFilter([1.0], [1.0, -0.5]).layer(Sequence(x, torch.tensor([[True, False, False, True]])))
    assert y.values.tolist() == [[1.0, 0.5, 0.25, 0.125]]


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: sl.IIRFilter([1.0], [0.0, 1.0]), "a: expected a first coefficient"),
        (lambda: sl.IIRFilter([], [1.0]), "b: expected a list"),
        (lambda: sl.FIRFilter([1.0, np.nan]), "b: expected a list of finite"),
        (lambda: sl.FIRFilter([1.0])(torch.ones(1, 3, dtype=torch.long)), "floating-point numbers, .* in FIRFilter"),
        (
            lambda: sl.IIRFilter([1.0], [1.0])(torch.ones(1, 3, dtype=torch.cfloat)),
            "floating-point numbers, .* in IIRFilter",
        ),
    ],
)
def test_refuses_what_is_no_filter(make, message):
    with pytest.raises(ValueError, match=message):
        make()
