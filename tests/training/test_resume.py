"""A run goes on only as itself: other optimisers, settings and schedules are refused, and leave the model as it was."""

import itertools
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, TensorDataset

from course_lib.data import FreshEvents
from course_lib.losses import VariationalLoss
from course_lib.training import (
    CheckpointError,
    SupervisedTrainer,
    adamw,
    checkpoint,
    cosine_with_warmup,
    fit,
    load_weights,
)

quiet = partial(fit, device="cpu", progress=False)
OPTIMISERS = {
    "AdamW": partial(torch.optim.AdamW, lr=0.01),
    "AdamW, another rate": partial(torch.optim.AdamW, lr=0.02),
    "AdamW, other betas": partial(torch.optim.AdamW, lr=0.01, betas=(0.9, 0.98)),
    "AdamW, another decay": partial(torch.optim.AdamW, lr=0.01, weight_decay=0.5),
    "AdamW, amsgrad": partial(torch.optim.AdamW, lr=0.01, amsgrad=True),
    "AdamW, two groups": partial(adamw, lr=0.01, betas=(0.9, 0.999), weight_decay=0.01),
    "Adam": partial(torch.optim.Adam, lr=0.01),
    "SGD": partial(torch.optim.SGD, lr=0.01),
    "SGD, momentum": partial(torch.optim.SGD, lr=0.01, momentum=0.9),
    "RMSprop": partial(torch.optim.RMSprop, lr=0.01),
    "Adagrad": partial(torch.optim.Adagrad, lr=0.01),
}
SCHEDULES = {
    "none": None,
    "cosine": cosine_with_warmup,
    "cosine, longer warm-up": partial(cosine_with_warmup, warmup=0.5),
    "cosine, higher end": partial(cosine_with_warmup, final=0.5),
    "steps": lambda optimizer, _: lr_scheduler.StepLR(optimizer, 2),
    "exponential": lambda optimizer, _: lr_scheduler.ExponentialLR(optimizer, 0.9),
    "exponential, faster": lambda optimizer, _: lr_scheduler.ExponentialLR(optimizer, 0.8),
    "one cycle": lambda optimizer, steps: lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=steps + 1),
}


def batches():
    chance = torch.Generator().manual_seed(0)
    return [(torch.randn(8, 5, generator=chance), torch.arange(8) % 3) for _ in range(4)]


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def run(folder, optimizer="AdamW", schedule="none", epochs=1, model=None, **options):
    torch.manual_seed(0)
    model = nn.Linear(5, 3) if model is None else model
    optimizer = OPTIMISERS[optimizer](model.parameters()) if isinstance(optimizer, str) else optimizer
    quiet(
        model,
        batches(),
        epochs=epochs,
        optimizer=optimizer,
        schedule=SCHEDULES[schedule],
        checkpoint_dir=folder,
        **options,
    )
    return model


@pytest.mark.parametrize("first", OPTIMISERS)
def test_another_optimiser_or_setting_is_refused(tmp_path, first):
    run(tmp_path, first)
    for other in OPTIMISERS.keys() - {first}:
        model = nn.Linear(5, 3)
        before, optimizer = state(model), OPTIMISERS[other](model.parameters())
        with pytest.raises(CheckpointError, match="does not fit this run: optimizer"):
            run(tmp_path, optimizer, epochs=2, model=model)
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        assert all(entry.get("step", 0) == 0 for entry in optimizer.state.values())  # as fresh as it was
        run(None, optimizer, model=model)
    run(tmp_path, first, epochs=2)


def test_another_schedule_is_refused(tmp_path):
    for first in SCHEDULES:
        run(tmp_path / first, schedule=first, epochs=2, checkpoint_every=3)
    for first, other in itertools.permutations(SCHEDULES, 2):
        model = nn.Linear(5, 3)
        before = state(model)
        with pytest.raises(CheckpointError, match="does not fit this run: .*schedule|initial_lr|betas"):
            run(tmp_path / first, schedule=other, epochs=2, model=model)
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    for first in SCHEDULES:
        run(tmp_path / first, schedule=first, epochs=2)


def test_more_epochs_go_on_where_the_past_stays_the_same(tmp_path):
    run(tmp_path / "steps", schedule="steps")
    run(tmp_path / "steps", schedule="steps", epochs=3)  # these rates do not depend on the number of steps
    run(tmp_path / "cosine", schedule="cosine")
    with pytest.raises(CheckpointError, match="schedule"):  # these do: the first epoch would have had others
        run(tmp_path / "cosine", schedule="cosine", epochs=3)


@pytest.mark.parametrize("damage", ["no optimizer", "no position", "another kind of file", "no best"])
def test_what_is_missing_is_a_checkpoint_error(tmp_path, damage):
    run(tmp_path, validation=batches())
    last = tmp_path / "last.safetensors"
    tree = checkpoint.load(last)
    if damage == "another kind of file":
        tree = {"weights": tree["weights"]}
    if damage == "no best":
        tree["position"]["epoch"] = 3  # the best epoch was not the last: its own file is needed
        (tmp_path / "best.safetensors").unlink()
    tree.pop(damage.removeprefix("no "), None)
    checkpoint.save(last, tree)
    model = nn.Linear(5, 3)
    before = state(model)
    with pytest.raises(CheckpointError, match=r"last\.safetensors does not fit this run"):
        run(tmp_path, epochs=4, model=model, validation=batches())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


class Stopped(Exception):
    pass


def stop_after(steps):
    left = iter(range(steps))

    def transform(*batch, generator):
        if next(left, None) is None:
            raise Stopped
        return batch if len(batch) > 1 else batch[0]

    return transform


class Counting(nn.Module):
    """A loss whose weight rises with every step, as an annealed one does."""

    def __init__(self):
        super().__init__()
        self.register_buffer("steps", torch.tensor(0))

    def forward(self, outputs, targets):
        self.steps += 1
        return self.steps / 10 * nn.functional.cross_entropy(outputs, targets)


@pytest.mark.parametrize("through", ["loss", "trainer"])
def test_the_state_of_a_loss_goes_on(tmp_path, through):
    def trained(folder, **options):
        torch.manual_seed(0)
        model = nn.Linear(5, 3)
        options |= {"checkpoint_dir": folder, "checkpoint_every": 1, "device": "cpu", "progress": False}
        if through == "loss":
            fit(model, batches(), epochs=3, loss=Counting(), optimizer=OPTIMISERS["SGD"], **options)
        else:
            SupervisedTrainer(model, Counting(), OPTIMISERS["SGD"](model.parameters())).fit(batches(), 3, **options)
        return model.weight

    expected = trained(None)
    for stop in (1, 4, 6):
        with pytest.raises(Stopped):
            trained(tmp_path / str(stop), train_transform=stop_after(stop))
        assert torch.equal(trained(tmp_path / str(stop)), expected), stop


def test_the_variational_loss_has_a_state_to_keep():
    loss = VariationalLoss()
    assert "steps" in loss.state_dict()


def test_fresh_events_go_on_with_windows_not_seen():
    options = {"seq_len": 200, "statistics": (np.zeros(6), np.ones(6))}
    whole = FreshEvents(2, 3, seed=5, **options)
    passes = [[batch.x for batch in whole] for _ in range(3)]
    first, other = FreshEvents(2, 3, seed=5, **options), FreshEvents(2, 3, seed=5, **options)
    list(first)
    other.load_state_dict(first.state_dict())
    for expected in passes[1:]:
        for batch, x in zip(other, expected, strict=True):
            assert torch.equal(batch.x, x)


def test_a_run_on_fresh_batches_ends_as_if_never_stopped(tmp_path):
    def trained(folder, **options):
        torch.manual_seed(0)
        model = nn.Linear(6, 1)
        loader = FreshEvents(3, 2, seed=5, seq_len=200, statistics=(np.zeros(6), np.ones(6)))

        def step(network, batch):
            if options and not next(steps, 0):
                raise Stopped
            return network(batch.x).square().mean()

        steps = iter([1] * options.get("stop", 0))
        quiet(
            model,
            loader,
            epochs=3,
            training_step=step,
            optimizer=OPTIMISERS["SGD"],
            checkpoint_dir=folder,
            checkpoint_every=1,
        )
        return model.weight

    expected = trained(None)
    for stop in (2, 3, 7):
        with pytest.raises(Stopped):
            trained(tmp_path / str(stop), stop=stop)
        assert torch.equal(trained(tmp_path / str(stop)), expected), stop


def test_names_of_tensors_count(tmp_path):
    path = tmp_path / "tree.safetensors"
    checkpoint.save(path, {"weights": {"first": torch.zeros(2), "other": torch.zeros(2)}})
    whole = path.read_bytes()
    for damaged in (whole.replace(b"weights/first", b"weights/forst"), whole.replace(b'"F32"', b'"I32"')):
        assert damaged != whole
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            checkpoint.load(path)


def test_places_that_look_alike_are_kept_apart(tmp_path):
    a, b, c, d = (torch.full((2,), float(i)) for i in range(4))
    tree = {1: a, "1": b, "x/y": c, "x": {"y": d, "z": np.arange(3)}, "x/z": [a]}
    checkpoint.save(tmp_path / "tree", tree)
    back = checkpoint.load(tmp_path / "tree")
    assert [back[1][0], back["1"][0], back["x/y"][0], back["x"]["y"][0], back["x/z"][0][0]] == [0, 1, 2, 3, 0]
    assert (back["x"]["z"] == np.arange(3)).all()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(5, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.body(x))


@pytest.mark.parametrize("part", [False, True])
def test_compiled_and_plain_models_read_each_others_checkpoints(tmp_path, part):
    def compiled(model):
        if not part:
            return torch.compile(model, backend="eager")
        model.body = torch.compile(model.body, backend="eager")
        return model

    torch.manual_seed(1)
    for folder, make, read in (("a", compiled, lambda m: m), ("b", lambda m: m, compiled), ("c", compiled, compiled)):
        model = make(Net())
        quiet(
            model,
            batches(),
            epochs=1,
            validation=batches(),
            checkpoint_dir=tmp_path / folder,
            restore_best=True,
            average_decay=0.5,
        )
        for name in ("last", "best"):
            other = read(Net())
            load_weights(other, tmp_path / folder / f"{name}.safetensors")
        x = torch.randn(2, 5)
        torch.testing.assert_close(other.eval()(x), model.eval()(x))
        quiet(
            read(Net()), batches(), epochs=2, validation=batches(), checkpoint_dir=tmp_path / folder, average_decay=0.5
        )


def test_weights_that_do_not_fit_are_named_and_change_nothing(tmp_path):
    checkpoint.save(tmp_path / "w", {"weights": {"weight": torch.ones(3, 5), "gain": torch.ones(3)}})
    model = nn.Linear(5, 3)
    before = state(model)
    with pytest.raises(CheckpointError, match="does not fit this Linear: missing: bias; left over: gain"):
        load_weights(model, tmp_path / "w")
    checkpoint.save(tmp_path / "w", {"weights": {"weight": torch.ones(3, 5), "bias": torch.ones(2)}})
    with pytest.raises(CheckpointError, match="of another shape: bias"):
        load_weights(model, tmp_path / "w")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with pytest.raises(CheckpointError, match="does not fit"):
        checkpoint.save(tmp_path / "w", {"weights": [torch.ones(3, 5)]})
        load_weights(model, tmp_path / "w")


def test_workers_draw_their_batches_again(tmp_path):
    """Worker processes that end with their epoch take their seeds from the loader's generator, which is kept."""
    x = torch.arange(32.0)[:, None].expand(32, 5)

    def trained(folder, stop=None):
        torch.manual_seed(0)
        model = nn.Linear(5, 3)
        loader = DataLoader(
            TensorDataset(x, torch.arange(32) % 3),
            8,
            shuffle=True,
            num_workers=1,
            generator=torch.Generator().manual_seed(1),
        )
        options = {} if stop is None else {"train_transform": stop_after(stop)}
        quiet(
            model, loader, epochs=2, optimizer=OPTIMISERS["SGD"], checkpoint_dir=folder, checkpoint_every=1, **options
        )
        return model.weight

    expected = trained(None)
    with pytest.raises(Stopped):
        trained(tmp_path, stop=6)
    assert torch.equal(trained(tmp_path), expected)
