import pytest
import torch

from course_lib.data import LogMelAugmentation, between_class, gain, noise, spec_augment, time_shift, time_warp
from course_lib.data.augment import level_shift

AUDIO = {
    "time_shift": lambda x, g=None: time_shift(x, 40, generator=g),
    "gain": lambda x, g=None: gain(x, (-12, 6), generator=g),
    "noise": lambda x, g=None: noise(x, (0, 20), generator=g),
    "time_warp": lambda x, g=None: time_warp(x, 0.3, generator=g),
    "between_class": lambda x, g=None: between_class(x, torch.arange(len(x)), len(x), generator=g)[0],
    "spec_augment": lambda x, g=None: spec_augment(x, 1, 20, generator=g),
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def decibels(ratio):
    return 20 * torch.log10(ratio)


def rms(x):
    return x.flatten(1).square().mean(1).sqrt()


@pytest.fixture
def x():
    return torch.randn(6, 1, 100, generator=seeded(7))


@pytest.mark.parametrize("name", AUDIO)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_dtype_and_input_are_kept(x, name, dtype):
    if name == "spec_augment":
        x = x[:, :, None]
    x = x.to(dtype)
    before = x.clone()
    out = AUDIO[name](x, seeded())
    assert out.shape == x.shape and out.dtype == dtype and torch.isfinite(out).all()
    assert torch.equal(x, before)


@pytest.mark.parametrize("name", AUDIO)
def test_generator_decides_alone(x, name):
    state = torch.get_rng_state()
    first, again, other = (AUDIO[name](x, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("name", AUDIO)
def test_default_generator_is_pytorchs(x, name):
    with torch.random.fork_rng():
        torch.manual_seed(5)
        first = AUDIO[name](x)
        second = AUDIO[name](x)
        torch.manual_seed(5)
        assert torch.equal(first, AUDIO[name](x)) and not torch.equal(first, second)


@pytest.mark.parametrize("name", ["time_shift", "gain", "noise", "time_warp"])
def test_each_item_draws_its_own(name):
    out = AUDIO[name](torch.randn(1, 1, 100, generator=seeded()).expand(6, 1, 100), seeded())
    assert len(out.flatten(1).unique(dim=0)) == 6


@pytest.mark.parametrize(("shape", "dim"), [((5, 30), -1), ((5, 1, 30), -1), ((5, 30, 4), 1), ((5, 2, 30, 3), 2)])
def test_time_shift_rolls_along_time(shape, dim):
    x = torch.randn(shape, generator=seeded(3))
    out = time_shift(x, 10, dim=dim, generator=seeded())
    for item, rolled in zip(x, out, strict=True):
        shifts = [s for s in range(-10, 11) if torch.equal(item.roll(s, dim if dim < 0 else dim - 1), rolled)]
        assert len(shifts) == 1


def test_time_shift_of_zero_changes_nothing(x):
    assert torch.equal(time_shift(x, 0), x)


def test_gain_is_in_its_range_and_only_a_factor():
    x = torch.randn(500, 2, 40, generator=seeded())
    out = gain(x, (-6, 12), generator=seeded(1))
    level = decibels(rms(out) / rms(x))
    assert level.min() >= -6.001 and level.max() <= 12.001
    assert level.min() < -5.5 and level.max() > 11.5 and abs(level.mean() - 3) < 0.7
    torch.testing.assert_close(out / x, (out / x)[:, :1, :1].expand_as(x), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("ratio", [-5.0, 0.0, 20.0])
def test_noise_has_the_ratio_asked_for(ratio):
    x = torch.randn(20, 1, 500, generator=seeded()) * torch.logspace(-3, 1, 20)[:, None, None]
    added = noise(x, (ratio, ratio), generator=seeded(1)) - x
    torch.testing.assert_close(decibels(rms(x) / rms(added)), torch.full((20,), ratio), atol=0.05, rtol=0)


def test_noise_ratio_varies_within_its_range():
    x = torch.randn(300, 200, generator=seeded())
    ratio = decibels(rms(x) / rms(noise(x, (5, 15), generator=seeded(1)) - x))
    assert 4.99 < ratio.min() < 5.5 and 14.5 < ratio.max() < 15.01


def test_noise_leaves_silence_alone():
    assert torch.equal(noise(torch.zeros(3, 1, 50)), torch.zeros(3, 1, 50))


def test_noise_is_white():
    x = torch.zeros(1, 2**16)
    x[0, 0] = 1.0
    added = (noise(x, (0, 0), generator=seeded()) - x)[0]
    power = torch.fft.rfft(added).abs().square()[1:].view(8, -1).mean(1)
    assert power.max() / power.min() < 1.2


@pytest.mark.parametrize(("shape", "dim"), [((5, 200), -1), ((5, 1, 200), -1), ((5, 200, 4), 1)])
def test_time_warp_keeps_ends_and_order(shape, dim):
    time = torch.arange(200.0)
    ramp = time.view(1, -1, 1) if dim == 1 else time
    out = time_warp(ramp.expand(shape).clone(), 0.4, dim=dim, generator=seeded()).movedim(dim, -1)
    assert torch.all(out[..., 0] == 0) and torch.allclose(out[..., -1], torch.tensor(199.0))
    speed = out.diff(dim=-1)
    assert speed.min() > 0.6 / 1.4 - 0.01 and speed.max() < 1.4 / 0.6 + 0.01
    assert speed.amax(-1).min() > 1.01  # every item is warped


def test_time_warp_of_zero_strength_changes_nothing(x):
    torch.testing.assert_close(time_warp(x, 0.0), x)


def test_time_warp_stays_within_the_signal():
    x = torch.randn(8, 300, generator=seeded())
    out = time_warp(x, 0.9, generator=seeded())
    assert torch.all(out.amax(1) <= x.amax(1)) and torch.all(out.amin(1) >= x.amin(1))


@pytest.mark.parametrize("shape", [(40, 16, 50), (40, 1, 16, 50)])
def test_spec_augment_hides_whole_bands_and_stretches(shape):
    x = torch.randn(shape, generator=seeded())
    out = spec_augment(x, 4, 10, frequency_masks=1, time_masks=1, generator=seeded())
    hidden = (out != x).view(40, 16, 50)
    means = x.flatten(1).mean(1)
    for item, mask, mean in zip(out.view(40, 16, 50), hidden, means, strict=True):
        assert torch.all(item[mask] == mean)
        bands, frames = mask.all(1), mask.all(0)
        assert torch.equal(mask, bands[:, None] | frames[None])
        for line, width in ((bands, 4), (frames, 10)):
            assert line.sum() <= width and line.int().diff().abs().sum() <= 2  # one stretch, no wider than asked
    assert 0 < hidden.float().mean() < 4 / 16 + 10 / 50


def test_spec_augment_reaches_every_width_and_place():
    x = torch.randn(3000, 5, 6, generator=seeded())
    hidden = spec_augment(x, 3, 0, frequency_masks=1, generator=seeded()) != x
    widths = hidden.all(2).sum(1)
    assert widths.unique().tolist() == [0, 1, 2, 3]
    assert hidden.any(0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: time_shift(torch.zeros(5), 1), "x: expected a batch"),
        (lambda: time_shift(torch.zeros(5, 10), 11), "max_shift: expected 0 to 10"),
        (lambda: gain(torch.zeros(5, 10), (3, -3)), "decibels"),
        (lambda: noise(torch.zeros(5, 10), (3, -3)), "snr"),
        (lambda: time_warp(torch.zeros(5, 10), 1.0), "strength"),
        (lambda: time_warp(torch.zeros(5, 10), knots=1), "knots"),
        (lambda: spec_augment(torch.zeros(5, 10)), "x: expected"),
        (lambda: spec_augment(torch.zeros(5, 4, 50)), "frequency_width: expected 0 to 4"),
    ],
)
def test_errors_name_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def one_of(name, x):
    """x as `name` takes it."""
    return x[:, :, None] if name == "spec_augment" else x


@pytest.mark.parametrize("generator", [None, 0])
@pytest.mark.parametrize("name", AUDIO)
def test_a_device_without_float64(x, name, generator, device_without_float64):
    x = one_of(name, x).to(device_without_float64)
    out = AUDIO[name](x, None if generator is None else seeded(generator))
    assert out.shape == x.shape and out.device == x.device and out.dtype == x.dtype


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("level", [1e-4, 1.0, 300.0])
@pytest.mark.parametrize("name", AUDIO)
def test_half_precision_gives_what_float32_gives(x, name, level, dtype):
    x = one_of(name, x * level).to(dtype)
    out, expected = AUDIO[name](x, seeded()), AUDIO[name](x.float(), seeded())
    assert out.dtype == dtype and out.isfinite().all()
    torch.testing.assert_close(
        out.float(), expected, rtol=2 * torch.finfo(dtype).eps, atol=level * torch.finfo(dtype).eps
    )


@pytest.mark.parametrize("name", ["gain", "noise", "time_warp", "between_class"])
@pytest.mark.parametrize("dtype", [torch.int16, torch.bool, torch.complex64])
def test_only_real_numbers_have_levels(name, dtype):
    with pytest.raises(ValueError, match="x: expected floating-point numbers, got torch"):
        AUDIO[name](torch.ones(3, 1, 50).to(dtype))


def test_a_warp_is_exact_over_a_million_steps():
    ramp = torch.arange(1_000_000.0, dtype=torch.float64)[None]
    wide = time_warp(ramp, 0.3, generator=seeded())
    narrow = time_warp(ramp.float(), 0.3, generator=seeded())
    assert (wide - narrow).abs().max() <= 0.1  # float32 itself rounds by 0.06 there


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", AUDIO)
def test_a_generator_may_live_anywhere(x, name):
    x = one_of(name, x)
    on_gpu = lambda: torch.Generator("cuda").manual_seed(0)  # noqa: E731
    out = AUDIO[name](x.cuda(), seeded())
    assert out.is_cuda
    torch.testing.assert_close(out.cpu(), AUDIO[name](x, seeded()))
    torch.testing.assert_close(AUDIO[name](x.cuda(), on_gpu()).cpu(), AUDIO[name](x, on_gpu()))


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


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: time_shift(x, 2.5), "max_shift: expected 0 to 100 time steps, got 2.5"),
        (lambda x: gain(x, (0.0, float("inf"))), "decibels: expected"),
        (lambda x: gain(x, 3.0), "decibels: expected"),
        (lambda x: noise(x, (-float("inf"), 0.0)), "snr: expected"),
        (lambda x: level_shift(x, float("nan")), "decibels: expected at least 0, got nan"),
        (lambda x: spec_augment(x.short(), 0, 1), "x: expected floating-point numbers, got torch.int16"),
        (lambda x: spec_augment(x, 0, 1, time_masks=-1), "time_masks: expected at least 0, got -1"),
        (
            lambda x: LogMelAugmentation(6)(x, torch.arange(6.0)),
            "x, y: expected a class for each of 6 .* torch.float32",
        ),
        (lambda x: LogMelAugmentation(6)(x, torch.arange(5)), r"x, y: expected a class for each of 6 .* got \(5,\)"),
    ],
)
def test_what_cannot_be_drawn_from_is_named(x, call, message):
    with pytest.raises(ValueError, match=message):
        call(x)
