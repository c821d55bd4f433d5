"""Checks of notebook 02."""

import numpy as np
import torch
import torch.nn.functional as F

from course_lib.course.exercises import Hint, exercise, expect


@exercise(notebook="02", title="Convolution with channels", minutes=10)
def conv1d_channels(fn):
    """conv1d_channels(x, w, b): x (C, T), w (O, C, K), b (O,) -> (O, T - K + 1)."""
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(3, 9, generator=generator)  # C = 3, T = 9
    w = torch.randn(2, 3, 4, generator=generator)  # O = 2, K = 4
    b = torch.tensor([10.0, -20.0])
    right = F.conv1d(x[None], w, b)[0]
    windows = x.unfold(1, 4, 1)  # (C, T - K + 1, K)
    every_channel = torch.einsum("ctk,ock->oct", windows, w) + b[:, None, None]
    expect(
        fn(x, w, b),
        right,
        mistakes=[
            (right - b[:, None], "The bias is missing: every output channel adds its own b."),
            (
                F.conv1d(x[None], w.flip(2), b)[0],
                "The kernel is flipped. Mathematics flips it in a convolution; `conv1d` does not.",
            ),
            (
                every_channel,
                "The input channels are still apart: an output is one sum over all channels and the window.",
            ),
            (every_channel.mean(1), "You averaged over the input channels: they are summed."),
            (
                every_channel.sum(1),
                "The bias is added once for each input channel: add it after the sum over channels.",
            ),
            (F.conv1d(x[None, :1], w[:, :1], b)[0], "Only the first input channel is used: sum over all of them."),
            (right[:, :-1], "The last output is missing: the last window starts at T - K, so there are T - K + 1."),
            (
                F.conv1d(x[None], w, b, padding=1)[0],
                "This is padded with zeros: here the window must lie inside the signal.",
            ),
        ],
        what="the output",
    )
    one = torch.ones(1, 4)
    expect(
        fn(one, torch.ones(1, 1, 4), torch.zeros(1)), torch.full((1, 1), 4.0), what="one window as long as the signal"
    )


@exercise(notebook="02", title="Counting parameters", minutes=8)
def audio_cnn_parameters(fn):
    """audio_cnn_parameters(num_classes, input_length): the number of trainable values in AudioCNN, an integer."""
    classes, length = 7, 1000
    convolutions = (3 * 1 + 1) * 32 + (3 * 32 + 1) * 64 + (3 * 64 + 1) * 128
    kernels = 3 * 32 + 3 * 32 * 64 + 3 * 64 * 128
    positions = length // 8
    linear = (128 * positions + 1) * classes
    expect(
        fn(classes, length),
        convolutions + linear,
        mistakes=[
            (
                kernels + 128 * positions * classes,
                "The biases are missing: each output channel and each class has one.",
            ),
            (kernels + linear, "The convolutions' biases are missing: one for each output channel."),
            (convolutions + 128 * positions * classes, "The linear layer's biases are missing: one for each class."),
            (
                convolutions + (128 * length + 1) * classes,
                "Your linear layer sees the full length: the three poolings halve it each time.",
            ),
            (
                convolutions + (128 + 1) * classes,
                "Your linear layer sees one value per channel: nothing averages over time here, every position counts.",
            ),
            (
                convolutions + (128 * (length // 4) + 1) * classes,
                "You halved the length twice: there are three poolings, max, max and average.",
            ),
            (
                (1 + 1) * 32 + (32 + 1) * 64 + (64 + 1) * 128 + linear,
                "The kernel size is missing: a filter has a weight for each input channel and each of its 3 taps.",
            ),
            (linear, "These are the linear layer's parameters: the three convolutions have some, too."),
        ],
        what="the number of parameters",
    )
    length = 1005  # leaves a remainder
    if fn(10, length) == convolutions + (128 * length / 8 + 1) * 10:
        raise Hint(
            "1,005 samples leave a fraction: pooling drops the odd sample, so the length is divided by 8 and cut."
        )
    expect(fn(10, 16_000), 2_591_050, what="the number of parameters at 16,000 samples")


@exercise(notebook="02", title="Standardise without looking", minutes=6)
def standardise(fn):
    """standardise(train, test): both (N, ...) -> both standardised to train's one mean and one standard deviation."""
    generator = np.random.default_rng(3)
    train, test = generator.normal(-3, 2, (6, 4, 5)), generator.normal(1, 1, (3, 4, 5))
    mean, std = train.mean(), train.std()
    both = np.concatenate([train, test])
    result = fn(train, test)
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise Hint("Return two arrays, the standardised train and the standardised test.")
    new_train, new_test = result
    expect(
        new_train,
        (train - mean) / std,
        mistakes=[
            (train - mean, "The mean is gone, but the spread is as it was: divide by the standard deviation."),
            ((train - mean) / std**2, "You divided by the variance: its root is the standard deviation."),
            (
                (train - both.mean()) / both.std(),
                "The statistics come from train and test together, so the test clips have a say: use train's only.",
            ),
            (
                (train - train.mean(0)) / train.std(0),
                "There is a mean for every pixel: take one mean and one standard deviation over everything in train.",
            ),
            (
                (train - train.mean((1, 2), keepdims=True)) / train.std((1, 2), keepdims=True),
                "Each clip has its own mean, so loudness is lost: take one mean over all clips of train.",
            ),
        ],
        what="the standardised train",
        rtol=1e-3,  # either standard deviation will do: with N or N - 1
        atol=2e-2,
    )
    expect(
        new_test,
        (test - mean) / std,
        mistakes=[
            (
                (test - test.mean()) / test.std(),
                "test is standardised by its own statistics, which hides how it differs from train: use train's.",
            ),
            (test, "test came back unchanged: the model must see it on the scale that it was trained on."),
        ],
        what="the standardised test",
        rtol=1e-3,
        atol=2e-2,
    )


@exercise(notebook="02", title="Macro F1 by hand", minutes=10)
def macro_f1(fn):
    """macro_f1(labels, predictions, num_classes): (N,), (N,) -> the mean over classes of F1, one number."""
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3])
    predictions = np.array([0, 0, 0, 0, 1, 1, 1, 0, 2, 0, 1])  # class 3 is never predicted
    precision, recall, f1 = _scores_of_classes(labels, predictions, 4)
    counts = np.bincount(labels, minlength=4)
    value = fn(labels, predictions, 4)
    if isinstance(value, float | np.floating) and np.isnan(value):
        raise Hint(
            "Class 3 is never predicted, and 0 / 0 is NaN. By convention a class without a single hit has F1 = 0."
        )
    p, r = precision.mean(), recall.mean()
    expect(
        value,
        f1.mean(),
        mistakes=[
            (
                (labels == predictions).mean(),
                "This is the accuracy, in which large classes weigh more: average over classes.",
            ),
            (p, "This is the mean precision: F1 also needs recall, the share of a class's clips that were found."),
            (r, "This is the mean recall: F1 also needs precision, the share of correct ones among those predicted."),
            (
                2 * p * r / (p + r),
                "This is F1 of mean precision and mean recall: compute F1 for each class, then average.",
            ),
            (f1[:3].mean(), "Class 3 was never predicted and fell out of the mean: it counts, with F1 = 0."),
            (
                (f1 * counts).sum() / counts.sum(),
                "You weighted the classes by their size: the macro mean counts each one alike.",
            ),
            (
                ((precision + recall) / 2).mean(),
                "You averaged precision and recall: F1 is their harmonic mean, 2PR / (P + R).",
            ),
            (f1, "These are the F1 scores of the classes: return their mean."),
        ],
        what="the macro F1",
    )


def _scores_of_classes(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> tuple[np.ndarray, ...]:
    """Precision, recall and F1 of each class; 0 where there is nothing to divide by."""
    from sklearn.metrics import precision_recall_fscore_support

    scores = precision_recall_fscore_support(labels, predictions, labels=range(num_classes), zero_division=0)
    return scores[:3]
