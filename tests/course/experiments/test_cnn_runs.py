"""The recorded runs of notebook 02 on a handful of made-up clips: what they cut, what they write, how they resume."""

import argparse
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from course_lib.course.experiments import audio_cnn, log_mel_cnn, results

RATE = 3200


@pytest.fixture
def clips(clips):
    """The made-up clips, nearly silent, with a burst of noise whose place differs; each its own recording."""
    generator = np.random.default_rng(0)
    signals = 0.01 * clips.signals
    for i, signal in enumerate(signals):
        signal[0, 300 * i : 300 * i + 500] += generator.standard_normal(500)
    return replace(clips, signals=signals, groups=np.arange(50).astype(str))


@pytest.fixture
def written(tmp_path, monkeypatch, clips):
    """The folder that tables go to, with the clips in place of ESC-10."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    for module in (audio_cnn, log_mel_cnn, results):
        monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(audio_cnn, "load_esc10", lambda **_: clips)
    monkeypatch.setattr(log_mel_cnn, "load_esc10", lambda **_: clips)
    return tmp_path / "results"


def test_loudest_second_holds_the_burst_and_whole_clip_has_the_same_length(clips, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    seconds, whole = audio_cnn.loudest_second(clips), audio_cnn.whole_clip(clips)
    assert seconds.shape == whole.shape == (50, 1, 16_000)
    at_16_khz = clips.resample(16_000).signals
    energy = (at_16_khz.astype(float) ** 2).sum(-1)
    assert (np.square(seconds, dtype=float).sum(-1) > 0.9 * energy).all()


def test_average_pairs_averages_power_and_drops_an_odd_frame():
    pictures = np.log10(np.arange(1.0, 31.0)).reshape(2, 3, 5)
    np.testing.assert_allclose(10 ** log_mel_cnn.average_pairs(pictures)[0, 0], [1.5, 3.5])


def test_audio_cnn_run_writes_its_tables_and_leaves_no_checkpoints(written, monkeypatch, tmp_path):
    monkeypatch.setattr(audio_cnn, "SAMPLES", 160)
    arguments = argparse.Namespace(epochs=1, seed=0, command="python -m course_lib measure audio_cnn")
    audio_cnn.run(arguments)
    table = results.read("audio_cnn").set_index("measure")
    for reading in audio_cnn.READINGS:
        folds = [table.loc[f"{reading}: validation accuracy, fold {fold}", "value"] for fold in (1, 2, 3, 4)]
        assert table.loc[f"{reading}: validation accuracy", "value"] == pytest.approx(np.mean(folds), abs=1e-4)
    predictions = pd.read_csv(written / "detail" / "audio_cnn_predictions.csv")
    assert sorted(predictions["fold"].unique()) == [1, 2, 3, 4] and len(predictions) == 2 * 40
    assert not predictions.duplicated(["reading", "file"]).any()
    assert len(pd.read_csv(written / "detail" / "audio_cnn_curves.csv")) == 2 * 4
    assert not list((tmp_path / "cache").glob("audio-cnn-*"))


def test_stopped_audio_cnn_run_goes_on_to_the_same_numbers(written, monkeypatch):
    monkeypatch.setattr(audio_cnn, "SAMPLES", 160)
    arguments = argparse.Namespace(epochs=2, seed=0, command="")
    audio_cnn.run(arguments)
    expected = (written / "detail" / "audio_cnn_predictions.csv").read_text()
    (written / "detail" / "audio_cnn_predictions.csv").unlink()

    real_fit, calls = audio_cnn.fit, []

    def stop_in_the_third_fold(*args, **options):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real_fit(*args, **options)

    monkeypatch.setattr(audio_cnn, "fit", stop_in_the_third_fold)
    with pytest.raises(KeyboardInterrupt):
        audio_cnn.run(arguments)
    assert not (written / "detail" / "audio_cnn_predictions.csv").exists()
    monkeypatch.setattr(audio_cnn, "fit", real_fit)
    audio_cnn.run(arguments)
    assert (written / "detail" / "audio_cnn_predictions.csv").read_text() == expected


def test_log_mel_run_resumes_after_the_last_finished_variant(written, monkeypatch, tmp_path):
    monkeypatch.setattr(log_mel_cnn, "EPOCHS", 1)
    monkeypatch.setattr(log_mel_cnn, "SAMPLE_RATE", RATE)
    monkeypatch.setattr(log_mel_cnn, "VARIANTS", {log_mel_cnn.ALL: ("time roll",), log_mel_cnn.NONE: ()})
    measured, real = [], log_mel_cnn._measure

    def stop_once(x, data, parts, seed):
        measured.append((parts, seed))
        if len(measured) == 2:
            raise KeyboardInterrupt
        return real(x, data, parts, seed)

    monkeypatch.setattr(log_mel_cnn, "_measure", stop_once)
    arguments = argparse.Namespace(seeds=[0, 1], command="python -m course_lib measure log_mel_cnn")
    with pytest.raises(KeyboardInterrupt):
        log_mel_cnn.run(arguments)
    assert not written.exists()
    log_mel_cnn.run(arguments)
    assert measured == [(("time roll",), 0), (("time roll",), 1), (("time roll",), 1), ((), 0)]
    table = results.read("log_mel_cnn").set_index("measure")
    assert table.loc["accuracy", "seeds"] == 2
    assert {"macro F1", "accuracy, fold 5", "ablation: all parts", "ablation: no augmentation"} <= set(table.index)
    assert len(pd.read_csv(written / "detail" / "log_mel_cnn_predictions.csv")) == 2 * 50
    assert not (tmp_path / "cache" / "log-mel-cnn").exists()
