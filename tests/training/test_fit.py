"""The loop does what a loop written by hand does, keeps what it is asked to keep, and says what is wrong."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from course_lib.training import cosine_with_warmup, fit, predict

quiet = partial(fit, device="cpu", progress=False)


def weights(model):
    return nn.utils.parameters_to_vector(model.parameters()).detach().clone()


def test_fit_equals_a_loop_written_by_hand(task):
    mine, theirs = task(), task()
    total = 3 * len(mine.loader)

    torch.manual_seed(5)
    optimizer = torch.optim.Adam(mine.model.parameters(), lr=0.01)
    schedule = cosine_with_warmup(optimizer, total)
    mine.model.train()
    for _ in range(3):
        for x, y in mine.loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(mine.model(x), y).backward()
            nn.utils.clip_grad_norm_(mine.model.parameters(), 0.5)
            optimizer.step()
            schedule.step()

    torch.manual_seed(5)
    adam = partial(torch.optim.Adam, lr=0.01)
    quiet(theirs.model, theirs.loader, epochs=3, optimizer=adam, schedule=cosine_with_warmup, clip_norm=0.5)
    assert torch.equal(weights(mine.model), weights(theirs.model))


def test_history_holds_means_over_samples_not_over_batches(task):
    t = task(dropout=0.0)
    still = torch.optim.SGD(t.model.parameters(), lr=0.0)
    table = quiet(t.model, t.loader, epochs=2, validation=t.validation, optimizer=still).table
    logits = torch.from_numpy(predict(t.model, t.x, device="cpu"))
    loss = nn.functional.cross_entropy(logits, t.y).item()
    accuracy = (logits.argmax(1) == t.y).float().mean().item()
    assert list(table.epoch) == [1, 2]
    for name in ("train", "validation"):  # 37 samples in batches of 8: the last one is short
        np.testing.assert_allclose(table[f"{name}_loss"], loss, rtol=1e-6)
        np.testing.assert_allclose(table[f"{name}_accuracy"], accuracy, rtol=1e-6)
    assert {"learning_rate", "seconds"} <= set(table)


def test_best_and_last_are_kept_apart(task):
    t = task()
    history = quiet(t.model, t.loader, epochs=6, validation=t.validation, optimizer=partial(torch.optim.SGD, lr=3.0))
    table = history.table
    assert history.best_epoch == table.epoch[table.validation_loss.idxmin()] < 6  # the rate is far too high
    assert history.best_value == table.validation_loss.min()
    last = weights(t.model)
    t.model.load_state_dict(history.best_weights)
    assert not torch.equal(weights(t.model), last)
    logits = torch.from_numpy(predict(t.model, t.x, device="cpu"))
    assert nn.functional.cross_entropy(logits, t.y).item() == pytest.approx(history.best_value, rel=1e-5)


def test_restore_best_leaves_the_best_weights(task):
    t = task()
    sgd = partial(torch.optim.SGD, lr=3.0)
    history = quiet(t.model, t.loader, epochs=6, validation=t.validation, optimizer=sgd, restore_best=True)
    for name, value in t.model.state_dict().items():
        assert torch.equal(value, history.best_weights[name])


def test_a_measure_that_grows_is_best_at_its_largest(task):
    t = task()
    values = iter([0.2, 0.9, 0.9, 0.5])
    history = quiet(t.model, t.loader, epochs=4, monitor="macro_f1", callback=lambda *_: {"macro_f1": next(values)})
    assert (history.best_epoch, history.best_value) == (2, 0.9)  # a tie is not better


def test_early_stopping_waits_for_its_patience(task):
    t = task()
    values = iter([3.0, 2.0, 2.5, math.nan, 2.1, 0.0])
    history = quiet(
        t.model, t.loader, epochs=6, monitor="my_loss", early_stopping=3, callback=lambda *_: {"my_loss": next(values)}
    )
    assert len(history) == 5 and history.stopped_early and history.best_epoch == 2


def test_callback_comes_every_n_epochs_in_evaluation_mode(task):
    t = task()
    seen = []
    quiet(t.model, t.loader, epochs=5, callback=lambda e, m, h: seen.append((e, m.training, len(h))), every_n_epochs=2)
    assert seen == [(2, False, 1), (4, False, 3)]


def test_training_step_may_return_named_measures(task):
    t = task()

    def step(model, batch):
        x, _ = batch
        rebuilt = model[0](x) @ model[0].weight
        return {"loss": ((rebuilt - x) ** 2).mean(), "size": rebuilt.abs().mean()}

    table = quiet(t.model, t.loader, epochs=4, validation=t.validation, training_step=step).table
    assert {"train_size", "validation_size", "validation_loss"} <= set(table) and "train_accuracy" not in table
    assert table.train_loss.iloc[-1] < table.train_loss.iloc[0]


def test_train_transform_changes_training_only_and_soft_targets_are_understood(task):
    t = task()

    def one_class(x, y, generator):
        assert generator is own
        return torch.zeros_like(x), nn.functional.one_hot(torch.zeros_like(y), 3).float()

    own = torch.Generator().manual_seed(0)
    table = quiet(
        t.model, t.loader, epochs=30, validation=t.validation, train_transform=one_class, generator=own,
        optimizer=partial(torch.optim.Adam, lr=0.05),
    ).table  # fmt: skip
    assert table.train_accuracy.iloc[-1] == 1.0 and table.validation_accuracy.iloc[-1] < 0.9


def test_loss_and_metrics_can_be_replaced_and_regression_has_no_accuracy():
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    loader = DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), 5)
    metrics = {"worst": lambda outputs, targets: (outputs - targets).abs().max()}
    history = quiet(nn.Linear(3, 1), loader, epochs=2, loss=nn.functional.mse_loss, metrics=metrics)
    assert {"train_loss", "train_worst"} <= set(history.table)
    assert "train_accuracy" not in quiet(nn.Linear(3, 1), loader, epochs=1, loss=nn.functional.mse_loss).table


def test_every_submodule_keeps_its_mode(task):
    t = task()
    t.model.eval()
    t.model[2].train()
    quiet(t.model, t.loader, epochs=1, validation=t.validation)
    assert [module.training for module in t.model] == [False, False, True, False]
    with pytest.raises(ValueError, match="expected batches"):
        quiet(t.model, [t.x], epochs=1)
    assert not t.model.training and t.model[2].training


def test_a_generator_makes_the_run_repeatable_and_leaves_global_state_alone(task):
    ends = []
    for global_seed in (1, 2):
        t = task()
        torch.manual_seed(global_seed)
        before = torch.get_rng_state()
        quiet(t.model, t.loader, epochs=2, generator=torch.Generator().manual_seed(7))
        assert torch.equal(torch.get_rng_state(), before)
        ends.append(weights(t.model))
    assert torch.equal(*ends)


def test_schedule_warms_up_and_follows_half_a_cosine():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule = cosine_with_warmup(optimizer, 110, warmup=10 / 110, final=0.1)
    rates = []
    for _ in range(110):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    np.testing.assert_allclose(rates[:10], 0.2 * np.arange(1, 11))
    progress = np.arange(100) / 99
    np.testing.assert_allclose(rates[10:], 2.0 * (0.1 + 0.9 * (1 + np.cos(np.pi * progress)) / 2))


def test_bfloat16_autocast_trains_with_float32_weights(task):
    t = task()
    seen = []
    t.model[0].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    table = quiet(t.model, t.loader, epochs=15, amp="bf16", optimizer=partial(torch.optim.Adam, lr=0.02)).table
    assert set(seen) == {torch.bfloat16} and t.model[0].weight.dtype == torch.float32
    assert table.train_loss.iloc[-1] < 0.7 * table.train_loss.iloc[0]


def test_predict_keeps_order_and_mode_for_arrays_and_loaders(task):
    t = task()
    t.model.train()
    expected = t.model.eval()(t.x).detach().numpy()
    t.model.train()
    frozen = t.x.numpy().copy()
    frozen.setflags(write=False)  # as a read-only memory map
    for data in (t.x, frozen, t.validation):
        np.testing.assert_allclose(predict(t.model, data, device="cpu", batch_size=10), expected, rtol=1e-5, atol=1e-6)
    assert t.model.training and t.model[2].training


def test_progress_bar_counts_steps(task, capsys):
    t = task()
    fit(t.model, t.loader, epochs=2, device="cpu")
    assert "10/10" in capsys.readouterr().err
