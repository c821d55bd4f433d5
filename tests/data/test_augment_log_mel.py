"""Augmentation of log-mel pictures: what each part changes, what it keeps, and its seeding."""

import pytest
import torch

from course_lib.data.augment_log_mel import LogMelAugmentation, level_shift, mel_shift, mix_classes


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def x():
    return torch.randn(6, 16, 24, generator=seeded(1)) - 3  # (B, n_mels, frames)


@pytest.fixture
def y():
    return torch.tensor([0, 1, 2, 0, 1, 2])


def test_mel_shift_moves_whole_pictures_by_at_most_its_range(x):
    padded = torch.cat([x[:, :1]] * 2 + [x] + [x[:, -1:]] * 2, dim=1)  # the edges repeated twice
    for shifted, source in zip(mel_shift(x, 2, generator=seeded()), padded, strict=True):
        assert any(torch.equal(shifted, source[start : start + 16]) for start in range(5))


def test_level_shift_adds_one_number_per_clip_within_its_range(x):
    added = level_shift(x, decibels=6.0, generator=seeded()) - x
    torch.testing.assert_close(added, added[:, :1, :1].expand_as(added), atol=1e-5, rtol=0)
    assert added.abs().max() <= 0.6 + 1e-5 and added[:, 0, 0].unique().numel() == 6


def test_mixing_adds_power_and_targets_in_one_proportion(x, y):
    targets = torch.nn.functional.one_hot(y, 3).float()
    tones = torch.full((6, 3, 5), -20.0)
    tones[torch.arange(6), y] = 0.0  # class c has power 1 in band c, none elsewhere
    mixed, mixed_targets = mix_classes(tones, targets, generator=seeded())
    torch.testing.assert_close(10 ** mixed[:, :, 0], mixed_targets)
    torch.testing.assert_close(mixed_targets.sum(1), torch.ones(6))


def test_no_parts_leaves_everything_as_it_is(x, y):
    same, targets = LogMelAugmentation(3, parts=())(x, y, generator=seeded())
    assert torch.equal(same, x) and torch.equal(targets.argmax(1), y)


@pytest.mark.parametrize("part", LogMelAugmentation.PARTS)
def test_each_part_changes_the_pictures_and_follows_its_generator(x, y, part):
    augment = LogMelAugmentation(3, parts=[part])
    before = x.clone()
    once, targets = augment(x, y, generator=seeded(5))
    again, _ = augment(x, y, generator=seeded(5))
    other, _ = augment(x, y, generator=seeded(6))
    assert torch.equal(once, again) and not torch.equal(once, other) and not torch.equal(once, x)
    assert torch.equal(x, before)
    assert once.shape == x.shape and once.dtype == x.dtype and torch.isfinite(once).all()
    torch.testing.assert_close(targets.sum(1), torch.ones(6))


def test_global_random_state_is_left_alone(x, y):
    state = torch.get_rng_state()
    LogMelAugmentation(3)(x, y, generator=seeded())
    assert torch.equal(torch.get_rng_state(), state)


def test_bad_arguments_are_named(x, y):
    with pytest.raises(ValueError, match=r"parts: expected some of .*, got \['echo'\]"):
        LogMelAugmentation(3, parts=["echo"])
    with pytest.raises(ValueError, match="max_shift: expected 0 to 15 bands, got 16"):
        mel_shift(x, 16)
    with pytest.raises(ValueError, match="decibels: expected at least 0, got -1"):
        level_shift(x, -1)
    with pytest.raises(ValueError, match=r"x: expected \(B, n_mels, frames\)"):
        mix_classes(x[0], torch.eye(3)[y])


def test_mixed_is_the_share_of_clips_that_are_mixed():
    x, y = torch.randn(400, 4, 6), torch.arange(400) % 3
    _, targets = LogMelAugmentation(3, ("mixing",), mixed=0.25)(x, y, torch.Generator().manual_seed(0))
    share = (targets.max(1).values < 1).float().mean()  # a partner of the same class leaves the targets as they are
    assert 0.1 < share < 0.25
    same, targets = LogMelAugmentation(3, ("mixing",), mixed=0.0)(x, y, torch.Generator().manual_seed(0))
    assert torch.equal(same, x) and (targets.max(1).values == 1).all()
    with pytest.raises(ValueError, match="mixed: expected a probability"):
        LogMelAugmentation(3, mixed=1.5)
