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


def test_default_picture_of_five_seconds():
    assert log_mel(np.zeros((1, 220_500), dtype=np.float32), 44_100).shape == (1, 64, 251)


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


@pytest.mark.parametrize("length", [3, 5, 8])
def test_pad_or_cut(length):
    out = pad_or_cut(np.ones((2, 5)), length)
    assert out.shape == (2, length) and out.sum() == 2 * min(length, 5)
    assert np.all(out[:, 5:] == 0)
