"""Wrong answers to the exercises of notebook 02: exercise → name → (answer, a piece of the hint that it must get)."""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score


def _one_output_short(x, w, b):
    steps = x.shape[1] - w.shape[2]
    return torch.stack([torch.einsum("ck,ock->o", x[:, t : t + w.shape[2]], w) + b for t in range(steps)], dim=1)


def _parameters(num_classes, positions, kernel=3, bias=1):
    layers = ((1, 32), (32, 64), (64, 128))
    convolutions = sum((kernel * before + bias) * after for before, after in layers)
    return convolutions + (128 * positions + bias) * num_classes


def _each_by_itself(train, test):
    return (train - train.mean()) / train.std(), (test - test.mean()) / test.std()


def _both_together(train, test):
    both = np.concatenate([train, test])
    return (train - both.mean()) / both.std(), (test - both.mean()) / both.std()


def _f1_of_means(labels, predictions, num_classes):
    p = precision_score(labels, predictions, average="macro", zero_division=0)
    r = recall_score(labels, predictions, average="macro", zero_division=0)
    return 2 * p * r / (p + r)


def _divides_by_zero(labels, predictions, num_classes):
    scores = []
    for c in range(num_classes):
        hits = ((labels == c) & (predictions == c)).sum()
        with np.errstate(invalid="ignore"):
            precision, recall = hits / np.float64((predictions == c).sum()), hits / np.float64((labels == c).sum())
            scores.append(2 * precision * recall / (precision + recall))
    return np.mean(scores)


WRONG = {
    "conv1d_channels": {
        "no bias": (lambda x, w, b: F.conv1d(x[None], w)[0], "The bias is missing"),
        "flipped kernel": (lambda x, w, b: F.conv1d(x[None], w.flip(2), b)[0], "The kernel is flipped"),
        "channels not summed": (
            lambda x, w, b: torch.einsum("ctk,ock->oct", x.unfold(1, w.shape[2], 1), w) + b[:, None, None],
            "The input channels are still apart",
        ),
        "bias for every input channel": (
            lambda x, w, b: F.conv1d(x[None], w, len(x) * b)[0],
            "once for each input channel",
        ),
        "first channel only": (lambda x, w, b: F.conv1d(x[None, :1], w[:, :1], b)[0], "Only the first input channel"),
        "one output short": (_one_output_short, "The last output is missing"),
        "padded": (lambda x, w, b: F.conv1d(x[None], w, b, padding=1)[0], "This is padded with zeros"),
    },
    "audio_cnn_parameters": {
        "no biases": (lambda c, n: _parameters(c, n // 8, bias=0), "The biases are missing"),
        "full length": (lambda c, n: _parameters(c, n), "sees the full length"),
        "averaged over time": (lambda c, n: _parameters(c, 1), "sees one value per channel"),
        "two poolings": (lambda c, n: _parameters(c, n // 4), "halved the length twice"),
        "no kernel": (
            lambda c, n: _parameters(0, 0, kernel=1) + (128 * (n // 8) + 1) * c,
            "The kernel size is missing",
        ),
        "no cut": (
            lambda c, n: int(_parameters(c, n / 8)) if n % 8 == 0 else _parameters(c, n / 8),
            "leave a fraction",
        ),
    },
    "standardise": {
        "each by itself": (_each_by_itself, "by its own statistics, which hides"),
        "both together": (_both_together, "train and test together"),
        "variance": (
            lambda train, test: ((train - train.mean()) / train.var(), (test - train.mean()) / train.var()),
            "divided by the variance",
        ),
        "mean only": (lambda train, test: (train - train.mean(), test - train.mean()), "the spread is as it was"),
        "every pixel": (
            lambda train, test: ((train - train.mean(0)) / train.std(0), (test - train.mean(0)) / train.std(0)),
            "a mean for every pixel",
        ),
        "one array": (lambda train, test: (train - train.mean()) / train.std(), "Two results are expected"),
    },
    "macro_f1": {
        "accuracy": (lambda labels, predictions, c: accuracy_score(labels, predictions), "This is the accuracy"),
        "F1 of the means": (_f1_of_means, "F1 of mean precision and mean recall"),
        "weighted": (
            lambda labels, predictions, c: f1_score(labels, predictions, average="weighted"),
            "weighted the classes by their size",
        ),
        "division by zero": (_divides_by_zero, "0 / 0 is NaN"),
        "predicted classes only": (
            lambda labels, predictions, c: f1_score(
                labels, predictions, labels=np.unique(predictions), average="macro"
            ),
            "fell out of the mean",
        ),
    },
}
