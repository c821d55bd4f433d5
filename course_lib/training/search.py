"""Searching for settings, on a grid or by Bayesian optimisation: optuna behind one function that can be interrupted."""

from __future__ import annotations

import itertools
import math
import os
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import psutil

from course_lib.training.tracking import Tracker

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    import optuna

_here: defaultdict[tuple[Path, str], set[int]] = defaultdict(set)  # journal, study -> trials that this process is at


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
) -> optuna.Study:
    """Try settings until `trials` of them are done, those of earlier calls with the same journal and name included.

    objective(settings) -> the score of a dict of settings.
    space: name -> what to choose from: a list of choices, or a range (low, high) of integers or real numbers, or
        (low, high, "log") to try factors evenly, not differences. A grid takes lists alone.
    journal: a file that every trial is written to as it begins and ends (in a folder: the file `name`.journal there).
        A run that was killed or failed goes on from it when it is called again: what is done is not done twice, and a
        setting that was being tried is tried anew. Several processes may search with one journal at a time (on one
        machine, not on Windows): each takes settings that no other is trying.
    method: "grid", each combination once; or "bayes", optuna's tree-structured Parzen estimator: the first ten
        trials at random, then where good ones have been more frequent than bad ones (Bergstra et al. 2011).
    trials: how many in all; None: every combination of a grid, 30 otherwise. A score of NaN is a failed trial: it is
        not done, and not tried again within the call.
    seed: of the order of a grid, and of the estimator.
    tracker: is sent the settings that are numbers and the score of every trial, the trial's number being the step.

    Returns the optuna study: `best_params`, `best_value`, `trials_dataframe()`, and what optuna.visualization draws.
    Raises ValueError for another method, a grid with a range, or a journal of other choices or direction, or one that
    is damaged before its last line (a last line that is cut short, as a kill leaves it, is left out).
    """
    import optuna  # not at the top: it takes a second
    from optuna.storages.journal import JournalFileBackend
    from optuna.trial import TrialState

    if method not in ("grid", "bayes"):
        raise ValueError(f"method: expected 'grid' or 'bayes', got {method!r}")
    ranges = [key for key, values in space.items() if not isinstance(values, list)]
    if method == "grid" and ranges:
        raise ValueError(f"space: a grid needs lists of choices, got a range for {ranges}")
    distributions = {key: _distribution(key, values) for key, values in space.items()}
    points: list[dict] = []
    if method == "grid":
        points = [dict(zip(space, values, strict=True)) for values in itertools.product(*space.values())]
        points = [points[i] for i in np.random.default_rng(seed).permutation(len(points))]
    total = trials if trials is not None else len(points) if method == "grid" else 30
    path = Path(journal) / f"{name}.journal" if Path(journal).is_dir() else Path(journal)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = _Lock(path)

    with _quiet(optuna):
        with lock:
            _mend(path)
            try:
                backend = JournalFileBackend(str(path), lock_obj=lock if fcntl else None)  # type: ignore[arg-type]
                storage = optuna.storages.JournalStorage(backend)
            except (ValueError, KeyError) as error:
                raise ValueError(f"journal: {path} is damaged ({error}); begin another file") from error
            wanted = optuna.study.StudyDirection.MAXIMIZE if maximise else optuna.study.StudyDirection.MINIMIZE
            study = optuna.create_study(storage=storage, study_name=name, direction=wanted, load_if_exists=True)
            if study.direction != wanted:
                raise ValueError(f"journal: {name!r} has the direction {study.direction.name}, got {wanted.name}")
            tried = len(study.get_trials(deepcopy=False))
            study.sampler = optuna.samplers.TPESampler(seed=seed + tried)  # a resumed run draws other numbers
        failed: list[dict] = []
        while True:
            with lock:
                for trial in study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
                    if not _alive(trial.user_attrs.get("process")) and trial.number not in _here[path, name]:
                        _give_up(study, trial.number, trial.params, again=method == "bayes")
                taken = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE, TrialState.RUNNING])
                known = [trial.params for trial in taken] + failed
                open_points = [point for point in points if point not in known]
                if len(known) >= total or (method == "grid" and not open_points):
                    return study
                if method == "grid":
                    study.enqueue_trial(open_points[0])
                current = study.ask(distributions)
                current.set_user_attr("process", _mark())
                _here[path, name].add(current.number)
            settings = dict(current.params)
            if method == "grid" and settings not in open_points:  # queued by a call that was killed just then
                study.tell(current, state=TrialState.FAIL)
                continue
            try:
                score = float(objective(dict(settings)))
            except BaseException:
                _here[path, name].discard(current.number)
                with lock:
                    _give_up(study, current.number, settings, again=method == "bayes")
                raise
            _here[path, name].discard(current.number)
            if math.isnan(score):
                study.tell(current, state=TrialState.FAIL)
                failed.append(settings)
                continue
            study.tell(current, score)
            if tracker is not None:
                numbers = {key: value for key, value in settings.items() if isinstance(value, int | float)}
                tracker.log({**numbers, "score": score}, step=current.number)


class _Lock:
    """One process at a time, several times inside one another; gone with its process, however that ends."""

    def __init__(self, path: Path):
        self.path, self.depth = path, 0
        self.file: BinaryIO | None = None

    def acquire(self) -> bool:
        if self.depth == 0 and fcntl:
            self.file = open(self.path, "ab")
            fcntl.flock(self.file, fcntl.LOCK_EX)
        self.depth += 1
        return True

    def release(self) -> None:
        self.depth -= 1
        if self.depth == 0 and self.file is not None:
            self.file.close()
            self.file = None

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *error: object) -> None:
        self.release()


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def _mend(path: Path) -> None:
    """Cut off a last line that a killed process left half written, so that the next one does not go on in it."""
    if path.exists():
        with open(path, "rb+") as file:
            text = file.read()
            if not text.endswith(b"\n"):
                file.truncate(text.rfind(b"\n") + 1)


def _mark() -> str:
    """This process, told from another one that has its number later."""
    return f"{os.getpid()}-{psutil.Process().create_time():.2f}"


def _alive(mark: str | None) -> bool:
    """Whether another process that left this mark still runs; of our own trials we know."""
    number, _, began = (mark or "").partition("-")
    try:
        return bool(number) and mark != _mark() and f"{psutil.Process(int(number)).create_time():.2f}" == began
    except psutil.Error:
        return False


def _give_up(study: optuna.Study, number: int, settings: dict, again: bool) -> None:
    """The trial failed; where `again`, its settings are the next to be tried (a grid finds them missing by itself)."""
    import optuna

    study.tell(number, state=optuna.trial.TrialState.FAIL)
    if again:
        study.enqueue_trial(settings)


def _distribution(name: str, values: list | tuple) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(values, list) and values:
        return CategoricalDistribution(values)
    if len(values) < 2 or tuple(values[2:]) not in ((), ("log",)) or not values[0] <= values[1]:
        raise ValueError(f"space: expected {name!r} as a list, (low, high) or (low, high, 'log'), got {values}")
    low, high, *log = values
    if log and low <= 0:
        raise ValueError(f"space: expected factors above 0 for {name!r}, which is logarithmic, got {values}")
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=bool(log))
    return FloatDistribution(low, high, log=bool(log))
