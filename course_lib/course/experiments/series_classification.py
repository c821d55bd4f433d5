"""The signal transformer and MiniRocket on real series sets of the aeon package, settings chosen in the training part.

Seven sets on their default splits: GunPoint, ItalyPowerDemand, JapaneseVowels, BasicMotions, ArrowHead, OSULeaf, ACSF1.
Both models get one search a set: four candidates, three stratified folds of the training series, the best mean accuracy
(of equals the first). Then the winner learns from all training series, five seeds, and meets the test series once. The
search is made once, so the spread over seeds has no share of it.
What was not searched is the same for all sets: a small network (three convolution stages, two encoder blocks, at most
64 tokens), AdamW with warm-up and cosine, label smoothing, gradients clipped at 1, the last weights. To be cheap the
search trains for about 150 steps, the winner for about 500: more candidates or steps might do better.
BatchNorm's running statistics do not settle in a few hundred steps on a few dozen series. After the training they are
replaced by the moments of the whole training set ("exact statistics"); the details keep the accuracy without that.
Seconds are CPU seconds of one training. About 30 CPU minutes in all.
"""

import time
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from sklearn.model_selection import StratifiedKFold
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, TensorDataset

from course_lib.course.experiments import results
from course_lib.course.experiments._minirocket import minirocket
from course_lib.course.experiments._training import accuracy, fitted, seeded
from course_lib.course.experiments.runner import Experiment, Found, by_seed, column, grid
from course_lib.data import time_warp
from course_lib.layers import BatchNorm
from course_lib.models import SignalSequenceTransformer, SignalTransformerConfig
from course_lib.sequence import Sequence

SETS = ("GunPoint", "ItalyPowerDemand", "JapaneseVowels", "BasicMotions", "ArrowHead", "OSULeaf", "ACSF1")
STEPS, SEARCH_STEPS, TOKENS, FOLDS = 500, 150, 64, 3


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. warp: strength of `time_warp`.  norm: of the convolutions.

    differences: more channels, each value's difference from the one before, on a scale that spreads small ones.
    """

    batch_size: int = 16
    channels: tuple[int, ...] = (16, 32, 64)
    warp: float = 0.0
    norm: str = "batch"
    differences: bool = False


@dataclass(frozen=True)
class Rocket:
    """MiniRocket's settings: the largest number of dilations a kernel, and differences as further channels."""

    dilations: int = 32
    differences: bool = False


# Half of the eight that two norms, two strengths of warping and two kinds of channels give: each pair occurs once.
CANDIDATES: dict[str, tuple[Recipe, ...] | tuple[Rocket, ...]] = {
    "signal transformer": (
        Recipe(norm="batch", warp=0.0),
        Recipe(norm="batch", warp=0.2, differences=True),
        Recipe(norm="group", warp=0.2),
        Recipe(norm="group", warp=0.0, differences=True),
    ),
    "MiniRocket": (Rocket(), Rocket(differences=True), Rocket(dilations=8), Rocket(dilations=8, differences=True)),
}


@dataclass(frozen=True)
class SeriesSet:
    """A set as tensors: x (N, T, C), zero after each series' end, its mask (N, T) and labels y (N,), train and test."""

    train: tuple[Tensor, Tensor, Tensor]
    test: tuple[Tensor, Tensor, Tensor]
    classes: tuple[str, ...]


def load_series(name: str, differences: bool = False) -> SeriesSet:
    """A set of the aeon package on its default split, standardised by the training series' moments."""
    from aeon.datasets import load_classification

    (x, y), (test_x, test_y) = (load_classification(name, split=split) for split in ("train", "test"))
    series = [[np.asarray(one, np.float32).T for one in part] for part in (x, test_x)]  # (T, C) each
    if differences:
        series = [
            [np.hstack([one, np.arcsinh(10 * np.diff(one, axis=0, prepend=one[:1]))]) for one in p] for p in series
        ]
    every = np.concatenate(series[0])
    mean, deviation = every.mean(axis=0), every.std(axis=0) + 1e-8
    standard = [torch.from_numpy((one - mean) / deviation) for part in series for one in part]
    padded = pad_sequence(standard, batch_first=True)  # (N, T, C), train, then test
    mask = torch.arange(padded.shape[1]) < torch.tensor([len(one) for one in standard])[:, None]
    classes = tuple(sorted({str(label) for label in y}))
    labels = torch.tensor([classes.index(str(label)) for label in (*y, *test_y)])
    train, test = zip(*(values.split([len(y), len(test_y)]) for values in (padded, mask, labels)), strict=True)
    return SeriesSet(train, test, classes)


def make_model(data: SeriesSet, recipe: Recipe) -> SignalSequenceTransformer:
    length, channels = data.train[0].shape[1:]
    sizes = {"model_dim": 64, "num_layers": 2, "strides": fewer_tokens(length), "kernel_size": 5}
    own = {"channels": recipe.channels, "cnn_norm": recipe.norm}
    return SignalSequenceTransformer(SignalTransformerConfig(len(data.classes), length, channels, **sizes, **own))


def fewer_tokens(length: int) -> tuple[int, ...]:
    """Strides of three stages that halve a series, the first stage first, until at most 64 tokens are left."""
    strides = [1, 1, 1]
    for halvings in range(6):
        if length / 2**halvings <= TOKENS:
            break
        strides[halvings % 3] *= 2
    return tuple(strides)


def train(data: SeriesSet, recipe: Recipe, seed: int, steps: int) -> dict[str, float]:
    """Test accuracy with exact and with running statistics; CPU seconds. Whole epochs, `steps` or more."""
    model, chance = seeded(seed, make_model, data, recipe), torch.Generator().manual_seed(seed)
    started = time.process_time()
    x, mask, y = data.train
    whole = bool(mask.all())  # no series is shorter than the others: layers need not mask

    def step(model: torch.nn.Module, batch) -> Tensor:
        x, mask, y = batch
        if recipe.warp:
            x = time_warp(x, recipe.warp, dim=1)
        logits = model(x if whole else Sequence(x, mask)).float()
        return F.cross_entropy(logits, y, label_smoothing=0.1)

    loader = DataLoader(
        TensorDataset(x, mask, y),
        min(recipe.batch_size, len(x)),
        shuffle=True,
        drop_last=True,
        generator=chance,
    )
    options = {"epochs": -(-steps // len(loader)), "training_step": step, "generator": chance, "device": "auto"}
    fitted(model, loader, 2e-3, **options)
    seconds, running = time.process_time() - started, score(model, data)
    exact_statistics(model, Sequence(x, mask, all_valid=whole))
    return {"accuracy": score(model, data), "running statistics": running, "seconds": seconds}


def exact_statistics(model: SignalSequenceTransformer, x: Sequence) -> None:
    """Replace the running statistics of every BatchNorm by the moments over all of `x` at once."""
    norms = [layer for layer in model.modules() if isinstance(layer, BatchNorm)]
    before = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 1.0
    with torch.no_grad():
        model.features.layer(x.to(next(model.parameters()).device), training=True)
    for layer, momentum in zip(norms, before, strict=True):
        layer.momentum = momentum


def score(model: SignalSequenceTransformer, data: SeriesSet) -> float:
    """Share of the test series that the model classifies rightly."""
    x, mask, y = data.test
    parts = zip(x.split(128), mask.split(128), strict=True)
    return accuracy(model, [Sequence(x, mask, all_valid=bool(mask.all())) for x, mask in parts], y)


def train_rocket(data: SeriesSet, settings: Rocket, seed: int) -> dict[str, float]:
    """Test accuracy and CPU seconds of MiniRocket, which wants series of one length: shorter ones end in zeros."""
    train, test = ((x.numpy().swapaxes(1, 2), y.numpy()) for x, _, y in (data.train, data.test))  # (N, C, T)
    [right], seconds = minirocket(*train, [test], seed, settings.dilations)
    return {"accuracy": right, "seconds": seconds}


def one_training(name: str, settings: Recipe | Rocket, seed: int, fold: int | None = None) -> dict[str, float]:
    """Accuracies and CPU seconds: on the test series, or on a fold of the training series with the others to learn.

    All training series standardise a fold, its own held-out ones among them; labels are not used for that.
    """
    data, steps = load_series(name, settings.differences), STEPS
    if fold is not None:
        y, steps = data.train[2], SEARCH_STEPS
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(np.zeros(len(y)), y)
        learn, held_out = list(folds)[fold]
        data = SeriesSet(*(tuple(v[part] for v in data.train) for part in (learn, held_out)), data.classes)
    return train(data, settings, seed, steps) if isinstance(settings, Recipe) else train_rocket(data, settings, seed)


@cache
def inner_accuracies(name: str, way: str) -> tuple[float, ...]:
    """Mean accuracy of each candidate on the folds of the training series. No test series is looked at."""
    return tuple(
        float(np.mean([one_training(name, settings, 0, fold)["accuracy"] for fold in range(FOLDS)]))
        for settings in CANDIDATES[way]
    )


def measure(seed: int, name: str, way: str) -> dict[str, float]:
    """Test accuracy of the candidate that the training series chose, its number, and CPU seconds of its training."""
    torch.set_num_threads(1)  # the models are small: a second thread would only wait, and its waiting be counted
    inner = inner_accuracies(name, way)
    chosen = int(np.argmax(inner))
    return one_training(name, CANDIDATES[way][chosen], seed) | {"chosen": chosen, "inner": inner[chosen]}


def rows(found: Found) -> list[dict]:
    return [
        results.over_seeds(setting, column(cells, "accuracy"), float(column(cells, "seconds").mean()))
        for setting, cells in found.items()
    ]


EXPERIMENT = Experiment(
    measure,
    settings=grid("{name}: {way}", name=SETS, way=CANDIDATES),
    seeds=(0, 1, 2, 3, 4),
    rows=rows,
    details=by_seed,
    source="aeon",
    load=lambda: {name: load_series(name) for name in SETS},
    cheapest="BasicMotions: MiniRocket",
)
