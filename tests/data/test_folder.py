import os

import numpy as np
import pytest
import soundfile

from course_lib.data import DataError, load_audio_folder, load_audio_table


def load(root, **options):
    return load_audio_folder(root, **{"sample_rate": 8000, "duration": 1.0, "progress": False, **options})


def peak_frequency(signal, rate):
    return np.abs(np.fft.rfft(signal)).argmax() * rate / len(signal)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_every_format_is_read(write, tone, suffix):
    root = write(f"low/a.{suffix}", tone(500))
    write(f"high/a.{suffix}", tone(2000))
    data = load(root)
    assert data.classes == ("high", "low") and data.labels.tolist() == [0, 1]
    assert data.signals.shape == (2, 1, 8000) and data.signals.dtype == np.float32
    for clip, expected in zip(data.signals, (2000, 500), strict=True):
        assert peak_frequency(clip[0], 8000) == pytest.approx(expected, abs=2)
    assert data.report == () and data.folds is None and data.groups is None
    assert data.files == (f"high/a.{suffix}", f"low/a.{suffix}")


def test_stereo_is_mixed_and_integers_are_scaled(write, tone):
    stereo = np.stack([tone(500), tone(1000)], axis=1)
    data = load(write("a/x.wav", stereo, subtype="PCM_24"))
    np.testing.assert_allclose(data.signals[0, 0], stereo.mean(1), atol=1e-6)


@pytest.mark.parametrize("rate", [11_025, 16_000, 44_100])
def test_resampling_keeps_pitch_and_level(write, tone, rate):
    data = load(write("a/x.wav", tone(500, 2.0, rate), rate))
    clip = data.signals[0, 0]
    assert peak_frequency(clip, 8000) == pytest.approx(500, abs=1)
    inner = slice(200, -200)
    np.testing.assert_allclose(clip[inner], tone(500)[inner], atol=2e-3)


def test_resampled_cut_does_not_fade_at_the_end(write, tone):
    clip = load(write("a/x.wav", tone(500, 2.0, 44_100), 44_100)).signals[0, 0]
    np.testing.assert_allclose(clip[-200:], tone(500)[-200:], atol=2e-3)


def test_short_is_padded_on_the_right_and_long_is_cut(write, tone):
    root = write("a/long.wav", tone(500, 1.5))
    write("a/short.wav", tone(500, 0.25))
    data = load(root)
    np.testing.assert_allclose(data.signals[0, 0], tone(500), atol=1e-4)
    assert np.all(data.signals[1, 0, 2000:] == 0) and np.any(data.signals[1, 0, :2000] != 0)
    np.testing.assert_allclose(data.durations, [1.5, 0.25])


def test_duplicate_names_the_file_it_repeats(write, tone):
    root = write("a/x.wav", tone(300))
    write("b/y.wav", tone(300))
    assert "a/x.wav" in load(root).report[0].reason


def test_silence_is_judged_on_the_whole_file(write, tone):
    root = write("a/late.wav", np.concatenate([np.zeros(40_000), tone(300)]))
    write("a/later.wav", np.concatenate([np.zeros(40_000), tone(500)]))
    write("a/never.wav", np.zeros(48_000))
    write("a/offset.wav", np.full(48_000, 0.2))
    data = load(root)
    assert data.files == ("a/late.wav", "a/later.wav")  # two clips of zeros, of two recordings
    assert [problem.file for problem in data.report] == ["a/never.wav", "a/offset.wav"]
    np.testing.assert_allclose(data.durations, 6.0)
    write("a/twin.wav", np.concatenate([np.zeros(40_000), tone(500)]))
    assert "duplicate: same samples as a/later.wav" in str(load(root).report)


def test_what_moves_slowly_is_no_silence(write):
    assert len(load(write("a/x.wav", np.linspace(-0.001, 0.001, 400_000), subtype="FLOAT"))) == 1


def test_a_cut_copy_is_a_duplicate(write, tone):
    root = write("a/long.wav", tone(300, 3.0))
    write("a/part.wav", tone(300, 2.0))
    assert load(root).report[0].reason == "duplicate: same samples as a/long.wav"


@pytest.mark.parametrize("channels", [2, 3, 4])
@pytest.mark.parametrize("left", [1.0, 0.9])
def test_channels_that_cancel_are_not_averaged(write, tone, channels, left):
    wave = np.zeros((8000, channels), np.float32)
    wave[:, 0], wave[:, 1] = left * tone(500), -tone(500)
    data = load(write("a/x.wav", wave, subtype="FLOAT"))
    np.testing.assert_array_equal(np.abs(data.signals[0, 0]), np.abs(wave[:, 1]))


@pytest.mark.parametrize("channels", [2, 8, 32])
def test_unrelated_channels_are_averaged(write, channels):
    wave = 0.1 * np.random.default_rng(0).standard_normal((8000, channels)).astype(np.float32)
    data = load(write("a/x.wav", wave, subtype="FLOAT"))
    np.testing.assert_allclose(data.signals[0, 0], wave.mean(axis=1), atol=1e-6)
    wave[:, 1:] = 0  # one channel speaks
    data = load(write("a/x.wav", wave, subtype="FLOAT"))
    np.testing.assert_allclose(data.signals[0, 0], wave.mean(axis=1), atol=1e-6)


def test_memory_does_not_grow_with_the_recording(write, tone, monkeypatch):
    monkeypatch.setattr("course_lib.data.decoding.BLOCK", 1000)
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, (20_500, 2)).astype(np.float32)
    data = load(write("a/x.wav", wave, subtype="FLOAT"))
    np.testing.assert_array_equal(data.signals[0, 0], wave[:8000].mean(axis=1))
    assert data.durations[0] == 20_500 / 8000


@pytest.mark.parametrize("change", ["content", "touched", "added", "removed", "renamed"])
def test_cache_is_rebuilt_when_a_file_changes(write, tone, change):
    root = write("a/x.wav", tone(300))
    write("a/y.wav", tone(400))
    before = load(root)
    path = root / "a" / "y.wav"
    if change == "content":
        soundfile.write(path, tone(1000), 8000)
    elif change == "touched":
        soundfile.write(path, tone(1000), 8000)
        os.utime(path, ns=(1, 1))
    elif change == "added":
        write("b/z.wav", tone(1000))
    elif change == "removed":
        path.unlink()
    else:
        path.rename(root / "a" / "w.wav")
    after = load(root)
    assert after.files != before.files or not np.array_equal(after.signals, before.signals)
    np.testing.assert_array_equal(after.signals, load(root, cache=False).signals)


def test_unchanged_folder_is_not_decoded_again(write, tone, monkeypatch):
    root = write("a/x.wav", tone(300))
    first = load(root)
    monkeypatch.setattr("course_lib.data.decoding.read_clip", None)
    second = load(root)
    np.testing.assert_array_equal(first.signals, second.signals)
    assert isinstance(second.signals, np.memmap)
    assert (first.files, first.classes, first.report) == (second.files, second.classes, second.report)
    with pytest.raises(TypeError):
        load(root, duration=0.5)


def test_number_of_workers_does_not_change_the_result(write, tone):
    for i in range(20):
        root = write(f"{'ab'[i % 2]}/{i:02d}.wav", tone(200 + 50 * i))
    one, many = load(root, workers=1, cache=False), load(root, workers=7, cache=False)
    np.testing.assert_array_equal(one.signals, many.signals)
    assert one.files == many.files


def test_progress_bar_is_shown_when_asked(write, tone, capsys):
    root = write("a/x.wav", tone(300))
    load(root, progress=True, cache=False)
    assert "1/1" in capsys.readouterr().err


def test_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="one sub-folder per class"):
        load(tmp_path / "missing")


def test_files_without_class_folders(write, tone):
    with pytest.raises(DataError, match="(?s)one sub-folder per class.*a.wav"):
        load(write("a.wav", tone(300)))


def test_folder_with_nothing_usable(write):
    with pytest.raises(DataError, match="(?s)none of 1 files can be used.*silent"):
        load(write("a/x.wav", np.zeros(10)))


@pytest.mark.parametrize(
    ("argument", "value"),
    [("sample_rate", 0), ("sample_rate", 44100.5), ("duration", 0), ("duration", np.nan), ("on_error", "ignore")],
)
def test_arguments_are_checked_by_name(tmp_path, argument, value):
    with pytest.raises(ValueError, match=argument):
        load(tmp_path, **{argument: value})


def test_long_recordings_come_in_windows_with_the_file_as_group(tmp_path):
    """2.6 s in windows of 1 s: two full ones and one of 0.6 s; 1.2 s: one; the silent second is left out."""
    rng = np.random.default_rng(0)
    sounds = {"a/long.wav": rng.uniform(-0.5, 0.5, 2600), "b/short.wav": rng.uniform(-0.5, 0.5, 400)}
    sounds["b/pause.wav"] = np.concatenate([rng.uniform(-0.5, 0.5, 1000), np.zeros(1000), rng.uniform(-0.5, 0.5, 200)])
    for name, sound in sounds.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, sound, 1000, subtype="FLOAT")
    options = {"sample_rate": 1000, "cache": False, "progress": False}
    data = load_audio_folder(tmp_path, window=1.0, **options)
    assert data.signals.shape == (5, 1, 1000)
    assert data.files == ("a/long.wav",) * 3 + ("b/pause.wav", "b/short.wav")
    assert data.groups.tolist() == list(data.files) and data.starts.tolist() == [0, 1, 2, 0, 0]
    assert "5 windows of 3 recordings of 1 s" in data.describe()
    np.testing.assert_allclose(data.signals[:2].reshape(-1), sounds["a/long.wav"][:2000], atol=1e-6)
    np.testing.assert_allclose(data.signals[2, 0, :600], sounds["a/long.wav"][2000:], atol=1e-6)
    assert (data.signals[2, 0, 600:] == 0).all() and data.durations.tolist() == [2.6, 2.6, 2.6, 2.2, 0.4]
    by_speaker = load_audio_folder(tmp_path, window=1.0, group=r"/(.)", **options)
    assert by_speaker.groups.tolist() == ["l", "l", "l", "p", "s"]
    (tmp_path / "t.csv").write_text("file,label\na/long.wav,x\nb/short.wav,y\n", encoding="utf-8")
    table = load_audio_table(tmp_path / "t.csv", window=1.0, **options)
    assert table.groups.tolist() == ["a/long.wav"] * 3 + ["b/short.wav"] and len(table.labels) == 4
