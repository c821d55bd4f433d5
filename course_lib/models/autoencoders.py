"""Autoencoders of signals: an LSTM squeezes a window into few numbers, and a second one draws it again from these."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from course_lib.models.event_model import make_lstm, run_lstm, stretch_means
from course_lib.models.lstm_encoder import LSTMEncoder
from course_lib.sequence import check_positive


class LSTMAutoencoder(LSTMEncoder):
    """x (B, T, input_size), lengths (B,) or None -> its reconstruction (B, T, input_size).

    The encoder's outputs are averaged over stretches of `latent_samples` steps, and a linear layer makes `latent_size`
    numbers of each mean: the latents, the bottleneck. An LSTM over the latents and a linear layer draw each stretch.
    latent_samples as long as the window means one latent vector for all of it, which is too little for long windows.
    The defaults fit `LSTMEventClassifier`, to which `transfer_encoder_to_classifier` hands the encoder.
    Raises ValueError naming the argument.
    """

    def __init__(
        self,
        input_size: int = 6,
        hidden_size: int = 128,
        num_layers: int = 2,
        latent_size: int = 16,
        *,
        latent_samples: int = 10,
        dropout: float = 0.0,
        bidirectional: bool = True,
    ):
        super().__init__(input_size, hidden_size, num_layers, dropout, bidirectional)
        check_positive(latent_size=latent_size, latent_samples=latent_samples)
        self.latent_size, self.latent_samples = latent_size, latent_samples
        self._add_latent_layers()
        self.drawer = LatentDecoder(latent_size, hidden_size, input_size, latent_samples, bidirectional)

    def _add_latent_layers(self) -> None:
        self.to_latents = nn.Linear(self.width, self.latent_size)

    def encode(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Latents (B, ceil(T / latent_samples), latent_size)."""
        return self.to_latents(stretch_means(*self.read(x, lengths), self.latent_samples))

    def decode(self, latents: Tensor, num_samples: int, lengths: Tensor | None = None) -> Tensor:
        """Latents (B, F, latent_size) to a signal (B, num_samples, input_size)."""
        return self.drawer(latents, num_samples, lengths)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        return self.decode(self.encode(x, lengths), x.shape[1], lengths)


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

    def encode(  # type: ignore[override]
        self, x: Tensor, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the latents, (B, F, latent_size) each; log-variances from -10 to 10."""
        features = stretch_means(*self.read(x, lengths), self.latent_samples)
        return self.to_mean(features), self.to_log_variance(features).clamp(-10, 10)

    def forward(  # type: ignore[override]
        self, x: Tensor, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance = self.encode(x, lengths)
        latents = mean
        if self.training:
            latents = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        return self.decode(latents, x.shape[1], lengths), mean, log_variance


class LatentDecoder(nn.Module):
    """Latents (B, F, latent_size) -> (B, num_samples, output_size): an LSTM over the latents, then a linear layer.

    Each of its F steps draws `stretch` samples.  lengths: (B,) samples; an item is drawn from its own latents only.
    """

    def __init__(self, latent_size: int, hidden_size: int, output_size: int, stretch: int, bidirectional: bool):
        super().__init__()
        self.stretch = stretch
        self.lstm = make_lstm(latent_size, hidden_size, 1, 0.0, bidirectional)
        self.out = nn.Linear(hidden_size * (2 if bidirectional else 1), stretch * output_size)

    def forward(self, latents: Tensor, num_samples: int, lengths: Tensor | None = None) -> Tensor:
        if lengths is None:
            steps = self.lstm(latents)[0]
        else:
            lengths = torch.as_tensor(lengths, device=latents.device)
            steps = run_lstm(self.lstm, latents, (lengths + self.stretch - 1) // self.stretch)
        drawn = self.out(steps).unflatten(2, (self.stretch, -1))  # (B, F, stretch, output_size)
        return drawn.flatten(1, 2)[:, :num_samples]
