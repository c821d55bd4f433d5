"""Augmentation of log-mel pictures: what can be done to a batch of them without computing a spectrogram again."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor
from torch.nn.functional import one_hot

from course_lib.data.augment import spec_augment, time_shift


def mel_shift(x: Tensor, max_shift: int = 2, generator: Generator | None = None) -> Tensor:
    """Move each picture up or down by up to `max_shift` bands: a lower or higher voice. The edge band is repeated.

    x: (B, n_mels, frames).  Raises ValueError where `max_shift` is not below n_mels.
    """
    _check_pictures(x)
    bands = x.shape[1]
    if not 0 <= max_shift < bands:
        raise ValueError(f"max_shift: expected 0 to {bands - 1} bands, got {max_shift}")
    shifts = torch.randint(-max_shift, max_shift + 1, (len(x), 1), generator=generator)
    index = (torch.arange(bands) - shifts).clamp(0, bands - 1).to(x.device)  # (B, n_mels)
    return x.gather(1, index[:, :, None].expand_as(x))


def level_shift(x: Tensor, decibels: float = 6.0, generator: Generator | None = None) -> Tensor:
    """Make each clip louder or softer by up to `decibels`: 10 dB are 1 in log10 of power.  x: (B, n_mels, frames)."""
    _check_pictures(x)
    if decibels < 0:
        raise ValueError(f"decibels: expected at least 0, got {decibels}")
    drawn = 2 * torch.rand(len(x), 1, 1, generator=generator) - 1
    return x + (drawn * decibels / 10).to(x.device, x.dtype)


def mix_classes(x: Tensor, targets: Tensor, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
    """Sound two clips at once: powers add in the proportion r and 1 - r, and so do the targets; r even in 0 to 1.

    x: (B, n_mels, frames) log10 of power.  targets: (B, num_classes), rows of sum 1.  Where `mixup` averages the
    pictures, this adds power, as two sounds in one room do (their interference left out).
    Source: Tokozume et al. 2018, between-class learning, with even proportions of power.
    """
    _check_pictures(x)
    partner = torch.randperm(len(x), generator=generator).to(x.device)
    share = torch.rand(len(x), 1, generator=generator).to(x.device, x.dtype)
    mixed = torch.log10(share[:, :, None] * 10**x + (1 - share[:, :, None]) * 10 ** x[partner])
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
        targets = one_hot(y, self.num_classes).to(x.dtype)  # (B, num_classes)
        frames = x.shape[-1]
        if "time roll" in self.parts:
            x = time_shift(x, max_shift=frames // 2, generator=generator)
        if "mel shift" in self.parts:
            x = mel_shift(x, generator=generator)
        if "level" in self.parts:
            x = level_shift(x, generator=generator)
        if "mixing" in self.parts:
            both, shared = mix_classes(x, targets, generator=generator)
            chosen = torch.ones(len(x), dtype=torch.bool)
            if self.mixed < 1:
                chosen = torch.rand(len(x), generator=generator) < self.mixed
            chosen = chosen.to(x.device)
            x = torch.where(chosen[:, None, None], both, x)
            targets = torch.where(chosen[:, None], shared, targets)
        if "masks" in self.parts:
            x = spec_augment(x, time_width=frames // 8, generator=generator)
        return x, targets


def _check_pictures(x: Tensor) -> None:
    if x.ndim != 3:
        raise ValueError(f"x: expected (B, n_mels, frames), got {tuple(x.shape)}")
