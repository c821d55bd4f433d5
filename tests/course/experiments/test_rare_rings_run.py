"""The recorded run of notebook 10: its windows, its two starts, and one training on few of them."""

import numpy as np
import pandas as pd
import pytest
import torch

from course_lib.course.experiments import rare_rings, results


def test_windows_hold_what_they_should_and_noise_comes_on_top():
    clean, y = rare_rings.make_windows(3, 40, torch.Generator().manual_seed(0), noise=0.0)
    noisy, _ = rare_rings.make_windows(3, 40, torch.Generator().manual_seed(0))
    assert clean.shape == (43, 1, 64) and y.tolist() == [1] * 3 + [0] * 40
    heard = clean.abs().amax((1, 2)) > 0
    assert heard.tolist() == [True] * 7 + [False] * 36  # 3 rings, a tenth of 40 bumps
    assert (noisy - clean).std().item() == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize("one_in", [2, 10, 1000])
def test_a_network_starts_at_the_share(one_in):
    model = rare_rings.RingFinder(one_in)
    torch.nn.init.zeros_(model.classifier.weight)
    says = rare_rings.probabilities(model, torch.randn(7, 1, 64, generator=torch.Generator().manual_seed(0)))
    np.testing.assert_allclose(says, 1 / one_in, rtol=1e-5)


def test_the_threshold_parts_scores_that_can_be_parted():
    truth = np.arange(200) < 5
    score = np.where(truth, 0.3, 0.1) + 0.001 * np.arange(200) / 200
    assert 0.1 <= rare_rings.best_threshold(truth, score) < 0.3


def test_run_writes_both_tables(record, monkeypatch):
    for name, value in {"WINDOWS": 400, "TEST_RINGS": 20, "TEST_OTHERS": 200, "EPOCHS": 2}.items():
        monkeypatch.setattr(rare_rings, name, value)
    table = record(rare_rings, "--only", "1 in 10, γ = 2, *", "1 in 10, weighted", "--seeds", "0", "1")
    assert table.loc["1 in 10, weighted: average precision", "seeds"] == 2
    seeds = pd.read_csv(results.RESULTS / "detail" / "rare_rings_seeds.csv").set_index("setting")
    assert len(seeds) == 6 and seeds.filter(like="epoch").shape[1] == 2
    both = seeds.loc["1 in 10, γ = 2, even start", "average precision"]
    assert both.between(0, 1).all()
    mean = table.loc["1 in 10, γ = 2, even start: average precision", "value"]
    assert mean == pytest.approx(both.mean(), abs=1e-4)
