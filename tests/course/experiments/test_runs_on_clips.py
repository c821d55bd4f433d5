"""The recorded runs on ESC-10, to their end on made-up clips: each makes the rows that its table has."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from course_lib.course.experiments import _esc10_runs
from tests.course.experiments.recorded import RECORDED, module_of


@pytest.fixture(autouse=True)
def one_epoch(monkeypatch, clips):
    monkeypatch.setitem(_esc10_runs.RECIPE, "epochs", 1)
    for name in ("encoder_repairs", "training_recipe"):
        monkeypatch.setattr(module_of(name), "MEL_RATE", clips.sample_rate)


def test_log_mel_cnn(record, clips, tmp_path):
    run = module_of("log_mel_cnn")
    few = {variant: run.EXPERIMENT.settings[variant] for variant in (run.ALL, run.NONE)}
    table = record(run, "--seeds", "0", "1", load=lambda: clips, settings=few)
    left_out = {f"ablation: without {part}" for part in run.PARTS}
    assert set(table.index) | left_out == RECORDED["log_mel_cnn"]
    folds = [table.loc[f"accuracy, fold {fold}", "value"] for fold in range(1, 6)]
    assert table.loc["accuracy", "value"] == pytest.approx(np.mean(folds), abs=1e-4)
    assert table.loc["accuracy", "seeds"] == 2 and table.loc["ablation: all parts", "seeds"] == 1
    predictions = pd.read_csv(tmp_path / "results" / "detail" / "log_mel_cnn_predictions.csv")
    assert len(predictions) == 2 * 50 and not predictions.duplicated(["variant", "file"]).any()


def test_audio_cnn(record, clips, monkeypatch, tmp_path):
    run = module_of("audio_cnn")
    monkeypatch.setattr(run, "SAMPLES", 160)
    table = record(run, "--epochs", "1", load=lambda: clips)
    assert set(table.index) == RECORDED["audio_cnn"]
    for reading in run.READINGS:
        folds = [table.loc[f"{reading}: validation accuracy, fold {fold}", "value"] for fold in (1, 2, 3, 4)]
        assert table.loc[f"{reading}: validation accuracy", "value"] == pytest.approx(np.mean(folds), abs=1e-4)
    predictions = pd.read_csv(tmp_path / "results" / "detail" / "audio_cnn_predictions.csv")
    assert sorted(predictions["fold"].unique()) == [1, 2, 3, 4] and len(predictions) == 2 * 40
    assert not predictions.duplicated(["reading", "file"]).any()
    assert len(pd.read_csv(tmp_path / "results" / "detail" / "audio_cnn_curves.csv")) == 2 * 4


def test_attention_heads(record, clips, tmp_path):
    table = record(module_of("attention_heads"), "--epochs", "1", load=lambda: clips)
    assert set(table.index) == RECORDED["attention_heads"]
    assert table.loc["1 heads | parameters", "value"] == table.loc["3 heads | parameters", "value"]
    assert table.loc["0 heads | parameters", "value"] == 243_178  # LogMelCNN
    predictions = pd.read_csv(tmp_path / "results" / "detail" / "attention_heads_predictions.csv")
    right = predictions.filter(like="logit_").to_numpy().argmax(1) == predictions["label"]
    assert table.loc["3 heads | validation accuracy", "value"] == pytest.approx(
        right[predictions["heads"] == 3].mean(), abs=1e-4
    )


def test_encoder_repairs(record, clips, monkeypatch, tmp_path):
    run = module_of("encoder_repairs")
    names = ("waveform tokens", "augmentation", "log-mel tokens: no encoder")
    monkeypatch.setattr(run, "LADDER", {name: replace(run.LADDER[name], epochs=1) for name in names})
    settings = {name: run.EXPERIMENT.settings[name] for name in names}
    table = record(run, "--seeds", "0", "1", load=lambda: clips, settings=settings)
    assert set(table.index) == {row for row in RECORDED["encoder_repairs"] if row.split(" | ")[0] in names}
    seeds = pd.read_csv(tmp_path / "results" / "detail" / "encoder_repairs_seeds.csv")
    means = seeds.groupby("setting")["accuracy"].mean()
    assert table.loc["augmentation | accuracy", "value"] == pytest.approx(means["augmentation"], abs=1e-4)


def test_encoder_flaws(record, clips, monkeypatch, tmp_path):
    run = module_of("encoder_flaws")
    monkeypatch.setattr(run, "EPOCHS", 1)
    names = ("none", "scaled + pre-norm")
    settings = {name: run.EXPERIMENT.settings[name] for name in names}
    table = record(run, "--seeds", "0", load=lambda: clips, settings=settings)
    assert set(table.index) == {row for row in RECORDED["encoder_flaws"] if row.split(" | ")[0] in names}
    assert len(pd.read_csv(tmp_path / "results" / "detail" / "encoder_flaws_seeds.csv")) == len(names)


def test_pooling(record, clips, monkeypatch, tmp_path):
    run = module_of("pooling")
    monkeypatch.setattr(run, "SHORT", 1)
    table = record(run, "--seeds", "0", load=lambda: clips)
    gains = table.index.str.contains("gain")
    long_gains = table.index[gains & ~table.index.str.contains("epochs")]
    assert set(table.index) - set(long_gains) == RECORDED["pooling"]
    by_clip = pd.read_csv(tmp_path / "results" / "detail" / "pooling_clips.csv").groupby("setting")
    assert (
        by_clip["right"].mean() - table.loc[[f"{s}: accuracy" for s in by_clip.groups], "value"].to_numpy()
    ).abs().max() < 1e-4
    assert (by_clip["file"].nunique() == 50).all() and (by_clip["recording"].nunique() == 25).all()
    assert table[gains]["standard_error"].notna().all() and table[gains]["std"].isna().all()
    right = table.loc[["max: accuracy", "mean: accuracy"], "value"]
    assert table.loc["max: gain over the mean", "value"] == pytest.approx(right.iloc[0] - right.iloc[1], abs=2e-4)


def test_esc10(record, clips, monkeypatch, tmp_path):
    run = module_of("esc10")
    one = {name: (make, 1, change) for name, (make, _, change) in run.MODELS.items()}
    monkeypatch.setattr(run, "MODELS", one)
    monkeypatch.setattr(run, "load_esc10", lambda sample_rate: clips)
    table = record(run, "--seeds", "0", load=lambda: clips)
    assert set(table.index) == RECORDED["esc10"]
    assert table.loc[f"{run.CNN}: accuracy", "seeds"] == 2 and table.loc[f"{run.PAIR}: accuracy", "seeds"] == 1
    assert table.loc["SVM on statistics of log-mel bands, random folds: accuracy", "seeds"] == 5
    assert table[table.device == "published"].code.isna().all()
    predictions = pd.read_csv(tmp_path / "results" / "detail" / "esc10_predictions.csv")
    assert predictions.groupby("model").size().to_dict() == dict.fromkeys([*one, run.PAIR], 50)


def test_training_recipe(record, clips, tmp_path, monkeypatch):
    run = module_of("training_recipe")
    monkeypatch.setattr(run, "EPOCHS", 1)
    names = (run.WHOLE, "float32", run.NOTHING)
    settings = {name: run.EXPERIMENT.settings[name] for name in names}
    table = record(run, "--seeds", "0", "1", load=lambda: clips, settings=settings)
    assert set(table.index) == {row for row in RECORDED["training_recipe"] if re.split("[:,]", row)[0] in names}
    trainings = pd.read_csv(tmp_path / "results" / "detail" / "training_recipe_trainings.csv")
    means = trainings.groupby("variant")["accuracy"].mean()
    change = table.loc["float32: change in accuracy, over trainings"]
    assert change["value"] == pytest.approx(means["float32"] - means[run.WHOLE], abs=2e-4)
    wide = trainings.pivot(index=["seed", "fold"], columns="variant", values="accuracy")
    assert change["std"] == pytest.approx((wide["float32"] - wide[run.WHOLE]).std(), abs=2e-4)
    assert np.isfinite(table.loc["float32: change in accuracy, over recordings", "standard_error"])
