"""Mish and dropout arranged for the CPU, and the fused paths of layers without padding: equal to the plain ones."""

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

import course_lib.layers as sl
from course_lib.layers import cpu_kernels

float64 = torch.float64


@pytest.mark.parametrize("dtype, tolerance", [(float64, 1e-12), (torch.float32, 2e-6), (torch.bfloat16, 3e-2)])
def test_mish_is_pytorchs(dtype, tolerance):
    x = torch.linspace(-60, 200, 6_000, dtype=dtype).requires_grad_()
    mine, theirs = cpu_kernels.mish(x), F.mish(x)
    torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=tolerance)
    weights = torch.linspace(-1, 1, 6_000, dtype=dtype)
    slopes = [torch.autograd.grad((y * weights).sum(), x)[0] for y in (mine, theirs)]
    torch.testing.assert_close(*slopes, rtol=tolerance, atol=tolerance)


def test_slopes_of_mish_twice():
    x = torch.linspace(-30, 30, 7, dtype=float64).requires_grad_()
    assert gradcheck(cpu_kernels._Mish.apply, x)
    assert gradgradcheck(cpu_kernels._Mish.apply, x)


def test_mish_lets_nan_through():
    x = torch.zeros(5_000)
    x[[0, 1]] = torch.tensor([torch.nan, torch.inf])
    y = cpu_kernels.mish(x)
    assert y[0].isnan() and y[1] == torch.inf and (y[2:] == 0).all()


@pytest.mark.parametrize("p", [0.1, 0.5, 0.93])
def test_dropout_drops_a_share_and_keeps_the_mean(p):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        x = torch.ones(301, 997, requires_grad=True)
        y = cpu_kernels.dropout(x, p)
        again = cpu_kernels.dropout(x, p)
    assert abs((y == 0).double().mean() - p) < 5 * (p * (1 - p) / x.numel()) ** 0.5
    torch.testing.assert_close(y[y != 0], torch.full_like(y[y != 0], 1 / (1 - p)), rtol=2e-3, atol=0.0)
    assert not torch.equal(y, again)
    y.sum().backward()
    torch.testing.assert_close(x.grad, y.detach())  # what was kept has the slope of its factor


def test_dropped_values_are_independent_of_their_neighbours():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kept = (cpu_kernels.dropout(torch.ones(400_000), 0.5) != 0).double() - 0.5
    for distance in range(1, 9):  # four neighbours come from one random number
        correlation = 4 * (kept[distance:] * kept[:-distance]).mean()
        assert abs(correlation) < 5 / 400_000**0.5


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_dropout_of_nothing_and_of_everything(p):
    x = torch.ones(10_000)
    torch.testing.assert_close(cpu_kernels.dropout(x, p), x * (1 - p))


def test_dropout_repeats_with_the_seed():
    with torch.random.fork_rng():
        torch.manual_seed(7)
        first = cpu_kernels.dropout(torch.ones(9_999), 0.3)
        torch.manual_seed(7)
        assert torch.equal(first, cpu_kernels.dropout(torch.ones(9_999), 0.3))


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_without_padding_is_batch_norm_with_an_idle_mask(training):
    values = torch.randn(3, 7, 5, dtype=float64)
    norms = [sl.BatchNorm(5).double().train(training) for _ in range(2)]
    sequences = [sl.Sequence.of(values), sl.Sequence(values, torch.ones(3, 7, dtype=torch.bool))]  # known, not known
    results = [norm(x).values for norm, x in zip(norms, sequences, strict=True)]
    torch.testing.assert_close(*results, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(norms[0].state_dict(), norms[1].state_dict(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("length", [1, 2, 5, 64, 131])
@pytest.mark.parametrize("kernel, stride, dilation", [(3, 1, 1), (3, 2, 1), (5, 3, 2), (4, 2, 1), (7, 1, 4)])
def test_convolution_that_pads_by_itself_is_the_padded_one(length, kernel, stride, dilation):
    layer = sl.Conv1D(2, 3, kernel, stride, "same", dilation).double()
    values = torch.randn(2, length, 2, dtype=float64)
    known = layer(sl.Sequence.of(values))
    unknown = layer(sl.Sequence(values, torch.ones(2, length, dtype=torch.bool)))
    torch.testing.assert_close(known.values, unknown.values, rtol=1e-12, atol=1e-12)
    assert torch.equal(known.mask, unknown.mask)
