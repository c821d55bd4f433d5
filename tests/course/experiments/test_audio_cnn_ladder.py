"""The recorded ladder from AudioCNN to LogMelCNN: what it cuts and pools, what it writes."""

import numpy as np
import pandas as pd
import pytest
import torch

from course_lib.course.experiments import audio_cnn_ladder, results


def test_the_loudest_part_holds_the_burst():
    seconds = np.zeros((3, 1, 1000), np.float32)
    for clip, place in enumerate((0, 430, 950)):
        seconds[clip, 0, place : place + 50] = 1.0
    assert (audio_cnn_ladder.loudest_part(seconds, 50) == 1).all()
    assert audio_cnn_ladder.loudest_part(seconds, 1000).shape == (3, 1, 1000)


def test_the_loudest_columns_are_those_of_largest_power():
    pictures = np.full((2, 4, 9), -3.0)
    pictures[0, 2, 8] = pictures[1, 0, 3] = 1.0
    assert audio_cnn_ladder.loudest_columns(pictures, 1)[:, :, 0].max(axis=1).tolist() == [1, 1]
    assert audio_cnn_ladder.loudest_columns(pictures, 3).shape == (2, 4, 3)
    assert audio_cnn_ladder.loudest_columns(pictures, None) is pictures


def test_moving_keeps_every_sample_and_moves_each_clip_by_itself():
    x = torch.arange(40.0).expand(6, 1, 40).clone()
    moved, y = audio_cnn_ladder.move_at_random(x, torch.arange(6), torch.Generator().manual_seed(0))
    assert torch.equal(moved.sort(dim=2).values, x) and torch.equal(y, torch.arange(6))
    assert len({int(clip[0, 0]) for clip in moved}) > 2


def test_pooled_network_forgets_where_a_sound_was():
    model = audio_cnn_ladder.PooledAudioCNN()
    x = torch.zeros(2, 1, 160)
    x[:, :, 40:60] = torch.randn(2, 1, 20, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model(x), model(x.roll(48, dims=2)))  # a multiple of the three poolings' 8


def test_run_writes_both_tables(clips, record, monkeypatch):
    monkeypatch.setattr(audio_cnn_ladder, "EPOCHS", 1)
    monkeypatch.setattr(audio_cnn_ladder, "MEL_RATE", clips.sample_rate)
    only = ("--only", "waveform*", "log-mel 0.1*", "--seeds", "0", "1")
    table = record(audio_cnn_ladder, *only, load=lambda: clips)
    assert table.loc["waveform, flatten: held out, moved", "seeds"] == 2
    assert 0 <= table.loc["log-mel 0.1 s, SVM: held out", "value"] <= 1
    seeds = pd.read_csv(results.RESULTS / "detail" / "audio_cnn_ladder_seeds.csv")
    mean = seeds.groupby("rung")["held out"].mean()
    name = "waveform, mean and maximum"
    assert table.loc[f"{name}: held out", "value"] == pytest.approx(mean[name], abs=1e-4)
