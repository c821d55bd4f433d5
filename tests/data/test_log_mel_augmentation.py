"""Augmentation of log-mel pictures: shifts of bands and level, mixing, all of them together."""

import pytest
import torch

from course_lib.data import LogMelAugmentation
from course_lib.data.augment import level_shift, mel_shift, mix_classes


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("part", LogMelAugmentation.PARTS)
def test_pictures_on_a_device_without_float64(pictures, classes, part, device_without_float64):
    augment = LogMelAugmentation(3, parts=[part], mixed=0.5)
    out, targets = augment(pictures.to("meta"), classes.to("meta"), generator=seeded())
    assert out.shape == pictures.shape and out.device.type == targets.device.type == device_without_float64


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_power_of_pictures_is_added_in_float32(classes, dtype):
    quiet = torch.linspace(-7, -2, 96).view(6, 4, 4).to(dtype)  # 10^-7 and its sums are nothing in float16
    targets = torch.eye(3)[classes].to(dtype)
    mixed, shares = mix_classes(quiet, targets, generator=seeded())
    expected, _ = mix_classes(quiet.float(), targets.float(), generator=seeded())
    torch.testing.assert_close(mixed.float(), expected, rtol=0.01, atol=0.01)
    assert mixed.dtype == shares.dtype == dtype


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_pictures_and_their_generator_may_live_anywhere(pictures, classes):
    on_gpu = lambda: torch.Generator("cuda").manual_seed(0)  # noqa: E731
    augment = LogMelAugmentation(3, mixed=0.5)
    for x, y in ((pictures, classes), (pictures.cuda(), classes.cuda())):
        for generator in (seeded, on_gpu):
            out, targets = augment(x, y, generator=generator())
            assert out.device == targets.device == x.device
            torch.testing.assert_close(out.cpu(), augment(pictures, classes, generator=generator())[0])


@pytest.fixture
def pictures():
    return torch.randn(6, 16, 24, generator=seeded(1)) - 3  # (B, n_mels, frames)


@pytest.fixture
def classes():
    return torch.tensor([0, 1, 2, 0, 1, 2])


def test_mel_shift_moves_whole_pictures_by_at_most_its_range(pictures):
    padded = torch.cat([pictures[:, :1]] * 2 + [pictures] + [pictures[:, -1:]] * 2, dim=1)  # the edges repeated twice
    for shifted, source in zip(mel_shift(pictures, 2, generator=seeded()), padded, strict=True):
        assert any(torch.equal(shifted, source[start : start + 16]) for start in range(5))


def test_level_shift_adds_one_number_per_clip_within_its_range(pictures):
    added = level_shift(pictures, decibels=6.0, generator=seeded()) - pictures
    torch.testing.assert_close(added, added[:, :1, :1].expand_as(added), atol=1e-5, rtol=0)
    assert added.abs().max() <= 0.6 + 1e-5 and added[:, 0, 0].unique().numel() == 6


def test_mixing_adds_power_and_targets_in_one_proportion(pictures, classes):
    targets = torch.nn.functional.one_hot(classes, 3).float()
    tones = torch.full((6, 3, 5), -20.0)
    tones[torch.arange(6), classes] = 0.0  # class c has power 1 in band c, none elsewhere
    mixed, mixed_targets = mix_classes(tones, targets, generator=seeded())
    torch.testing.assert_close(10 ** mixed[:, :, 0], mixed_targets)
    torch.testing.assert_close(mixed_targets.sum(1), torch.ones(6))


def test_no_parts_leaves_everything_as_it_is(pictures, classes):
    same, targets = LogMelAugmentation(3, parts=())(pictures, classes, generator=seeded())
    assert torch.equal(same, pictures) and torch.equal(targets.argmax(1), classes)


@pytest.mark.parametrize("part", LogMelAugmentation.PARTS)
def test_each_part_changes_the_pictures_and_follows_its_generator(pictures, classes, part):
    augment = LogMelAugmentation(3, parts=[part])
    before = pictures.clone()
    once, targets = augment(pictures, classes, generator=seeded(5))
    again, _ = augment(pictures, classes, generator=seeded(5))
    other, _ = augment(pictures, classes, generator=seeded(6))
    assert torch.equal(once, again) and not torch.equal(once, other) and not torch.equal(once, pictures)
    assert torch.equal(pictures, before)
    assert once.shape == pictures.shape and once.dtype == pictures.dtype and torch.isfinite(once).all()
    torch.testing.assert_close(targets.sum(1), torch.ones(6))


def test_global_random_state_is_left_alone(pictures, classes):
    state = torch.get_rng_state()
    LogMelAugmentation(3)(pictures, classes, generator=seeded())
    assert torch.equal(torch.get_rng_state(), state)


def test_bad_arguments_are_named(pictures, classes):
    with pytest.raises(ValueError, match=r"parts: expected some of .*, got \['echo'\]"):
        LogMelAugmentation(3, parts=["echo"])
    with pytest.raises(ValueError, match="max_shift: expected 0 to 15 bands, got 16"):
        mel_shift(pictures, 16)
    with pytest.raises(ValueError, match="decibels: expected at least 0, got -1"):
        level_shift(pictures, -1)
    with pytest.raises(ValueError, match=r"x: expected \(B, n_mels, frames\)"):
        mix_classes(pictures[0], torch.eye(3)[classes])


def test_mixed_is_the_share_of_clips_that_are_mixed():
    x, y = torch.randn(400, 4, 6), torch.arange(400) % 3
    _, targets = LogMelAugmentation(3, ("mixing",), mixed=0.25)(x, y, torch.Generator().manual_seed(0))
    share = (targets.max(1).values < 1).float().mean()  # a partner of the same class leaves the targets as they are
    assert 0.1 < share < 0.25
    same, targets = LogMelAugmentation(3, ("mixing",), mixed=0.0)(x, y, torch.Generator().manual_seed(0))
    assert torch.equal(same, x) and (targets.max(1).values == 1).all()
    with pytest.raises(ValueError, match="mixed: expected a probability"):
        LogMelAugmentation(3, mixed=1.5)


@pytest.mark.parametrize("dtype", [torch.int16, torch.int32, torch.uint8])
def test_classes_of_any_whole_number(pictures, classes, dtype):
    augment = LogMelAugmentation(3)
    got = augment(pictures, classes.to(dtype), generator=seeded())
    torch.testing.assert_close(got, augment(pictures, classes, generator=seeded()))
