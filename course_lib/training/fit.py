"""One training loop for the whole course, what a trained model says, and three trainers for kinds of batches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from tqdm import tqdm

from course_lib.training.checkpoint import put_weights
from course_lib.training.device import amp_dtype, broadcast, deal, join, mode, resolve_device, to_device, wrap
from course_lib.training.history import History, Means, Run
from course_lib.training.optimization import moving_average
from course_lib.training.rng import derived_seed, generators_of, isolated
from course_lib.training.steps import Step, as_the_model, checked, describe, supervised_step
from course_lib.training.tracking import Tracker


def fit(
    model: nn.Module,
    train_loader: Iterable,
    *,
    epochs: int,
    validation: Iterable | None = None,
    loss: Callable | None = None,
    metrics: Mapping[str, Callable] | None = None,
    training_step: Step | None = None,
    validation_step: Step | None = None,
    train_transform: Callable | None = None,
    optimizer: Optimizer | Callable[[list], Optimizer] | None = None,
    schedule: Callable[[Optimizer, int], LRScheduler] | LRScheduler | None = None,
    clip_norm: float | None = None,
    average_decay: float | None = None,
    device: str | torch.device = "auto",
    amp: bool | str = False,
    monitor: str | None = None,
    monitor_mode: str | None = None,
    early_stopping: int | None = None,
    restore_best: bool = False,
    callback: Callable[[int, nn.Module, History], Mapping | None] | None = None,
    every_n_epochs: int = 1,
    tracker: Tracker | None = None,
    checkpoint_dir: Path | str | None = None,
    checkpoint_every: int | None = None,
    resume: bool = True,
    generator: torch.Generator | None = None,
    progress: bool = True,
) -> History:
    """Train `model` in place for `epochs` passes over `train_loader`; returns its History, one row an epoch.

    What a batch does
      train_loader, validation: loaders, or any iterables that can be passed over once an epoch, of (inputs, targets) or
        of whatever the step understands.
      loss: `loss(outputs, targets)` -> scalar, or a dict of scalars with a "loss"; None: cross-entropy.
      metrics: name -> `metric(outputs, targets)` -> scalar; None: accuracy, where targets are classes. Rows hold means
        over samples, so a measure that is no mean over samples (F1, AUC) belongs into `callback`.
      training_step(model, batch): the loss, or a dict of scalars with a "loss", in place of loss and metrics.
        validation_step: the same for validation, without gradients; None: the training step.
      train_transform(*batch, generator=generator): the batch to train on, such as an augmented one, before it moves
        to the device.
    How the weights move
      optimizer: an optimiser, or a function of the list of trainable parameters; None: AdamW with rate 1e-3.
      schedule: `schedule(optimizer, total_steps)`, such as `cosine_with_warmup`, or a scheduler; moves with every step.
      clip_norm: largest norm of all gradients together, above 0.
      average_decay: keep a moving average of the weights with this decay (see `moving_average`). It is what
        validation, `callback` and the best weights see, and what `model` holds in the end. None: no average.
      amp: False, True, "bf16" or "fp16": autocast; gradients are scaled for fp16 on CUDA.
    What is kept
      monitor: the row entry that tells the best epoch, smaller or larger being better as its name or `monitor_mode`
        ("min", "max") says; its weights are `history.best_weights`. None: "validation_loss" where there is validation,
        else no epoch is best.
      early_stopping: end after this many epochs without a better one.  restore_best: leave the model with the best
        weights, not the last.
      callback(epoch, model, history): called after every `every_n_epochs`-th epoch, the model in evaluation mode; a
        dict that it returns joins the row, where `monitor` finds it.
      tracker: is sent every row.
      checkpoint_dir: `last.safetensors` (after every epoch and every `checkpoint_every` steps) and `best.safetensors`
        go there; with `resume`, a run that was stopped goes on from the last, as if it had never been stopped, provided
        that all randomness comes from PyTorch's, NumPy's or Python's global generators, from `generator`, or from
        generators of the loaders, their samplers and data sets. The loss, a trainer's loss and these keep their state
        where they have `state_dict` and `load_state_dict`. Not kept: what a loader's persistent workers hold in their
        own processes, and what a `training_step` remembers by itself. A run with another model, optimiser, setting of
        it, or schedule is refused; it may have more epochs, where the schedule's past does not depend on their number.
    Chance
      generator: seeds PyTorch's default generators during the run and leaves them as they were; None: they are used as
        they are. Loaders shuffle with their own generator or, lacking one, with the default.

    A batch of one sample, as the last of a loader may be, is too small for BatchNorm in training: drop_last=True in the
    loader leaves it out. Afterwards every submodule is in the mode, training or evaluation, in which it came.
    Under torch.distributed.run the batches are dealt out among the processes, and only rank 0 writes; gradients equal
    those of one process where the loss is a mean over samples and the model has no batch statistics.
    Raises ValueError (a bad argument, an empty loader, an unknown monitor), FloatingPointError naming epoch and step
    (loss, gradient or weights not finite; such weights are never written), CheckpointError (a checkpoint that is
    damaged or of another run).
    """
    _check_counts(epochs=epochs, early_stopping=early_stopping)
    _check_counts(every_n_epochs=every_n_epochs, checkpoint_every=checkpoint_every)
    if clip_norm is not None and (isinstance(clip_norm, str) or np.ndim(clip_norm) or not clip_norm > 0):
        raise ValueError(f"clip_norm: expected a number above 0, or None for no clipping, got {clip_norm}")
    world = join(resolve_device(device))
    device = world.device
    if monitor is None and validation is not None:
        monitor = "validation_loss"
    if monitor is None and (early_stopping or restore_best):
        raise ValueError("monitor: early_stopping and restore_best need validation, or the name of a measure")
    history = History(monitor, monitor_mode, early_stopping)

    step = training_step or supervised_step(loss, metrics)
    model.to(device)
    optimizer = _optimizer(optimizer, model)
    total_steps = _total_steps(train_loader, epochs)
    scheduler = _scheduler(schedule, optimizer, total_steps)
    dtype = amp_dtype(amp, device)
    scaler = torch.amp.GradScaler(enabled=device.type == "cuda" and dtype is torch.float16)

    def autocast() -> torch.autocast:
        return torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)

    def validated() -> dict[str, float]:
        means = Means()
        with mode(run.evaluated, False), torch.no_grad():
            for batch, samples, _ in deal(validation, world):
                with autocast():
                    values = checked((validation_step or step)(run.evaluated, to_device(batch, device)))
                means.add(values, samples)
        return means.over(world, "validation")

    with ExitStack() as stack:
        seed = None if generator is None else derived_seed(generator)
        stack.enter_context(isolated(None if seed is None else seed + world.rank, device))
        stack.enter_context(mode(model, True))
        trainer = getattr(training_step, "__self__", None)
        generators = generators_of(generator, train_loader, validation, loss, trainer)
        folder = None if checkpoint_dir is None else Path(checkpoint_dir)
        average = None if average_decay is None else moving_average(model, average_decay)
        run = Run(model, optimizer, scheduler, scaler, history, world, generators, folder, average)
        if resume:
            run.resume()
        network = wrap(model, world)
        silent = not (progress and world.is_main)
        bar = stack.enter_context(tqdm(total=total_steps, initial=run.step, unit="step", disable=silent))

        while run.epoch <= epochs and not history.stopped_early:
            started = time.perf_counter() - run.seconds
            bar.set_description(f"epoch {run.epoch}/{epochs}")
            model.train()
            for batch, samples, weight in run.batches(train_loader):
                if train_transform is not None:
                    parts = batch if isinstance(batch, list | tuple) else (batch,)
                    batch = train_transform(*parts, generator=generator)
                with autocast():
                    values = _with_note(step, network, to_device(batch, device), samples)
                if not math.isfinite(value := values["loss"].item()):
                    raise FloatingPointError(
                        f"the loss is {value} at epoch {run.epoch}, step {run.batch + 1}: look for NaN in the batch, "
                        "lower the learning rate, or clip gradients (clip_norm=1.0)"
                    )
                optimizer.zero_grad(set_to_none=True)
                scaler.scale(values["loss"] * weight).backward()
                if clip_norm is not None:
                    scaler.unscale_(optimizer)
                    norm = nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
                    if not (scaler.is_enabled() or math.isfinite(norm)):  # the scaler leaves such a step out
                        raise FloatingPointError(
                            _POISONED.format("gradient's norm is " + str(norm.item()), run.epoch, run.batch + 1)
                        )
                scaler.step(optimizer)
                scaler.update()
                if average is not None:
                    average.update_parameters(model)
                run.count(values, samples)
                if scheduler is not None:
                    scheduler.step()
                bar.update()
                if checkpoint_every and run.step % checkpoint_every == 0:
                    _check_weights(model, run)
                    run.save(time.perf_counter() - started)

            _check_weights(model, run)
            row: dict[str, Any] = {"epoch": run.epoch} | run.means.over(world, "train")
            if validation is not None:
                row |= validated()
            row |= {"learning_rate": run.learning_rate, "seconds": time.perf_counter() - started}
            called = callback is not None and run.epoch % every_n_epochs == 0
            if callback is not None and called and world.is_main:
                with mode(run.evaluated, False):
                    row |= callback(run.epoch, run.evaluated, history) or {}
            row = broadcast(row)
            if history.monitor and history.monitor not in row and (callback is None or called):
                raise ValueError(f"monitor: expected one of {sorted(row)}, got {history.monitor!r}")
            run.end_epoch(row)
            shown = {name: value for name, value in row.items() if name.endswith(("loss", "accuracy"))}
            bar.set_postfix({name: f"{value:.3g}" for name, value in shown.items()})
            if tracker is not None and world.is_main:
                tracker.log({name: value for name, value in row.items() if name != "epoch"}, step=row["epoch"])
            run.save()

    if restore_best and history.best_weights is not None:
        put_weights(model, history.best_weights)
    elif average is not None:
        model.load_state_dict(average.module.state_dict())
    return history


_POISONED = (
    "the {} at epoch {}, step {}, though the loss was finite: a root, a logarithm or a quotient may have no finite "
    "slope there; a small number under it helps"
)


def _check_weights(model: nn.Module, run: Run) -> None:
    """Raises FloatingPointError where a weight that moves is NaN or infinite."""
    for name, weight in model.named_parameters():
        if weight.requires_grad and not (weight.is_meta or bool(weight.detach().isfinite().all())):
            raise FloatingPointError(_POISONED.format(f"weight {name} is not finite", run.epoch, run.batch))


def _with_note(step: Step, network: nn.Module, batch: Any, samples: int) -> dict[str, Tensor]:
    """The step's values; where a batch of one sample is too small for batch statistics, the error says what helps."""
    try:
        return checked(step(network, batch))
    except ValueError as error:
        if samples == 1 and "more than 1 value per channel" in str(error):
            error.add_note("This batch has one sample: drop_last=True in the loader leaves such a last batch out.")
        raise


def _optimizer(optimizer: Optimizer | Callable[[list], Optimizer] | None, model: nn.Module) -> Optimizer:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise ValueError(f"model: expected trainable parameters, got none in {type(model).__name__}")
    if optimizer is None:
        return torch.optim.AdamW(parameters, lr=1e-3)
    return optimizer if isinstance(optimizer, Optimizer) else optimizer(parameters)


def _total_steps(train_loader: Any, epochs: int) -> int | None:
    """Steps of the whole run; None where the loader does not know its length."""
    try:
        return epochs * len(train_loader)
    except TypeError:
        return None


def _scheduler(schedule: Any, optimizer: Optimizer, total_steps: int | None) -> LRScheduler | None:
    if schedule is None or isinstance(schedule, LRScheduler):
        return schedule
    if total_steps is None:
        raise ValueError("schedule: needs the number of steps, but train_loader has no length; give a scheduler")
    return schedule(optimizer, max(1, total_steps))


def _check_counts(**counts: int | None) -> None:
    for name, value in counts.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1):
            raise ValueError(f"{name}: expected an integer of at least 1, got {value!r}")


def predict(
    model: nn.Module,
    data: Iterable | Tensor | np.ndarray,
    *,
    device: str | torch.device = "auto",
    batch_size: int = 256,
    amp: bool | str = False,
) -> np.ndarray:
    """Outputs of `model` in evaluation mode, without gradients: (N, ...), in the order of `data`.

    data: a tensor or array of inputs (N, ...), read `batch_size` at a time, or a loader of batches, of which the first
    entry is the input. Inputs that are numbers of another type than the model's (float64, bfloat16) are turned into its
    own, and outputs of half precision into float32. The model moves to the device and keeps its training or evaluation
    mode.  Raises ValueError where there is nothing to predict, TypeError where the model returns no tensor.
    """
    _check_counts(batch_size=batch_size)
    device = resolve_device(device)
    dtype = amp_dtype(amp, device)
    model.to(device)
    outputs = []
    with (
        mode(model, False),
        torch.inference_mode(),
        torch.autocast(device.type, dtype=dtype, enabled=dtype is not None),
    ):
        for inputs in _inputs(data, batch_size):
            output = model(to_device(as_the_model(inputs, model), device))
            if not isinstance(output, Tensor):
                raise TypeError(f"model: expected a tensor as its output, got {type(output).__name__}")
            half = output.dtype in (torch.float16, torch.bfloat16)
            outputs.append(output.float().cpu() if half else output.cpu())
    if not outputs:
        raise ValueError("data: expected at least one input, got none")
    return torch.cat(outputs).numpy()


def _inputs(data: Any, batch_size: int) -> Iterator:
    if isinstance(data, np.ndarray | Tensor):
        for start in range(0, len(data), batch_size):
            part = data[start : start + batch_size]
            yield torch.from_numpy(np.array(part)) if isinstance(part, np.ndarray) else part
    else:
        for batch in data:
            yield batch[0] if isinstance(batch, list | tuple) else batch


class _Trainer:
    """A model, its loss and its optimiser, and a step that knows the batches."""

    def __init__(self, model: nn.Module, loss: Callable, optimizer: Optimizer):
        self.model, self.loss, self.optimizer = model, loss, optimizer

    def training_step(self, model: nn.Module, batch: Any) -> Tensor | Mapping[str, Tensor]:
        """The loss of one batch, or a dict with "loss"."""
        raise NotImplementedError

    def fit(self, loader: Iterable, num_epochs: int = 1, **options: Any) -> History:
        """Train for `num_epochs`; `options` go to `course_lib.training.fit` (validation, schedule, clip_norm, ...)."""
        _check_counts(num_epochs=num_epochs)
        own: dict[str, Any] = {"optimizer": self.optimizer, "training_step": self.training_step}
        return fit(self.model, loader, **{"epochs": num_epochs} | own | options)


class SupervisedTrainer(_Trainer):
    """`SupervisedTrainer(model, loss, optimizer).fit(loader, num_epochs=…)` for models that learn from labels.

    A batch (inputs, targets): `loss(model(inputs), targets)`, as in `fit`.
    A batch with the fields x, lengths, labels, timings (an `EventBatch`): the model gets x and lengths, the loss what
    the model returns (a plain tuple entry by entry), labels, timings and lengths.
    """

    def __init__(self, model: nn.Module, loss: Callable, optimizer: Optimizer):
        super().__init__(model, loss, optimizer)
        self._pair_step = supervised_step(loss)

    def training_step(self, model: nn.Module, batch: Any) -> Tensor | Mapping[str, Tensor]:
        if not hasattr(batch, "timings"):
            return self._pair_step(model, batch)
        outputs = _entries(model(batch.x, batch.lengths))
        return self.loss(*outputs, batch.labels, batch.timings, batch.lengths)


class UnsupervisedTrainer(_Trainer):
    """For models that draw their input again.  Batches: x (B, T, C), or (x, lengths).

    The loss gets what the model returns (a plain tuple entry by entry), x and lengths.
    """

    def training_step(self, model: nn.Module, batch: Any) -> Tensor | Mapping[str, Tensor]:
        if not isinstance(batch, Tensor) and (not isinstance(batch, list | tuple) or len(batch) != 2):
            raise ValueError(f"expected batches x or (x, lengths), got {describe(batch)}")
        x, lengths = (batch, None) if isinstance(batch, Tensor) else batch
        return self.loss(*_entries(model(x, lengths)), x, lengths)


class ContrastiveTrainer(_Trainer):
    """For models that learn from two views of each window.  Batches: (first, second, lengths), views (B, T, C).

    loss: `loss(projections of first, of second)`; None: the model's own, `model.loss`.
    Raises TypeError where neither is there.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, loss: Callable | None = None):
        own: Any = getattr(model, "loss", None) if loss is None else loss
        if not callable(own):
            raise TypeError(f"loss: expected one, since {type(model).__name__} has no loss of its own")
        super().__init__(model, own, optimizer)

    def training_step(self, model: nn.Module, batch: Any) -> Tensor | Mapping[str, Tensor]:
        if not isinstance(batch, list | tuple) or len(batch) != 3:
            raise ValueError(f"expected batches (first, second, lengths), got {describe(batch)}")
        first, second, lengths = batch
        return self.loss(model(first, lengths), model(second, lengths))


def _entries(outputs: Any) -> tuple:
    """A plain tuple as it is; anything else, a named tuple too, as one entry."""
    return outputs if type(outputs) is tuple else (outputs,)
