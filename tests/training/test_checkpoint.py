"""Checkpoints come back as they went, are whole or not there, and a run that went on ends as one that never stopped."""

import os
import pickle
import random
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn
from torch.utils.data import DataLoader, Dataset

from course_lib.training import CheckpointError, checkpoint, cosine_with_warmup, fit, load_weights

quiet = partial(fit, device="cpu", progress=False)


class Interrupted(Exception):
    pass


class Noisy(Dataset):
    """Every item draws from all the generators there are: its own, PyTorch's, NumPy's and Python's."""

    def __init__(self, x, y):
        self.x, self.y = x, y
        self.generator = torch.Generator().manual_seed(3)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        noise = torch.randn(5, generator=self.generator) + torch.randn(5)
        return self.x[index] + 0.1 * noise + 0.1 * np.random.randn() + 0.1 * random.random(), self.y[index]  # noqa: NPY002


def noisy_run(task, folder=None, stop_at=None, own_order=True, **options):
    """Three epochs of five steps from one seed, perhaps interrupted before a step; (weights, history)."""
    t = task()
    torch.manual_seed(11)
    np.random.seed(12)  # noqa: NPY002
    random.seed(13)
    order = torch.Generator().manual_seed(4) if own_order else None
    loader = DataLoader(Noisy(t.x, t.y), 8, shuffle=True, generator=order)
    steps = iter(range(10_000))

    def jitter(x, y, generator):
        if next(steps) == stop_at:
            raise Interrupted
        return x + torch.randn(x.shape, generator=generator), y

    history = quiet(
        t.model,
        loader,
        epochs=3,
        validation=t.validation,
        train_transform=jitter,
        generator=order,
        schedule=cosine_with_warmup,
        optimizer=partial(torch.optim.AdamW, lr=0.05),
        checkpoint_dir=folder,
        **options,
    )
    return nn.utils.parameters_to_vector(t.model.parameters()).detach(), history


@pytest.mark.parametrize("own_order", [True, False])
@pytest.mark.parametrize("every", [1, 3])
def test_stopped_before_any_step_a_run_ends_as_if_it_had_not(task, tmp_path, own_order, every):
    expected, history = noisy_run(task, own_order=own_order)
    for stop_at in range(own_order, 15, 2):  # steps 0, 5 and 10 begin an epoch
        folder = tmp_path / str(stop_at)
        with pytest.raises(Interrupted):
            noisy_run(task, folder, stop_at, own_order, checkpoint_every=every)
        weights, resumed = noisy_run(task, folder, own_order=own_order, checkpoint_every=every)
        assert torch.equal(weights, expected), f"stopped before step {stop_at}"
        assert resumed.table.drop(columns="seconds").equals(history.table.drop(columns="seconds"))
        for name, value in history.best_weights.items():
            assert torch.equal(resumed.best_weights[name], value)


def test_a_finished_run_is_not_trained_again_and_more_epochs_go_on(task, tmp_path):
    t = task()
    sgd = partial(torch.optim.SGD, lr=0.1)
    quiet(t.model, t.loader, epochs=2, checkpoint_dir=tmp_path, optimizer=sgd)
    fresh = task()
    assert len(quiet(fresh.model, fresh.loader, epochs=2, checkpoint_dir=tmp_path, optimizer=sgd)) == 2
    assert torch.equal(fresh.model[0].weight, t.model[0].weight)
    assert len(quiet(fresh.model, fresh.loader, epochs=3, checkpoint_dir=tmp_path, optimizer=sgd)) == 3
    assert len(quiet(fresh.model, fresh.loader, epochs=1, checkpoint_dir=tmp_path, optimizer=sgd, resume=False)) == 1


def test_best_file_holds_the_best_epoch(task, tmp_path):
    t = task()
    sgd = partial(torch.optim.SGD, lr=3.0)
    history = quiet(t.model, t.loader, epochs=6, validation=t.validation, checkpoint_dir=tmp_path, optimizer=sgd)
    tree = load_weights(t.model, tmp_path / "best.safetensors")
    assert (tree["epoch"], tree["validation_loss"]) == (history.best_epoch, history.best_value)
    for name, value in t.model.state_dict().items():
        assert torch.equal(value, history.best_weights[name])


def test_the_best_weights_survive_a_death_between_the_two_files(task, tmp_path):
    t = task()
    history = quiet(t.model, t.loader, epochs=1, validation=t.validation, checkpoint_dir=tmp_path)
    (tmp_path / "best.safetensors").unlink()
    fresh = task()
    resumed = quiet(fresh.model, fresh.loader, epochs=1, validation=t.validation, checkpoint_dir=tmp_path)
    assert torch.equal(resumed.best_weights["0.weight"], history.best_weights["0.weight"])
    assert (tmp_path / "best.safetensors").exists()


def test_whatever_a_run_holds_comes_back(tmp_path):
    tied = torch.arange(4.0)
    tree = {
        "tensors": [torch.tensor(2.5), torch.zeros(0, 3), tied, tied, torch.ones(2, 3).bfloat16().T],
        "numbers": {3: (1, 2.5, True, None), "$odd": 0.1, "x/y": {"": "text"}},
        "special": [float("inf"), -float("inf"), 1e-320, 2**70],
        "array": np.arange(5, dtype=np.uint32),
        "scalar": np.float64(0.1),
    }
    checkpoint.save(tmp_path / "tree.safetensors", tree)
    back = checkpoint.load(tmp_path / "tree.safetensors")
    for mine, theirs in zip(tree.pop("tensors"), back.pop("tensors"), strict=True):
        assert mine.dtype == theirs.dtype and torch.equal(mine, theirs)
    array = back.pop("array")
    assert array.dtype == np.uint32 and (array == tree.pop("array")).all()
    assert back == tree
    with safe_open(tmp_path / "tree.safetensors", framework="pt") as file:  # an ordinary safetensors file
        assert "tensors/2" in file.keys()  # noqa: SIM118


def test_what_cannot_be_kept_is_named(tmp_path):
    with pytest.raises(TypeError, match="cannot hold SimpleNamespace at a/1"):
        checkpoint.save(tmp_path / "x.safetensors", {"a": [1, SimpleNamespace()]})
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "last.safetensors"
    checkpoint.save(path, {"value": 1})
    (tmp_path / ".last.safetensors.99999999.tmp").write_bytes(b"left by a killed process")
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        checkpoint.save(path, {"value": 2})
    assert checkpoint.load(path) == {"value": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["last.safetensors"]


def test_damage_is_noticed(task, tmp_path):
    t = task()
    quiet(t.model, t.loader, epochs=1, checkpoint_dir=tmp_path)
    path = tmp_path / "last.safetensors"
    whole = path.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:]
    digits = whole.replace(b"learning_rate", b"learning_rats", 1)
    for damaged in (b"", whole[:4], whole[:middle], whole[:-1], whole + b"x", flipped, digits, pickle.dumps({"a": 1})):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"last\.safetensors is damaged.*delete it"):
            quiet(t.model, t.loader, epochs=2, checkpoint_dir=tmp_path)


def test_a_checkpoint_of_another_run_is_refused(task, tmp_path):
    t = task()
    quiet(t.model, t.loader, epochs=1, checkpoint_dir=tmp_path, checkpoint_every=2)
    other = nn.Linear(5, 3)
    with pytest.raises(CheckpointError, match="does not fit this Linear"):
        quiet(other, t.loader, epochs=2, checkpoint_dir=tmp_path)
    with pytest.raises(CheckpointError, match="monitored None, this run 'validation_loss'"):
        quiet(t.model, t.loader, epochs=2, checkpoint_dir=tmp_path, validation=t.validation)
    with pytest.raises(CheckpointError, match="has a schedule"):
        quiet(t.model, t.loader, epochs=2, checkpoint_dir=tmp_path, schedule=cosine_with_warmup)
    with pytest.raises(CheckpointError, match="generator"):
        quiet(t.model, t.loader, epochs=2, checkpoint_dir=tmp_path, generator=torch.Generator())
    with pytest.raises(CheckpointError, match="does not fit this run"):
        groups = [{"params": [parameter]} for parameter in t.model.parameters()]
        quiet(t.model, t.loader, epochs=2, checkpoint_dir=tmp_path, optimizer=torch.optim.SGD(groups, lr=0.1))


def test_a_shorter_loader_in_mid_epoch_is_refused(task, tmp_path):
    with pytest.raises(Interrupted):
        noisy_run(task, tmp_path, stop_at=4, checkpoint_every=1)
    t = task(samples=16)
    with pytest.raises(CheckpointError, match="4 batches were done, the loader has only 2"):
        quiet(
            t.model, DataLoader(Noisy(t.x, t.y), 8, generator=torch.Generator()), epochs=3, validation=t.validation,
            checkpoint_dir=tmp_path, schedule=lambda optimizer, _: cosine_with_warmup(optimizer, 15),
            optimizer=partial(torch.optim.AdamW, lr=0.05),
        )  # fmt: skip
    assert torch.equal(t.model[0].weight, task().model[0].weight)  # a refused resume leaves the model as it was
