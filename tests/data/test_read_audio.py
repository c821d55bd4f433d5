"""One sound file as an array: as a folder would read it, or an error that says why not."""

import numpy as np
import pytest
import soundfile

from course_lib.data import DataError, load_audio_folder, read_audio


@pytest.fixture
def sound(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "é è").mkdir()
    soundfile.write(tmp_path / "é è" / "a b.wav", rng.uniform(-0.5, 0.5, (1200, 2)), 4000, subtype="FLOAT")
    return tmp_path / "é è" / "a b.wav"


@pytest.mark.parametrize("rate", [4000, 3000])
def test_a_file_is_read_as_in_a_folder(sound, rate):
    options = {"sample_rate": rate, "duration": 0.5, "cache": False, "progress": False}
    for channel in (None, 1):
        folder = load_audio_folder(sound.parents[1], channel=channel, **options)
        np.testing.assert_array_equal(read_audio(sound, rate, 0.5, channel), folder.signals[0])
    whole = read_audio(str(sound), rate)
    assert whole.shape == (1, round(0.3 * rate)) and whole.dtype == np.float32


def test_a_file_that_cannot_be_used_says_why(sound):
    soundfile.write(sound.with_name("none.wav"), np.zeros(0), 4000)
    for name, why in (("none.wav", "zero length"), ("gone.wav", "no such file")):
        with pytest.raises((DataError, FileNotFoundError), match=why):
            read_audio(sound.with_name(name), 4000)
    for options, complaint in (
        ({"sample_rate": 0}, "sample_rate: expected"),
        ({"sample_rate": 4000, "duration": -1}, "duration: expected"),
        ({"sample_rate": 4000, "channel": 1.5}, "channel: expected"),
    ):
        with pytest.raises(ValueError, match=complaint):
            read_audio(sound, **options)
    with pytest.raises(DataError, match="has no channel 5"):
        read_audio(sound, 4000, channel=5)
