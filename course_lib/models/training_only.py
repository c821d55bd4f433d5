"""Parts that act in training alone and stand aside in evaluation mode: a change of the input, a second answer."""

from collections.abc import Callable

from torch import Tensor, nn

from course_lib.models.transformer_classifier import TransformerClassifier


class InTraining(nn.Module):
    """`change(x)` in training mode, x as it is in evaluation mode: SpecAugment behind a learned front end, say."""

    def __init__(self, change: Callable[[Tensor], Tensor]):
        super().__init__()
        self.change = change

    def forward(self, x: Tensor) -> Tensor:
        return self.change(x) if self.training else x


class DeeplySupervised(nn.Module):
    """A `TransformerClassifier` whose convolutions get a gradient that does not come through the attention.

    In training a pair: logits (B, num_classes) of the CLS token, and those of a linear layer on the mean of the tokens
    that go into the encoder. In evaluation mode the first alone.  Source: Lee et al. 2015, Deeply-Supervised Nets.
    """

    def __init__(self, model: TransformerClassifier):
        super().__init__()
        self.model = model
        self.auxiliary = nn.Linear(model.classifier[-1].in_features, model.classifier[-1].out_features)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        tokens = self.model.features(x)  # (B, N, embed_dim)
        logits = self.model.classify_features(tokens)
        return (logits, self.auxiliary(tokens.float().mean(dim=1))) if self.training else logits
