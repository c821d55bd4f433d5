"""The recorded run of the audio models on made-up clips: pairs, tables, predictions, resuming, mixing of waveforms."""

import argparse

import numpy as np
import pandas as pd
import pytest
import torch

from course_lib.course.experiments import esc10, results


def logits_with(right: np.ndarray, labels: np.ndarray, strength: float = 4.0) -> list[list[float]]:
    """(N, 10): `strength` on the label where `right`, on the next class elsewhere."""
    return (strength * np.eye(10)[np.where(right, labels, (labels + 1) % 10)]).tolist()


@pytest.fixture
def measured(clips, monkeypatch, tmp_path):
    """Stubs for data and trainings; the list of (epochs, seed) that were trained."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    for module in (esc10, results):
        monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(esc10, "load_esc10", lambda **_: clips)
    monkeypatch.setattr(esc10, "MEL_RATE", clips.sample_rate)
    calls = []

    def measure(make_model, x, augmentation, data, epochs, seed):
        calls.append((epochs, seed))
        if len(calls) == 3:
            raise KeyboardInterrupt
        right = np.arange(50) < (40 if seed < 100 else 20)
        strength = 4.0 if seed < 100 else 8.0  # the partner is surer of itself
        logits = logits_with(right, data.labels, strength)
        return {"logits": logits, "seconds": 10.0, "parameters": 7, "train_accuracy": 0.5 + seed / 10}

    monkeypatch.setattr(esc10, "_measure", measure)
    return calls


def test_run_resumes_and_writes_rows_for_single_models_and_pairs(measured, tmp_path):
    arguments = argparse.Namespace(seeds=[0, 1], models=[esc10.CNN], command="")
    other = tmp_path / "cache" / "esc10" / "raw-waveform-0.json"
    other.parent.mkdir(parents=True)
    other.write_text("{}")  # another model's training that a stopped run has finished
    with pytest.raises(KeyboardInterrupt):
        esc10.run(arguments)
    assert not (tmp_path / "results").exists()
    esc10.run(arguments)
    epochs = esc10.EPOCHS[esc10.CNN]
    assert measured == [(epochs, 0), (epochs, 1), (epochs, 100), (epochs, 100), (epochs, 101)]
    assert [file.name for file in other.parent.iterdir()] == [other.name]
    table = results.read("esc10").set_index("measure")
    single, pair = table.loc[f"{esc10.CNN}: accuracy"], table.loc[f"{esc10.PAIR}: accuracy"]
    assert single.value == pytest.approx(0.6) and single.seeds == 4  # two members right on 40 of 50, two on 20
    assert pair.value == pytest.approx(0.4) and pair.seeds == 2  # the surer member has its way
    assert (single.seconds, pair.seconds) == (10, 20)
    assert table.loc[f"{esc10.PAIR}: parameters", "value"] == 14
    assert f"{esc10.PAIR}: training accuracy" not in table.index
    assert set(table[table.device == "published"].index) == {f"{name}: accuracy" for name in esc10.PUBLISHED}


def test_models_that_do_not_run_again_keep_their_predictions(measured, tmp_path):
    measured.extend([None] * 3)  # past the interruption
    for models in ([esc10.CNN], [esc10.CLS], [esc10.CLS]):
        esc10.run(argparse.Namespace(seeds=[0], models=models, command=""))
    clips = pd.read_csv(tmp_path / "results" / "detail" / "esc10_predictions.csv")
    assert clips.groupby("model").size().to_dict() == dict.fromkeys([esc10.CNN, esc10.PAIR, esc10.CLS], 50)
    logits = clips[clips.model == esc10.CLS].filter(like="logit_").to_numpy()
    assert (logits.argmax(1) == clips[clips.model == esc10.CLS].label).mean() == 0.8


def test_waveforms_are_mixed_about_every_other_time_and_targets_stay_shares():
    x, y = torch.randn(200, 1, 400), torch.arange(200) % 10
    mixed, targets = esc10.mix_waveforms(x, y, generator=torch.Generator().manual_seed(0))
    assert mixed.shape == x.shape
    torch.testing.assert_close(targets.sum(1), torch.ones(200))
    share = (targets.amax(1) < 1).float().mean()
    assert 0.3 < share < 0.6  # a half, less those that met their own class
    alone = targets.amax(1) == 1
    levels = mixed[alone].square().mean((1, 2)).sqrt() / x[alone].square().mean((1, 2)).sqrt()
    assert levels.max() / levels.min() > 2 and levels.max() < 2.5  # up to 6 dB either way


@pytest.mark.parametrize("make_model", [esc10.raw_model, esc10.cls_model])
def test_models_take_their_input_and_train_every_weight(make_model):
    torch.manual_seed(0)
    x = torch.randn(2, 1, 16_000) if make_model is esc10.raw_model else torch.randn(2, 64, 17)
    model, targets = make_model(), torch.tensor([3, 1])
    esc10.smoothed_loss(model(x), targets).backward()
    assert all(p.grad is not None for p in model.parameters())
    assert model.eval()(x).shape == (2, 10)


def test_deep_supervision_adds_a_loss_in_training_and_leaves_the_answer_alone():
    torch.manual_seed(0)
    supervised, x, targets = esc10.cls_model(), torch.randn(4, 64, 17), torch.tensor([3, 1, 0, 2])
    torch.testing.assert_close(supervised.eval()(x), supervised.model(x))
    logits, other = supervised.train()(x)
    smoothed = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    expected = smoothed(logits, targets) + 0.3 * smoothed(other, targets)
    torch.testing.assert_close(esc10.smoothed_loss((logits, other), targets), expected)
    torch.testing.assert_close(esc10.smoothed_loss(logits, targets), smoothed(logits, targets))
    weight = supervised.model.features.project.weight
    (slope,) = torch.autograd.grad(smoothed(other, targets), weight)
    assert slope.abs().sum() > 0  # a way to the convolutions past the encoder
    right = (logits.argmax(1) == targets).float().mean()
    torch.testing.assert_close(esc10.share_correct((logits, other), targets), right)
