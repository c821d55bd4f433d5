"""What goes into fit and predict: number types, rates in tensors, norms, lonely samples, windows of unequal weight."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from course_lib.training import cross_validate, fit, predict, truncated_step

quiet = partial(fit, device="cpu", progress=False)


@pytest.mark.parametrize("norm", [0, 0.0, -1.0, math.nan, -math.inf])
def test_a_norm_that_is_not_above_zero_is_refused(task, norm):
    t = task()
    before = t.model[0].weight.clone()
    with pytest.raises(ValueError, match="^clip_norm: .*above 0.*got"):
        quiet(t.model, t.loader, epochs=1, clip_norm=norm)
    assert torch.equal(t.model[0].weight, before)
    quiet(t.model, t.loader, epochs=1, clip_norm=1e-9)


@pytest.mark.parametrize("schedule", [None, lambda o, _: torch.optim.lr_scheduler.StepLR(o, 1, gamma=0.5)])
def test_rates_in_tensors_are_recorded_like_numbers(task, schedule, tmp_path):
    tables = []
    for place, rate in enumerate((float, torch.tensor)):
        for _ in range(2):  # the second call finds the first one's checkpoint
            t = task(dropout=0.0)
            optimizer = torch.optim.AdamW(t.model.parameters(), lr=rate(0.01))
            options = {"schedule": schedule, "checkpoint_dir": tmp_path / str(place)}
            history = quiet(t.model, t.loader, epochs=2, optimizer=optimizer, **options)
        tables.append(history.table["learning_rate"])
        assert all(isinstance(value, float) for value in tables[-1])
    np.testing.assert_allclose(*tables, rtol=1e-6)


TYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


@pytest.mark.parametrize("given", TYPES)
@pytest.mark.parametrize("own", TYPES[:3])
def test_predict_takes_numbers_of_any_type(given, own):
    torch.manual_seed(0)
    model, x = nn.Linear(5, 3).to(own), torch.randn(7, 5)
    expected = predict(model.float(), x, device="cpu")
    model.to(own)
    found = predict(model, x.to(given), device="cpu")
    assert found.dtype == (np.float64 if own == torch.float64 else np.float32)
    np.testing.assert_allclose(found, expected, atol=0.05)
    loader = [(x.to(given), torch.zeros(7))]
    np.testing.assert_array_equal(predict(model, loader, device="cpu"), found)
    if given in (torch.float64, torch.float32):
        np.testing.assert_array_equal(predict(model, x.to(given).numpy(), device="cpu"), found)


@pytest.mark.parametrize("given", TYPES)
def test_fit_takes_numbers_of_any_type(task, given):
    t = task()
    x = t.x.to(given)
    history = quiet(t.model, DataLoader(TensorDataset(x, t.y), 8), epochs=2, validation=[(x, t.y)])
    assert np.isfinite(history.table["validation_loss"]).all()
    assert t.model[0].weight.dtype == torch.float32


def test_a_number_beyond_the_models_type_is_named_not_infinite(task):
    t = task()
    x = t.x.double()
    x[0, 0] = 1e39
    with pytest.raises(ValueError, match="inputs: .*float32.*1e\\+39"):
        predict(t.model, x, device="cpu")
    with pytest.raises(ValueError, match="inputs: "):
        quiet(t.model, DataLoader(TensorDataset(x, t.y), 37), epochs=1)
    x[0, 0] = math.inf
    assert not np.isfinite(predict(t.model, x, device="cpu")).all()  # infinity was there: it is the caller's


def test_whole_numbers_stay_whole():
    tokens = torch.randint(10, (4, 6))
    assert predict(nn.Embedding(10, 3), tokens, device="cpu").shape == (4, 6, 3)


def test_windows_weigh_by_the_steps_that_count():
    """One window of 1 step right and one of 10 steps wrong: 1 of 11, not 1 of 2."""

    class Says(nn.Module):
        def __init__(self):
            super().__init__()
            self.bias = nn.Parameter(torch.zeros(2))

        def forward(self, inputs, first):
            return torch.nn.functional.one_hot(inputs, 2).float() * 10 + self.bias

    short, long = torch.full((1, 10), -100), torch.zeros(1, 10, dtype=torch.long)
    short[0, 0] = 1
    ones, first = torch.ones(1, 10, dtype=torch.long), torch.tensor([True])
    batches = [(ones, short, first), (ones, long, first)]
    still = partial(torch.optim.SGD, lr=0.0)
    row = quiet(Says(), batches, epochs=1, training_step=truncated_step(), validation=batches, optimizer=still).rows[0]
    assert row["train_accuracy"] == row["validation_accuracy"] == pytest.approx(1 / 11)
    assert row["train_loss"] == pytest.approx(10 * 10 / 11, rel=1e-3) and "train_samples" not in row


def normed(samples=17, batch=8, **options):
    x, y = torch.randn(samples, 5), torch.arange(samples) % 2
    model = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    return quiet(model, DataLoader(TensorDataset(x, y), batch, **options), epochs=1)


def test_a_last_batch_of_one_sample_says_what_helps():
    with pytest.raises(ValueError) as caught:
        normed()
    assert "drop_last=True" in "".join(caught.value.__notes__)
    assert len(normed(drop_last=True)) == len(normed(samples=18)) == 1


@pytest.mark.parametrize("samples", [33, 34, 36])
def test_cross_validation_leaves_no_sample_alone(samples):
    """Folds of batches that leave one sample over train with BatchNorm, and every sample is predicted."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(samples, 5)), np.arange(samples) % 2
    folds = (np.arange(samples) >= 17).astype(int)  # one fold of 17: 8 + 8 + 1
    found = cross_validate(
        lambda: nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)),
        x, y, folds=folds, epochs=1, batch_size=8, device="cpu", progress=False,
    )  # fmt: skip
    assert found.tested.all() and np.isfinite(found.logits).all()
