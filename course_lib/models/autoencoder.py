"""An autoencoder of signals: an LSTM squeezes a window into few numbers, and a second one draws it again from these."""

from __future__ import annotations

from torch import Tensor, nn

from course_lib.models.lstm_encoder import LSTMEncoder, stretch_means


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
        for name, value in (("latent_size", latent_size), ("latent_samples", latent_samples)):
            if value < 1:
                raise ValueError(f"{name}: expected at least 1, got {value}")
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


class LatentDecoder(nn.Module):
    """Latents (B, F, latent_size) -> (B, num_samples, output_size): an LSTM over the latents, then a linear layer.

    Each of its F steps draws `stretch` samples.  lengths: (B,) samples; an item is drawn from its own latents only.
    """

    def __init__(self, latent_size: int, hidden_size: int, output_size: int, stretch: int, bidirectional: bool):
        super().__init__()
        self.stretch = stretch
        self.lstm = nn.LSTM(latent_size, hidden_size, batch_first=True, bidirectional=bidirectional)
        self.out = nn.Linear(hidden_size * (2 if bidirectional else 1), stretch * output_size)

    def forward(self, latents: Tensor, num_samples: int, lengths: Tensor | None = None) -> Tensor:
        if lengths is None:
            steps = self.lstm(latents)[0]
        else:
            counts = (lengths + self.stretch - 1) // self.stretch
            packed = nn.utils.rnn.pack_padded_sequence(latents, counts.cpu(), batch_first=True, enforce_sorted=False)
            outputs, _ = self.lstm(packed)
            steps = nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True, total_length=latents.shape[1])[0]
        drawn = self.out(steps).unflatten(2, (self.stretch, -1))  # (B, F, stretch, output_size)
        return drawn.flatten(1, 2)[:, :num_samples]
