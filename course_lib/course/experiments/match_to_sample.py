"""Which of three later bursts is of the first one's kind, farther apart than a token sees: what it takes to learn.

`match_to_sample` in its default size: three kinds, 520 samples, at least 40 of silence between bursts, where a token of
the convolutions sees 39. All networks learn from 20,480 fresh signals, each seen once: 640 steps in batches of 32, with
the recipe and the sizes of `burst_order`. Two lessons. "curriculum": in the first quarter every sample is of the first
kind, so this kind must be found again; in the second it is of the first or the second kind; then of any. "at once":
any kind from the start. Models: two encoder blocks; two LSTMs or two RG-LRUs (each behind a norm, beside a shortcut) in
their place; no encoder. The curriculum was chosen with the whole model and the LSTMs on seed 0, which is not among the
recorded ones. Tested on 1,000 new signals.

Writes figures/results/match_to_sample.csv and detail/match_to_sample_seeds.csv. About 30 CPU seconds a training.
"""

from functools import partial

import numpy as np
import torch
from torch.utils.data import DataLoader

import course_lib.layers as sl
from course_lib.course.experiments.runner import Experiment, by_seed
from course_lib.data import SignalDataset
from course_lib.data.synthetic_signals import match_to_sample
from course_lib.models import SignalSequenceTransformer, SignalTransformerConfig
from course_lib.training import cosine_with_warmup, fit, predict
from course_lib.training.rng import isolated

LESSONS = {"curriculum": (1, 2, 3, 3), "at once": (3, 3, 3, 3)}  # kinds of sample in each quarter
LENGTH, TESTED, TEST_SEED = 520, 1_000, 1_000
MODELS = ("signal transformer", "LSTM for encoder", "RG-LRU for encoder", "without encoder")


def make_model(model: str) -> SignalSequenceTransformer:
    """One of `MODELS`."""
    blocks = 2 if model == "signal transformer" else 0
    config = SignalTransformerConfig(
        3, LENGTH, model_dim=64, num_layers=blocks, channels=(16, 32, 64), strides=(4, 2, 2), dilations=(1,)
    )
    network = SignalSequenceTransformer(config)
    if model == "LSTM for encoder":
        network.encoder = sl.Repeat(lambda: sl.LSTM(64, 64), 2)
    if model == "RG-LRU for encoder":
        network.encoder = sl.Repeat(
            lambda: sl.Residual(sl.Sequential([sl.RMSNorm(64), sl.RGLRU(64), sl.Dense(64, 64)])), 2
        )
    return network


def measure(seed: int, model: str, lesson: str, signals: int) -> dict[str, float]:
    """Accuracy on new signals: of all, and of those whose sample is of the first, second and third kind."""
    quarters = [
        match_to_sample(signals // 4, LENGTH, sampled=sampled, seed=4 * seed + n)
        for n, sampled in enumerate(LESSONS[lesson])
    ]
    x, y = (np.concatenate(parts) for parts in list(zip(*quarters, strict=True))[:2])
    with isolated(seed, torch.device("cpu")):
        network = make_model(model)
    fit(
        network,
        DataLoader(SignalDataset(x, y), 32),  # drawn at random already, and in the lesson's order
        epochs=1,
        optimizer=partial(torch.optim.AdamW, lr=4e-3, weight_decay=0.01),
        schedule=cosine_with_warmup,
        clip_norm=1.0,
        generator=torch.Generator().manual_seed(seed),
        progress=False,
    )
    new = match_to_sample(TESTED, LENGTH, seed=TEST_SEED)
    right = predict(network, new.signals).argmax(1) == new.labels
    by_kind = {f"kind {kind + 1}": float(right[new.kinds[:, 0] == kind].mean()) for kind in range(3)}
    return {"accuracy": float(right.mean())} | by_kind


EXPERIMENT = Experiment(
    measure,
    settings={f"{model}, {lesson}": {"model": model, "lesson": lesson} for lesson in LESSONS for model in MODELS},
    seeds=(1, 2, 3, 4, 5),
    options={"signals": (20_480, "signals to learn from")},
    details=by_seed,
    cheapest="without encoder, curriculum",
    threads=1,
)
