"""The two questions of notebook 09: what their windows hold, and a run that writes its tables."""

from functools import partial

import pandas as pd
import pytest
import torch

from course_lib.course.experiments import pooling_tasks as tasks
from course_lib.course.experiments import results


def test_the_event_is_where_it_says():
    x, kind, start = tasks.event_batch(400, torch.Generator().manual_seed(0))
    assert x.shape == (400, 256, 1) and set(kind.tolist()) == {0, 1, 2, 3}
    place = torch.arange(256)
    inside = (place >= start[:, None]) & (place < start[:, None] + tasks.EVENT)
    assert x[..., 0][~inside].std().item() == pytest.approx(0.3, abs=0.01)
    assert x[..., 0][inside].std().item() > 0.4


def test_the_fast_tone_lasts_longer_where_it_should():
    x, longer = tasks.share_batch(200, torch.Generator().manual_seed(0))
    crossings = (x[:, 1:, 0].sign() != x[:, :-1, 0].sign()).sum(1).float()
    assert crossings[longer == 1].mean() > crossings[longer == 0].mean()


def test_run_writes_both_tables(record, monkeypatch):
    monkeypatch.setattr(tasks, "train", partial(tasks.train, batches=3))
    table = record(tasks, "--only", "*lasts longer? m*", "--seeds", "0", "1")
    assert table.loc["which lasts longer? mean", "seeds"] == 2
    seeds = pd.read_csv(results.RESULTS / "detail" / "pooling_tasks_seeds.csv")
    mean = seeds.groupby("head")["accuracy"].mean()
    assert table.loc["which lasts longer? max", "value"] == pytest.approx(mean["max"], abs=1e-4)
