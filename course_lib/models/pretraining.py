"""Models that learn an LSTM without labels and hand its weights on: autoencoders and contrastive learning."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.losses import NTXentLoss
from course_lib.models.event_model import make_lstm, run_lstm, stretch_means
from course_lib.models.model_input import event_input
from course_lib.sequence import check_positive

_SIZES = ("input_size", "hidden_size", "num_layers", "bidirectional", "bias", "proj_size", "batch_first")


class LSTMEncoder(nn.Module):
    """The base of models that learn an encoder `lstm` without labels, the LSTM of an `LSTMEventClassifier`.

    Raises ValueError naming the size that is below 1.
    """

    def __init__(self, input_size: int, hidden_size: int, num_layers: int, dropout: float, bidirectional: bool):
        super().__init__()
        check_positive(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        self.input_size, self.hidden_size = input_size, hidden_size
        self.lstm = make_lstm(input_size, hidden_size, num_layers, dropout, bidirectional)
        self.width = hidden_size * (2 if bidirectional else 1)

    def read(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        """The LSTM over x (B, T, input_size), each item over its own length: (B, T, width), zeros behind; lengths (B,).

        Raises ValueError for x of another shape or with a length outside 1 to T.
        """
        x, lengths = event_input(x, lengths, self, self.input_size)
        return run_lstm(self.lstm, x, lengths), lengths

    def transfer_encoder_to_classifier(self, classifier: nn.Module) -> Transfer:
        """Copy the LSTM's weights into `classifier.lstm`; returns what was copied and what was left. See `transfer`."""
        return transfer(self.lstm, classifier)


class ContrastiveLSTM(LSTMEncoder):
    """x (B, T, input_size), lengths (B,) or None -> projections (B, projection_size) of norm 1.

    The LSTM's outputs are averaged over the window, and two linear layers with a ReLU project the mean. The projection
    serves `loss`, an `NTXentLoss` with this temperature, and is thrown away; the LSTM is what is kept.
    Source: Chen et al. 2020, section 2.1.  Raises ValueError naming the argument.
    """

    def __init__(
        self,
        input_size: int = 6,
        hidden_size: int = 128,
        projection_size: int = 64,
        num_layers: int = 2,
        *,
        temperature: float = 0.1,
        dropout: float = 0.0,
        bidirectional: bool = True,
    ):
        super().__init__(input_size, hidden_size, num_layers, dropout, bidirectional)
        if projection_size < 1:
            raise ValueError(f"projection_size: expected at least 1, got {projection_size}")
        self.projector = nn.Sequential(
            nn.Linear(self.width, self.width), nn.ReLU(), nn.Linear(self.width, projection_size)
        )
        self.loss = NTXentLoss(temperature)

    def embed(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The mean of the LSTM's outputs over each item's own length: (B, width)."""
        outputs, lengths = self.read(x, lengths)
        return outputs.sum(1) / lengths[:, None]

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        return F.normalize(self.projector(self.embed(x, lengths)), dim=1)


@dataclass(frozen=True)
class Transfer:
    """What a transfer did.  copied, left: names of the classifier's parameters.

    copied_numbers, left_numbers: how many numbers these hold; what is left keeps its initial values.
    """

    copied: tuple[str, ...]
    left: tuple[str, ...]
    copied_numbers: int
    left_numbers: int

    def __str__(self) -> str:
        return (
            f"copied {len(self.copied)} tensors, {self.copied_numbers:,} numbers; "
            f"{len(self.left)} tensors, {self.left_numbers:,} numbers, keep their initial values: "
            f"{', '.join(sorted({name.partition('.')[0] for name in self.left})) or 'none'}"
        )


@torch.no_grad()
def transfer(source: nn.LSTM, classifier: nn.Module) -> Transfer:
    """Copy all weights of `source` into `classifier.lstm`, all or nothing.

    Raises TypeError where the classifier has no `lstm`, ValueError naming each size in which the two differ.
    """
    target = getattr(classifier, "lstm", None)
    if not isinstance(target, nn.LSTM):
        raise TypeError(f"classifier: expected a model with an nn.LSTM called lstm, got {type(classifier).__name__}")
    differing = [name for name in _SIZES if getattr(source, name) != getattr(target, name)]
    if differing:
        told = ", ".join(f"{name} {getattr(source, name)} and {getattr(target, name)}" for name in differing)
        raise ValueError(f"classifier: expected an LSTM of the encoder's sizes; encoder and classifier have {told}")
    target.load_state_dict(source.state_dict())
    sizes = {name: parameter.numel() for name, parameter in classifier.named_parameters()}
    copied = tuple(name for name in sizes if name.startswith("lstm."))
    left = tuple(name for name in sizes if name not in copied)
    return Transfer(copied, left, sum(sizes[name] for name in copied), sum(sizes[name] for name in left))


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
