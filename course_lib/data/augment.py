"""Augmentation: seeded changes to a batch that keep its labels true.

Every function takes a batch (B, ...) and returns a new one of equal shape, dtype and device; each item draws its own
random numbers.  They come from `generator` (PyTorch's default where None), whose device may differ from the batch's.
A single audio clip (1, samples) is a batch of one, so these serve as a SignalDataset's `transform` too.
"""

import numpy as np
import torch
from torch import Generator, Tensor


def time_shift(x: Tensor, max_shift: int, dim: int = -1, generator: Generator | None = None) -> Tensor:
    """Roll each item along its time axis by up to `max_shift` steps either way; what leaves one end enters the other.

    x: (B, ..., T), or with time at `dim`.  max_shift: steps, 0 to T.
    """
    length = _time_length(x, dim)
    if not 0 <= max_shift <= length:
        raise ValueError(f"max_shift: expected 0 to {length} time steps, got {max_shift}")
    shifts = torch.randint(-max_shift, max_shift + 1, (len(x),), generator=generator, device=_device(generator, x))
    index = (torch.arange(length, device=x.device) - shifts.to(x.device)[:, None]) % length  # (B, T)
    return _take(x, index, dim)


def gain(x: Tensor, decibels: tuple[float, float] = (-6.0, 6.0), generator: Generator | None = None) -> Tensor:
    """Make each item louder or softer by a level drawn evenly from a range in dB.  x: (B, ...)."""
    level = _uniform(x, *_range("decibels", decibels), generator)
    return x * _per_item(10 ** (level / 20), x)


def noise(x: Tensor, snr: tuple[float, float] = (10.0, 30.0), generator: Generator | None = None) -> Tensor:
    """Add white Gaussian noise to each item at a signal-to-noise ratio drawn evenly from a range in dB.  x: (B, ...).

    The ratio is that of the item's mean square to the noise's, and is met exactly; an item of zeros stays as it is.
    """
    ratio = _uniform(x, *_range("snr", snr), generator)
    added = torch.randn(x.shape, generator=generator, device=_device(generator, x)).to(x.device, x.dtype)
    rms, added_rms = (values.flatten(1).square().mean(1).sqrt() for values in (x, added))
    return x + added * _per_item(rms / added_rms * 10 ** (-ratio / 20), x)


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
    drawn = torch.rand(len(x), 1, knots, generator=generator, device=_device(generator, x)).to(x.device, torch.float64)
    speed = 1 + strength * (2 * drawn - 1)  # (B, 1, knots)
    speed = torch.nn.functional.interpolate(speed, size=length - 1, mode="linear", align_corners=True)[:, 0]
    position = torch.nn.functional.pad(speed.cumsum(1), (1, 0))  # (B, T), from 0
    position = (position * ((length - 1) / position[:, -1:])).clamp(0, length - 1)
    before = position.floor().long().clamp(max=length - 2)
    weight = _along(position - before, x, dim).to(x.dtype)
    return torch.lerp(_take(x, before, dim), _take(x, before + 1, dim), weight)


def mixup(
    x: Tensor, y: Tensor, num_classes: int, alpha: float = 0.2, generator: Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Mix each item with another one of the batch, and their labels in the same proportion.

    x: (B, ...).  y: (B,) integers.  Returns the mixed x and soft targets (B, num_classes), rows of sum 1, as
    cross-entropy takes them.  Proportions are Beta(alpha, alpha): small alpha leaves most items nearly pure.
    Source: Zhang et al. 2018, eq. 1 and 2, with one proportion per item.
    """
    if alpha <= 0:
        raise ValueError(f"alpha: expected a positive number, got {alpha}")
    if y.shape != x.shape[:1] or y.is_floating_point():
        raise ValueError(f"y: expected ({len(x)},) integers, got {tuple(y.shape)} {y.dtype}")
    device = _device(generator, x)
    partner = torch.randperm(len(x), generator=generator, device=device).to(x.device)
    seed = torch.randint(2**62, (), generator=generator, device=device).item()  # torch's Beta takes no generator
    share = torch.from_numpy(np.random.default_rng(seed).beta(alpha, alpha, len(x))).to(x.device, x.dtype)
    mixed = torch.lerp(x[partner], x, _per_item(share, x))
    targets = torch.nn.functional.one_hot(y.long(), num_classes).to(x.dtype)  # (B, num_classes)
    return mixed, torch.lerp(targets[partner], targets, share[:, None])


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
    bands, frames = x.shape[-2:]
    hidden = _mask(x, bands, frequency_width, frequency_masks, "frequency_width", generator)[:, :, None]
    hidden = (
        hidden | _mask(x, frames, time_width, time_masks, "time_width", generator)[:, None, :]
    )  # (B, bands, frames)
    hidden = hidden.view(len(x), *[1] * (x.ndim - 3), bands, frames)
    return torch.where(hidden, _per_item(x.flatten(1).mean(1), x), x)


def _mask(x: Tensor, size: int, width: int, count: int, name: str, generator: Generator | None) -> Tensor:
    """(B, size) booleans: True in `count` random stretches of 0 to `width` steps."""
    if not 0 <= width <= size:
        raise ValueError(f"{name}: expected 0 to {size}, got {width}")
    device = _device(generator, x)
    widths = torch.randint(width + 1, (len(x), count, 1), generator=generator, device=device)
    starts = (torch.rand(len(x), count, 1, generator=generator, device=device) * (size - widths + 1)).long()
    step = torch.arange(size, device=device)
    return ((step >= starts) & (step < starts + widths)).any(1).to(x.device)


def _device(generator: Generator | None, x: Tensor) -> torch.device:
    return x.device if generator is None else generator.device


def _uniform(x: Tensor, low: float, high: float, generator: Generator | None) -> Tensor:
    """(B,) even draws from low to high, on the device and in the dtype of x."""
    drawn = torch.rand(len(x), generator=generator, device=_device(generator, x)).to(x.device, x.dtype)
    return low + (high - low) * drawn


def _range(name: str, values: tuple[float, float]) -> tuple[float, float]:
    low, high = values
    if not low <= high:
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
