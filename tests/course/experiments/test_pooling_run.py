"""The recorded run of notebook 09: its heads, and what it makes of clips that came out right."""

import numpy as np
import pytest
import torch

from course_lib.course.experiments import pooling
from course_lib.models import CLSPooling, PooledClassifier
from course_lib.models.small_classifiers import HEADS


@pytest.mark.parametrize("head", HEADS)
def test_every_head_makes_logits_that_all_parameters_act_on(head):
    torch.manual_seed(0)
    model = pooling.make_model(head)
    logits = model(torch.randn(3, 64, 17))
    assert logits.shape == (3, 10)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_cls_pooling_shows_weights_over_the_steps():
    head = CLSPooling(8, num_heads=2).eval()
    x = torch.randn(3, 5, 8)
    pooled, weights = head(x, return_weights=True)
    assert pooled.shape == (3, 8) and weights.shape == (3, 2, 5)
    assert ((weights > 0) & (weights.sum(-1, keepdim=True) < 1)).all()  # the token keeps a part for itself
    torch.testing.assert_close(pooled, head(x))


def test_unknown_head_is_named():
    with pytest.raises(ValueError, match="head: expected one of mean, max, .*, got 'median'"):
        PooledClassifier(torch.nn.Identity(), "median", 8, 3)


def test_heads_are_compared_clip_by_clip_and_a_recording_counts_once(clips):
    def cell(right: np.ndarray) -> dict:
        return {"seconds": 2.0, "accuracy": float(right.mean()), "right": right.astype(float).tolist()}

    found = {"mean": [cell(np.arange(50) < 20)], "CLS": [cell(np.arange(50) < 30)]}  # two clips of a recording each
    rows = {row["measure"]: row for row in pooling.rows(found, clips)}
    assert rows["CLS: accuracy"]["value"] == 0.6 and "mean: gain over the mean" not in rows
    gain = rows["CLS: gain over the mean"]
    assert gain["value"] == pytest.approx(0.2)
    of_recordings = np.repeat([0.0, 1.0, 0.0], [10, 5, 10])
    assert gain["standard_error"] == pytest.approx(of_recordings.std(ddof=1) / 25**0.5, abs=1e-4)
