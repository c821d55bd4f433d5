"""Decay, width and learning rate of the accumulative MLP, searched on a grid and by Bayesian optimisation.

Each setting is trained for 200 windows of 50 steps on 32 generated streams (cues 10 to 30 steps apart) and scored on
16 other streams. The grid has 5 decays × 2 widths × 3 rates = 30 settings; the Bayesian search tries 30 settings of
the same ranges. With `--tracker`, its trials are sent to TensorBoard or wandb (offline). About 10 CPU minutes each.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from course_lib.course.experiments._training import seeded
from course_lib.course.experiments.runner import Experiment, Found, grid, mean_rows
from course_lib.data import StreamManager
from course_lib.models import SignalAccumulativeMLP
from course_lib.training import TensorBoardTracker, WandbTracker, fit, truncated_step
from course_lib.training.search import search

GRID = {"decay": [0.5, 0.8, 0.9, 0.97, 0.99], "width": [16, 64], "learning_rate": [0.001, 0.003, 0.01]}
RANGES = {"decay": (0.5, 0.99), "width": (16, 64, "log"), "learning_rate": (0.001, 0.01, "log")}


def score(settings: dict, epochs: int = 20, seed: int = 0) -> float:
    """Accuracy on held-out streams after training with these settings: decay, width, learning_rate."""
    streams = StreamManager(seed=seed)
    train, held = (streams.load_data(n, *streams.get_torch_batches(n, 500), steps=50) for n in (32, 16))
    width = settings["width"]
    model = seeded(seed, SignalAccumulativeMLP, 8, 32, settings["decay"], (width, width), num_classes=4)
    adam = torch.optim.Adam(model.parameters(), lr=settings["learning_rate"])
    options = {"training_step": truncated_step(), "optimizer": adam, "device": "cpu", "progress": False}
    return fit(model, train, epochs=epochs, validation=held, **options).table.validation_accuracy.iloc[-1]


def measure(seed: int, settings: dict | None, trials: int, tracker: str) -> dict:
    """The score of one setting of the grid; for None the scores, settings and seconds of a Bayesian search."""
    if settings is not None:
        return {"score": score(settings, seed=seed)}
    trackers = {
        "none": lambda: None,
        "tensorboard": lambda: TensorBoardTracker("accumulator_bayes"),
        "wandb": lambda: WandbTracker(group="accumulator_search", name="bayes"),
    }
    watch = trackers[tracker]()
    with tempfile.TemporaryDirectory() as folder:
        study = search(score, RANGES, Path(folder) / "journal", trials=trials, tracker=watch)
        tried = [trial for trial in study.trials if trial.value is not None]
    if watch is not None:
        watch.close()
    took = [trial.duration.total_seconds() for trial in tried]
    return {"scores": [trial.value for trial in tried], "settings": [trial.params for trial in tried], "took": took}


def rows(found: Found) -> list[dict]:
    """Every setting of the grid and its best; of the other search the best after 10, 20, 30 trials, and what won."""
    crossed = {name: cells for name, cells in found.items() if name != BAYES}
    made = mean_rows(crossed, "grid: {setting}")
    if len(crossed) == len(CROSSED):
        scores, took = ([cell[what] for [cell] in crossed.values()] for what in ("score", "seconds"))
        made.append(_best(f"grid: best of {len(crossed)}", scores, took))
    for cell in found.get(BAYES, ()):
        counts = [n for n in (10, 20, 30) if n <= len(cell["scores"])]
        made += [_best(f"bayes: best of {n}", cell["scores"][:n], cell["took"][:n]) for n in counts]
        winner = cell["settings"][int(np.argmax(cell["scores"]))]
        made += [{"measure": f"bayes: best {key}", "value": round(winner[key], 4)} for key in GRID]
    return made


def _best(measure: str, scores: Sequence[float], took: Sequence[float]) -> dict:
    """The best of these trials, and the seconds that all of them took."""
    return {"measure": measure, "value": round(max(scores), 4), "seeds": 1, "seconds": round(sum(took), 1)}


BAYES = "Bayesian search"
CROSSED = grid("decay {decay}, width {width}, learning_rate {learning_rate}", **GRID)
EXPERIMENT = Experiment(
    measure,
    settings={name: {"settings": one} for name, one in CROSSED.items()} | {BAYES: {"settings": None}},
    cheapest="decay 0.97, width 16, learning_rate 0.01",
    seeds=(0,),
    options={
        "trials": (30, "of the Bayesian search"),
        "tracker": ("none", "or tensorboard, wandb: where they are sent"),
    },
    rows=rows,
)
