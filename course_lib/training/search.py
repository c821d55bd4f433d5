"""Searching for settings, on a grid or by Bayesian optimisation: optuna behind one function that can be interrupted."""

from collections.abc import Callable, Mapping
from pathlib import Path

from course_lib.training.tracking import Tracker


def search(
    objective: Callable[[dict], float],
    space: Mapping[str, list | tuple],
    journal: Path | str,
    *,
    method: str = "bayes",
    trials: int | None = None,
    maximise: bool = True,
    seed: int = 0,
    name: str = "search",
    tracker: Tracker | None = None,
):
    """Try settings until `trials` of them are done, those of earlier calls with the same journal and name included.

    objective(settings) -> the score of a dict of settings.
    space: name -> what to choose from: a list of choices, or a range (low, high) of integers or real numbers, or
        (low, high, "log") to try factors evenly, not differences. A grid takes lists alone.
    journal: a file that every trial is written to as it ends. A run that was killed goes on from it when it is called
        again: what is done is not done twice, and a setting that was being tried is tried anew.
    method: "grid", each combination once; or "bayes", optuna's tree-structured Parzen estimator: the first ten
        trials at random, then where good ones have been more frequent than bad ones (Bergstra et al. 2011).
    trials: how many in all; None: every combination of a grid, 30 otherwise.
    seed: of the order of a grid, and of the estimator.
    tracker: is sent the settings that are numbers and the score of every trial, the trial's number being the step.

    Returns the optuna study: `best_params`, `best_value`, `trials_dataframe()`, and what optuna.visualization draws.
    Raises ValueError for another method, a grid with a range, or a journal of other choices or direction.
    """
    import optuna  # not at the top: it takes a second

    if method not in ("grid", "bayes"):
        raise ValueError(f"method: expected 'grid' or 'bayes', got {method!r}")
    ranges = [key for key, values in space.items() if not isinstance(values, list)]
    if method == "grid" and ranges:
        raise ValueError(f"space: a grid needs lists of choices, got a range for {ranges}")
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        Path(journal).parent.mkdir(parents=True, exist_ok=True)
        backend = optuna.storages.journal.JournalFileBackend(str(journal))
        storage = optuna.storages.JournalStorage(backend)
        direction = "maximize" if maximise else "minimize"
        study = optuna.create_study(storage=storage, study_name=name, direction=direction, load_if_exists=True)
        if study.direction.name.lower() != direction:
            raise ValueError(f"journal: {name!r} has the direction {study.direction.name.lower()}, got {direction}")
        for trial in study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING]):
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)  # its process is gone
            study.enqueue_trial(trial.params)
        if method == "grid":
            grid = {key: list(values) for key, values in space.items()}
            study.sampler = optuna.samplers.GridSampler(grid, seed=seed)
            total = len(study.sampler._all_grids) if trials is None else trials
        else:
            tried = len(study.get_trials(deepcopy=False))
            study.sampler = optuna.samplers.TPESampler(seed=seed + tried)  # a resumed run draws other numbers
            total = 30 if trials is None else trials

        def tried_out(trial) -> float:
            settings = {key: _suggest(trial, key, values) for key, values in space.items()}
            score = float(objective(settings))
            if tracker is not None:
                numbers = {key: value for key, value in settings.items() if isinstance(value, int | float)}
                tracker.log({**numbers, "score": score}, step=trial.number)
            return score

        done = len(study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE]))
        if total > done:
            study.optimize(tried_out, n_trials=total - done)
        return study
    finally:
        optuna.logging.set_verbosity(verbosity)


def _suggest(trial, name: str, values: list | tuple):
    if isinstance(values, list):
        return trial.suggest_categorical(name, values)
    low, high, *log = values
    if log not in ([], ["log"]) or low > high:
        raise ValueError(f"space: expected {name!r} as a list, (low, high) or (low, high, 'log'), got {values}")
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(name, low, high, log=bool(log))
    return trial.suggest_float(name, low, high, log=bool(log))
