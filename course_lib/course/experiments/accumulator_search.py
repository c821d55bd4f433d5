"""Decay, width and learning rate of the accumulative MLP, searched on a grid and by Bayesian optimisation.

Each setting is trained for 200 windows of 50 steps on 32 generated streams (cues 10 to 30 steps apart) and scored on
16 other streams. The grid has 5 decays × 2 widths × 3 rates = 30 settings; the Bayesian search tries 30 settings of
the same ranges. About 1 CPU minute each. Both can be stopped and run again: what is done stays in runs/search.

Writes figures/results/accumulator_search.csv: the score of every setting of the grid; of the best found by each way;
of the best after 10, 20 and 30 Bayesian trials. With --tracker, every trial is sent to TensorBoard or wandb (offline).
"""

import torch

from course_lib.course.experiments import results
from course_lib.data import StreamManager
from course_lib.models import SignalAccumulativeMLP
from course_lib.paths import PROJECT_ROOT
from course_lib.training import TensorBoardTracker, WandbTracker, fit, truncated_step
from course_lib.training.rng import isolated
from course_lib.training.search import search

GRID = {"decay": [0.5, 0.8, 0.9, 0.97, 0.99], "width": [16, 64], "learning_rate": [0.001, 0.003, 0.01]}
RANGES = {"decay": (0.5, 0.99), "width": (16, 64, "log"), "learning_rate": (0.001, 0.01, "log")}


def score(settings: dict, epochs: int = 20, seed: int = 0) -> float:
    """Accuracy on held-out streams after training with these settings: decay, width, learning_rate."""
    streams = StreamManager(seed=seed)
    train, held = (streams.load_data(n, *streams.get_torch_batches(n, 500), steps=50) for n in (32, 16))
    width = settings["width"]
    with isolated(seed, torch.device("cpu")):
        model = SignalAccumulativeMLP(8, 32, settings["decay"], (width, width), num_classes=4)
    adam = torch.optim.Adam(model.parameters(), lr=settings["learning_rate"])
    options = {"training_step": truncated_step(), "optimizer": adam, "device": "cpu", "progress": False}
    return fit(model, train, epochs=epochs, validation=held, **options).table.validation_accuracy.iloc[-1]


def add_arguments(parser) -> None:
    parser.add_argument("--tracker", choices=["tensorboard", "wandb"], help="where to send every trial")


def run(arguments) -> None:
    journal = PROJECT_ROOT / "runs" / "search" / "accumulator"
    for method, space, rows_of in (("grid", GRID, grid_rows), ("bayes", RANGES, bayes_rows)):
        tracker = None
        if arguments.tracker == "tensorboard":
            tracker = TensorBoardTracker(f"accumulator_{method}")
        if arguments.tracker == "wandb":
            tracker = WandbTracker(group="accumulator_search", name=method)
        study = search(score, space, journal, method=method, name=method, tracker=tracker)
        if tracker is not None:
            tracker.close()
        results.record("accumulator_search", rows_of(study), arguments.command)
        print(f"{method}: {study.best_value:.3f} with {study.best_params}", flush=True)


def grid_rows(study) -> list[dict]:
    """A row for every setting, and one for the best."""
    tried = sorted(_scored(study), key=lambda trial: tuple(trial.params[key] for key in GRID))
    rows = [_row("grid: " + ", ".join(f"{key} {trial.params[key]}" for key in GRID), [trial]) for trial in tried]
    return [*rows, _row(f"grid: best of {len(tried)}", tried)]


def bayes_rows(study) -> list[dict]:
    """The best score after 10, 20 and 30 trials, and the setting that won."""
    rows = [_row(f"bayes: best of {n}", _scored(study)[:n]) for n in (10, 20, 30)]
    return rows + [{"measure": f"bayes: best {key}", "value": round(study.best_params[key], 4)} for key in GRID]


def _scored(study) -> list:
    """The trials that came to their end, in order."""
    return [trial for trial in study.trials if trial.value is not None]


def _row(measure: str, trials: list) -> dict:
    """The best value among the trials, and the seconds that all of them took."""
    seconds = sum(trial.duration.total_seconds() for trial in trials)
    best = max(trial.value for trial in trials)
    return {"measure": measure, "value": round(best, 4), "seeds": 1, "seconds": round(seconds, 1)}
