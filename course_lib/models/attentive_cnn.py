"""The log-mel CNN with a pooling that chooses: attention over time, mean and standard deviation."""

from torch import Tensor, nn

from course_lib import layers as sl
from course_lib.models.transformer_classifier import LogMelFeatures


class AttentiveCNN(nn.Module):
    """Classify audio: tokens of a CNN, pooled to their mean and standard deviation under attention weights.

    features: a module that makes tokens (B, N, embed_dim) of its input; None: `LogMelFeatures`, whose input is
        (B, 64, frames) log-mel.  dropout: of the pooled vector, before the linear layer.
    Returns logits (B, num_classes).  0.32 M parameters with the default.
    Raises ValueError where `num_classes` is below 2, or as `features` does.
    Sources: the statistics, Okabe et al. 2018; the features, `LogMelCNN`.
    """

    def __init__(
        self, num_classes: int = 10, embed_dim: int = 128, *, features: nn.Module | None = None, dropout: float = 0.0
    ):
        super().__init__()
        if num_classes < 2:
            raise ValueError(f"num_classes: expected at least 2, got {num_classes}")
        self.features = LogMelFeatures(embed_dim) if features is None else features
        self.pooling = sl.AttentionPooling(embed_dim, statistics=True)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(self.pooling.out_features, num_classes))

    def forward(self, x: Tensor, return_weights: bool = False):
        """Logits; with `return_weights` a pair (logits, pooling weights (B, 1, N), each row of sum 1)."""
        tokens = self.features(x).to(self.classifier[-1].weight.dtype)  # (B, N, embed_dim)
        pooled, weights = self.pooling(tokens, return_weights=True)  # (B, 2 embed_dim)
        logits = self.classifier(pooled)
        return (logits, weights) if return_weights else logits
