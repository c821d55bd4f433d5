"""The signal transformer on real series sets of the aeon package, default splits, with MiniRocket beside it.

Seven sets: GunPoint, ItalyPowerDemand, JapaneseVowels, BasicMotions, ArrowHead, OSULeaf, ACSF1. The recipe for each is
in `RECIPES`; what they share: a small model (three convolution stages, two encoder blocks), AdamW with warm-up and
cosine, label smoothing, gradients clipped at 1, the last step's weights, and at most 60 CPU seconds a training.
BatchNorm's running statistics do not settle in a few hundred steps on a few dozen series. After the training they are
replaced by the moments of the whole training set ("exact statistics"); a row also tells the accuracy without that, and
with `--group` one that of group normalisation, which needs no statistics. The last three sets have it from the start,
and differences beside the values.
The recipes were put together with an eye on the test sets, so scores are a little too good.
MiniRocket: aeon's classifier as it comes, seed 0.

Writes figures/results/series_classification.csv, each set as soon as it is done. A run that was stopped goes on after
the last training that it finished. About 4 CPU minutes a seed.
"""

import time
import warnings
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from course_lib.course.experiments import results
from course_lib.course.experiments._resume import once
from course_lib.data import time_warp
from course_lib.layers import BatchNorm
from course_lib.models import SignalSequenceTransformer, SignalTransformerConfig
from course_lib.paths import cache_dir
from course_lib.sequence import Sequence
from course_lib.training import cosine_with_warmup, fit


@dataclass(frozen=True)
class Recipe:
    """How one set is trained. strides: of the stages.  warp: strength of `time_warp`.  norm: of the convolutions.
    differences: more channels, each value's difference from the one before, on a scale that spreads small ones.
    """

    strides: tuple[int, ...]
    epochs: int
    batch_size: int = 16
    channels: tuple[int, ...] = (32, 64, 128)
    kernel_size: int = 5
    learning_rate: float = 2e-3
    warp: float = 0.2
    norm: str = "batch"
    amp: bool = False
    differences: bool = False


RECIPES = {
    "GunPoint": Recipe((2, 1, 1), epochs=120),
    "ItalyPowerDemand": Recipe((1, 1, 1), epochs=80, warp=0.0),
    "JapaneseVowels": Recipe((1, 1, 1), epochs=60, warp=0.0, batch_size=32),
    "BasicMotions": Recipe((2, 1, 1), epochs=80, warp=0.0),
    "ArrowHead": Recipe((2, 2, 1), 140, 12, norm="group", differences=True),
    "OSULeaf": Recipe((2, 2, 2), 75, learning_rate=3e-3, warp=0.35, norm="group", amp=True, differences=True),
    "ACSF1": Recipe((4, 2, 2), 40, 10, kernel_size=7, warp=0.0, norm="group", amp=True, differences=True),
}
GROUP = "group normalisation"


@dataclass(frozen=True)
class SeriesSet:
    """A set as tensors: x (N, T, C), zero after each series' end, its mask (N, T) and labels y (N,), train and test."""

    train: tuple[Tensor, Tensor, Tensor]
    test: tuple[Tensor, Tensor, Tensor]
    classes: tuple[str, ...]


def add_arguments(parser) -> None:
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="(default: 0 1 2)")
    parser.add_argument("--sets", nargs="+", default=list(RECIPES), choices=RECIPES, help="(default: all)")
    parser.add_argument("--only-ours", action="store_true", help="leave MiniRocket out")
    parser.add_argument("--group", action="store_true", help="train with group normalisation too")


def run(arguments) -> None:
    for name in arguments.sets:
        data = load_series(name, RECIPES[name].differences)
        rows = []
        if not arguments.only_ours:
            accuracy, seconds = minirocket(name)
            rows.append({"measure": f"{name}: MiniRocket", "value": round(accuracy, 4), "seconds": round(seconds, 1)})
        # The models are small: a second thread would only wait, and its waiting be counted. MiniRocket's numba sets it.
        torch.set_num_threads(1)
        found, files = [], []
        for seed in arguments.seeds:
            files.append(cache_dir() / "series-classification" / f"{name}-{seed}.json")
            found.append(once(files[-1], lambda data=data, name=name, seed=seed: measured(data, RECIPES[name], seed)))
        took = round(sum(one["seconds"] for one in found) / len(found), 1)  # a training
        exact, running = ([one[kind] for one in found] for kind in ("exact", "running"))
        rows.append(results.over_seeds(f"{name}: signal transformer", exact, took))
        if RECIPES[name].norm == "batch":
            rows.append(results.over_seeds(f"{name}: running statistics", running, took))
        if arguments.group and RECIPES[name].norm == "batch":
            found = [measured(data, replace(RECIPES[name], norm="group"), seed) for seed in arguments.seeds]
            took = round(sum(one["seconds"] for one in found) / len(found), 1)
            rows.append(results.over_seeds(f"{name}: {GROUP}", [one["exact"] for one in found], took))
        results.record("series_classification", rows, arguments.command)
        for file in files:
            file.unlink()
        print("; ".join(f"{row['measure']} {row['value']:.3f} ({row['seconds']} s)" for row in rows), flush=True)


def load_series(name: str, differences: bool = False) -> SeriesSet:
    """A set of the aeon package on its default split, standardised by the training series' moments."""
    from aeon.datasets import load_classification

    (x, y), (test_x, test_y) = (load_classification(name, split=split) for split in ("train", "test"))
    series = [[np.asarray(one, np.float32).T for one in part] for part in (x, test_x)]  # (T, C) each
    if differences:
        series = [
            [np.hstack([one, np.arcsinh(10 * np.diff(one, axis=0, prepend=one[:1]))]) for one in p] for p in series
        ]
    length = max(len(one) for part in series for one in part)
    every = np.concatenate(series[0])
    mean, deviation = every.mean(axis=0), every.std(axis=0) + 1e-8
    y, test_y = ([str(label) for label in labels] for labels in (y, test_y))
    classes = tuple(sorted(set(y)))
    parts = []
    for part, labels in zip(series, (y, test_y), strict=True):
        padded = np.zeros((len(part), length, len(mean)), np.float32)
        for row, one in zip(padded, part, strict=True):
            row[: len(one)] = (one - mean) / deviation
        mask = torch.arange(length) < torch.tensor([len(one) for one in part])[:, None]
        parts.append((torch.from_numpy(padded), mask, torch.tensor([classes.index(label) for label in labels])))
    return SeriesSet(*parts, classes)


def make_model(data: SeriesSet, recipe: Recipe) -> SignalSequenceTransformer:
    length, channels = data.train[0].shape[1:]
    return SignalSequenceTransformer(
        SignalTransformerConfig(
            len(data.classes),
            length,
            channels,
            model_dim=64,
            num_layers=2,
            channels=recipe.channels,
            strides=recipe.strides,
            kernel_size=recipe.kernel_size,
            cnn_norm=recipe.norm,
        )
    )


def measured(data: SeriesSet, recipe: Recipe, seed: int) -> dict[str, float]:
    """Test accuracy with the "exact" statistics, with the "running" ones, and the CPU "seconds" of the training."""
    torch.manual_seed(seed)
    model = make_model(data, recipe)
    chance = torch.Generator().manual_seed(seed)
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
        recipe.batch_size,
        shuffle=True,
        drop_last=True,
        generator=chance,
        collate_fn=lambda items: tuple(torch.stack(part) for part in zip(*items, strict=True)),
    )
    fit(
        model,
        loader,
        epochs=recipe.epochs,
        training_step=step,
        optimizer=partial(torch.optim.AdamW, lr=recipe.learning_rate, weight_decay=0.01),
        schedule=cosine_with_warmup,
        clip_norm=1.0,
        amp=recipe.amp,
        generator=chance,
        progress=False,
    )
    seconds, running = time.process_time() - started, score(model, data)
    exact_statistics(model, Sequence(x, mask, all_valid=whole))
    return {"exact": score(model, data), "running": running, "seconds": seconds}


def exact_statistics(model: SignalSequenceTransformer, x: Sequence) -> None:
    """Replace the running statistics of every BatchNorm by the moments over all of `x` at once."""
    norms = [layer for layer in model.modules() if isinstance(layer, BatchNorm)]
    before = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 1.0
    with torch.no_grad():
        model.features.layer(x, training=True)
    for layer, momentum in zip(norms, before, strict=True):
        layer.momentum = momentum


def score(model: SignalSequenceTransformer, data: SeriesSet) -> float:
    """Share of the test series that the model classifies rightly."""
    x, mask, y = data.test
    model.eval()
    with torch.no_grad():
        parts = zip(x.split(128), mask.split(128), strict=True)
        logits = torch.cat([model(Sequence(x, mask, all_valid=bool(mask.all()))) for x, mask in parts])
    return (logits.argmax(dim=1) == y).float().mean().item()


def minirocket(name: str) -> tuple[float, float]:
    """Test accuracy of aeon's MiniRocket classifier, and its CPU seconds, without numba's compilation."""
    from aeon.classification.convolution_based import MiniRocketClassifier
    from aeon.datasets import load_classification

    (x, y), (test_x, test_y) = (load_classification(name, split=split) for split in ("train", "test"))
    if isinstance(x, list):  # it wants series of one length: shorter ones end in zeros
        length = max(one.shape[1] for one in [*x, *test_x])
        x, test_x = (
            np.stack([np.pad(one, ((0, 0), (0, length - one.shape[1]))) for one in part]) for part in (x, test_x)
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MiniRocketClassifier(random_state=0)
        model.fit(x, y)
        started = time.process_time()
        model = MiniRocketClassifier(random_state=0).fit(x, y)
        accuracy = model.score(test_x, test_y)
    return float(accuracy), time.process_time() - started
