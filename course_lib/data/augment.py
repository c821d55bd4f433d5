"""Augmentation: seeded changes to a batch of clips or of log-mel pictures that keep its labels true.

Every function takes a batch (B, ...) and returns a new one of equal shape, dtype and device; each item draws its own
random numbers.  They are drawn from `generator`, on its device whatever the batch's (from PyTorch's default on the CPU
where None), so that one seed gives one result everywhere.  Levels are computed in float32 where the batch is in half
precision.  A single audio clip (1, samples) is a batch of one, so these serve as a SignalDataset's `transform` too.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn.functional import interpolate, one_hot, pad

_SILENCE = 1e-8  # amplitude


def time_shift(x: Tensor, max_shift: int, dim: int = -1, generator: Generator | None = None) -> Tensor:
    """Roll each item along its time axis by up to `max_shift` steps either way; what leaves one end enters the other.

    x: (B, ..., T), or with time at `dim`.  max_shift: steps, 0 to T.
    """
    length = _time_length(x, dim)
    if not 0 <= max_shift <= length or max_shift != int(max_shift):
        raise ValueError(f"max_shift: expected 0 to {length} time steps, got {max_shift}")
    max_shift = int(max_shift)
    shifts = torch.randint(-max_shift, max_shift + 1, (len(x),), **drawn_by(generator)).to(x.device)
    index = (torch.arange(length, device=x.device) - shifts[:, None]) % length  # (B, T)
    return _take(x, index, dim)


def gain(x: Tensor, decibels: tuple[float, float] = (-6.0, 6.0), generator: Generator | None = None) -> Tensor:
    """Make each item louder or softer by a level drawn evenly from a range in dB.  x: (B, ...)."""
    wide = _wide(x)
    level = _uniform(wide, *_range("decibels", decibels), generator)
    return (wide * _per_item(10 ** (level / 20), x)).to(x.dtype)


def noise(x: Tensor, snr: tuple[float, float] = (10.0, 30.0), generator: Generator | None = None) -> Tensor:
    """Add white Gaussian noise to each item at a signal-to-noise ratio drawn evenly from a range in dB.  x: (B, ...).

    The ratio is that of the item's mean square to the noise's, and is met exactly; an item of zeros stays as it is.
    """
    wide = _wide(x)
    ratio = _uniform(wide, *_range("snr", snr), generator)
    added = torch.randn(x.shape, **drawn_by(generator)).to(wide)
    rms, added_rms = _rms(wide), _rms(added)
    return (wide + added * _per_item(rms / added_rms * 10 ** (-ratio / 20), x)).to(x.dtype)


def time_warp(
    x: Tensor, strength: float = 0.2, knots: int = 4, dim: int = -1, generator: Generator | None = None
) -> Tensor:
    """Play each item at a speed that wanders between 1 - strength and 1 + strength, with both ends in place.

    x: (B, ..., T), or with time at `dim`.  strength: 0 (no change) to under 1.  knots: how many speeds are drawn; the
    speed moves in straight lines between them and is scaled to a mean of 1.  Samples are interpolated linearly, so
    pitch wanders along with speed.  Source: Um et al. 2017, time-warping.
    """
    length = _time_length(x, dim)
    if not 0 <= strength < 1:
        raise ValueError(f"strength: expected 0 to under 1, got {strength}")
    if knots < 2 or length < 2:
        raise ValueError(f"knots, T: expected at least 2 of each, got {knots} knots and {length} time steps")
    wide = _wide(x)
    drawn = torch.rand(len(x), 1, knots, **drawn_by(generator)).cpu().double()  # some devices have no float64
    speed = 1 + strength * (2 * drawn - 1)  # (B, 1, knots)
    speed = interpolate(speed, size=length - 1, mode="linear", align_corners=True)[:, 0]
    position = pad(speed.cumsum(1), (1, 0))  # (B, T), from 0
    position = (position * ((length - 1) / position[:, -1:])).clamp(0, length - 1)
    before = position.floor().long().clamp(max=length - 2)
    weight = _along((position - before).to(wide.dtype), x, dim).to(x.device)
    before = before.to(x.device)
    return torch.lerp(_take(wide, before, dim), _take(wide, before + 1, dim), weight).to(x.dtype)


def between_class(x: Tensor, y: Tensor, num_classes: int, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
    """Play each clip together with one drawn from the batch, levels standing as r to 1 - r with r even in 0 to 1.

    Every clip is some other's partner once (a random permutation), so a few meet one of their own class, or themselves.
    x: (B, ..., T) waveforms.  y: (B,) integers.  Returns the mixed x, of the energy that two unrelated sounds of one
    level have, and soft targets (B, num_classes), r for the one class and 1 - r for the other.
    With levels G₁ and G₂ (RMS) the clips are weighed p and 1 - p, p = 1 / (1 + G₁/G₂ · (1 - r)/r), and the sum is
    divided by √(p² + (1 - p)²). Averaging the samples as they are would let the louder clip drown the other.
    Source: Tokozume, Ushiku and Harada 2018, eq. 1 and 2, with unweighted levels.
    """
    if x.ndim < 2 or y.shape != x.shape[:1] or y.is_floating_point():
        raise ValueError(
            f"x, y: expected (B, ..., T) and (B,) integers, got {tuple(x.shape)}, {tuple(y.shape)} {y.dtype}"
        )
    wide = _wide(x)
    partner = torch.randperm(len(x), **drawn_by(generator)).to(x.device)
    r = torch.rand(len(x), **drawn_by(generator)).to(wide)
    level = _rms(wide).clamp(min=_SILENCE)
    own, other = r * level[partner], (1 - r) * level  # p and 1 - p are as these
    total = own + other
    p = _per_item(torch.where(total > 0, own / total, r), x)
    mixed = (p * wide + (1 - p) * wide[partner]) / (p.square() + (1 - p).square()).sqrt()
    targets = one_hot(y.long(), num_classes).to(x)  # (B, num_classes)
    return mixed.to(x.dtype), torch.lerp(targets[partner], targets, r[:, None].to(x.dtype))


def spec_augment(
    x: Tensor,
    frequency_width: int = 8,
    time_width: int = 25,
    frequency_masks: int = 2,
    time_masks: int = 2,
    generator: Generator | None = None,
) -> Tensor:
    """Hide random bands of frequency and stretches of time in each spectrogram, filled with the item's mean.

    x: (B, n_mels, frames) or (B, 1, n_mels, frames), log-mel.  Each mask is 0 to `frequency_width` bands or 0 to
    `time_width` frames wide.  Source: Park et al. 2019, section 2, without its time warping.
    """
    if x.ndim not in (3, 4):
        raise ValueError(f"x: expected (B, n_mels, frames) or (B, 1, n_mels, frames), got {tuple(x.shape)}")
    _wide(x)  # numbers that have a mean
    bands, frames = x.shape[-2:]
    low_or_high = _mask(x, bands, frequency_width, frequency_masks, "frequency_width", generator)  # (B, bands)
    when = _mask(x, frames, time_width, time_masks, "time_width", generator)  # (B, frames)
    hidden = low_or_high[:, :, None] | when[:, None, :]  # (B, bands, frames)
    hidden = hidden.view(len(x), *[1] * (x.ndim - 3), bands, frames)
    return torch.where(hidden, _per_item(x.flatten(1).mean(1), x), x)


def mel_shift(x: Tensor, max_shift: int = 2, generator: Generator | None = None) -> Tensor:
    """Move each picture up or down by up to `max_shift` bands: a lower or higher voice. The edge band is repeated.

    x: (B, n_mels, frames).  Raises ValueError where `max_shift` is not below n_mels.
    """
    _check_pictures(x)
    bands = x.shape[1]
    if not 0 <= max_shift < bands:
        raise ValueError(f"max_shift: expected 0 to {bands - 1} bands, got {max_shift}")
    shifts = torch.randint(-max_shift, max_shift + 1, (len(x), 1), **drawn_by(generator)).to(x.device)
    index = (torch.arange(bands, device=x.device) - shifts).clamp(0, bands - 1)  # (B, n_mels)
    return x.gather(1, index[:, :, None].expand_as(x))


def level_shift(x: Tensor, decibels: float = 6.0, generator: Generator | None = None) -> Tensor:
    """Make each clip louder or softer by up to `decibels`: 10 dB are 1 in log10 of power.  x: (B, n_mels, frames)."""
    _check_pictures(x)
    if not 0 <= decibels < math.inf:
        raise ValueError(f"decibels: expected at least 0, got {decibels}")
    drawn = 2 * torch.rand(len(x), 1, 1, **drawn_by(generator)) - 1
    return x + (drawn * decibels / 10).to(x)


def mix_classes(x: Tensor, targets: Tensor, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
    """Sound two clips at once: powers add in the proportion r and 1 - r, and so do the targets; r even in 0 to 1.

    x: (B, n_mels, frames) log10 of power.  targets: (B, num_classes), rows of sum 1.  Power is
    added, as two sounds in one room do it (their interference left out); averaged pictures would be no sound.
    Source: Tokozume et al. 2018, between-class learning, with even proportions of power.
    """
    _check_pictures(x)
    power = 10 ** _wide(x)
    partner = torch.randperm(len(x), **drawn_by(generator)).to(x.device)
    share = torch.rand(len(x), 1, **drawn_by(generator)).to(power)
    mixed = torch.log10(share[:, :, None] * power + (1 - share[:, :, None]) * power[partner]).to(x.dtype)
    share = share.to(targets.dtype)
    return mixed, share * targets + (1 - share) * targets[partner]


class LogMelAugmentation:
    """Five kinds of random change to a batch of log-mel pictures, for `fit(train_transform=...)`.

    time roll: in a circle, by up to half the clip.  mel shift: up to 2 bands.  level: up to 6 dB either way.  mixing:
    two clips and their targets.  masks: two bands of up to 8 mels and two stretches of up to an eighth of the frames.
    parts: which of them, by name; all by default.  mixed: the probability with which a clip is mixed, 0 to 1.
    Call: (x, y, generator=None) with x (B, n_mels, frames) log10 of power and y (B,) classes; returns x of equal shape
    and targets (B, num_classes), rows of sum 1, as cross-entropy takes them.  Raises ValueError for an unknown part
    or a probability outside 0 to 1.
    """

    PARTS = ("time roll", "mel shift", "level", "mixing", "masks")

    def __init__(self, num_classes: int, parts: Sequence[str] = PARTS, mixed: float = 1.0):
        unknown = set(parts) - set(self.PARTS)
        if unknown:
            raise ValueError(f"parts: expected some of {self.PARTS}, got {sorted(unknown)}")
        self.num_classes = num_classes
        if not 0 <= mixed <= 1:
            raise ValueError(f"mixed: expected a probability, 0 to 1, got {mixed}")
        self.parts, self.mixed = tuple(parts), mixed

    def __call__(self, x: Tensor, y: Tensor, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        if y.shape != x.shape[:1] or y.is_floating_point():
            raise ValueError(f"x, y: expected a class for each of {len(x)} pictures, got {tuple(y.shape)} of {y.dtype}")
        targets = one_hot(y.long(), self.num_classes).to(x)  # (B, num_classes)
        frames = x.shape[-1]
        if "time roll" in self.parts:
            x = time_shift(x, max_shift=frames // 2, generator=generator)
        if "mel shift" in self.parts:
            x = mel_shift(x, generator=generator)
        if "level" in self.parts:
            x = level_shift(x, generator=generator)
        if "mixing" in self.parts:
            both, shared = mix_classes(x, targets, generator=generator)
            chosen = torch.ones(len(x), dtype=torch.bool, device=x.device)
            if self.mixed < 1:
                chosen = (torch.rand(len(x), **drawn_by(generator)) < self.mixed).to(x.device)
            x = torch.where(chosen[:, None, None], both, x)
            targets = torch.where(chosen[:, None], shared, targets)
        if "masks" in self.parts:
            x = spec_augment(x, time_width=frames // 8, generator=generator)
        return x, targets


def drawn_by(generator: Generator | None) -> dict[str, Any]:
    """Arguments for torch's random functions: draw from `generator` on its own device, or from PyTorch's default."""
    return {} if generator is None else {"generator": generator, "device": generator.device}


def _check_pictures(x: Tensor) -> None:
    if x.ndim != 3:
        raise ValueError(f"x: expected (B, n_mels, frames), got {tuple(x.shape)}")


def _mask(x: Tensor, size: int, width: int, count: int, name: str, generator: Generator | None) -> Tensor:
    """(B, size) booleans: True in `count` random stretches of 0 to `width` steps."""
    if not 0 <= width <= size:
        raise ValueError(f"{name}: expected 0 to {size}, got {width}")
    if count < 0:
        raise ValueError(f"{name.replace('width', 'masks')}: expected at least 0, got {count}")
    widths = torch.randint(width + 1, (len(x), count, 1), **drawn_by(generator))
    starts = (torch.rand(len(x), count, 1, **drawn_by(generator)) * (size - widths + 1)).long()
    step = torch.arange(size, device=widths.device)
    return ((step >= starts) & (step < starts + widths)).any(1).to(x.device)


def _wide(x: Tensor) -> Tensor:
    """x in float32 or wider: in float16 the square of a sample of 300 is infinite, that of 0.0001 zero."""
    if not x.is_floating_point():
        raise ValueError(f"x: expected floating-point numbers, got {x.dtype}")
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _rms(x: Tensor) -> Tensor:
    """Root mean square of each item: (B, ...) to (B,)."""
    return x.flatten(1).square().mean(1).sqrt()


def _uniform(x: Tensor, low: float, high: float, generator: Generator | None) -> Tensor:
    """(B,) even draws from low to high, on the device and in the dtype of x."""
    return low + (high - low) * torch.rand(len(x), **drawn_by(generator)).to(x)


def _range(name: str, values: tuple[float, float]) -> tuple[float, float]:
    low, high = values if isinstance(values, tuple | list) and len(values) == 2 else (math.nan, math.nan)
    if not -math.inf < low <= high < math.inf:
        raise ValueError(f"{name}: expected (low, high), got {values}")
    return low, high


def _per_item(values: Tensor, x: Tensor) -> Tensor:
    """(B,) as (B, 1, ..., 1), to go with x."""
    return values.view(-1, *[1] * (x.ndim - 1))


def _time_length(x: Tensor, dim: int) -> int:
    if x.ndim < 2 or dim % x.ndim == 0:
        raise ValueError(f"x: expected a batch (B, ..., T) with time at {dim}, got shape {tuple(x.shape)}")
    return x.shape[dim]


def _along(values: Tensor, x: Tensor, dim: int) -> Tensor:
    """(B, T) with ones at the other axes, to go with x whose time is at `dim`."""
    shape = [1] * x.ndim
    shape[0], shape[dim] = values.shape
    return values.view(shape)


def _take(x: Tensor, index: Tensor, dim: int) -> Tensor:
    """The steps `index` (B, T) of each item along `dim`."""
    shape = list(x.shape)
    shape[dim] = index.shape[1]
    return x.gather(dim % x.ndim, _along(index, x, dim).expand(shape))
