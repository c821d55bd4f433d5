"""The recorded run of notebook 09 on a handful of made-up clips: what it writes, how it resumes, its heads."""

import argparse

import numpy as np
import pytest
import torch

from course_lib.course.experiments import pooling, results
from course_lib.models import CLSPooling, PooledClassifier


def test_run_compares_heads_clip_by_clip_and_keeps_what_it_measured(clips, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(pooling, "load_esc10", lambda **_: clips)
    monkeypatch.setattr(pooling, "SAMPLE_RATE", clips.sample_rate)
    right = {"mean": np.arange(50) < 20, "CLS": np.arange(50) < 30}
    calls = []

    def measure(x, data, head, seed):
        calls.append(head)
        return {"right": right[head].tolist(), "seconds": 2.0}

    monkeypatch.setattr(pooling, "_measure", measure)
    arguments = argparse.Namespace(seeds=[0], heads=["mean", "CLS"], command="")
    pooling.run(arguments)
    pooling.run(arguments)
    assert calls == ["mean", "CLS"]
    table = results.read("pooling").set_index("measure")
    assert table.loc["mean: accuracy", "value"] == 0.4 and table.loc["CLS: accuracy", "value"] == 0.6
    assert table.loc["CLS: gain over the mean", "value"] == pytest.approx(0.2)
    assert table.loc["CLS: gain over the mean", "std"] == pytest.approx(0.4041 / 50**0.5, abs=1e-3)
    assert "mean: gain over the mean" not in table.index
    assert table.loc["CLS: parameters", "value"] > table.loc["mean: parameters", "value"]


@pytest.mark.parametrize("head", pooling.HEADS)
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
