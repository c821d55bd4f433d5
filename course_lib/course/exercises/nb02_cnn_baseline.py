"""Exercises of notebook 02."""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import precision_recall_fscore_support

from course_lib.course.exercises import Draw, Edge, exercise


def _convolutions(draw: Draw):
    for C, T, N, K in [(1, 4, 1, 2), (1, 4, 2, 4), (3, 9, 2, 4), (2, 5, 3, 1)]:
        yield draw.tensor(C, T), draw.tensor(N, C, K), 10 * draw.tensor(N)
    for _ in range(3):
        C, N, K, more = draw.sizes(4, 1, 6)
        yield draw.tensor(C, K + more + 3), draw.tensor(N, C, K), 10 * draw.tensor(N)


def _every_channel(x, w, b):
    """(O, C, T - K + 1), before the sum over channels, with the bias."""
    return torch.einsum("ctk,ock->oct", x.unfold(1, w.shape[2], 1), w) + b[:, None, None]


@exercise(
    notebook="02",
    title="Convolution with channels",
    minutes=10,
    inputs=_convolutions,
    mistakes=[
        (lambda x, w, b: F.conv1d(x[None], w)[0], "The bias is missing: every output channel adds its own b."),
        (
            lambda x, w, b: F.conv1d(x[None], w.flip(2), b)[0],
            "The kernel is flipped. Mathematics flips it in a convolution; `conv1d` does not.",
        ),
        (_every_channel, "The input channels are still apart: an output is one sum over all channels and the window."),
        (lambda x, w, b: _every_channel(x, w, b).mean(1), "You averaged over the input channels: they are summed."),
        (
            lambda x, w, b: _every_channel(x, w, b).sum(1),
            "The bias is added once for each input channel: add it after the sum over channels.",
        ),
        (
            lambda x, w, b: F.conv1d(x[None, :1], w[:, :1], b)[0],
            "Only the first input channel is used: sum over all of them.",
        ),
        (
            lambda x, w, b: conv1d_channels(x, w, b)[:, :-1],
            "The last output is missing: the last window starts at T - K, so there are T - K + 1.",
        ),
        (
            lambda x, w, b: F.conv1d(x[None], w, b, padding=1)[0],
            "This is padded with zeros: here the window must lie inside the signal.",
        ),
    ],
    example=(
        torch.tensor([[1.0, 2.0, 0.0], [3.0, 4.0, 1.0]]),
        torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]),
        torch.tensor([10.0]),
    ),
    hints=[
        "Which axes go away? An output has neither input channels nor taps: both are summed over.",
        ("Before the bias the outputs are {}.", lambda x, w, b: F.conv1d(x[None], w)[0]),
        "Either loop over output channel and position and sum a (C, K) window times a filter, or take all windows at "
        "once "
        "and name the axes in one `einsum`.",
        "Begin with `windows = x.unfold(1, w.shape[2], 1)`, of shape (C, T − K + 1, K).",
    ],
)
def conv1d_channels(x, w, b):
    """conv1d_channels(x, w, b): x (C, T), w (O, C, K), b (O,) -> (O, T - K + 1)."""
    return F.conv1d(x[None], w, b)[0]


def _networks(draw: Draw):
    yield 1, 8
    yield 7, 1000
    yield 10, 16_000
    yield Edge(
        (10, 1005),
        "1,005 samples leave a fraction: pooling drops the odd sample, so the length is divided by 8 and cut.",
    )
    for _ in range(3):
        yield draw.integer(2, 60), 8 * draw.integer(2, 300)
    yield Edge((3, 8 * draw.integer(2, 30) + 7), "Seven samples are left over: they are cut, whatever they are.")


def _parameters(classes, positions, kernel=3, bias=1, of_convolutions=1, of_linear=1):
    """A count with other kernels, without biases, or without some of the layers."""
    convolutions = sum((kernel * before + bias) * after for before, after in ((1, 32), (32, 64), (64, 128)))
    return of_convolutions * convolutions + of_linear * (128 * positions + bias) * classes


@exercise(
    notebook="02",
    title="Counting parameters",
    minutes=8,
    inputs=_networks,
    mistakes=[
        (
            lambda c, n: _parameters(c, n // 8, bias=0),
            "The biases are missing: each output channel and each class has one.",
        ),
        (
            lambda c, n: audio_cnn_parameters(c, n) - 224,
            "The convolutions' biases are missing: one for each output channel.",
        ),
        (lambda c, n: audio_cnn_parameters(c, n) - c, "The linear layer's biases are missing: one for each class."),
        (
            lambda c, n: _parameters(c, n),
            "Your linear layer sees the full length: the three poolings halve it each time.",
        ),
        (
            lambda c, n: _parameters(c, 1),
            "Your linear layer sees one value per channel: nothing averages over time here, every position counts.",
        ),
        (
            lambda c, n: _parameters(c, n // 4),
            "You halved the length twice: there are three poolings, max, max and average.",
        ),
        (
            lambda c, n: _parameters(c, n // 8, kernel=1),
            "The kernel size is missing: a filter has a weight for each input channel and each of its 3 taps.",
        ),
        (
            lambda c, n: _parameters(c, n // 8, of_convolutions=0),
            "These are the linear layer's parameters: the three convolutions have some, too.",
        ),
        (
            lambda c, n: _parameters(c, n // 8, of_linear=0),
            "These are the convolutions' parameters: the linear layer has some, too.",
        ),
    ],
    example=(2, 20),
    hints=[
        "Go layer by layer: convolutions from 1 to 32, 64 and 128 channels, then one linear layer. Poolings have no "
        "parameters.",
        (
            "The three convolutions have {} parameters.",
            lambda *_: [(3 * before + 1) * after for before, after in ((1, 32), (32, 64), (64, 128))],
        ),
        "The linear layer has, for each class, a weight for each of 128 channels at each position that three halvings "
        "leave, "
        "and a bias.",
        "Begin with `positions = input_length // 8`.",
    ],
)
def audio_cnn_parameters(num_classes, input_length):
    """audio_cnn_parameters(num_classes, input_length): the number of trainable values in AudioCNN, an integer."""
    convolutions = sum((3 * before + 1) * after for before, after in [(1, 32), (32, 64), (64, 128)])
    linear = (128 * (input_length // 8) + 1) * num_classes
    return convolutions + linear


def _spectrograms(draw: Draw):
    for sizes in [(2, 1, 3), (6, 4, 5), (3,), draw.sizes(3, 2, 7), draw.sizes(2, 2, 7)]:
        train, test = draw.array(sizes[0] + 2, *sizes[1:]), draw.array(sizes[0], *sizes[1:])
        yield draw.number(1, 3) * train + draw.number(-4, -2), test + draw.number(0.5, 2)


def _standardised(center, divide, all_of=lambda train, test: (train, train)):
    """Both arrays, each with statistics of its own choice."""

    def answer(train, test):
        pairs = zip((train, test), all_of(train, test), strict=True)
        return tuple((x - center(of)) / divide(of) for x, of in pairs)

    return answer


def _either(train, test):
    both = np.concatenate([train, test])
    return both, both


@exercise(
    notebook="02",
    title="Standardise without looking",
    minutes=6,
    inputs=_spectrograms,
    parts=("the standardised train", "the standardised test"),
    also=[_standardised(np.mean, lambda x: x.std(ddof=1))],  # either standard deviation will do
    mistakes=[
        (
            _standardised(np.mean, lambda x: 1.0),
            "The mean is gone, but the spread is as it was: divide by the standard deviation.",
        ),
        (_standardised(np.mean, np.var), "You divided by the variance: its root is the standard deviation."),
        (
            _standardised(np.mean, np.std, _either),
            "The statistics come from train and test together, so the test clips have a say: use train's only.",
        ),
        (
            _standardised(lambda x: x.mean(0), lambda x: x.std(0)),
            "There is a mean for every pixel: take one mean and one standard deviation over everything in train.",
        ),
        (
            lambda train, test: (_standardised(_own_mean, _own_std)(train, train)[0], ...),
            "Each clip has its own mean, so loudness is lost: take one mean over all clips of train.",
        ),
        (
            _standardised(np.mean, np.std, lambda train, test: (train, test)),
            "test is standardised by its own statistics, which hides how it differs from train: use train's.",
        ),
        (
            lambda train, test: (..., test),
            "test came back unchanged: the model must see it on the scale that it was trained on.",
        ),
    ],
    example=(np.array([1.0, 3.0]), np.array([4.0])),
    hints=[
        "Two numbers are needed, a mean and a standard deviation. Of which of the two arrays?",
        ("Mean and standard deviation are {}.", lambda train, test: [train.mean(), train.std()]),
        "Subtract the one and divide by the other in both arrays; return both.",
        "Begin with `mean = train.mean()`.",
    ],
)
def standardise(train, test):
    """standardise(train, test): both (N, ...) -> both standardised to train's one mean and one standard deviation."""
    mean, std = train.mean(), train.std()
    return (train - mean) / std, (test - mean) / std


def _own_mean(x):
    return x.mean(tuple(range(1, x.ndim)), keepdims=True)


def _own_std(x):
    return x.std(tuple(range(1, x.ndim)), keepdims=True)


def _predictions(draw: Draw):
    yield np.array([0, 0, 1]), np.array([0, 1, 1]), 2
    yield np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 2]), 3
    for classes, N in [(3, 12), (4, 20), (5, 31)]:
        labels = np.concatenate([np.arange(classes), draw.integers(0, classes - 1, N) // 2])
        guesses = draw.integers(0, classes - 1, len(labels))
        yield labels, np.where(draw.rng.random(len(labels)) < 0.6, labels, guesses), classes
    zero = "0 / 0 is NaN. By convention a class without a single hit has F1 = 0."
    never = "Class 3 is never predicted and fell out of the mean: it counts, with F1 = 0."
    labels, predictions = np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3]), np.array([0, 0, 0, 0, 1, 1, 1, 0, 2, 0, 1])
    yield Edge((labels, predictions, 4), never, nan="Class 3 is never predicted, and " + zero)
    absent = "Class 1 occurs in neither labels nor predictions: count it as 0; the mean goes over all num_classes."
    yield Edge((np.array([0, 0, 2]), np.array([0, 2, 2]), 3), absent, nan="Class 1 is nowhere, and " + zero)
    yield Edge((np.array([0, 0, 1]), np.array([0, 1, 1]), 4), "The mean goes over all num_classes, also absent ones.")


def _scores(labels, predictions, num_classes):
    """Precision, recall and F1 of each class; 0 where there is nothing to divide by."""
    return precision_recall_fscore_support(labels, predictions, labels=range(num_classes), zero_division=0)[:3]


def _f1_of_means(labels, predictions, num_classes):
    p, r, _ = np.mean(_scores(labels, predictions, num_classes), axis=1)
    return 2 * p * r / (p + r)


@exercise(
    notebook="02",
    title="Macro F1 by hand",
    minutes=10,
    inputs=_predictions,
    mistakes=[
        (
            lambda labels, predictions, n: (labels == predictions).mean(),
            "This is the accuracy, in which large classes weigh more: average over classes.",
        ),
        (
            lambda *a: _scores(*a)[0].mean(),
            "This is the mean precision: F1 also needs recall, the share of a class's clips that were found.",
        ),
        (
            lambda *a: _scores(*a)[1].mean(),
            "This is the mean recall: F1 also needs precision, the share of correct ones among those predicted.",
        ),
        (_f1_of_means, "This is F1 of mean precision and mean recall: compute F1 for each class, then average."),
        (
            lambda labels, predictions, n: np.average(
                _scores(labels, predictions, n)[2], weights=np.bincount(labels, minlength=n)
            ),
            "You weighted the classes by their size: the macro mean counts each one alike.",
        ),
        (
            lambda *a: (_scores(*a)[0] + _scores(*a)[1]).mean() / 2,
            "You averaged precision and recall: F1 is their harmonic mean, 2PR / (P + R).",
        ),
        (lambda *a: _scores(*a)[2], "These are the F1 scores of the classes: return their mean."),
    ],
    example=(np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 2]), 3),
    hints=[
        "F1 belongs to one class. Take class 0: how many hits, how often was it said, how often is it true?",
        ("The F1 of the three classes are {}.", lambda *a: _scores(*a)[2]),
        "Loop over all `num_classes`. Where a class was neither said nor true, its score is 0. Then the plain mean.",
        "Begin with `scores = []` and loop over `range(num_classes)`.",
    ],
)
def macro_f1(labels, predictions, num_classes):
    """macro_f1(labels, predictions, num_classes): (N,), (N,) -> the mean over classes of F1, one number."""
    return _scores(labels, predictions, num_classes)[2].mean()
