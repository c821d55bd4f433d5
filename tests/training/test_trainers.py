"""The three trainers: what each hands to model and loss, over the one fit."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from course_lib.training import ContrastiveTrainer, SupervisedTrainer, UnsupervisedTrainer, fit

QUIET = {"progress": False, "device": "cpu"}


class Batch(NamedTuple):
    x: Tensor
    lengths: Tensor
    labels: Tensor
    timings: Tensor


class Pair(nn.Module):
    """Returns its input times a weight, twice."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x, lengths=None):
        return self.weight * x, self.weight * x


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)


def test_events_reach_the_loss_entry_by_entry():
    batch = Batch(torch.ones(2, 3), torch.tensor([3, 2]), torch.zeros(2), torch.ones(2))
    model, seen = Pair(), []

    def loss(*arguments):
        seen.append(arguments)
        return {"loss": arguments[0].mean(), "total": arguments[0].mean()}

    history = SupervisedTrainer(model, loss, sgd(model)).fit([batch], num_epochs=2, **QUIET)
    assert len(history.table) == 2 and history.table["train_loss"][0] == 1
    assert len(seen[0]) == 5
    assert torch.equal(seen[0][2], batch.labels) and torch.equal(seen[0][4], batch.lengths)
    assert model.weight.item() == pytest.approx(0.8)


def test_pairs_train_as_with_fit():
    batches = [(torch.randn(4, 3), torch.tensor([0, 1, 2, 0]))]
    trained = []
    for through in ("trainer", "fit"):
        model = nn.Linear(3, 3)
        nn.init.eye_(model.weight)
        nn.init.zeros_(model.bias)
        if through == "trainer":
            SupervisedTrainer(model, nn.CrossEntropyLoss(), sgd(model)).fit(batches, num_epochs=3, **QUIET)
        else:
            fit(model, batches, loss=nn.CrossEntropyLoss(), optimizer=sgd(model), epochs=3, **QUIET)
        trained.append(model.weight)
    torch.testing.assert_close(*trained)


@pytest.mark.parametrize("with_lengths", [False, True])
def test_reconstructions_are_held_against_their_input(with_lengths):
    x, lengths = torch.ones(2, 3), torch.tensor([3, 2])
    model = Pair()

    def loss(first, second, target, given):
        assert torch.equal(target, x) and (given is None) != with_lengths
        return (first + second - target).square().mean()

    batch = (x, lengths) if with_lengths else x
    UnsupervisedTrainer(model, loss, sgd(model)).fit([batch], **QUIET)
    assert model.weight.item() < 1


def test_what_does_not_fit_is_named():
    model = Pair()
    trainer = UnsupervisedTrainer(model, lambda *a: a[0].mean(), sgd(model))
    with pytest.raises(ValueError, match=r"batches x or \(x, lengths\), got"):
        trainer.fit([[torch.ones(2, 3)]], **QUIET)  # as a DataLoader over a TensorDataset gives them
    with pytest.raises(ValueError, match="num_epochs: expected an integer of at least 1, got 0"):
        trainer.fit([torch.ones(2, 3)], num_epochs=0, **QUIET)
    assert len(trainer.fit([torch.ones(2, 3)], num_epochs=np.int64(2), **QUIET)) == 2


def test_views_are_compared_by_the_models_own_loss_or_a_given_one():
    batch = torch.ones(2, 3), torch.zeros(2, 3), torch.tensor([3, 3])
    model = Pair()
    with pytest.raises(TypeError, match="Pair has no loss of its own"):
        ContrastiveTrainer(model, sgd(model))
    ContrastiveTrainer(model, sgd(model), lambda a, b: (a[0] - b[0]).mean()).fit([batch], **QUIET)
    assert model.weight.item() == pytest.approx(0.9)
    with pytest.raises(ValueError, match="first, second, lengths"):
        ContrastiveTrainer(model, sgd(model), lambda a, b: a).fit([torch.ones(2, 3)], **QUIET)
