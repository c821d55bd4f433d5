"""AdamW with decay on matrices only."""

import torch
from torch import nn

from course_lib.training import adamw


def test_vectors_do_not_decay_and_matrices_do():
    model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    for parameter in model.parameters():
        nn.init.ones_(parameter)
        parameter.grad = torch.zeros_like(parameter)
    adamw(model.parameters(), lr=0.1, weight_decay=0.5).step()
    assert torch.allclose(model[0].weight, torch.tensor(0.95))
    for vector in (model[0].bias, model[1].weight, model[1].bias):
        assert torch.equal(vector, torch.ones_like(vector))


def test_a_model_of_one_kind_gives_one_group():
    assert len(adamw([nn.Parameter(torch.ones(3))]).param_groups) == 1
