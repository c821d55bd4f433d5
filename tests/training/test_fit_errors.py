"""What is wrong is said where it goes wrong, with the argument's name."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from course_lib.training import cosine_with_warmup, fit, predict, resolve_device
from course_lib.training.device import amp_dtype

quiet = partial(fit, device="cpu", progress=False)


@pytest.mark.parametrize("empty", [[], DataLoader(TensorDataset(torch.zeros(3, 5)), 8, drop_last=True), iter(())])
def test_a_loader_without_batches(task, empty):
    t = task()
    with pytest.raises(ValueError, match="train_loader: expected at least one batch"):
        quiet(t.model, empty, epochs=1)
    with pytest.raises(ValueError, match="validation: expected at least one batch"):
        quiet(t.model, t.loader, epochs=1, validation=empty)


def test_an_exhausted_iterator_is_noticed_in_the_second_epoch(task):
    t = task()
    with pytest.raises(ValueError, match="train_loader: expected at least one batch"):
        quiet(t.model, iter(list(t.loader)), epochs=2)


def test_nan_names_epoch_and_step_and_does_not_reach_the_weights(task):
    t = task()
    batches = list(t.loader)
    batches[2] = (torch.full_like(batches[2][0], torch.nan), batches[2][1])
    with pytest.raises(FloatingPointError, match="the loss is nan at epoch 1, step 3"):
        quiet(t.model, batches, epochs=1)
    assert all(parameter.isfinite().all() for parameter in t.model.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs: expected an integer of at least 1, got 0"),
        ({"epochs": 2.5}, "epochs: expected an integer"),
        ({"early_stopping": 2}, "monitor: early_stopping and restore_best need validation"),
        ({"restore_best": True}, "monitor: early_stopping and restore_best need validation"),
        ({"monitor": "train_los"}, "monitor_mode: 'train_los' does not tell"),
        ({"monitor": "validation_loss"}, r"monitor: expected one of .*train_loss.*, got 'validation_loss'"),
        ({"monitor": "train_loss", "monitor_mode": "up"}, "monitor_mode: expected 'min', 'max' or None, got 'up'"),
        ({"amp": "half"}, "amp: expected False, True, 'bf16' or 'fp16', got 'half'"),
        ({"loss": nn.CrossEntropyLoss(reduction="none")}, r"expected scalars from a step, got 'loss' of shape \(8,\)"),
        ({"training_step": lambda model, batch: 3.0}, "a tensor 'loss', got float"),
        ({"training_step": lambda model, batch: {"los": 1}}, r"a tensor 'loss', got a dict with keys \['los'\]"),
    ],
)
def test_bad_arguments(task, options, message):
    t = task()
    with pytest.raises((ValueError, TypeError), match=message):
        quiet(t.model, t.loader, **{"epochs": 1} | options)


class Stream(IterableDataset):
    def __iter__(self):
        return iter([(torch.ones(5), 0), (torch.zeros(5), 1)])


def test_a_schedule_needs_a_length_and_training_does_not(task):
    t = task()
    stream = DataLoader(Stream(), 1)
    assert len(quiet(t.model, stream, epochs=2)) == 2
    for loader in (stream, iter(list(t.loader))):
        with pytest.raises(ValueError, match="schedule: needs the number of steps"):
            quiet(t.model, loader, epochs=1, schedule=cosine_with_warmup)


def test_a_model_without_parameters(task):
    with pytest.raises(ValueError, match="model: expected trainable parameters, got none in ReLU"):
        quiet(nn.ReLU(), task().loader, epochs=1)


def test_devices_that_are_not_there():
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(RuntimeError, match="CUDA devices, got 'cuda:99'"):
        resolve_device("cuda:99")
    assert amp_dtype(False, torch.device("cpu")) is None


def test_the_environment_says_what_auto_means(monkeypatch):
    monkeypatch.setenv("COURSE_DEVICE", "cpu")
    assert resolve_device().type == "cpu"
    monkeypatch.setenv("COURSE_DEVICE", "cuda:99")
    assert resolve_device("cpu").type == "cpu"
    with pytest.raises(RuntimeError, match="CUDA devices, got 'cuda:99'"):
        resolve_device()


def test_predict_says_what_it_cannot_do(task):
    with pytest.raises(ValueError, match="data: expected at least one input"):
        predict(task().model, torch.zeros(0, 5), device="cpu")
    with pytest.raises(TypeError, match="model: expected a tensor as its output, got tuple"):
        predict(nn.LSTM(5, 3), torch.zeros(2, 4, 5), device="cpu")
