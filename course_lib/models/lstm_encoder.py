"""What the pre-trained models share: an LSTM read over items of mixed lengths, and handing its weights on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.models.event_input import check_event_input, masked_samples, valid_lengths

_SIZES = ("input_size", "hidden_size", "num_layers", "bidirectional", "bias", "proj_size", "batch_first")


class LSTMEncoder(nn.Module):
    """The base of models that learn an encoder `lstm` without labels, the LSTM of an `LSTMEventClassifier`.

    Raises ValueError naming the size that is below 1.
    """

    def __init__(self, input_size: int, hidden_size: int, num_layers: int, dropout: float, bidirectional: bool):
        super().__init__()
        for name, value in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            if value < 1:
                raise ValueError(f"{name}: expected at least 1, got {value}")
        self.input_size, self.hidden_size = input_size, hidden_size
        self.lstm = nn.LSTM(
            input_size,
            hidden_size,
            num_layers,
            batch_first=True,
            dropout=dropout if num_layers > 1 else 0.0,
            bidirectional=bidirectional,
        )
        self.width = hidden_size * (2 if bidirectional else 1)

    def read(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        """The LSTM over x (B, T, input_size), each item over its own length: (B, T, width), zeros behind; lengths (B,).

        Raises ValueError for x of another shape or with a length outside 1 to T.
        """
        check_event_input(x, self.input_size)
        lengths = valid_lengths(x, lengths)
        packed = nn.utils.rnn.pack_padded_sequence(
            masked_samples(x, lengths), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        outputs, _ = self.lstm(packed)
        return nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True, total_length=x.shape[1])[0], lengths

    def transfer_encoder_to_classifier(self, classifier: nn.Module) -> Transfer:
        """Copy the LSTM's weights into `classifier.lstm`; returns what was copied and what was left. See `transfer`."""
        return transfer(self.lstm, classifier)


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


def stretch_means(steps: Tensor, lengths: Tensor, size: int) -> Tensor:
    """(B, T, H), zeros behind each item's length, to means over stretches of `size` steps: (B, ceil(T / size), H).

    The last stretch of an item is averaged over the steps it has; what lies behind it is 0.
    """
    sums = F.pad(steps, (0, 0, 0, -steps.shape[1] % size)).unflatten(1, (-1, size)).sum(2)
    starts = torch.arange(sums.shape[1], device=steps.device) * size
    counts = (lengths[:, None] - starts).clamp(1, size)  # (B, ceil(T / size))
    return sums / counts[..., None]
