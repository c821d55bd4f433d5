"""Numbers that are not finite, or not of the model's kind: they reach no weights and no file, and are named."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from course_lib.training import CheckpointError, checkpoint, compare, fit, load_weights, predict


def steep(outputs, targets):
    """0, with a slope of infinity."""
    return (outputs * 0).sum().sqrt()


def run(folder=None, model=None, batches=3, **options):
    model = model or nn.Linear(4, 3)
    x = torch.randn(8, 4, dtype=model.weight.dtype), torch.randint(3, (8,))
    options = {"epochs": 1, "device": "cpu", "progress": False} | options
    return model, fit(model, [x] * batches, checkpoint_dir=folder, **options)


@pytest.mark.parametrize("clip_norm", [None, 1.0])
@pytest.mark.parametrize("batches", [1, 3])
@pytest.mark.parametrize("every", [None, 1])
def test_a_gradient_of_nan_is_named_and_never_written(tmp_path, clip_norm, batches, every):
    with pytest.raises(FloatingPointError, match=r"(norm is|weight \w+ is not finite|loss is).* epoch 1, step [12]"):
        run(tmp_path, batches=batches, loss=steep, clip_norm=clip_norm, checkpoint_every=every)
    assert not list(tmp_path.iterdir())


def test_clipping_leaves_the_weights_as_they_were_where_the_norm_is_none():
    model = nn.Linear(4, 3)
    before = model.weight.clone()
    with pytest.raises(FloatingPointError, match="the gradient's norm is nan at epoch 1, step 1"):
        run(model=model, loss=steep, clip_norm=1.0)
    assert torch.equal(model.weight, before)


@pytest.mark.parametrize("norm", ["1", [1.0], -0.0, math.nan])
def test_a_norm_is_one_number_above_0(norm):
    with pytest.raises(ValueError, match="clip_norm: expected a number above 0"):
        run(clip_norm=norm)


def test_weights_beyond_the_models_type_or_of_another_kind_are_refused(tmp_path):
    model = nn.Linear(4, 3)
    weights = checkpoint.weights_of(model.double())
    before = {name: value.clone() for name, value in model.float().state_dict().items()}
    weights["bias"][0] = 1e39
    for wrong, message in (
        (weights, "too large: bias"),
        (
            {"weight": weights["weight"], "bias": torch.zeros(3, dtype=torch.complex64)},
            "of another kind of number: bias",
        ),
        ({"weight": weights["weight"], "bias": torch.zeros(3, dtype=torch.long)}, "of another kind of number: bias"),
    ):
        checkpoint.save(tmp_path / "w.safetensors", {"weights": wrong})
        with pytest.raises(CheckpointError, match=message):
            load_weights(model, tmp_path / "w.safetensors")
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("first, second", [(torch.float32, torch.float64), (torch.float64, torch.bfloat16)])
def test_a_run_in_another_precision_is_another_run(tmp_path, first, second):
    run(tmp_path, nn.Linear(4, 3).to(first))
    other = nn.Linear(4, 3).to(second)
    before = other.weight.clone()
    with pytest.raises(CheckpointError, match=f"weights: its weight is of {first}, this run's of {second}"):
        run(tmp_path, other, epochs=2)
    assert torch.equal(other.weight, before)
    run(tmp_path, nn.Linear(4, 3).to(first), epochs=2)


def test_what_cannot_be_compared_is_named():
    with pytest.raises(ValueError, match="scores: expected real numbers, got complex128"):
        compare([1 + 1j, 2], [1, 2])
    for groups in ([1.0, np.nan, 2.0], [None, "a", "a"]):
        with pytest.raises(ValueError, match="groups: expected a label for each score, got NaN or None"):
            compare([1, 2, 3], [1, 2, 4], groups=groups)
    mixed = compare([1, 2, 3], [1, 2, 4], groups=[1, "a", "a"])
    assert mixed == compare([1, 2, 3], [1, 2, 4], groups=["1", "a", "a"])


def test_predict_reads_at_least_one_at_a_time():
    with pytest.raises(ValueError, match="batch_size: expected an integer of at least 1, got 0"):
        predict(nn.Linear(2, 2), np.zeros((3, 2)), batch_size=0)
