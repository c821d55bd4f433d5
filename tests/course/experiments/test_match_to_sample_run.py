"""The recorded run of match to sample: its lessons, its models, the tables that it writes."""

import numpy as np
import pandas as pd
import pytest
import torch

from course_lib.course.experiments import match_to_sample as run
from course_lib.course.experiments import results


@pytest.mark.parametrize("model", run.MODELS)
def test_models_answer_and_only_the_encoder_relates_tokens(model):
    torch.manual_seed(0)
    network = run.make_model(run.TASK, model, classes=3).eval()
    x = torch.randn(2, run.LENGTH)
    assert network(x).shape == (2, 3)
    assert (len(list(network.encoder)) == 0) == (model == "without encoder")


def test_run_writes_accuracies_of_all_and_by_kind(record, monkeypatch):
    monkeypatch.setattr(run, "TESTED", 60)
    only = ["RG-LRU for encoder, curriculum", "without encoder, at once"]
    table = record(run, "--signals", "64", "--only", *only)
    kept = pd.read_csv(results.RESULTS / "detail" / "match_to_sample_seeds.csv")
    assert len(kept) == 2 * len(run.EXPERIMENT.seeds)
    for setting in only:
        mean = kept[kept["setting"] == setting]["accuracy"].mean()
        assert table.loc[f"{setting}: accuracy", "value"] == pytest.approx(mean, abs=1e-3)


def test_a_lesson_brings_the_kinds_in_its_order(monkeypatch):
    seen = []
    monkeypatch.setattr(run, "fitted", lambda network, loader, rate, **_: seen.append(loader.dataset))
    monkeypatch.setattr(run, "TESTED", 60)
    asked, drawn = run.match_to_sample, []
    monkeypatch.setattr(run, "match_to_sample", lambda *a, **k: drawn.append(asked(*a, **k)) or drawn[-1])
    for lesson, kinds in (("curriculum", [1, 2, 3, 3]), ("at once", [3, 3, 3, 3])):
        drawn.clear()
        run.measure(1, "without encoder", lesson, 120)
        assert [len(np.unique(part.kinds[:, 0])) for part in drawn[:4]] == kinds
    assert [len(data) for data in seen] == [120, 120]
