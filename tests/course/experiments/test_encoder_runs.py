"""The recorded runs of notebook 07 on a handful of made-up clips: what rows differ in, what is written, resuming."""

import argparse
from dataclasses import asdict, replace
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
import torch

from course_lib.course.experiments import attention_heads, encoder_repairs, results
from course_lib.models import SmallKernelFeatures

RATE = 3200


@pytest.fixture
def written(clips, tmp_path, monkeypatch):
    """The folder that tables go to, with 50 clips of noise in place of ESC-10."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    for module in (encoder_repairs, attention_heads, results):
        monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    for module in (encoder_repairs, attention_heads):
        monkeypatch.setattr(module, "load_esc10", lambda **_: clips)
        monkeypatch.setattr(module, "PICTURE_RATE", RATE)
    monkeypatch.setattr(encoder_repairs, "whole_clip", lambda data: np.array(data.signals[:, :, :1024]))
    return tmp_path / "results"


def test_each_row_of_the_ladder_changes_one_thing():
    rows = list(encoder_repairs.ladder().items())
    steps = [setting for name, setting in rows if ":" not in name]
    for before, after in zip(steps, steps[1:], strict=False):
        assert sum(asdict(before)[key] != value for key, value in asdict(after).items()) == 1
    assert sum(":" in name for name, _ in rows) == 4
    assert steps[0] == encoder_repairs.Setting() and steps[-1] == encoder_repairs.repaired()
    for name, setting in rows:
        if ":" in name:  # put back, left out
            assert sum(asdict(steps[-1])[key] != value for key, value in asdict(setting).items()) == 1


@pytest.mark.parametrize("regularised", [False, True])
@pytest.mark.parametrize("augmented", [False, True])
def test_training_takes_optimiser_smoothing_and_augmentation_from_their_own_switches(
    monkeypatch, regularised, augmented
):
    options = {}
    monkeypatch.setattr(encoder_repairs, "fit", lambda *_, **given: options.update(given) or Mock())
    setting = replace(encoder_repairs.repaired(), regularised=regularised, augmented=augmented)
    encoder_repairs.train(torch.nn.Linear(1, 1), torch.zeros(4, 1), torch.arange(4), setting, seed=0)
    optimizer = options["optimizer"]([torch.nn.Parameter(torch.zeros(1))])
    assert isinstance(optimizer, torch.optim.AdamW) == regularised
    assert (options["loss"].label_smoothing > 0) == regularised
    assert ("train_transform" in options) == augmented


def test_small_kernels_make_one_token_of_128_samples_and_see_the_level():
    features = SmallKernelFeatures(48)
    x = torch.randn(2, 1, 1000)
    assert features(x).shape == (2, 7, 48)
    assert not torch.allclose(features(x), features(0.1 * x))


def test_prepared_scales_each_clip_where_the_row_says_so_and_leaves_silence_silent():
    clips = np.stack([np.zeros((1, 50)), np.linspace(3, 5, 50)[None]])
    assert encoder_repairs.prepared(clips, encoder_repairs.Setting()) is clips
    scaled = encoder_repairs.prepared(clips, encoder_repairs.repaired())
    assert (scaled[0] == 0).all() and abs(scaled[1].mean()) < 1e-9 and scaled[1].std() == pytest.approx(1, abs=1e-4)


def test_spread_over_clips_is_zero_for_equal_outputs_and_one_for_unrelated_ones_around_zero():
    assert encoder_repairs.spread_over_clips(np.ones((5, 3, 2))) == 0
    assert encoder_repairs.spread_over_clips(torch.randn(4000, 6)) == pytest.approx(1, abs=0.01)


def test_encoder_repairs_writes_its_tables_and_resumes(written, monkeypatch, tmp_path):
    rows = {
        name: replace(setting, epochs=2)
        for name, setting in encoder_repairs.ladder().items()
        if name in ("stuck", "long kernels", "augmentation", "put back: softmax twice")
    }
    monkeypatch.setattr(encoder_repairs, "ladder", lambda: rows)
    measured, found, real = [], [], encoder_repairs._measure

    def stop_once(x, data, setting, seed):
        measured.append((setting.tokens, seed))
        if len(measured) == 3:
            raise KeyboardInterrupt
        found.append(real(x, data, setting, seed))
        return found[-1]

    monkeypatch.setattr(encoder_repairs, "_measure", stop_once)
    arguments = argparse.Namespace(seeds=[0, 1], command="python -m course_lib measure encoder_repairs")
    with pytest.raises(KeyboardInterrupt):
        encoder_repairs.run(arguments)
    assert not written.exists()
    encoder_repairs.run(arguments)
    assert measured == [("kernel 3", 0), ("long kernels", 0), ("log-mel", 0), *2 * [("log-mel", 0), ("log-mel", 1)]]
    table = results.read("encoder_repairs").set_index("measure")
    assert table.loc["augmentation | accuracy", "seeds"] == 2 and table.loc["stuck | accuracy", "seeds"] == 1
    assert table.loc["stuck | classes predicted", "value"] == found[0]["classes predicted"]
    softmax_twice = [one["training accuracy"] for one in found[-2:]]
    assert table.loc["put back: softmax twice | training accuracy", "value"] == pytest.approx(np.mean(softmax_twice))
    assert len(pd.read_csv(written / "detail" / "encoder_repairs_curves.csv")) == 2 * len(rows)
    assert not (tmp_path / "cache" / "encoder-repairs").exists()


def test_attention_heads_writes_its_tables(written, monkeypatch, tmp_path):
    monkeypatch.setattr(attention_heads, "EPOCHS", 1)
    monkeypatch.setattr(attention_heads, "HEADS", (1, 3))
    arguments = argparse.Namespace(seed=0, command="python -m course_lib measure attention_heads")
    attention_heads.run(arguments)
    table = results.read("attention_heads").set_index("measure")
    assert table.loc["1 heads | parameters", "value"] == table.loc["3 heads | parameters", "value"]
    predictions = pd.read_csv(written / "detail" / "attention_heads_predictions.csv")
    assert len(predictions) == 2 * 40 and not predictions.duplicated(["heads", "file"]).any()
    right = predictions.filter(like="logit_").to_numpy().argmax(1) == predictions["label"]
    assert table.loc["3 heads | validation accuracy", "value"] == pytest.approx(
        right[predictions["heads"] == 3].mean(), abs=1e-4
    )
    assert not (tmp_path / "cache" / "attention-heads-0").exists()
