import os

import numpy as np
import pytest
import soundfile

from course_lib.data import DataError, load_audio_folder


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


@pytest.fixture
def bad_folder(write, tone):
    root = write("dog/good.wav", (tone(400) * 32_768).astype(np.int16))
    write("dog/same.flac", (tone(400) * 32_768).astype(np.int16))
    write("cat/also good.wav", tone(300))
    write("cat/silent.wav", np.zeros(8000))
    write("cat/constant.wav", np.full(8000, 0.3))
    write("cat/no samples.wav", np.zeros(0))
    write("cat/nan.wav", np.array([0.1, np.nan, np.inf], dtype=np.float32), subtype="FLOAT")
    (root / "cat" / "empty.wav").touch()
    (root / "cat" / "text.mp3").write_text("this is not a sound" * 100)
    (root / "cat" / "cut.flac").write_bytes(b"fLaC" + bytes(20))
    (root / "cat" / "note.txt").write_text("hello")
    (root / "cat" / ".DS_Store").write_text("hidden")
    (root / "cat" / "inner").mkdir()
    (root / "nothing").mkdir()
    (root / "mute").mkdir()
    write("mute/a.wav", np.zeros(100))
    write("stray.wav", tone(700))
    (root / "README.md").write_text("about")
    return root


EXPECTED = {
    "dog/same.flac": "duplicate",
    "cat/silent.wav": "silent",
    "cat/constant.wav": "silent",
    "cat/no samples.wav": "zero length",
    "cat/nan.wav": "not finite: 2 samples",
    "cat/empty.wav": "empty: the file has 0 bytes",
    "cat/text.mp3": "unreadable",
    "cat/cut.flac": "unreadable",
    "cat/note.txt": "not one of",
    "cat/inner": "folder inside",
    "nothing": "class left out",
    "mute": "class left out",
    "mute/a.wav": "silent",
    "stray.wav": "beside the class folders",
}


@pytest.mark.parametrize("cache", [True, False])
def test_bad_files_are_skipped_and_reported(bad_folder, cache):
    for data in (load(bad_folder, cache=cache), load(bad_folder, cache=cache)):
        assert data.files == ("cat/also good.wav", "dog/good.wav")
        assert data.classes == ("cat", "dog") and data.labels.tolist() == [0, 1]
        report = {problem.file: problem.reason for problem in data.report}
        assert set(report) == set(EXPECTED) and len(data.report) == len(EXPECTED)
        for file, reason in EXPECTED.items():
            assert reason in report[file], (file, report[file])


def test_raise_lists_every_bad_file_from_cache_too(bad_folder):
    for _ in range(2):
        with pytest.raises(DataError) as caught:
            load(bad_folder, on_error="raise")
        assert all(file in str(caught.value) for file in EXPECTED)


def test_raise_is_quiet_where_all_is_well(write, tone):
    assert len(load(write("a/x.wav", tone(300)), on_error="raise")) == 1


def test_duplicate_names_the_file_it_repeats(write, tone):
    root = write("a/x.wav", tone(300))
    write("b/y.wav", tone(300))
    assert "a/x.wav" in load(root).report[0].reason


def test_clip_that_is_silent_only_where_it_is_cut(write, tone):
    root = write("a/late.wav", np.concatenate([np.zeros(8000), tone(300)]))
    write("a/x.wav", tone(400))
    assert load(root).report[0].file == "a/late.wav"
    assert len(load(root, duration=2.0)) == 2


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
    monkeypatch.setattr("course_lib.data.folder.read_clip", None)
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


def test_broken_link_is_reported(write, tone):
    root = write("a/x.wav", tone(300))
    try:
        (root / "a" / "gone.wav").symlink_to(root / "nowhere.wav")
    except OSError:
        pytest.skip("no links on this file system")
    assert "unreadable" in load(root).report[0].reason
