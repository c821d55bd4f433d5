"""A run that is killed, really killed, at several moments ends with the weights of one that ran through."""

import multiprocessing
import os
import random
import signal
import time

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from course_lib.training import checkpoint, cosine_with_warmup, fit


def run(folder, pause, killed_in_write):
    """Train; the kill comes as file number `killed_in_write` is written, but not yet named."""
    replace, writes = os.replace, iter(range(1, 1000))

    def replace_or_die(*paths):
        if next(writes) == killed_in_write:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*paths)

    os.replace = replace_or_die
    torch.manual_seed(0)
    x = torch.randn(96, 20)
    loader = DataLoader(TensorDataset(x, (x[:, 0] > 0).long()), 8, shuffle=True)
    model = nn.Sequential(nn.Linear(20, 400), nn.BatchNorm1d(400), nn.ReLU(), nn.Dropout(0.3), nn.Linear(400, 2))

    def step(model, batch):
        time.sleep(pause)
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    fit(
        model,
        loader,
        epochs=4,
        validation=loader,
        training_step=step,
        schedule=cosine_with_warmup,
        device="cpu",
        checkpoint_dir=folder,
        checkpoint_every=1,
        progress=False,
    )


def start(folder, pause=0.0, killed_in_write=0):
    """A process of its own, forked from one that has the imports and has computed nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["course_lib.training"])
    process = context.Process(target=run, args=(folder, pause, killed_in_write))
    process.start()
    return process


def exit_code(process):
    process.join(300)
    return process.exitcode


def finished(folder):
    assert exit_code(start(folder)) == 0
    return checkpoint.load(folder / "last.safetensors")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_killed_while_writing_and_at_random_moments(tmp_path):
    expected = finished(tmp_path / "whole")
    folder = tmp_path / "killed"
    chance = random.Random()
    assert exit_code(start(folder, killed_in_write=5)) == -signal.SIGKILL
    reached = [checkpoint.load(folder / "last.safetensors")["position"]["step"]]
    assert reached == [4]
    for _ in range(2):
        process = start(folder, pause=0.02)
        before = _changed(folder)
        deadline = time.monotonic() + 120
        while _changed(folder) == before and process.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)  # wait until it has come further than the one before
        time.sleep(chance.uniform(0.0, 0.3))
        process.kill()
        process.join()
        position = checkpoint.load(folder / "last.safetensors")["position"]  # whole, whenever the kill came
        reached.append(position["step"])
    resumed = finished(folder)
    assert 4 < reached[1] < 48, "the second kill came too late to test anything"
    assert not list(folder.glob(".*.tmp"))
    for name, value in expected["weights"].items():
        assert value.equal(resumed["weights"][name]), f"{name} differs; killed at steps {reached}"
    assert [row["train_loss"] for row in expected["history"]["rows"]] == [
        row["train_loss"] for row in resumed["history"]["rows"]
    ]


def _changed(folder):
    path = folder / "last.safetensors"
    return path.stat().st_mtime_ns if path.exists() else None
