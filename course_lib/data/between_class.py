"""Between-class mixing of waveforms: two sounds at once, at a known ratio of loudness."""

import torch
from torch import Generator, Tensor

_SILENCE = 1e-8  # amplitude


def between_class(x: Tensor, y: Tensor, num_classes: int, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
    """Play each clip together with one drawn from the batch, levels standing as r to 1 - r with r even in 0 to 1.

    Every clip is some other's partner once (a random permutation), so a few meet one of their own class, or themselves.
    x: (B, ..., T) waveforms.  y: (B,) integers.  Returns the mixed x, of the energy that two unrelated sounds of one
    level have, and soft targets (B, num_classes), r for the one class and 1 - r for the other.
    With levels G₁ and G₂ (RMS) the clips are weighed p and 1 - p, p = 1 / (1 + G₁/G₂ · (1 - r)/r), and the sum is
    divided by √(p² + (1 - p)²). `mixup` averages the samples as they are, so that the louder clip drowns the other.
    Source: Tokozume, Ushiku and Harada 2018, eq. 1 and 2, with unweighted levels.
    """
    if x.ndim < 2 or y.shape != x.shape[:1] or y.is_floating_point():
        raise ValueError(
            f"x, y: expected (B, ..., T) and (B,) integers, got {tuple(x.shape)}, {tuple(y.shape)} {y.dtype}"
        )
    device = x.device if generator is None else generator.device
    partner = torch.randperm(len(x), generator=generator, device=device).to(x.device)
    r = torch.rand(len(x), generator=generator, device=device).to(x.device, x.dtype)
    level = x.flatten(1).square().mean(1).sqrt().clamp(min=_SILENCE)
    own, other = r * level[partner], (1 - r) * level  # p and 1 - p are as these
    total = own + other
    p = torch.where(total > 0, own / total, r).view(-1, *[1] * (x.ndim - 1))
    mixed = (p * x + (1 - p) * x[partner]) / (p.square() + (1 - p).square()).sqrt()
    targets = torch.nn.functional.one_hot(y.long(), num_classes).to(x.dtype)  # (B, num_classes)
    return mixed, torch.lerp(targets[partner], targets, r[:, None])
