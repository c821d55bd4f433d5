"""Do the pictures of recordings say what is in the recordings?"""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from course_lib import plots

RATE = 8000


def tone(frequency, seconds=0.5, rate=RATE, amplitude=1.0):
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)


def test_waveform_runs_in_seconds_and_keeps_the_samples():
    signal = np.array([0.0, 1.0, -1.0, 0.5])
    ax = plots.waveform(signal, 2, title="four samples", color="red")
    line = ax.lines[0]
    assert line.get_xdata().tolist() == [0, 0.5, 1.0, 1.5] and line.get_ydata().tolist() == signal.tolist()
    assert ax.get_xlabel() == "time (s)" and ax.get_xlim() == (0, 2) and ax.get_title() == "four samples"
    assert to_rgb(line.get_color()) == to_rgb("red")


def test_a_long_waveform_keeps_its_peaks():
    signal = np.zeros(220_500)
    signal[123_456], signal[200_001] = 1.0, -0.5
    line = plots.waveform(signal, 44_100).lines[0]
    assert len(line.get_xdata()) <= 4000
    assert line.get_ydata().max() == 1.0 and line.get_ydata().min() == -0.5
    assert line.get_xdata()[line.get_ydata().argmax()] == pytest.approx(123_456 / 44_100, abs=0.005)


def test_waveforms_have_a_panel_a_class_and_say_where_one_is_empty():
    signals = np.stack([tone(100), tone(200), tone(300)])[:, None]
    axes = plots.waveforms(signals, [0, 0, 2], RATE, classes=["low", "none", "high"], per_class=2)
    assert [ax.get_title() for ax in axes] == ["low", "none", "high"]
    assert [len(ax.lines) for ax in axes] == [2, 0, 1]
    assert axes[1].texts[0].get_text() == "no clip"
    assert all(ax.get_xlim() == (0, 0.5) for ax in axes)


def test_bars_of_class_balance_are_the_counts():
    ax = plots.class_balance([2, 0, 2, 2], classes=["a", "b", "c"])
    assert [bar.get_width() for bar in ax.patches] == [1, 0, 3]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["a", "b", "c"]
    assert ax.get_xlabel() == "clips"


def test_balance_of_folds_counts_each_pair():
    ax = plots.class_balance([0, 0, 1, 1, 1], folds=[1, 2, 1, 1, 2], classes=["a", "b"])
    assert [text.get_text() for text in ax.texts] == ["1", "1", "2", "1"]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "2"]


def test_durations_show_every_clip_and_whether_they_agree():
    ax = plots.durations([1.0, 2.5, 2.5], [0, 1, 1], classes=["a", "b"])
    seen = sorted(x for dots in ax.collections for x in dots.get_offsets()[:, 0])
    assert seen == [1.0, 2.5, 2.5]
    assert ax.get_title() == "3 clips, 1 s to 2.5 s" and ax.get_xlabel() == "duration (s)"
    assert plots.durations([5, 5], [0, 0]).get_title() == "2 clips, all last 5 s"


def test_shape_table_counts_distinct_shapes():
    clips = [np.zeros((1, 8000), "float32"), np.zeros(8000, "float32"), np.zeros((2, 4000), "float32")]
    table = plots.shape_table(clips, RATE)
    assert table.loc[0].to_dict() == {"channels": 1, "samples": 8000, "dtype": "float32", "seconds": 1.0, "clips": 2}
    assert table.loc[1, ["channels", "samples", "clips"]].tolist() == [2, 4000, 1]


@pytest.mark.parametrize("mel", [False, True])
def test_spectrogram_is_brightest_at_the_frequency_of_a_tone(mel):
    ax = plots.spectrogram(tone(1000, 1.0), RATE, mel=mel)
    mesh = ax.collections[0]
    level = mesh.get_array().reshape(mesh.get_array().shape)  # (bands, frames)
    band = level.mean(axis=1).argmax()
    edges = mesh.get_coordinates()[:, 0, 1]
    assert edges[max(band - 1, 0)] <= 1000 <= edges[band + 2]
    assert level.max() == pytest.approx(0) and level.min() >= -80
    assert ax.get_xlabel() == "time (s)" and ax.get_ylabel() == "frequency (Hz)" and ax.get_xlim() == (0, 1)


def test_spectrogram_of_silence_is_drawn():
    assert plots.spectrogram(np.zeros(4000), RATE).collections[0].get_array().max() == -80


def test_spectrograms_say_which_class_lacks_clips(clips):
    axes = plots.spectrograms(*clips[:2], RATE, classes=clips[2], per_class=2)
    assert len(axes) == 6
    assert [bool(ax.texts) for ax in axes] == [False, False, False, True, False, False]


def test_average_spectrum_finds_the_tone_of_each_class_and_ignores_loudness():
    low, high = tone(500, amplitude=1e-3), tone(2000)
    table = plots.spectrum_table([low, low, high], [0, 0, 1], RATE, classes=["low", "high", "none"])
    assert table.loc["low"].idxmax() == pytest.approx(500, rel=0.1)
    assert table.loc["high"].idxmax() == pytest.approx(2000, rel=0.1)
    assert table.max(axis=1).iloc[:2].tolist() == [0, 0] and table.loc["none"].isna().all()
    louder = plots.spectrum_table([1000 * low, low, high], [0, 0, 1], RATE, classes=["low", "high", "none"])
    pd.testing.assert_frame_equal(table, louder, atol=1e-3)


def test_white_noise_has_a_flat_average_spectrum():
    noise = np.random.default_rng(0).standard_normal((5, 1, 40_000))
    table = plots.spectrum_table(noise, np.zeros(5, int), RATE)
    assert table.to_numpy().min() > -3


def test_audio_features_agree_with_their_definitions():
    rng = np.random.default_rng(3)
    clips = [rng.standard_normal(5000), tone(440, 1.0, amplitude=0.5)]
    features = plots.audio_features(clips, RATE)
    for clip, row in zip(clips, features.itertuples(), strict=True):
        assert row.rms == pytest.approx(np.sqrt(np.mean(clip**2)), rel=1e-5)
        crossings = (np.signbit(clip[1:]) != np.signbit(clip[:-1])).sum()
        assert row.zero_crossing_rate == pytest.approx(crossings / len(clip), abs=2 / len(clip))
    assert features.spectral_centroid[1] == pytest.approx(440, rel=0.1)
    assert features.spectral_centroid[0] == pytest.approx(RATE / 4, rel=0.05)  # white noise


def test_features_of_silence_are_zero_and_padding_leaves_the_centroid():
    features = plots.audio_features([np.zeros(4000), tone(440), np.concatenate([tone(440), np.zeros(9000)])], RATE)
    assert features.loc[0].tolist() == [0, 0, 0]
    assert features.spectral_centroid[2] == pytest.approx(features.spectral_centroid[1], rel=0.05)


def test_log_mel_statistics_are_means_then_deviations():
    statistics = plots.log_mel_statistics([np.zeros(8000), tone(1000, 1.0)], RATE, n_mels=16)
    assert statistics.shape == (2, 32)
    assert statistics[0].tolist() == pytest.approx([-100] * 16 + [0] * 16)
    assert statistics[1, :16].max() > 0 > statistics[1, :16].min()


def test_a_box_and_all_dots_for_each_class():
    features = pd.DataFrame({"rms": [0.1, 1.0, 0.0], "anything": [1.0, 2.0, 3.0]})
    axes = plots.feature_distributions(features, [0, 1, 1], classes=["a", "b"])
    dots = sorted(x for collection in axes[0].collections for x in collection.get_offsets()[:, 0])
    assert dots == pytest.approx([-100, -20, 0])
    assert axes[0].get_xlabel() == "RMS (dB re full scale)" and axes[1].get_xlabel() == "anything"


WRONG = [
    (lambda: plots.waveforms([], [], RATE), "signals: expected at least one clip, got none"),
    (lambda: plots.waveforms(np.zeros(100), [0], RATE), r"got shape \(100,\): for one clip pass a list"),
    (lambda: plots.waveforms(np.zeros((4, 2, 100)), [0] * 4, RATE), r"signals\[0\]: expected .* got shape \(2, 100\)"),
    (lambda: plots.waveforms([np.zeros(9), np.zeros(0)], [0, 0], RATE), r"signals\[1\]: .* got an empty clip"),
    (lambda: plots.waveforms([np.zeros(9)], [0, 1], RATE), r"labels: expected one value for each of 1 clips"),
    (lambda: plots.waveforms([np.zeros(9)], [0], RATE, per_class=0), "per_class: expected 1 or more, got 0"),
    (lambda: plots.waveform(np.zeros(9), 0), "sample_rate: expected a positive number in Hz, got 0"),
    (lambda: plots.waveform(np.array(["a"]), RATE), "signal: expected real numbers, got dtype"),
    (lambda: plots.class_balance([]), r"labels: expected one class number a clip, shape \(N,\), got shape \(0,\)"),
    (lambda: plots.class_balance([0.5]), "labels: expected whole numbers that index `classes`, got dtype float64"),
    (lambda: plots.class_balance([0, 3], classes=["a", "b"]), "labels: expected 0 to 1 for 2 classes, got 0 to 3"),
    (lambda: plots.class_balance([0, 1], folds=[1]), r"folds: expected one value for each of 2 clips"),
    (lambda: plots.feature_distributions(pd.DataFrame(), []), "features: expected a row for each clip"),
    (lambda: plots.shape_table([], RATE), "signals: expected at least one clip"),
]


@pytest.mark.parametrize("call, message", WRONG)
def test_wrong_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
