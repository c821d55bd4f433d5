"""Between-class mixing: levels, targets, seeds, refusals."""

import pytest
import torch

from course_lib.data import between_class


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def clips(levels, length=4000):
    """Orthogonal tones of the given RMS levels, (B, 1, T)."""
    t = torch.arange(length, dtype=torch.float64) / length
    tones = [2**0.5 * level * torch.sin(2 * torch.pi * (40 + 20 * i) * t) for i, level in enumerate(levels)]
    return torch.stack(tones)[:, None]


def test_levels_stand_as_the_targets_do():
    x = clips([0.01, 0.1, 1.0, 10.0])
    mixed, targets = between_class(x, torch.arange(4), 4, generator=seeded())
    parts = mixed[:, 0] @ x[:, 0].T / x[:, 0].square().sum(1)  # how much of each clip is in each mixture
    loudness = parts.abs() * x[:, 0].square().mean(1).sqrt()
    torch.testing.assert_close(loudness / loudness.sum(1, keepdim=True), targets, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(targets.sum(1), torch.ones(4, dtype=torch.float64))


def test_equal_levels_keep_the_energy():
    x = clips([0.3] * 6)
    for seed in range(20):  # until no clip is mixed with itself, whose energies do not add up
        mixed, targets = between_class(x, torch.arange(6), 6, generator=seeded(seed))
        if (targets < 1).all():
            break
    torch.testing.assert_close(mixed.square().mean((1, 2)), torch.full((6,), 0.09, dtype=torch.float64))


def test_one_seed_gives_one_result():
    x = torch.randn(5, 1, 50)
    first, second = (between_class(x, torch.arange(5), 5, generator=seeded(3)) for _ in range(2))
    torch.testing.assert_close(first, second)


def test_silence_stays_finite():
    mixed, targets = between_class(torch.zeros(4, 1, 30), torch.tensor([0, 1, 0, 1]), 2, generator=seeded())
    assert (mixed == 0).all() and torch.isfinite(targets).all()


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (torch.zeros(4), torch.zeros(4, dtype=torch.long)),
        (torch.zeros(4, 9), torch.zeros(3, dtype=torch.long)),
        (torch.zeros(4, 9), torch.zeros(4)),
    ],
)
def test_what_does_not_fit_is_named(x, y):
    with pytest.raises(ValueError, match=r"x, y: expected \(B, ..., T\) and \(B,\) integers"):
        between_class(x, y, 2)
