"""Contrastive pre-training: an encoder that finds the other view of the same window among the views of all others."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.losses.pretraining import NTXentLoss
from course_lib.models.lstm_encoder import LSTMEncoder


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
