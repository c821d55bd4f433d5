import librosa
import numpy as np
import pytest

from course_lib.data import log_mel, pad_or_cut


@pytest.fixture
def clips():
    return np.random.default_rng(0).standard_normal((5, 1, 8000)).astype(np.float32)


def test_log_mel_is_librosas_for_each_clip(clips):
    out = log_mel(clips, 8000, n_fft=512, hop_length=200, n_mels=20, workers=3)
    assert out.shape == (5, 20, 41) and out.dtype == np.float32
    for clip, picture in zip(clips, out, strict=True):
        power = librosa.feature.melspectrogram(y=clip[0], sr=8000, n_fft=512, hop_length=200, n_mels=20)
        np.testing.assert_allclose(picture, np.log10(power + 1e-7), rtol=1e-5)


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 44_100])
def test_a_default_picture_has_a_column_every_40_ms_at_any_rate(rate):
    assert log_mel(np.zeros((1, 5 * rate), dtype=np.float32), rate).shape == (1, 64, 126)


def test_the_default_sizes_at_the_rate_of_the_recorded_runs(clips):
    np.testing.assert_array_equal(log_mel(clips, 22_050), log_mel(clips, 22_050, n_fft=2048, hop_length=882))


def test_silence_is_the_floor():
    np.testing.assert_allclose(log_mel(np.zeros((1, 8000), dtype=np.float32), 8000, n_fft=512), -7, rtol=1e-6)


def test_a_tone_lights_its_own_band():
    tone = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000)[None].astype(np.float32)
    picture = log_mel(tone, 16_000, n_fft=1024, hop_length=160, n_mels=40)[0]
    centres = librosa.mel_frequencies(42, fmin=0, fmax=8000)[1:-1]
    assert abs(centres[picture.mean(1).argmax()] - 1000) < 150


def test_cache_keeps_the_result_by_content_and_parameters(clips, monkeypatch):
    first = log_mel(clips, 8000, n_fft=512, n_mels=20, cache=True)
    with monkeypatch.context() as patched:
        patched.setattr(librosa.feature, "melspectrogram", None)
        np.testing.assert_array_equal(log_mel(clips.copy(), 8000, n_fft=512, n_mels=20, cache=True), first)
        with pytest.raises(TypeError):
            log_mel(clips + 1, 8000, n_fft=512, n_mels=20, cache=True)
    assert log_mel(clips, 8000, n_fft=512, n_mels=21, cache=True).shape[1] == 21


@pytest.mark.parametrize("shape", [(8000,), (2, 2, 8000), (0, 8000), (2, 0)])
def test_wrong_shapes_are_named(shape):
    with pytest.raises(ValueError, match="signals: expected"):
        log_mel(np.zeros(shape, dtype=np.float32), 8000)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fmin": 500.0, "fmax": 500.0}, "fmin, fmax: expected 0 <= fmin < fmax <= 4000 Hz, got 500.0 and 500.0"),
        ({"fmin": 600.0, "fmax": 500.0}, "fmin, fmax"),
        ({"fmin": 4000.0}, "fmin, fmax"),
        ({"fmin": -1.0}, "fmin, fmax"),
        ({"fmin": float("nan")}, "fmin, fmax"),
        ({"fmax": 4001.0}, "fmin, fmax"),
        ({"sample_rate": -8000}, "sample_rate: expected a positive"),
        ({"sample_rate": 0}, "sample_rate"),
        ({"sample_rate": float("nan")}, "sample_rate"),
        ({"n_fft": 0}, "n_fft: expected at least 1"),
        ({"hop_length": 0}, "hop_length: expected at least 1"),
        ({"n_mels": 0}, "n_mels: expected at least 1"),
        ({"signals": np.ones((2, 8000), complex)}, "signals: expected real numbers, got dtype complex128 in clip 0"),
        ({"signals": np.array([["a", "b"]])}, "signals: expected real numbers"),
        ({"signals": np.full((1, 8000), np.nan)}, "8000 NaN or infinite in clip 0"),
        ({"signals": np.full((1, 8000), 1e39)}, "beyond float32"),
        ({"signals": np.full((1, 8000), 3e37)}, "signals: expected values whose squares float32 holds"),
        ({"n_fft": 2.5}, "n_fft: expected at least 1, got 2.5"),
        ({"hop_length": True}, "hop_length: expected at least 1, got True"),
        ({"workers": -1}, "workers: expected at least 1, or None, got -1"),
        ({"fmin": "low"}, "fmin, fmax: .* got 'low' and None"),
        ({"fmax": float("inf")}, "fmin, fmax"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_bad_arguments_are_named(clips, change, message):
    arguments = {"signals": clips, "sample_rate": 8000} | change
    with pytest.raises(ValueError, match=message):
        log_mel(**arguments)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int16])
def test_real_numbers_of_any_type(dtype):
    clips = (100 * np.random.default_rng(0).standard_normal((2, 4000))).astype(dtype)
    np.testing.assert_array_equal(log_mel(clips, 8000), log_mel(clips.astype(np.float32), 8000))


@pytest.mark.parametrize("length", [3, 5, 8])
def test_pad_or_cut(length):
    out = pad_or_cut(np.ones((2, 5)), length)
    assert out.shape == (2, length) and out.sum() == 2 * min(length, 5)
    assert np.all(out[:, 5:] == 0)
