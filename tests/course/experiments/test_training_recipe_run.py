"""The recorded run of notebook 11 on a handful of made-up clips: pairs, two kinds of noise, ensembles, going on."""

import argparse

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import log_softmax

from course_lib.course.experiments import results, training_recipe


@pytest.fixture
def written(tmp_path, monkeypatch, clips):
    """The folder that tables go to, with the clips in place of ESC-10 and three variants."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    for module in (training_recipe, results):
        monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(training_recipe, "load_esc10", lambda **_: clips)
    monkeypatch.setattr(training_recipe, "SAMPLE_RATE", clips.sample_rate)
    three = ("whole recipe", "no average", "none of it")
    monkeypatch.setattr(training_recipe, "CHANGES", {name: training_recipe.CHANGES[name] for name in three})
    return tmp_path / "results"


def logits_of(variant: str, seed: int, labels: np.ndarray) -> np.ndarray:
    """The whole recipe is right on 40 clips, "no average" on 38 + seed of them, "none of it" on 10."""
    right = {"whole recipe": 40, "no average": 38 + seed, "none of it": 10}[variant]
    told = np.where(np.arange(50) < right, labels, (labels + 1) % 10)
    return 3.0 * np.eye(10)[told] + 0.5 * seed


def test_run_pairs_each_variant_with_the_whole_recipe(written, monkeypatch, clips, tmp_path):
    calls = []

    def measure(x, data, variant, seed):
        calls.append((variant, seed))
        if len(calls) == 5:
            raise KeyboardInterrupt
        return {"logits": logits_of(variant, seed, clips.labels).tolist(), "seconds": 2.0}

    monkeypatch.setattr(training_recipe, "_measure", measure)
    arguments = argparse.Namespace(seeds=[0, 1, 2], command="python -m course_lib measure training_recipe")
    with pytest.raises(KeyboardInterrupt):
        training_recipe.run(arguments)
    assert not written.exists()
    training_recipe.run(arguments)
    assert len(calls) == 10 and calls.count(("no average", 1)) == 2  # nothing else was measured twice
    assert not (tmp_path / "cache" / "training-recipe").exists()

    table = results.read("training_recipe").set_index("measure")
    assert table.loc["whole recipe: accuracy", "value"] == 0.8 and table.loc["whole recipe: accuracy", "std"] == 0
    change = table.loc["no average: change in accuracy, over trainings"]
    pairs = np.zeros((3, 5))  # (seeds, folds): of the fourth fold, two clips, one, and none are lost
    pairs[:2, 3] = -0.2, -0.1
    assert change["value"] == pytest.approx(-0.02) and change["seeds"] == 3
    assert change["std"] == pytest.approx(pairs.std(ddof=1), abs=1e-4)
    over = table.loc["no average: change in accuracy, over recordings"]
    per_clip = np.zeros(50)
    per_clip[[38, 39]] = [-2 / 3, -1 / 3]
    assert over["value"] == pytest.approx(-0.02)
    assert over["std"] == pytest.approx(training_recipe.clustered_error(per_clip, clips.groups), abs=1e-4)
    assert "whole recipe: change in accuracy, over trainings" not in table.index
    assert table.loc["whole recipe, ensemble of 3: accuracy", "value"] == 0.8
    trainings = pd.read_csv(written / "detail" / "training_recipe_trainings.csv")
    assert len(trainings) == 3 * 3 * 5
    expected = -log_softmax(logits_of("none of it", 1, clips.labels), axis=1)[np.arange(10, 20), clips.labels[10:20]]
    one = trainings.query("variant == 'none of it' and seed == 1 and fold == 2")
    assert one["log_loss"].item() == pytest.approx(expected.mean(), abs=1e-4) and one["accuracy"].item() == 0


def test_one_seed_has_a_spread_over_trainings_only(written, monkeypatch, clips):
    def measure(x, data, variant, seed):
        return {"logits": logits_of(variant, seed, clips.labels).tolist(), "seconds": 2.0}

    monkeypatch.setattr(training_recipe, "_measure", measure)
    training_recipe.run(argparse.Namespace(seeds=[1], command=""))
    table = results.read("training_recipe").set_index("measure")
    assert np.isnan(table.loc["no average: accuracy", "std"])
    assert table.loc["no average: change in accuracy, over trainings", "std"] > 0
    assert not [name for name in table.index if "ensemble" in name]


def test_every_clip_is_predicted_by_a_model_that_did_not_see_it(written, monkeypatch, clips):
    seen = []

    class Constant(torch.nn.Module):
        def forward(self, x):
            return torch.zeros(len(x), 10)

    def train(x, y, seed, **changes):
        seen.append(set(x[:, 0, 0].tolist()))
        return Constant()

    held_out = []
    monkeypatch.setattr(training_recipe, "train", train)
    monkeypatch.setattr(
        training_recipe, "predict", lambda model, x: held_out.append(set(x[:, 0, 0].tolist())) or np.zeros((len(x), 10))
    )
    x = torch.arange(50.0)[:, None, None].expand(50, 2, 3)
    training_recipe._measure(x, clips, "whole recipe", 0)
    assert len(seen) == 5 and set.union(*held_out) == set(range(50))
    assert all(not train & test for train, test in zip(seen, held_out, strict=True))


def test_pictures_average_power_over_two_bands_and_four_frames(monkeypatch, clips, tmp_path):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    monkeypatch.setattr(training_recipe, "SAMPLE_RATE", clips.sample_rate)
    power = np.random.default_rng(1).uniform(1, 2, (3, 64, 9))
    monkeypatch.setattr(training_recipe, "log_mel", lambda *_, **__: np.log10(power))
    pictures = training_recipe.small_pictures(clips)
    assert pictures.shape == (3, 32, 2) and pictures.dtype == torch.float32
    assert pictures[2, 5, 1].item() == pytest.approx(np.log10(power[2, 10:12, 4:8].mean()), rel=1e-6)


@pytest.mark.parametrize("variant", training_recipe.CHANGES)
def test_every_variant_trains_and_repeats_itself(variant):
    x = torch.randn(40, 32, 31, generator=torch.Generator().manual_seed(0))
    y = torch.arange(40) % 10
    before = torch.get_rng_state()
    first, again = (
        training_recipe.train(x, y, 3, epochs=1, device="cpu", **training_recipe.CHANGES[variant]) for _ in range(2)
    )
    assert torch.equal(torch.get_rng_state(), before)
    for name, value in first.state_dict().items():
        torch.testing.assert_close(value, again.state_dict()[name])


def test_clustered_error_counts_recordings_and_not_copies_of_them():
    values = np.random.default_rng(0).standard_normal(30)
    alone = training_recipe.clustered_error(values, np.arange(30))
    assert alone == pytest.approx(values.std(ddof=1) / 30**0.5)
    copies = training_recipe.clustered_error(np.repeat(values, 4), np.repeat(np.arange(30), 4))
    assert copies == pytest.approx(alone)


def test_ensemble_averages_probabilities_and_loses_no_more_than_its_members():
    logits = np.random.default_rng(0).standard_normal((3, 20, 4))
    labels = np.arange(20) % 4
    together = training_recipe.ensemble(logits)
    np.testing.assert_allclose(np.exp(together).sum(1), 1)
    assert training_recipe.log_loss(together, labels) < np.mean([training_recipe.log_loss(z, labels) for z in logits])
