"""What a run leaves behind: a row an epoch, the best epoch, how far it has come, and all of it in a checkpoint."""

import copy
import math
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel

from course_lib.training import checkpoint, rng
from course_lib.training.checkpoint import CheckpointError
from course_lib.training.device import World, deal, gathered, summed

_SMALLER_IS_BETTER = ("loss", "error", "mse", "mae", "perplexity")
_LARGER_IS_BETTER = ("accuracy", "f1", "auc", "precision", "recall", "r2", "score")
_POSITION = ("epoch", "batch", "step", "learning_rate", "rates")
_HISTORY = ("monitor", "mode", "rows", "best_epoch", "best_value")


def direction(monitor: str, mode: str | None = None) -> str:
    """ "min" or "max": which way `monitor` is better, as `mode` says or, where that is None, as its name tells.

    Raises ValueError where the name does not tell.
    """
    if mode in ("min", "max"):
        return mode
    if mode is not None:
        raise ValueError(f"monitor_mode: expected 'min', 'max' or None, got {mode!r}")
    if any(word in monitor.lower() for word in _SMALLER_IS_BETTER):
        return "min"
    if any(word in monitor.lower() for word in _LARGER_IS_BETTER):
        return "max"
    raise ValueError(
        f"monitor_mode: {monitor!r} does not tell whether small or large is better; give monitor_mode='min' or 'max'"
    )


class History:
    """Rows of measures, one an epoch, and the best of them by `monitor` (None: no best is kept).

    rows: list of dicts.  table: the same as a pandas DataFrame.  best_epoch, best_value: where and what the best was,
    None before there is one.  best_weights: the model's state_dict then, on the CPU.  patience: epochs without a better
    one after which `stopped_early` turns True; None: never.
    """

    def __init__(self, monitor: str | None = None, mode: str | None = None, patience: int | None = None):
        self.monitor = monitor
        self.mode = None if monitor is None else direction(monitor, mode)
        self.rows: list[dict] = []
        self.best_epoch: int | None = None
        self.best_value: float | None = None
        self.best_weights: dict[str, Tensor] | None = None
        self.patience = patience

    @property
    def table(self) -> pd.DataFrame:
        return pd.DataFrame(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        best = "" if self.best_epoch is None else f", best {self.monitor} {self.best_value:.4g} at {self.best_epoch}"
        return f"History({len(self.rows)} epochs{best})"

    def add(self, row: dict) -> bool:
        """Append an epoch's row; True where it is the best so far. A tie or NaN is not better."""
        self.rows.append(row)
        value = row.get(self.monitor, math.nan)
        if math.isnan(value):
            return False
        sign = 1 if self.mode == "max" else -1
        better = self.best_value is None or sign * value > sign * self.best_value
        if better:
            self.best_epoch, self.best_value = row["epoch"], value
        return better

    @property
    def stopped_early(self) -> bool:
        """Whether `patience` epochs have gone by since the best one (since the start where there is none)."""
        return self.patience is not None and len(self.rows) - (self.best_epoch or 0) >= self.patience


class Means:
    """Means over samples of the scalars that steps return; a step's "samples" is their number, where it is no batch."""

    def __init__(self, sums: Mapping[str, float] | None = None, samples: int = 0):
        self.sums = dict(sums or {})
        self.samples = samples

    def add(self, values: Mapping[str, Tensor | float], samples: int) -> None:
        samples = round(_number(values["samples"])) if "samples" in values else samples
        for name, value in values.items():
            if name == "samples":
                continue
            self.sums[name] = self.sums.get(name, 0.0) + (_number(value) * samples if samples else 0.0)
        self.samples += samples

    def over(self, world: World, prefix: str) -> dict[str, float]:
        """The means over all ranks, their names prefixed.  Raises ValueError where there was no batch."""
        names = list(self.sums)
        *sums, samples = summed([self.sums[name] for name in names] + [self.samples], world)
        if samples == 0:
            argument = "train_loader" if prefix == "train" else prefix
            raise ValueError(f"{argument}: expected at least one batch, got none (drop_last? an exhausted iterator?)")
        return {f"{prefix}_{name}": value / samples for name, value in zip(names, sums, strict=True)}


class Run:
    """The position of a run (epoch from 1, batches done in it, steps in all), and all else that a checkpoint holds."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        scheduler: LRScheduler | None,
        scaler: torch.amp.GradScaler,
        history: History,
        world: World,
        generators: Sequence[rng.Source],
        folder: Path | None = None,
        average: AveragedModel | None = None,
    ):
        self.model, self.optimizer, self.scheduler, self.scaler = model, optimizer, scheduler, scaler
        self.history, self.world, self.generators, self.folder = history, world, list(generators), folder
        self.average = average
        self.epoch, self.batch, self.step = 1, 0, 0
        self.learning_rate: float | None = None  # of the last step
        self.rates = 0  # a checksum of the learning rates of all steps
        self.settings = _settings(optimizer)
        self.seconds = 0.0  # spent on the epoch in progress before a resume
        self.means = Means()
        self._epoch_states: dict | None = None  # of the random generators, at the epoch's start
        self._resumed_states: dict | None = None
        self._before: dict | None = None  # what a resume replaced, until it is certain

    @property
    def evaluated(self) -> nn.Module:
        """The model to look at: the moving average of the weights where there is one."""
        return self.model if self.average is None else self.average.module

    def batches(self, loader) -> Iterator[tuple[object, int, float]]:
        """The epoch's batches that are still to do, with each one's samples and weight (see `deal`).

        In an epoch that was interrupted, the generators first go back to its start and the batches already done are
        drawn once more, so that the loader shuffles and augments as it did; then the generators take the states that
        they had when the checkpoint was written.
        """
        resumed = self._resumed_states
        if resumed is not None and self._epoch_states is not None:
            rng.restore(self._epoch_states, self.world.device, self.generators)
        elif self.folder is not None:
            self._epoch_states = rng.capture(self.world.device, self.generators)
        stream = iter(deal(loader, self.world))
        if resumed is not None:
            for done in range(self.batch):
                if next(stream, None) is None:
                    self._put_back()
                    raise CheckpointError(f"{self.folder}: {self.batch} batches were done, the loader has only {done}")
            rng.restore(resumed, self.world.device, self.generators)
            self._resumed_states = None
        self._before = None
        yield from stream

    def count(self, values: Mapping[str, Tensor | float], samples: int) -> None:
        """One more step is done; called before the schedule moves on."""
        self.rates = _with_rates(self.rates, self.optimizer)
        self.learning_rate = float(self.optimizer.param_groups[0]["lr"])
        self.means.add(values, samples)
        self.batch += 1
        self.step += 1

    def end_epoch(self, row: dict) -> None:
        """Enter the row, keep the weights where they are the best so far, move on."""
        if self.history.add(row):
            self.history.best_weights = checkpoint.weights_of(self.evaluated)
        self.epoch += 1
        self.batch, self.seconds, self.means = 0, 0.0, Means()

    def save(self, seconds: float = 0.0) -> None:
        """Write `last.safetensors` and, after an epoch that was the best, `best.safetensors`."""
        if self.folder is None:
            return
        now = rng.capture(self.world.device, self.generators)
        random = gathered({"epoch": self._epoch_states if self.batch else None, "now": now}, self.world)
        means = gathered({"sums": self.means.sums, "samples": self.means.samples}, self.world)
        if not self.world.is_main:
            return
        tree = self._state() | {
            "optimizer_type": type(self.optimizer).__name__,
            "settings": self.settings,
            "schedule": None if self.scheduler is None else type(self.scheduler).__name__,
            "history": {name: getattr(self.history, name) for name in _HISTORY},
            "position": {name: getattr(self, name) for name in _POSITION} | {"seconds": seconds},
            "means": means,
            "random": random,
        }
        checkpoint.save(self.folder / "last.safetensors", tree)
        if self.batch == 0 and self.history.best_epoch == self.epoch - 1:
            self._save_best(self.folder)

    def resume(self) -> None:
        """Go on from `last.safetensors`, where there is one.

        Raises CheckpointError where it is damaged or does not fit this run, which is then as it was before.
        """
        if self.folder is None or not (self.folder / "last.safetensors").exists():
            return
        path = self.folder / "last.safetensors"
        tree = checkpoint.load(path)
        now = rng.capture(self.world.device, self.generators)
        self._before = copy.deepcopy(self._state()) | {"now": now}
        try:
            if problem := self._misfit(tree):
                raise CheckpointError(f"{path} does not fit this run: {problem}")
            self._set_state(tree)
            mine = tree["random"][self.world.rank]
            rng.restore(mine["now"], self.world.device, self.generators)
            for name in _HISTORY:
                setattr(self.history, name, tree["history"][name])
            for name in (*_POSITION, "seconds"):
                setattr(self, name, tree["position"][name])
            self.means = Means(**tree["means"][self.world.rank])
            if self.batch:
                self._epoch_states, self._resumed_states = mine["epoch"], mine["now"]
            self._resume_best(self.folder, checkpoint.weights_of(self.evaluated))
        except (ValueError, LookupError, RuntimeError, TypeError, AttributeError, OSError) as error:
            self._put_back()
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"{path} does not fit this run: {error!r}") from error

    def _state(self) -> dict[str, Any]:
        """Weights and what moves them, as it stands."""
        return {
            "weights": self.model.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": None if self.scheduler is None else self.scheduler.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def _set_state(self, tree: dict[str, Any]) -> None:
        try:
            checkpoint.put_weights(self.model, tree["weights"])
        except ValueError as error:
            raise CheckpointError(f"{self.folder} does not fit this {type(self.model).__name__}: {error}") from error
        self.optimizer.load_state_dict(tree["optimizer"])
        if self.average is not None:
            checkpoint.put_weights(self.average, tree["average"])
        if self.scheduler is not None:
            self.scheduler.load_state_dict(tree["scheduler"])
        self.scaler.load_state_dict(tree["scaler"])

    def _put_back(self) -> None:
        """Undo what a resume has changed."""
        if self._before is not None:
            self._set_state(self._before)
            rng.restore(self._before["now"], self.world.device, self.generators)

    def _misfit(self, tree: dict[str, Any]) -> str | None:
        """What of a checkpoint belongs to another run, or None."""
        if len(tree["random"]) != self.world.size:
            return f"written by {len(tree['random'])} processes, resumed by {self.world.size}"
        if (tree["history"]["monitor"], tree["history"]["mode"]) != (self.history.monitor, self.history.mode):
            return f"it monitored {tree['history']['monitor']!r}, this run {self.history.monitor!r}"
        if (tree["scheduler"] is None) != (self.scheduler is None):
            return "one of the two runs has a schedule and the other has none"
        if (tree["average"] is None) != (self.average is None):
            return "one of the two runs has a moving average and the other has none"
        for what, theirs, mine in (
            ("optimizer", tree["optimizer_type"], type(self.optimizer).__name__),
            ("schedule", tree["schedule"], None if self.scheduler is None else type(self.scheduler).__name__),
            ("optimizer: groups of parameters", len(tree["settings"]), len(self.settings)),
        ):
            if theirs != mine:
                return f"{what}: it has {theirs}, this run {mine}"
        for its, own in zip(tree["settings"], self.settings, strict=True):
            for name in its.keys() & own.keys():
                if its[name] != own[name]:
                    return f"optimizer: its {name} is {its[name]}, this run's {own[name]}"
        for name, value in self.model.state_dict().items():
            its_type = getattr(tree["weights"].get(name), "dtype", value.dtype)
            if its_type != value.dtype:
                return f"weights: its {name} is of {its_type}, this run's of {value.dtype}"
        past = tree["position"]
        if self.scheduler is not None and _rates_after(past["step"], self.scheduler) != past["rates"]:
            return "schedule: the learning rates so far are not those of this run's schedule"
        return None

    def _save_best(self, folder: Path) -> None:
        history = self.history
        best = {"weights": history.best_weights, "epoch": history.best_epoch, history.monitor: history.best_value}
        checkpoint.save(folder / "best.safetensors", best)

    def _resume_best(self, folder: Path, last_weights: dict[str, Tensor]) -> None:
        """The best weights from their own file or, where the run died between the two writes, from the last ones."""
        if self.history.best_epoch is None:
            return
        if self.batch == 0 and self.history.best_epoch == self.epoch - 1:
            self.history.best_weights = last_weights
            if self.world.is_main:
                self._save_best(folder)
            return
        tree = checkpoint.load(folder / "best.safetensors")
        if tree["epoch"] != self.history.best_epoch:
            raise CheckpointError(
                f"{folder}: best.safetensors is of epoch {tree['epoch']}, expected {self.history.best_epoch}"
            )
        self.history.best_weights = tree["weights"]


def _settings(optimizer: Optimizer) -> list[dict[str, Any]]:
    """What each group of parameters is moved by, as it was set: with a schedule, the rate that it starts from."""
    how = {"params", "foreach", "fused", "capturable", "differentiable"}  # the weights, and how, not what, is computed
    found = []
    for group in optimizer.param_groups:
        left_out = how | {"lr"} if "initial_lr" in group else how
        kept = {name: value for name, value in group.items() if name not in left_out}
        found.append({name: v.tolist() if isinstance(v, Tensor) else v for name, v in kept.items()})
    return found


def _with_rates(total: int, optimizer: Optimizer) -> int:
    """A checksum over learning rates, to nine digits, with one step's added."""
    rates = " ".join(f"{float(group['lr']):.9g}" for group in optimizer.param_groups)
    return zlib.crc32(rates.encode(), total)


def _rates_after(steps: int, scheduler: LRScheduler) -> int:
    """The checksum of the learning rates that a schedule gives to its first `steps` steps."""
    probe, total = copy.deepcopy(scheduler), 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a schedule that moves although no optimiser steps
        for _ in range(steps):
            total = _with_rates(total, probe.optimizer)
            probe.step()
    return total


def _number(value: Tensor | float) -> float:
    return value.item() if isinstance(value, Tensor) else float(value)
