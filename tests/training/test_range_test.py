"""The learning-rate range test: the rates it tries, where it stops, and that it leaves nothing changed."""

import copy

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from course_lib.training import learning_rate_range

plain = torch.optim.SGD


class Parabola(nn.Module):
    """One weight at 1; with the loss below, gradient descent converges for rates under 2 / curvature only."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return x * self.w


def curvature(c):
    return lambda outputs, targets: 0.5 * c * outputs.square().mean()


@pytest.fixture
def ones():
    return [(torch.ones(4, 1), torch.zeros(4))]


def test_rates_grow_by_a_constant_factor_from_low_to_high(task):
    t = task()
    table = learning_rate_range(t.model, t.loader, low=1e-6, high=1e-3, steps=13, device="cpu")
    rates = torch.tensor(table.learning_rate.to_numpy())
    assert len(table) == 13
    torch.testing.assert_close(rates[[0, -1]], torch.tensor([1e-6, 1e-3], dtype=torch.float64))
    torch.testing.assert_close(rates[1:] / rates[:-1], torch.full((12,), 1000 ** (1 / 12), dtype=torch.float64))


def test_loss_falls_below_and_rises_above_two_over_the_curvature(ones):
    table = learning_rate_range(
        Parabola(), ones, low=0.19, high=1.0, steps=60, loss=curvature(8.0), optimizer=plain, device="cpu"
    )
    falls = table.loss[1:].to_numpy() < table.loss[:-1].to_numpy()
    rates = table.learning_rate[:-1].to_numpy()
    assert (falls == (rates < 2 / 8.0)).all() and falls.any() and not falls.all()
    smallest = table.smoothed.cummin()
    assert (table.smoothed[:-1] <= 4 * smallest[:-1]).all() and len(table) < 60  # it ended as soon as it was over
    assert table.smoothed.iloc[-1] > 4 * smallest.iloc[-1]


def test_losses_are_those_of_training_with_these_rates(task):
    t = task(dropout=0.0)
    table = learning_rate_range(t.model, [next(iter(t.loader))], low=0.01, high=0.5, steps=5, optimizer=plain)
    x, y = next(iter(task().loader))
    model = task(dropout=0.0).model
    for rate, loss in zip(table.learning_rate, table.loss, strict=True):
        value = nn.functional.cross_entropy(model(x), y)
        assert loss == pytest.approx(value.item(), rel=1e-5)
        grads = torch.autograd.grad(value, list(model.parameters()))
        with torch.no_grad():
            for p, g in zip(model.parameters(), grads, strict=True):
                p -= rate * g
    assert table.smoothed[0] == pytest.approx(table.loss[0])
    assert table.smoothed[1] == pytest.approx((0.9 * table.loss[0] + table.loss[1]) / 1.9, rel=1e-6)


def test_model_and_random_states_stay_as_they_were():
    torch.manual_seed(3)
    order = torch.Generator().manual_seed(4)
    model = nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.Dropout(0.5), nn.Linear(7, 3)).eval()
    loader = DataLoader(TensorDataset(torch.randn(20, 5), torch.arange(20) % 3), 6, shuffle=True, generator=order)
    before, default, own = copy.deepcopy(model.state_dict()), torch.get_rng_state(), order.get_state()
    first = learning_rate_range(model, loader, steps=9, device="cpu")
    assert torch.equal(torch.get_rng_state(), default) and torch.equal(order.get_state(), own)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not any(module.training for module in model.modules())
    assert all(p.grad is None for p in model.parameters())
    assert first.equals(learning_rate_range(model, loader, steps=9, device="cpu"))  # so it can be repeated


def test_frozen_parameters_are_left_out(task):
    t, seen = task(), []

    def optimizer(parameters):
        seen.extend(parameters)
        return plain(parameters)

    t.model[0].requires_grad_(False)
    learning_rate_range(t.model, t.loader, steps=2, optimizer=optimizer, device="cpu")
    assert [p.shape for p in seen] == [p.shape for p in t.model[3].parameters()]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"low": 0.0}, "low, high: expected 0 < low < high, got 0.0 and 1.0"),
        ({"low": 1.0, "high": 0.1}, "low, high"),
        ({"high": float("inf")}, "low, high"),
        ({"steps": 1}, "steps: expected an integer of at least 2, got 1"),
        ({"steps": 2.5}, "steps"),
        ({"stop": 1.0}, "stop: expected a number above 1"),
    ],
)
def test_bad_arguments_are_named(ones, options, message):
    with pytest.raises(ValueError, match=message):
        learning_rate_range(Parabola(), ones, loss=curvature(1.0), **options)


def test_empty_loader_and_a_loss_that_is_nan_from_the_start_are_named(ones):
    with pytest.raises(ValueError, match="loader: expected at least one batch"):
        learning_rate_range(Parabola(), [], loss=curvature(1.0))
    spoilt = [(torch.full((4, 1), torch.nan), torch.zeros(4))]
    with pytest.raises(ValueError, match="loss: expected a finite value at the lowest rate"):
        learning_rate_range(Parabola(), spoilt, loss=curvature(1.0))
