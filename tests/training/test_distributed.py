"""Two processes under torch.distributed.run train as one process does on the same global batches."""

import json
import os
import socket
import subprocess
import sys
import textwrap

import pytest
import torch

from course_lib.training.device import World, deal

SCRIPT = textwrap.dedent(
    """
    import json, os, sys
    from functools import partial
    from pathlib import Path
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset
    from course_lib.training import cosine_with_warmup, fit

    folder = Path(sys.argv[1])
    rank = os.environ.get("RANK", "alone")

    class Log:
        rows = []
        def log(self, metrics, step): self.rows.append(metrics)

    def run(name, samples=41, epochs=2, dropout=0.0, own_order=True, stop=None, **options):
        torch.manual_seed(3)                                   # 41 = 5 * 8 + 1: the last batch leaves a rank without
        x = torch.randn(samples, 5)
        data = TensorDataset(x, (x[:, 0] > 0).long())
        model = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Dropout(dropout), nn.Linear(7, 2))
        order = torch.Generator().manual_seed(1) if own_order else None
        loader = DataLoader(data, 8, shuffle=True, generator=order)
        gradients, steps = [], iter(range(10_000))
        def transform(x, y, generator):
            if next(steps) == stop: raise InterruptedError
            return x, y
        def adam(parameters):
            made = torch.optim.Adam(parameters, lr=0.05)
            made.register_step_pre_hook(lambda *_: gradients.append([p.grad.clone() for p in parameters]))
            return made
        history = fit(model, loader, epochs=epochs, validation=DataLoader(data, 16), optimizer=adam, clip_norm=0.5,
                      schedule=cosine_with_warmup, device="cpu", train_transform=transform, tracker=Log(), **options)
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in history.rows]
        torch.save({"weights": model.state_dict(), "gradients": gradients, "rows": rows}, folder / f"{name}-{rank}.pt")

    run("plain", progress=True)
    logged = len(Log.rows)
    run("default order", own_order=False, progress=False)
    if rank != "alone":
        run("dropout", dropout=0.5, progress=False, generator=torch.Generator().manual_seed(2))
        interrupted = dict(dropout=0.5, progress=False, generator=torch.Generator().manual_seed(2),
                           checkpoint_dir=folder / "checkpoints", checkpoint_every=2)
        try:
            run("stopped", stop=9, **interrupted)
        except InterruptedError:
            pass
        interrupted["generator"].manual_seed(2)
        run("resumed", **interrupted)
        (folder / f"logged-{rank}.json").write_text(json.dumps(logged))
    """
)


def launch(folder, processes):
    script = folder / "script.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), str(folder)]
    if processes > 1:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        run = ["-m", "torch.distributed.run", f"--nproc_per_node={processes}", "--master_addr=127.0.0.1"]
        command[1:1] = [*run, f"--master_port={port}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stderr


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    if not torch.distributed.is_available() or sys.platform == "win32":
        pytest.skip("torch.distributed is not there")
    folder = tmp_path_factory.mktemp("distributed")
    launch(folder, 1)
    errors = launch(folder, 2)
    found = {path.stem: torch.load(path, weights_only=True) for path in folder.glob("*.pt")}
    found["logged"] = [json.loads((folder / f"logged-{rank}.json").read_text()) for rank in (0, 1)]
    found["errors"] = errors
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain", "default order"])
@pytest.mark.parametrize("rank", [0, 1])
def test_gradients_weights_and_history_equal_one_process(runs, name, rank):
    alone, ours = runs[f"{name}-alone"], runs[f"{name}-{rank}"]
    assert len(ours["gradients"]) == len(alone["gradients"]) == 12
    for step, (expected, gradients) in enumerate(zip(alone["gradients"], ours["gradients"], strict=True)):
        for e, g in zip(expected, gradients, strict=True):
            torch.testing.assert_close(g, e, atol=1e-6, rtol=1e-4, msg=lambda m, step=step: f"step {step}: {m}")
    for key, expected in alone["weights"].items():
        torch.testing.assert_close(ours["weights"][key], expected, atol=1e-5, rtol=1e-4)
    for expected, row in zip(alone["rows"], ours["rows"], strict=True):
        assert row == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_dropout_differs_between_ranks_but_weights_do_not(runs):
    first, second = runs["dropout-0"], runs["dropout-1"]
    for key, value in first["weights"].items():
        assert torch.equal(value, second["weights"][key])
    assert first["rows"] == second["rows"]


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_resumed_run_ends_as_one_that_ran_through(runs, rank):
    for key, value in runs[f"dropout-{rank}"]["weights"].items():
        assert torch.equal(value, runs[f"resumed-{rank}"]["weights"][key])
    assert runs[f"resumed-{rank}"]["rows"] == runs[f"dropout-{rank}"]["rows"]


@pytest.mark.slow
def test_only_rank_0_logs_and_shows_progress(runs):
    assert runs["logged"] == [2, 0]
    assert runs["errors"].count("epoch 1/2:   0%") == 1


def test_batches_that_cannot_be_dealt_out_are_refused(task):
    with pytest.raises(TypeError, match="expected a batching DataLoader with indices, got list"):
        next(deal(list(task().loader), World(0, 2, torch.device("cpu"))))
