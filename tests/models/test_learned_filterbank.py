"""The learned front end: where its filters start, what it is blind to, errors."""

import math

import pytest
import torch

from course_lib.models import LearnedFilterbank


def tone(frequency, phase=0.0, rate=8000, samples=8000):
    return torch.sin(2 * math.pi * frequency * torch.arange(samples) / rate + phase)[None, None]


def test_shape():
    assert LearnedFilterbank(16_000, kernel_size=800, stride=320, average=4)(torch.randn(2, 1, 80_000)).shape == (
        2,
        64,
        62,
    )


def test_a_higher_tone_lights_a_higher_filter():
    bank = LearnedFilterbank(8000, num_filters=32, kernel_size=512, stride=200)
    loudest = [bank(tone(f)).mean(2).argmax().item() for f in (200, 500, 1000, 2000, 3500)]
    assert loudest == sorted(set(loudest))


def test_phase_does_not_matter_at_first():
    bank = LearnedFilterbank(8000, num_filters=32, kernel_size=512, stride=200)
    a, b = bank(tone(1000)), bank(tone(1000, phase=1.1))
    band = a.mean((0, 2)).argmax()
    torch.testing.assert_close(a[:, band, 3:-3], b[:, band, 3:-3], atol=2e-2, rtol=0)


def test_filters_learn():
    bank = LearnedFilterbank(8000, num_filters=5, kernel_size=64, stride=50)
    bank(torch.randn(2, 1, 900)).sum().backward()
    assert (bank.filters.weight.grad.abs().sum((1, 2)) > 0).all()


@pytest.mark.parametrize("shape", [(3, 100), (2, 2, 500), (1, 1, 150)])
def test_errors(shape):
    with pytest.raises(ValueError, match="x: expected"):
        LearnedFilterbank(8000, num_filters=5, kernel_size=64, stride=200)(torch.zeros(shape))
