"""The recorded runs of notebook 02: what they cut from clips, and how they average."""

from dataclasses import replace

import numpy as np
import pytest

from course_lib.course.experiments import audio_cnn, log_mel_cnn

RATE = 3200


@pytest.fixture
def clips(clips):
    """The made-up clips, nearly silent, with a burst of noise whose place differs; each its own recording."""
    generator = np.random.default_rng(0)
    signals = 0.01 * clips.signals
    for i, signal in enumerate(signals):
        signal[0, 300 * i : 300 * i + 500] += generator.standard_normal(500)
    return replace(clips, signals=signals, groups=np.arange(50).astype(str))


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
