"""The recorded run of notebook 11 on a handful of made-up clips: pairs, two kinds of noise, ensembles."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from course_lib.course.experiments import training_recipe


def logits_of(variant: str, seed: int, labels: np.ndarray) -> np.ndarray:
    """The whole recipe is right on 40 clips, "no average" on 38 + seed of them, "none of it" on 10."""
    right = {"whole recipe": 40, "no average": 38 + seed, "none of it": 10}[variant]
    told = np.where(np.arange(50) < right, labels, (labels + 1) % 10)
    return 3.0 * np.eye(10)[told] + 0.5 * seed


def test_pictures_average_power_over_two_bands_and_four_frames(monkeypatch, clips, tmp_path):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    monkeypatch.setattr(training_recipe, "MEL_RATE", clips.sample_rate)
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


def test_ensemble_averages_probabilities_and_loses_no_more_than_its_members():
    logits = np.random.default_rng(0).standard_normal((3, 20, 4))
    labels = np.arange(20) % 4
    together = training_recipe.ensemble(logits)
    np.testing.assert_allclose(np.exp(together).sum(1), 1)
    of_members, of_team = (training_recipe.of_clips(z, labels)["log loss"].mean() for z in (logits, together[None]))
    assert of_team < of_members


@pytest.mark.parametrize("seeds", [[1], [0, 1, 2]])
def test_each_variant_is_paired_with_the_whole_recipe(clips, seeds):
    found = {
        variant: [{"seed": s, "seconds": 2.0, "logits": logits_of(variant, s, clips.labels)} for s in seeds]
        for variant in ("whole recipe", "no average", "none of it")
    }
    rows = {row["measure"]: row for row in training_recipe.rows(found, clips)}
    assert rows["whole recipe: accuracy"]["value"] == 0.8
    lost = np.zeros((len(seeds), 50))
    for row, seed in zip(lost, seeds, strict=True):
        row[38 + seed : 40] = -1.0  # right under the whole recipe alone
    change = rows["no average: change in accuracy, over trainings"]
    of_trainings = lost.reshape(len(seeds), 5, 10).mean(2)  # folds are tens
    assert change["value"] == pytest.approx(lost.mean(), abs=1e-4) and change["seeds"] == len(seeds)
    assert change["std"] == pytest.approx(of_trainings.std(ddof=1), abs=1e-4)
    over = rows["no average: change in accuracy, over recordings"]
    of_recordings = lost.mean(0).reshape(25, 2).mean(1)  # two clips each
    assert over["standard_error"] == pytest.approx(of_recordings.std(ddof=1) / 25**0.5, abs=1e-4)
    assert "std" not in over and "whole recipe: change in accuracy, over trainings" not in rows
    assert ("whole recipe, ensemble of 2: accuracy" in rows) == (len(seeds) > 1)
    table = training_recipe.details(found, clips)["trainings"]
    assert len(table) == 3 * 5 * len(seeds)
    expected = -log_softmax(logits_of("none of it", 1, clips.labels), axis=1)[np.arange(10, 20), clips.labels[10:20]]
    one = table.query("variant == 'none of it' and seed == 1 and fold == 2")
    assert one["log_loss"].item() == pytest.approx(expected.mean(), abs=1e-4) and one["accuracy"].item() == 0
