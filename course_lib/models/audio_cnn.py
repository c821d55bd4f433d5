"""The course's baseline: three convolutions on the raw waveform and one linear layer."""

from torch import Tensor, nn


class AudioCNN(nn.Module):
    """Classify waveforms: convolutions of kernel 3 (1 → 32 → 64 → 128), max, max and average pooling, a linear layer.

    x: (B, 1, input_length) float, any unit (the notebooks use amplitudes in [-1, 1]).  Returns logits (B, num_classes).

    The convolutions keep the length (zero padding of 1) and each pooling halves it, so the linear layer sees
    128 · (input_length // 8) values and has weights for every one of them: 2,560,010 of the 2,591,050 parameters at
    16,000 samples and ten classes. Hence the fixed `input_length`, at least 8.
    Raises ValueError where an argument is out of range or `x` has another shape.
    """

    def __init__(self, num_classes: int = 10, input_length: int = 16000):
        super().__init__()
        if num_classes < 2:
            raise ValueError(f"num_classes: expected at least 2, got {num_classes}")
        if input_length < 8:
            raise ValueError(f"input_length: expected at least 8 samples (three poolings halve it), got {input_length}")
        self.input_length = input_length
        self.features = nn.Sequential(
            nn.Conv1d(1, 32, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.Conv1d(32, 64, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.Conv1d(64, 128, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.AvgPool1d(2),
        )
        self.classifier = nn.Linear(128 * (input_length // 8), num_classes)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 3 or x.shape[1] != 1:
            raise ValueError(f"x: expected (B, 1, {self.input_length}), got {tuple(x.shape)}: one channel, time last")
        if x.shape[2] != self.input_length:
            raise ValueError(
                f"x: expected {self.input_length} samples, got {x.shape[2]}: resample or crop the clips, "
                f"or build AudioCNN(input_length={x.shape[2]})"
            )
        features = self.features(x)  # (B, 128, input_length // 8)
        return self.classifier(features.flatten(1))  # (B, num_classes)
