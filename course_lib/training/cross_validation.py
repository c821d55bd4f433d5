"""Cross-validation: a fresh model for every fold, predictions for the fold it never saw, the spread over folds."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import torch
from scipy.special import softmax
from sklearn.metrics import accuracy_score, f1_score, log_loss, roc_auc_score
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from tqdm import tqdm

from course_lib.training.device import resolve_device
from course_lib.training.fit import fit, predict
from course_lib.training.history import History
from course_lib.training.rng import derived_seed, isolated
from course_lib.training.tracking import log_fold_figures


@dataclass(frozen=True)
class CrossValidation:
    """What `cross_validate` found.

    logits: (N, C) float32, each row from the model that did not train on it; NaN where a sample is in no test fold.
    targets: (N,) int64.  folds: (N,) int64, the fold that tested each sample, -1 for none.
    table: a row a fold: fold, train_samples, test_samples, accuracy, macro_f1, roc_auc (one against the rest, mean over
    classes that the fold holds), loss, train_accuracy and train_loss (last epoch, in training mode), seconds.
    histories: fold -> History.  classes: names, or None.
    """

    logits: np.ndarray
    targets: np.ndarray
    folds: np.ndarray
    table: pd.DataFrame
    histories: dict[int, History] = field(repr=False)
    classes: tuple[str, ...] | None = None

    @property
    def tested(self) -> np.ndarray:
        """(N,) bool: samples with an out-of-fold prediction."""
        return self.folds >= 0

    @property
    def probabilities(self) -> np.ndarray:
        """(N, C): softmax of the logits."""
        return softmax(self.logits.astype(np.float64), axis=1)

    @property
    def predictions(self) -> np.ndarray:
        """(N,) int64: the most probable class, -1 for samples in no test fold."""
        return np.where(self.tested, np.nan_to_num(self.logits).argmax(1), -1)

    @property
    def mean(self) -> pd.Series:
        """Mean over folds of every measure in the table."""
        return self.table.drop(columns="fold").mean()

    @property
    def std(self) -> pd.Series:
        """Standard deviation over folds (n - 1 in the denominator) of every measure in the table."""
        return self.table.drop(columns="fold").std(ddof=1)

    def __str__(self) -> str:
        return f"accuracy {self.mean.accuracy:.3f} ± {self.std.accuracy:.3f} over {len(self.table)} folds"


def cross_validate(
    make_model: Callable[[], nn.Module],
    x: np.ndarray | torch.Tensor,
    y: np.ndarray | torch.Tensor,
    *,
    folds: np.ndarray | None = None,
    splitter: Any = None,
    groups: np.ndarray | None = None,
    epochs: int,
    batch_size: int = 32,
    prepare: Callable | None = None,
    curves: bool = True,
    classes: tuple[str, ...] | None = None,
    tracker: Callable | None = None,
    n_jobs: int = 1,
    checkpoint_dir: Path | str | None = None,
    generator: torch.Generator | None = None,
    progress: bool = True,
    **fit_options: Any,
) -> CrossValidation:
    """Train `make_model()` once a fold with `fit`, and predict the fold left out.

    x: (N, ...), one row a sample.  y: (N,) classes 0 .. C-1.
    folds: (N,) official fold numbers, each number in turn being the test fold; or splitter: a scikit-learn splitter
      (StratifiedKFold, GroupKFold, ...), whose `split(x, y, groups)` is used. Exactly one of the two.
    groups: (N,) what must not be torn apart, such as source recordings; handed to the splitter, and checked either way.
    prepare(train_x): called with a fold's training inputs; returns the function that both training and test inputs go
      through, so that nothing (such as a mean for standardisation) is learnt from the test fold.
    curves: measure the test fold after each epoch. These rows are for looking at: choosing an epoch by them (early
      stopping, restore_best) makes the scores too good, unless another set is kept back for the final word.
    tracker(fold): makes the tracker of one fold's run, such as `lambda fold: WandbTracker(group="cnn",
      name=f"fold {fold}")`; it gets curves, confusion matrix and ROC, and is closed.
    n_jobs: folds trained at a time, each in a process of its own with one thread. Functions and classes written in a
      notebook travel along.
    batch_size: samples a batch. Where one would be left for the last batch, it sits out the epoch (another one each
      time), since batch statistics need two.
    checkpoint_dir: keeps each fold's checkpoints in a folder of its own; the same call, with a generator in the same
      state, goes on where it was stopped.
    generator: every fold's initial weights, order of batches and chance during training come from a seed drawn from it
      (None: from PyTorch's default generator), so results do not depend on n_jobs. Nothing global is seeded.
    fit_options: anything else that `fit` takes: loss, optimizer (a function of the parameters), schedule,
      train_transform, amp, device, ...
    Raises ValueError for bad arguments, a class number out of range, groups on both sides, or a sample tested twice;
    an error inside a fold carries a note that names it.
    """
    x = x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else np.asanyarray(x)
    y = np.asarray(y.cpu() if isinstance(y, torch.Tensor) else y)
    if y.shape != (len(x),) or y.dtype.kind not in "iu" or len(y) == 0 or y.min() < 0:
        raise ValueError(f"y: expected {len(x)} class numbers from 0, one a sample, got shape {y.shape}, {y.dtype}")
    for option in ("validation", "training_step"):
        if option in fit_options:
            raise ValueError(f"{option}: cross_validate has no use for this option of fit")
    if isinstance(fit_options.get("optimizer"), torch.optim.Optimizer):
        raise ValueError("optimizer: expected a function of the parameters, since every fold has its own model")
    y = y.astype(np.int64)
    splits = _splits(x, y, folds, splitter, groups)
    options = {"epochs": epochs, **fit_options}
    folders = [None if checkpoint_dir is None else Path(checkpoint_dir) / f"fold-{fold}" for fold, _, _ in splits]
    jobs = [
        joblib.delayed(_run_fold)(
            fold, train, test, derived_seed(generator), make_model, x, y, batch_size, prepare, curves, classes, tracker,
            n_jobs, options | {"checkpoint_dir": folder},
        )
        for (fold, train, test), folder in zip(splits, folders, strict=True)
    ]  # fmt: skip
    logits, tested = np.zeros((0, 0), np.float32), np.full(len(y), -1)
    rows, histories = [], {}
    done = joblib.Parallel(n_jobs=n_jobs, return_as="generator")(jobs)
    for (fold, _, test), (outputs, history, row) in zip(
        splits, tqdm(done, total=len(jobs), unit="fold", disable=not progress), strict=True
    ):
        if not logits.size:
            logits = np.full((len(y), outputs.shape[1]), np.nan, np.float32)
        logits[test], tested[test] = outputs, fold
        histories[fold] = history
        rows.append(row)
    return CrossValidation(
        logits, y, tested, pd.DataFrame(rows), histories, None if classes is None else tuple(classes)
    )


def _splits(x, y, folds, splitter, groups) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """(fold, training indices, test indices) for every fold, checked."""
    if (folds is None) == (splitter is None):
        raise ValueError("expected either folds (an array of fold numbers) or splitter (from scikit-learn)")
    if groups is not None and np.shape(groups) != (len(y),):
        raise ValueError(f"groups: expected {len(y)}, one a sample, got shape {np.shape(groups)}")
    if folds is not None:
        folds = np.asarray(folds)
        if folds.shape != (len(y),) or folds.dtype.kind not in "iu" or len(np.unique(folds)) < 2 or folds.min() < 0:
            raise ValueError(f"folds: expected {len(y)} fold numbers from 0, at least two different ones, got {folds}")
        splits = [(int(k), np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in np.unique(folds)]
    else:
        split = splitter.split(np.zeros(len(y)), y, groups)
        splits = [(k, train, test) for k, (train, test) in enumerate(split)]
    counts = np.zeros(len(y), int)
    for fold, train, test in splits:
        counts[test] += 1
        named = np.arange(len(y)) if groups is None else np.asarray(groups)
        shared = np.intersect1d(named[train], named[test])
        if groups is not None and len(shared):
            raise ValueError(f"groups: {len(shared)} are on both sides of fold {fold}, such as {shared[0]}")
    if counts.max() > 1:
        raise ValueError("splitter: expected each sample in at most one test fold, so that it has one prediction")
    return splits


def _run_fold(
    fold, train, test, seed, make_model, x, y, batch_size, prepare, curves, classes, tracker, n_jobs, options
) -> tuple[np.ndarray, History, dict]:
    """One fold, from initial weights to scores; runs in a process of its own where n_jobs is above 1."""
    if n_jobs != 1:
        torch.set_num_threads(1)
    device = resolve_device(options.get("device", "auto"))
    watch = None if tracker is None else tracker(fold)
    try:
        train_x = np.asarray(x[train])
        ready = (lambda part: part) if prepare is None else prepare(train_x)
        inputs, test_x = _as_inputs(ready(train_x)), _as_inputs(ready(np.asarray(x[test])))
        targets = torch.from_numpy(y)
        generator = torch.Generator().manual_seed(seed)
        alone = len(train) > batch_size and len(train) % batch_size == 1  # BatchNorm needs two; another one each epoch
        loader = DataLoader(
            TensorDataset(inputs, targets[train]), batch_size, shuffle=True, generator=generator, drop_last=alone
        )
        own = torch.Generator()  # so that looking at the test fold leaves the training's draws alone
        test_loader = DataLoader(TensorDataset(test_x, targets[test]), 4 * batch_size, generator=own)
        with isolated(seed, device):
            model = make_model()
        history = fit(
            model,
            loader,
            validation=test_loader if curves else None,
            generator=generator,
            tracker=watch,
            progress=False,
            **options,
        )
        logits = predict(model, test_x, device=device, batch_size=4 * batch_size, amp=options.get("amp", False))
        row = {"fold": fold, "train_samples": len(train), "test_samples": len(test)} | _scores(logits, y[test])
        last = history.rows[-1]
        row |= {name: last[name] for name in ("train_accuracy", "train_loss") if name in last}
        row["seconds"] = sum(epoch["seconds"] for epoch in history.rows)
        history.best_weights = None  # not worth sending between processes
        if watch is not None:
            final = {f"test_{name}": row[name] for name in ("accuracy", "macro_f1", "roc_auc", "loss")}
            watch.log(final, step=history.rows[-1]["epoch"])
            log_fold_figures(watch, softmax(logits.astype(np.float64), axis=1), y[test], classes)
    except Exception as error:
        error.add_note(f"while training fold {fold}")
        raise
    finally:
        if watch is not None:
            watch.close()
    return logits, history, row


def _as_inputs(part: np.ndarray | torch.Tensor) -> torch.Tensor:
    tensor = part if isinstance(part, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(part))
    return tensor.float() if tensor.is_floating_point() else tensor


def _scores(logits: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Accuracy, macro F1, ROC AUC and cross-entropy.  Raises where logits and targets do not fit or are not finite."""
    if logits.ndim != 2 or logits.shape[1] <= targets.max():
        raise ValueError(
            f"model: expected outputs (N, C), C above the largest class {targets.max()}, got {logits.shape}"
        )
    if not np.isfinite(logits).all():
        raise FloatingPointError("model: its outputs for the test fold hold NaN or infinity")
    probabilities = softmax(logits.astype(np.float64), axis=1)
    predictions = logits.argmax(1)
    present = [c for c in np.unique(targets) if (targets != c).any()]
    areas = [roc_auc_score(targets == c, probabilities[:, c]) for c in present]
    return {
        "accuracy": accuracy_score(targets, predictions),
        "macro_f1": f1_score(targets, predictions, average="macro", zero_division=0),
        "roc_auc": float(np.mean(areas)) if areas else float("nan"),
        "loss": log_loss(targets, probabilities, labels=np.arange(logits.shape[1])),
    }
