"""The recorded run of notebook 08: its task, its variants, the table that it writes."""

import argparse

import pytest
import torch

from course_lib.course.experiments import multi_scale, results


def test_windows_hold_two_clicks_at_the_stated_gap_away_from_the_edges():
    x, wide = multi_scale.gap_batch(200, torch.Generator().manual_seed(0))
    assert x.shape == (200, 192, 1) and set(wide.tolist()) == {0, 1}
    click = multi_scale.CLICK
    match = torch.nn.functional.conv1d(x.transpose(1, 2), click[None, None])[:, 0]  # (B, T - 2)
    for row, gap in zip(match, torch.tensor(multi_scale.GAPS)[wide], strict=True):
        together = row[: -int(gap)] + row[int(gap) :]
        first = int(together.argmax())
        assert together[first] > 2.5
        # noise may move the best place by two samples
        assert multi_scale.EDGE - 2 <= first and first + gap < multi_scale.LENGTH - multi_scale.EDGE + 2


def test_only_the_dilated_network_sees_a_whole_gap():
    spans = {}
    for name, options in multi_scale.VARIANTS.items():
        first, last = multi_scale.gap_classifier(**{**options, "squeeze": False}).features.receptive_field
        spans[name] = last - first + 1
    assert spans["no dilation"] < min(multi_scale.GAPS)
    assert all(span > max(multi_scale.GAPS) for name, span in spans.items() if name != "no dilation")


def test_run_writes_a_row_as_soon_as_it_is_done(monkeypatch, tmp_path):
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setattr(multi_scale, "VARIANTS", {"separable": {"separable": True}})
    multi_scale.run(argparse.Namespace(seeds=[0, 1], steps=2, command="python -m course_lib measure multi_scale"))
    table = results.read("multi_scale").set_index("measure")
    scores = [multi_scale.train_gap_classifier({"separable": True}, seed, steps=2)[1] for seed in (0, 1)]
    assert table.loc["separable: accuracy", "value"] == pytest.approx(sum(scores) / 2, abs=1e-4)
    assert table.loc["separable: accuracy", "std"] == pytest.approx(abs(scores[1] - scores[0]) / 2**0.5, abs=1e-4)
    assert table.loc["separable: accuracy", "seeds"] == 2
    assert table.loc["separable: solved", "value"] == sum(score > 0.95 for score in scores)
    count = sum(p.numel() for p in multi_scale.gap_classifier(separable=True).parameters())
    assert table.loc["separable: parameters", "value"] == count


def test_training_repeats_from_its_seed_and_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    scores = [multi_scale.train_gap_classifier({}, seed=3, steps=2)[1] for _ in range(2)]
    assert scores[0] == scores[1]
    assert torch.equal(torch.get_rng_state(), before)
