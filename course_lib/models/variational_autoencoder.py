"""A variational autoencoder of signals: each latent is a distribution, kept near a standard normal one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from course_lib.models.autoencoder import LSTMAutoencoder
from course_lib.models.lstm_encoder import stretch_means


class LSTMVariationalAutoencoder(LSTMAutoencoder):
    """x (B, T, input_size), lengths (B,) or None -> reconstruction (B, T, input_size), mean and log-variance (B, F, L).

    As `LSTMAutoencoder`, but the encoder names a mean and a variance for each latent, F = ceil(T / latent_samples).
    In training the decoder sees a draw, mean + standard deviation · noise, from PyTorch's default generator; in
    evaluation the mean.  Train it with `VariationalLoss`, whose `noise_std` decides whether the latents stay in use.
    `decode` also takes draws from a standard normal.
    Source: Kingma and Welling 2014, section 2.4.  Raises ValueError naming the argument.
    """

    def _add_latent_layers(self) -> None:
        self.to_mean = nn.Linear(self.width, self.latent_size)
        self.to_log_variance = nn.Linear(self.width, self.latent_size)

    def encode(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the latents, (B, F, latent_size) each; log-variances from -10 to 10."""
        features = stretch_means(*self.read(x, lengths), self.latent_samples)
        return self.to_mean(features), self.to_log_variance(features).clamp(-10, 10)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance = self.encode(x, lengths)
        latents = mean
        if self.training:
            latents = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        return self.decode(latents, x.shape[1], lengths), mean, log_variance
