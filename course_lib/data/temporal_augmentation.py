"""Changes to a window of several channels that leave its events what they are, and say where in time these went."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from course_lib.data.augment import drawn_by


@dataclass(frozen=True)
class TemporalAugmentation:
    """A window x (T, C) -> another view of it, (T, C): each change is made with `probability`, at a random strength.

    noise: white noise is added whose standard deviation is 0 to so many of x's units.
    scale: all channels are multiplied by one factor from this range.
    shift: everything happens up to so many samples earlier or later; what comes in from outside is 0.
    warp: everything lasts a factor from this range as long, the middle staying in place.
    channel_drop: each channel is silenced with this probability, one always stays.
    time_mask: a stretch of up to so many samples is silenced.
    The default strengths suit normalised data and the course's events; notebook 21 estimates them from data.

    Called with timings (E,) in samples, NaN for absent: returns the view and where the onsets went, in at least
    float32, NaN where one has left the window or is silenced. A label must be dropped with its onset.
    generator: drawn from on its own device, whatever x's; PyTorch's default where None.
    Raises ValueError naming the argument.
    """

    noise: float = 0.3
    scale: tuple[float, float] = (0.7, 1.3)
    shift: int = 100
    warp: tuple[float, float] = (0.9, 1.1)
    channel_drop: float = 0.1
    time_mask: int = 100
    probability: float = 0.5

    def __post_init__(self) -> None:
        for name in ("noise", "shift", "time_mask"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name}: expected at least 0, got {getattr(self, name)}")
        for name in ("scale", "warp"):
            low, high = getattr(self, name)
            if not 0 < low <= high < math.inf:
                raise ValueError(f"{name}: expected 0 < low <= high, got {getattr(self, name)}")
        for name in ("channel_drop", "probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: expected 0 to 1, got {getattr(self, name)}")

    def __call__(self, x: Tensor, timings: Tensor | None = None, generator: Generator | None = None) -> Any:
        if x.dim() != 2 or len(x) < 2 or not x.shape[1] or not x.is_floating_point():
            raise ValueError(
                f"x: expected one window (T, C) of at least 2 samples, floating point, got {tuple(x.shape)} {x.dtype}"
            )
        random = drawn_by(generator)
        do = (torch.rand(6, **random) < self.probability).tolist()
        draw = torch.rand(6, **random).tolist()  # strengths, 0 to 1
        moved = None if timings is None else _precise(timings).clone()
        late = (2 * draw[0] - 1) * self.shift if do[0] else 0.0
        factor = _between(self.warp, draw[1]) if do[1] else 1.0
        if late or factor != 1:
            x, moved = shift_and_warp(x, late, factor, moved)
        if do[2]:
            x = x * _between(self.scale, draw[2])
        if do[3]:
            x = x + draw[3] * self.noise * torch.randn(x.shape, **random).to(x)
        if do[4]:
            x = drop_channels(x, self.channel_drop, generator)
        if do[5] and self.time_mask:
            x, moved = mask_time(x, *self._stretch(len(x), draw[5], generator), moved)
        return x if timings is None else (x, moved)

    def _stretch(self, length: int, draw: float, generator: Generator | None) -> tuple[int, int]:
        width = round(draw * min(self.time_mask, length))
        start = int(torch.randint(length - width + 1, (), **drawn_by(generator)))
        return start, start + width

    @staticmethod
    def random_augment(x: Tensor, timings: Tensor | None = None, generator: Generator | None = None) -> Any:
        """The augmentation of default strengths, for windows of the course's events."""
        return TemporalAugmentation()(x, timings, generator)


def shift_and_warp(
    x: Tensor, late: float = 0.0, factor: float = 1.0, timings: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """x (T, C) `late` samples later and `factor` times as long about its middle; what comes in from outside is 0.

    A sample at time t goes to middle + factor · (t - middle) + late, and so do timings (E,); those that leave become
    NaN. Between samples, x is interpolated linearly.
    """
    length, middle = len(x), (len(x) - 1) / 2
    target = torch.arange(length, dtype=torch.float64, device="cpu")  # some devices have no float64
    source = middle + (target - middle - late) / factor  # (T,)
    weight = (source - source.floor()).to(x.dtype)[:, None].to(x.device)
    before = source.floor().long().to(x.device)

    def at(places: Tensor) -> Tensor:
        inside = ((places >= 0) & (places < length))[:, None]
        return torch.where(inside, x[places.clamp(0, length - 1)], 0)

    moved = torch.lerp(at(before), at(before + 1), weight)
    if timings is None:
        return moved, None
    timings = middle + factor * (_precise(timings) - middle) + late
    return moved, torch.where((timings >= 0) & (timings < length), timings, torch.nan)


def drop_channels(x: Tensor, probability: float, generator: Generator | None = None) -> Tensor:
    """Silence each channel of x (T, C) with `probability`; where all would go, one stays."""
    kept = torch.rand(x.shape[1], **drawn_by(generator)) >= probability
    if not kept.any():
        kept[torch.randint(x.shape[1], (), **drawn_by(generator))] = True
    return torch.where(kept.to(x.device), x, 0)


def mask_time(x: Tensor, start: int, stop: int, timings: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
    """Silence samples start to stop - 1 of x (T, C); an onset among them becomes NaN."""
    steps = torch.arange(len(x), device=x.device)
    masked = torch.where(((steps >= start) & (steps < stop))[:, None], 0, x)
    if timings is None:
        return masked, None
    timings = _precise(timings)
    return masked, torch.where((timings >= start) & (timings < stop), torch.nan, timings)


def _precise(timings: Tensor) -> Tensor:
    """Times in at least float32: bfloat16 has no 257."""
    return timings.to(torch.promote_types(timings.dtype, torch.float32))


def _between(limits: tuple[float, float], draw: float) -> float:
    return limits[0] + (limits[1] - limits[0]) * draw
