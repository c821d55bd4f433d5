"""Losses without labels: reconstruction, the evidence lower bound, and telling views of one window from all others."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.losses.focal import full_precision


class AutoencoderLoss(nn.Module):
    """Mean squared error of a reconstruction over the valid samples."""

    def forward(self, reconstruction: Tensor, x: Tensor, lengths: Tensor | None = None) -> dict[str, Tensor]:
        """A dict of scalars: "loss" and "total", the mean squared error, and "r2", the share of the variance explained.

        reconstruction, x: (B, T, C).  lengths: (B,) valid samples; None: T.
        """
        error = _valid(reconstruction, x, lengths)[0]
        return {"loss": error, "total": error, "r2": explained_variance(reconstruction, x, lengths)}


class VariationalLoss(nn.Module):
    """The negative evidence lower bound of a variational autoencoder, with two guards against latents that go unused.

    noise_std: standard deviation of what the decoder may leave unexplained, in the unit of x. A direction of the data
    whose standard deviation is below it is not worth its nats, so that too large a value empties the latents.
    warmup_steps: over so many training steps the weight of the KL rises from 0 to `beta` (annealing): the decoder
    learns to read the latents before they cost anything.
    free_bits: nats that each latent may hold without being pushed down, as a mean over batch and time.
    latent_samples: samples a latent vector stands for, as in the model.
    Source: Kingma and Welling 2014, eq. 10; Bowman et al. 2016 (annealing); Kingma et al. 2016, C.8 (free bits).
    """

    steps: Tensor

    def __init__(
        self,
        beta: float = 1.0,
        noise_std: float = 0.5,
        warmup_steps: int = 100,
        free_bits: float = 0.05,
        latent_samples: int = 10,
    ):
        super().__init__()
        for name, value in (("beta", beta), ("warmup_steps", warmup_steps), ("free_bits", free_bits)):
            if value < 0:
                raise ValueError(f"{name}: expected at least 0, got {value}")
        if latent_samples < 1:
            raise ValueError(f"latent_samples: expected at least 1, got {latent_samples}")
        if noise_std <= 0:
            raise ValueError(f"noise_std: expected more than 0, got {noise_std}")
        self.beta, self.noise_std, self.warmup_steps, self.free_bits = beta, noise_std, warmup_steps, free_bits
        self.latent_samples = latent_samples
        self.register_buffer("steps", torch.tensor(0))

    def forward(
        self, reconstruction: Tensor, mean: Tensor, log_variance: Tensor, x: Tensor, lengths: Tensor | None = None
    ) -> dict[str, Tensor]:
        """A dict of scalars; "loss" and "total" are the bound in nats a number of x.

        reconstruction, x: (B, T, C).  mean, log_variance: (B, F, L), F = ceil(T / latent_samples).
        "kl": nats a latent vector, of all L together.  "mse", "r2": of the reconstruction.  "beta": the KL's weight.
        A call under gradients is a training step: it moves the annealing on.
        Raises ValueError where F is not ceil(T / latent_samples).
        """
        error, inside = _valid(reconstruction, x, lengths)
        frames = inside[:, :: self.latent_samples]  # (B, F)
        if mean.shape[:2] != frames.shape or mean.shape != log_variance.shape:
            raise ValueError(
                f"mean, log_variance: expected {tuple(frames.shape)} latent vectors of {self.latent_samples} samples, "
                f"got {tuple(mean.shape)}, {tuple(log_variance.shape)}"
            )
        valid = [torch.where(frames[..., None], full_precision(part), 0) for part in (mean, log_variance)]
        kl = kl_to_standard_normal(*valid).sum((0, 1)) / frames.sum().clamp(min=1)  # (L,), 0 for the latents of padding
        weight = self.beta * ((self.steps + 1) / max(1, self.warmup_steps)).clamp(max=1)
        if torch.is_grad_enabled():
            self.steps += 1
        numbers = inside.sum().clamp(min=1) * x.shape[2] / frames.sum().clamp(min=1)  # of x, for each latent vector
        total = error / (2 * self.noise_std**2) + weight * kl.clamp(min=self.free_bits).sum() / numbers
        values = {"loss": total, "total": total, "kl": kl.sum(), "mse": error}
        return values | {"r2": explained_variance(reconstruction, x, lengths), "beta": weight}


class NTXentLoss(nn.Module):
    """Normalised temperature-scaled cross-entropy: among 2B views, find the other view of the same window.

    first, second: (B, P), row i of both from window i.  Every one of the 2B views asks in turn; the answers it chooses
    from are the 2B - 1 others, scored by cosine similarity over `temperature`.
    Returns a dict of scalars: "loss" and "total", the mean cross-entropy, and "accuracy", the share of views whose
    nearest one is right.  Source: Chen et al. 2020, eq. 1.
    Raises ValueError for shapes that differ, and for a batch of one, in which there is nothing to tell apart.
    """

    def __init__(self, temperature: float = 0.1):
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"temperature: expected more than 0, got {temperature}")
        self.temperature = temperature

    def forward(self, first: Tensor, second: Tensor) -> dict[str, Tensor]:
        if first.dim() != 2 or first.shape != second.shape:
            raise ValueError(f"first, second: expected (B, P) each, got {tuple(first.shape)}, {tuple(second.shape)}")
        count = len(first)
        if count < 2:
            raise ValueError("first, second: expected at least 2 windows a batch, or there is nothing to tell apart")
        views = F.normalize(full_precision(torch.cat([first, second])), dim=1)  # (2B, P)
        similarity = views @ views.T / self.temperature  # (2B, 2B)
        similarity = similarity.masked_fill(torch.eye(2 * count, dtype=torch.bool, device=views.device), -torch.inf)
        partner = torch.arange(2 * count, device=views.device).roll(count)  # i + B, modulo 2B
        loss = F.cross_entropy(similarity, partner)
        accuracy = (similarity.argmax(1) == partner).float().mean()
        return {"loss": loss, "total": loss, "accuracy": accuracy}


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL divergence of normals from the standard normal in nats: (mean² + variance - log variance - 1) / 2."""
    return (mean.square() + log_variance.exp() - log_variance - 1) / 2


@torch.no_grad()
def explained_variance(reconstruction: Tensor, x: Tensor, lengths: Tensor | None = None) -> Tensor:
    """R²: 1 - squared error / squared distance of x from each channel's mean, over all valid samples.

    reconstruction, x: (B, T, C).  1 is perfect, 0 is as good as drawing each channel's mean.
    """
    error, inside = _valid(reconstruction, x, lengths)
    x, inside = full_precision(x), inside[..., None]  # (B, T, 1)
    count = inside.sum().clamp(min=1)
    mean = torch.where(inside, x, 0).sum((0, 1)) / count  # (C,)
    variance = torch.where(inside, x - mean, 0).square().sum() / (count * x.shape[2])
    return 1 - error / variance.clamp(min=torch.finfo(x.dtype).tiny)


def _valid(reconstruction: Tensor, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
    """Mean squared error over valid samples, 0 where there are none, and which these are, (B, T)."""
    if reconstruction.shape != x.shape or x.dim() != 3:
        raise ValueError(
            f"reconstruction, x: expected (B, T, C) each, got {tuple(reconstruction.shape)}, {tuple(x.shape)}"
        )
    inside = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
    if lengths is not None:
        inside = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
    errors = torch.where(inside[..., None], full_precision(reconstruction) - x, 0)
    return errors.square().sum() / (inside.sum().clamp(min=1) * x.shape[2]), inside
