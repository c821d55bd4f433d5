import numpy as np
import pytest

from course_lib.data import AudioData, Problem


@pytest.fixture
def data(tone):
    return AudioData(
        signals=np.stack([tone(500), tone(1000)])[:, None],
        labels=np.array([0, 1]),
        classes=("low", "high"),
        sample_rate=8000,
        name="tones",
        folds=np.array([1, 2]),
        groups=None,
        files=("a", "b"),
        report=(Problem("c.wav", "silent"),),
    )


def test_describe_says_what_it_is(data):
    expected = "tones: 2 clips of 1 s at 8,000 Hz, 2 classes, 2 folds, 1 files in the report"
    assert data.describe() == expected and len(data) == 2


@pytest.mark.parametrize("rate", [3200, 11_025, 16_000])
def test_resample_keeps_pitch_and_everything_else(data, tone, rate):
    out = data.resample(rate)
    assert out.signals.shape == (2, 1, rate) and out.sample_rate == rate and out.signals.dtype == np.float32
    inner = slice(rate // 20, -rate // 20)
    np.testing.assert_allclose(out.signals[0, 0, inner], tone(500, rate=rate)[inner], atol=3e-3)
    assert out.labels is data.labels and out.files == data.files and out.report == data.report


def test_resample_is_cached_by_content(data, monkeypatch):
    first = data.resample(4000)
    monkeypatch.setattr("course_lib.data.audio_data.soxr", None)
    np.testing.assert_array_equal(data.resample(4000).signals, first.signals)
    with pytest.raises(AttributeError):
        data.crop(0.5).resample(4000)


def test_resample_to_the_same_rate_is_the_same(data):
    assert data.resample(8000) is data


def test_crop_takes_the_part_asked_for(data):
    part = data.crop(0.25, start=0.5)
    np.testing.assert_array_equal(part.signals, data.signals[..., 4000:6000])
    assert part.crop(0.25).signals.shape == (2, 1, 2000)


@pytest.mark.parametrize(("seconds", "start"), [(1.1, 0), (0.5, 0.6), (0, 0), (0.5, -0.1)])
def test_crop_outside_is_refused(data, seconds, start):
    with pytest.raises(ValueError, match="crop: expected a part of 0 s to 1 s"):
        data.crop(seconds, start)
