"""Watching runs: one small interface, two usual tools behind it. Neither is needed; nothing is sent by default."""

import io
import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from course_lib.paths import runs_dir


class Tracker(Protocol):
    """What `fit` and `cross_validate` speak to. Any object with these three methods will do."""

    def log(self, metrics: dict[str, float], step: int) -> None:
        """Enter named numbers at a step (in `fit`, the epoch)."""

    def figure(self, name: str, figure: Any) -> None:
        """Enter a Matplotlib figure."""

    def close(self) -> None:
        """End the run; whoever made the tracker calls it."""


class WandbTracker:
    """Weights & Biases, offline unless the environment variable WANDB_MODE says otherwise: no account, no network.

    Offline, error reports stay at home too: WANDB_ERROR_REPORTING is set to "false" for this process where it is unset.
    project, group, name, config: as in `wandb.init`; runs of one group are shown together.  directory: where the run's
    files go, by default `runs/` in the checkout. The run is opened with the first entry, so that processes which never
    log open none.  Raises ModuleNotFoundError where wandb is not installed.
    """

    def __init__(
        self,
        project: str = "signals-from-scratch",
        *,
        group: str | None = None,
        name: str | None = None,
        config: dict | None = None,
        directory: Path | str | None = None,
    ):
        self._mode: Any = os.environ.get("WANDB_MODE", "offline")
        if self._mode != "online":
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # its service reads this as it starts
        import wandb  # not at the top: whoever does not use it need not have it

        self._wandb = wandb
        self._options: dict[str, Any] = {"project": project, "group": group, "name": name, "config": config}
        self._directory = Path(directory or runs_dir())
        self._run: Any = None

    def log(self, metrics: dict[str, float], step: int) -> None:
        self._opened().log(dict(metrics), step=step)

    def figure(self, name: str, figure: Any) -> None:
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        self._opened().log({name: self._wandb.Image(Image.open(buffer))})

    def close(self) -> None:
        if self._run is not None:
            self._run.finish()
            self._run = None

    def _opened(self) -> Any:
        if self._run is None:
            self._directory.mkdir(parents=True, exist_ok=True)
            settings = self._wandb.Settings(silent=True, console="off", disable_git=True, save_code=False)
            self._run = self._wandb.init(
                **self._options,
                dir=self._directory,
                mode=self._mode,
                reinit="create_new",
                settings=settings,
            )
        return self._run


class TensorBoardTracker:
    """TensorBoard event files in the folder `name` under `directory`, by default `runs/tensorboard` in the checkout.

    Look at them with `tensorboard --logdir runs`.  Raises ModuleNotFoundError where tensorboard is not installed.
    """

    def __init__(self, name: str, *, directory: Path | str | None = None):
        from torch.utils.tensorboard import SummaryWriter

        self._new_writer = SummaryWriter
        self._folder = Path(directory or runs_dir() / "tensorboard") / name
        self._writer: Any = None
        self._step = 0

    def log(self, metrics: dict[str, float], step: int) -> None:
        self._step = step
        for name, value in metrics.items():
            self._opened().add_scalar(name, value, step)

    def figure(self, name: str, figure: Any) -> None:
        self._opened().add_figure(name, figure, self._step)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _opened(self) -> Any:
        if self._writer is None:
            self._writer = self._new_writer(str(self._folder))
        return self._writer


def log_fold_figures(
    tracker: Tracker, probabilities: np.ndarray, targets: np.ndarray, classes: tuple[str, ...] | None = None
) -> None:
    """Send a fold's confusion matrix and ROC curves to `tracker`.

    probabilities: (N, C); targets: (N,) classes; classes: C names.
    """
    from matplotlib.figure import Figure  # not at the top: who tracks nothing need not load Matplotlib
    from sklearn.metrics import ConfusionMatrixDisplay, RocCurveDisplay

    numbers = np.arange(probabilities.shape[1])
    names = [str(number) for number in numbers] if classes is None else list(classes)
    figure = Figure(figsize=(6, 6), layout="constrained")
    ConfusionMatrixDisplay.from_predictions(
        targets,
        probabilities.argmax(1),
        labels=numbers,
        display_labels=names,
        xticks_rotation="vertical",
        colorbar=False,
        ax=figure.add_subplot(),
    )
    tracker.figure("confusion matrix", figure)
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.add_subplot()
    for number, name in zip(numbers, names, strict=True):
        if 0 < (targets == number).sum() < len(targets):
            RocCurveDisplay.from_predictions(targets == number, probabilities[:, number], name=name, ax=axes)
    axes.plot([0, 1], [0, 1], ":", color="grey")
    tracker.figure("ROC", figure)
