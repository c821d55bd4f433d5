"""Three bursts in one of six orders, farther apart than a token's field: the signal transformer, others, its pieces.

Tasks: "far", 448 samples, 40 to 70 of silence between bursts, where a token of the convolutions sees 39 samples;
"near", 0 to 16 of silence; "1,536 samples", 420 to 480 of silence and a field of 375. In the first two the silence
before and after the bursts is longer than the field, too; in the last one it is not.
Models: two encoder blocks of width 64 behind three stages of 16, 32 and 64 channels; the same without the encoder; two
LSTMs in its place; no encoder and dilations to 16, a field of 1,719; MiniRocket with its defaults. All learn from the
same signals: 4,000, of 1,536 samples 8,000 (MiniRocket 4,000 of them: its ridge regression takes time by their cube).
Networks: two passes in batches of 32, AdamW 4e-3 with warm-up and cosine, gradients clipped at 1, the last step's
weights; the rate was chosen with the whole model, for all of them, in a few trainings with seed 0. Tested on 1,000 new
signals; networks of "far" also on longer ones and on longer gaps. Curves are of the accuracy in training, a row a
quarter of a pass. About 45 CPU minutes: five seeds for the models of "far" and "1,536 samples" but MiniRocket on "far",
three for all else.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader, RandomSampler

import course_lib.layers as sl
from course_lib.course.experiments import _training
from course_lib.course.experiments._minirocket import minirocket
from course_lib.course.experiments._training import parameters, seeded
from course_lib.course.experiments.runner import Experiment, Found, by_item, by_seed, grid
from course_lib.data import BURST_ORDERS, BurstOrders, SignalDataset, burst_order
from course_lib.models import SignalSequenceTransformer, SignalTransformerConfig
from course_lib.training import History, cosine_with_warmup, fit


class Task(NamedTuple):
    """Arguments of `burst_order`; the dilations that set a token's field; how many signals there are to learn from."""

    length: int
    gap: tuple[int, int]
    margin: int
    dilations: tuple[int, ...] = (1,)
    signals: int = 4_000


TASKS = {
    "far": Task(448, (40, 70), 40),
    "near": Task(448, (0, 16), 40),
    "1,536 samples": Task(1536, (420, 480), 190, (1, 2, 4), 8_000),
}
FULL, BARE, WIDE = "signal transformer", "without encoder", "dilated CNN"
LSTMS, RG_LRUS, ROCKET = "LSTM for encoder", "RG-LRU for encoder", "MiniRocket"
MODELS: dict[str, dict[str, Any]] = {
    FULL: {},
    BARE: {"num_layers": 0},
    LSTMS: {"num_layers": 0},
    WIDE: {"num_layers": 0, "dilations": (1, 2, 4, 8, 16)},
    ROCKET: {},
}
ENCODERS = {  # layers that stand twice in the place of the encoder blocks
    LSTMS: lambda: sl.LSTM(64, 64),
    RG_LRUS: lambda: sl.Residual(sl.Sequential([sl.RMSNorm(64), sl.RGLRU(64), sl.Dense(64, 64)])),
}
PIECES: dict[str, dict[str, Any]] = {
    "no positions": {"positions": "none"},
    "sinusoids for RoPE": {"positions": "sinusoidal"},
    "learned positions for RoPE": {"positions": "learned"},
    "GELU for SwiGLU": {"feed_forward": "gelu"},
    "LayerNorm for RMSNorm": {"norm_kind": "layer"},
    "post-norm for pre-norm": {"norm": "post"},
    "mean for attention pooling": {"pooling": "mean"},
    "CLS token for attention pooling": {"pooling": "cls"},
    "one block for two": {"num_layers": 1},
    "four blocks for two": {"num_layers": 4},
    "one head for four": {"num_heads": 1},
    "no squeeze-and-excitation": {"squeeze": False},
}
TESTED, TEST_SEED = 1_000, 1_000
ROCKET_MOST = 4_000  # signals
ELSEWHERE = {  # of the tests of "far"
    "twice the silence at the ends": Task(896, (40, 70), 40),
    "twice the gaps": Task(896, (80, 140), 40),
}


def signals_of(task: Task, count: int, seed: int) -> BurstOrders:
    return burst_order(count, task.length, gap=task.gap, margin=task.margin, seed=seed)


def make_model(
    task: Task, model: str, longest: int | None = None, classes: int = len(BURST_ORDERS), **options: Any
) -> SignalSequenceTransformer:
    """One of `MODELS` or `ENCODERS` with a piece changed.  longest: samples that it takes, None: those of the task."""
    sizes: dict[str, Any] = {"model_dim": 64, "num_layers": 2, "channels": (16, 32, 64), "strides": (4, 2, 2)}
    own = {"num_layers": 0} if model in ENCODERS else MODELS[model]
    chosen = sizes | {"dilations": task.dilations} | own | options
    network = SignalSequenceTransformer(SignalTransformerConfig(classes, longest or task.length, **chosen))
    if model in ENCODERS:
        network.encoder = sl.Repeat(ENCODERS[model], 2)
    return network


def trained(
    task: Task, model: str, data: BurstOrders, seed: int, passes: int = 2, **options: Any
) -> tuple[SignalSequenceTransformer, History]:
    """A model of `make_model` after its training on `data`; the history has a row for each quarter of a pass."""
    network = seeded(seed, make_model, task, model, **options)
    generator = torch.Generator().manual_seed(seed)
    dataset = SignalDataset(data.signals, data.labels)
    drawn = RandomSampler(dataset, num_samples=len(dataset) // 4, generator=generator)
    history = fit(
        network,
        DataLoader(dataset, 32, sampler=drawn, drop_last=len(drawn) >= 32, generator=generator),
        epochs=4 * passes,
        optimizer=partial(torch.optim.AdamW, lr=4e-3, weight_decay=0.01),
        schedule=cosine_with_warmup,
        clip_norm=1.0,
        generator=generator,
        progress=False,
    )
    return network, history


def accuracy(network: SignalSequenceTransformer, data: BurstOrders) -> float:
    return _training.accuracy(network, data.signals, data.labels)


def measure(seed: int, task: str, model: str, signals: int, passes: int = 2, **options: Any) -> dict[str, Any]:
    """Accuracy on new signals; of networks also on those of the training, elsewhere, and their learning curve.

    signals: to learn from, 0: those of the task.
    """
    asked = TASKS[task]
    data, new = signals_of(asked, signals or asked.signals, seed), signals_of(asked, TESTED, TEST_SEED)
    if model == ROCKET:
        few, labels = data.signals[:ROCKET_MOST], data.labels[:ROCKET_MOST]
        [score], seconds = minirocket(few, labels, [(new.signals, new.labels)], seed)
        return {"accuracy": score, "seconds": seconds}
    network, history = trained(asked, model, data, seed, passes, longest=2 * asked.length, **options)
    found: dict[str, Any] = {"accuracy": accuracy(network, new), "training signals": accuracy(network, data)}
    found["parameters"] = parameters(network)
    if task == "far":
        found |= {name: accuracy(network, signals_of(other, TESTED, TEST_SEED)) for name, other in ELSEWHERE.items()}
    return found | {"curve": list(history.table.train_accuracy)}


def details(found: Found) -> dict[str, pd.DataFrame]:
    curves = by_item(found, "curve", "pass", "accuracy", items=np.arange(1, 100) / 4)
    return by_seed(found) | ({} if curves.empty else {"curves": curves})


SETTINGS = (
    grid("{task}: {model}", task=["far"], model=MODELS)
    | {f"far: {BARE}, 8 passes": {"task": "far", "model": BARE, "passes": 8}}
    | grid("{task}: {model}", task=["near", "1,536 samples"], model=(FULL, BARE, ROCKET))
    | {f"far: {piece}": {"task": "far", "model": FULL} | options for piece, options in PIECES.items()}
)
EXPERIMENT = Experiment(
    measure,
    settings=SETTINGS,
    seeds=(0, 1, 2, 3, 4),
    options={"signals": (0, "signals to learn from, 0: those of the task")},
    details=details,
    cheapest=f"near: {BARE}",
    threads=1,
)
