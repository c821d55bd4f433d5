"""Augmentation of windows, and where it says the events went."""

import pytest
import torch

from course_lib.data import TemporalAugmentation
from course_lib.data.temporal_augmentation import drop_channels, mask_time, shift_and_warp

OFF = {"noise": 0.0, "scale": (1.0, 1.0), "shift": 0, "warp": (1.0, 1.0), "channel_drop": 0.0, "time_mask": 0}


def bump(onset: float, length: int = 200) -> torch.Tensor:
    """A smooth bump at `onset` on two channels, (length, 2)."""
    time = torch.arange(length, dtype=torch.float64)
    return torch.exp(-((time - onset) ** 2) / 50)[:, None].expand(-1, 2).clone()


def centre(x: torch.Tensor) -> float:
    weight = x[:, 0] / x[:, 0].sum()
    return float((weight * torch.arange(len(x))).sum())


@pytest.mark.parametrize(("late", "factor"), [(0.0, 1.0), (12.5, 1.0), (-30.0, 1.0), (0.0, 1.1), (7.25, 0.9)])
def test_onsets_go_where_the_signal_goes(late, factor):
    moved, timings = shift_and_warp(bump(70.0), late, factor, torch.tensor([70.0, torch.nan], dtype=torch.float64))
    assert centre(moved) == pytest.approx(timings[0].item(), abs=0.05)
    assert timings[1].isnan()


def test_whole_shifts_are_exact_and_leave_zeros():
    x = torch.randn(9, 2)
    later, _ = shift_and_warp(x, 2.0)
    torch.testing.assert_close(later[2:], x[:-2])
    assert (later[:2] == 0).all()


def test_an_onset_that_leaves_is_absent():
    timings = torch.tensor([5.0, 195.0, 100.0])
    assert shift_and_warp(bump(70.0), -10.0, 1.0, timings)[1].isnan().tolist() == [True, False, False]
    assert mask_time(bump(70.0), 90, 101, timings)[1].isnan().tolist() == [False, False, True]


def test_masks_silence_their_stretch_only():
    x = torch.randn(9, 2)
    masked, _ = mask_time(x, 3, 5)
    assert (masked[3:5] == 0).all()
    assert torch.equal(masked[:3], x[:3]) and torch.equal(masked[5:], x[5:])


def test_one_channel_always_stays():
    for seed in range(5):
        kept = drop_channels(torch.ones(4, 3), 1.0, torch.Generator().manual_seed(seed))
        assert kept.sum() == 4


def test_strengths_of_nothing_change_nothing():
    x = torch.randn(50, 3)
    assert torch.equal(TemporalAugmentation(**OFF, probability=1.0)(x), x)
    assert torch.equal(TemporalAugmentation(probability=0.0)(x), x)


@pytest.mark.parametrize("name", OFF)
def test_each_change_by_itself_changes_the_window(name):
    strengths = OFF | {name: getattr(TemporalAugmentation(channel_drop=0.6, time_mask=40), name)}
    x = torch.randn(200, 6)
    view = TemporalAugmentation(**strengths, probability=1.0)(x, generator=torch.Generator().manual_seed(1))
    assert view.shape == x.shape and view.dtype == x.dtype and not torch.equal(view, x)


def test_views_repeat_with_their_generator_and_leave_the_global_one():
    x, before = torch.randn(200, 6), torch.get_rng_state()
    views = [TemporalAugmentation.random_augment(x, generator=torch.Generator().manual_seed(3)) for _ in range(2)]
    assert torch.equal(*views)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: TemporalAugmentation(warp=(0.0, 1.0)), "warp"),
        (lambda: TemporalAugmentation(shift=-1), "shift"),
        (lambda: TemporalAugmentation(channel_drop=1.5), "channel_drop"),
        (lambda: TemporalAugmentation()(torch.zeros(2, 9, 3)), "one window"),
    ],
)
def test_errors_name_the_argument(make, told):
    with pytest.raises(ValueError, match=told):
        make()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_device_without_float64(dtype, device_without_float64):
    x = torch.empty(200, 6, dtype=dtype, device=device_without_float64)
    timings = torch.empty(4, device=device_without_float64)
    for seed in range(10):
        view, moved = TemporalAugmentation()(x, timings, torch.Generator().manual_seed(seed))
        assert view.shape == x.shape and view.dtype == dtype and moved.dtype == torch.float32


def test_a_warp_is_exact_far_from_the_start():
    length = 300_000
    ramp = torch.arange(length, dtype=torch.float64)[:, None]
    wide, _ = shift_and_warp(ramp, 12.25, 1.01)
    narrow, _ = shift_and_warp(ramp.float(), 12.25, 1.01)
    assert (wide - narrow).abs().max() <= 0.04  # float32 itself rounds by 0.016 there


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_windows_and_their_generator_may_live_anywhere():
    x, timings = torch.randn(200, 6), torch.tensor([40.0, 120.5])
    for device in ("cpu", "cuda"):
        for seed in range(10):
            generators = [torch.Generator(device).manual_seed(seed) for _ in range(2)]
            here, there = (
                TemporalAugmentation()(x.to(place), timings.to(place), generator)
                for place, generator in zip(("cpu", "cuda"), generators, strict=True)
            )
            torch.testing.assert_close(here[0], there[0].cpu())
            torch.testing.assert_close(here[1], there[1].cpu(), equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.int64])
def test_times_are_moved_in_full_precision(dtype):
    augment = TemporalAugmentation(**OFF | {"shift": 40, "warp": (0.9, 1.1)}, probability=1.0)
    x, times = torch.zeros(3000, 2).bfloat16(), torch.tensor([1024, 2048]).to(dtype)
    _, moved = augment(x, times, torch.Generator().manual_seed(1))
    _, exact = augment(x.double(), times.double(), torch.Generator().manual_seed(1))
    assert moved.dtype == torch.float32
    torch.testing.assert_close(moved.double(), exact, rtol=0, atol=1e-3)


@pytest.mark.parametrize("x", [torch.ones(9, 2).short(), torch.ones(9, 2) * 1j, torch.ones(9, 0)])
def test_only_windows_of_real_numbers_are_changed(x):
    with pytest.raises(ValueError, match=r"x: expected one window \(T, C\)"):
        TemporalAugmentation()(x)


@pytest.mark.parametrize("wrong", [{"noise": float("inf")}, {"scale": (1.0, float("inf"))}, {"shift": float("nan")}])
def test_strengths_are_finite(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name}: expected"):
        TemporalAugmentation(**wrong)
