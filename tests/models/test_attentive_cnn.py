"""The attentive CNN: shapes, weights, errors."""

import pytest
import torch
from torch import nn

from course_lib.models import AttentiveCNN


def test_logits_and_weights():
    model = AttentiveCNN(num_classes=7).eval()
    logits, weights = model(torch.randn(3, 64, 50), return_weights=True)
    assert logits.shape == (3, 7) and weights.shape == (3, 1, 7)  # 50 frames, an eighth of them rounded up
    torch.testing.assert_close(weights.sum(2), torch.ones(3, 1))
    torch.testing.assert_close(model(torch.zeros(1, 64, 50)).shape, torch.Size([1, 7]))


def test_size():
    assert sum(p.numel() for p in AttentiveCNN().parameters()) == pytest.approx(0.32e6, rel=0.02)


def test_features_of_your_own():
    model = AttentiveCNN(2, embed_dim=4, features=nn.Linear(3, 4))
    model(torch.randn(5, 6, 3)).sum().backward()
    assert model.features.weight.grad.abs().sum() > 0


def test_no_item_depends_on_its_batch_mates_in_evaluation():
    model = AttentiveCNN().eval()
    x = torch.randn(4, 64, 33)
    torch.testing.assert_close(model(x)[:1], model(x[:1]), atol=1e-5, rtol=1e-4)


def test_errors():
    with pytest.raises(ValueError, match="num_classes: expected at least 2, got 1"):
        AttentiveCNN(1)
    with pytest.raises(ValueError, match="expected \\(B, 64, frames\\)"):
        AttentiveCNN()(torch.zeros(1, 40, 50))
