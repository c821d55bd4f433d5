import os
import struct

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


def rewrite(path, change):
    raw = bytearray(path.read_bytes())
    path.write_bytes(change(raw) or raw)


def no_length(raw):
    """STREAMINFO of a FLAC that was streamed: total samples, 36 bits, are 0."""
    raw[21] &= 0xF0
    raw[22:26] = bytes(4)


def no_first_frame(raw):
    """An MP3 without the frame that holds the Info or Xing header."""
    return raw[raw.find(raw[:2], 4) :]


def tagged(raw):
    """An MP3 with an ID3 tag that is longer than what is searched for the header."""
    return b"ID3\x04\x00\x00" + bytes([0, 1, 0, 0]) + bytes(1 << 14) + raw


@pytest.mark.parametrize("seconds", [0.5, 0.9, 1.5, 6.0])
@pytest.mark.parametrize(
    ("suffix", "change"),
    [
        ("flac", lambda raw: None),
        ("flac", no_length),
        ("mp3", lambda raw: None),
        ("mp3", no_first_frame),
        ("mp3", tagged),
        ("mp3", lambda raw: tagged(no_first_frame(raw))),
        ("wav", lambda raw: raw.__setitem__(slice(40, 44), b"\xff" * 4)),
        ("wav", lambda raw: raw.__setitem__(slice(40, 44), bytes(4))),
        ("wav", lambda raw: raw[:4] + bytes(4) + raw[8:40] + bytes(4) + raw[44:]),
        ("flac", lambda raw: raw + b"TAG" + bytes(125)),
    ],
    ids=[
        "flac",
        "flac without length",
        "mp3",
        "mp3 without header",
        "tagged",
        "tagged, no header",
        "wav without length",
        "wav of no samples, it says",
        "wav of a recorder that was stopped",
        "flac with a tag behind",
    ],
)
def test_the_length_is_what_is_decoded(write, tone, seconds, suffix, change):
    root = write(f"a/x.{suffix}", tone(500, seconds) + tone(1500, seconds))
    rewrite(root / "a" / f"x.{suffix}", change)
    data = load(root)
    assert data.report == () and data.durations[0] == pytest.approx(seconds, abs=0.25 if "mp3" in suffix else 1e-3)
    heard = data.signals[0, 0, : int(min(seconds, 1.0) * 8000) - 400]
    assert np.sqrt(np.mean(heard**2)) == pytest.approx(0.5, rel=0.2)


def a_wav(rate=8000, bits=16, kind=1, samples=b"", form=b"RIFF"):
    """A WAV with a header as it is told."""
    order = "<" if form == b"RIFF" else ">"
    fmt = struct.pack(f"{order}HHIIHH", kind, 1, rate, 0, bits // 8, bits)
    chunks = b"".join(
        name + struct.pack(f"{order}I", len(part)) + part for name, part in ((b"fmt ", fmt), (b"data", samples))
    )
    return form + struct.pack(f"{order}I", len(chunks) + 4) + b"WAVE" + chunks


def test_odd_headers_are_read_or_reported_and_stop_nobody(write, tone):
    wave = tone(500, 0.5)
    root = write("a/good.wav", wave)
    loud = (3.4e38 * wave.astype(float) / np.abs(wave).max()).astype("<f4")
    files = {
        "RIFX": a_wav(form=b"RIFX", samples=(wave * 20_000).astype(">i2").tobytes()),
        "fast": a_wav(2_000_000_000, samples=(wave * 20_000).astype("<i2").tobytes()),
        "loud": a_wav(44_100, 32, 3, loud.tobytes()),
        "one": a_wav(samples=b"\1\1"),
        "none": a_wav(samples=b""),
    }
    for name, content in files.items():
        (root / "a" / f"{name}.wav").write_bytes(content)
    for options in ({}, {"window": 0.25}):
        data = load(root, **options)
        assert {file for file in data.files} == {"a/RIFX.wav", "a/good.wav"}
        reasons = {problem.file[2:-4]: problem.reason for problem in data.report}
        assert reasons["fast"].startswith("too short: 4000 samples at 2,000,000,000 Hz are less than one")
        assert "too loud" in reasons["loud"] and "silent" in reasons["one"] and "no samples" in reasons["none"]


@pytest.mark.parametrize("suffix", ["wav", "mp3", "flac", "ogg"])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_file_cut_short_is_read_as_far_as_it_goes_or_reported(write, suffix, share):
    noise = 0.1 * np.random.default_rng(0).standard_normal(80_000)
    root = write(f"a/x.{suffix}", noise)
    write("a/whole.wav", noise[::-1])
    rewrite(root / "a" / f"x.{suffix}", lambda raw: raw[: int(len(raw) * share)])
    data = load(root)
    if len(data) == 2:
        assert (1.0 if suffix == "ogg" else 10 * share - 0.6) < data.durations[1] < 10 * share + 0.6  # Ogg: long pages
        assert np.abs(data.signals[1]).reshape(8, -1).max(axis=1).min() > 0.05  # the second asked for is all there
    else:
        assert data.report[0].file == f"a/x.{suffix}"
    assert len(data) + len(data.report) == 2 and (suffix == "ogg" or len(data) == 2)


@pytest.mark.parametrize("damage", ["start", "middle"])
@pytest.mark.parametrize("suffix", ["mp3", "flac", "ogg"])
def test_a_damaged_file_stops_nobody(write, tone, suffix, damage):
    root = write(f"a/x.{suffix}", 0.1 * np.random.default_rng(0).standard_normal(80_000))
    write("a/whole.wav", tone(300))
    start = 0 if damage == "start" else 20_000
    rewrite(root / "a" / f"x.{suffix}", lambda raw: raw.__setitem__(slice(start, start + 2000), bytes(2000)))
    data = load(root)
    assert "a/whole.wav" in data.files and len(data) + len(data.report) == 2


def test_memory_does_not_grow_with_the_recording(write, tone, monkeypatch):
    monkeypatch.setattr("course_lib.data.decoding.BLOCK", 1000)
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, (20_500, 2)).astype(np.float32)
    data = load(write("a/x.wav", wave, subtype="FLOAT"))
    np.testing.assert_array_equal(data.signals[0, 0], wave[:8000].mean(axis=1))
    assert data.durations[0] == 20_500 / 8000


@pytest.mark.skipif(os.name != "posix", reason="file names of bytes")
@pytest.mark.parametrize("where", ["file", "class folder", "beside the classes", "above"])
def test_a_name_that_is_no_utf8(write, tone, tmp_path, where):
    root = write("a/one.wav", tone(300))
    write("b/two.wav", tone(500))
    try:
        if where == "file":
            os.rename(root / "b" / "two.wav", os.fsencode(root / "b") + b"/tw\xe9.wav")
        elif where == "class folder":
            os.rename(root / "b", os.fsencode(root) + b"/b\xe9")
        elif where == "beside the classes":
            os.rename(root / "b" / "two.wav", os.fsencode(root) + b"/tw\xe9.wav")
        else:
            root = root.rename(os.fsdecode(os.fsencode(tmp_path) + b"/s\xe9"))
    except OSError:
        pytest.skip("no such names on this file system")
    data, again = load(root), load(root)
    if where == "above":
        assert len(data) == 2 and data.report == ()
    else:
        assert data.files == ("a/one.wav",) and any("\\udce9" in problem.file for problem in data.report)
    text = "\n".join([data.describe(), *data.files, *data.classes, *map(str, data.report)])
    assert text.encode("utf-8") and again.report == data.report


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes among files")
def test_a_pipe_is_no_recording(write, tone):
    root = write("a/x.wav", tone(300))
    os.mkfifo(root / "a" / "pipe.wav")
    assert load(root).report[0].reason == "not a regular file"


def test_links_are_followed(write, tone, tmp_path):
    root = write("a/x.wav", tone(300))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    soundfile.write(elsewhere / "y.wav", tone(500), 8000)
    try:
        (root / "a" / "y.wav").symlink_to(elsewhere / "y.wav")
        (root / "b").symlink_to(elsewhere)
        (root / "round").symlink_to(root)
    except OSError:
        pytest.skip("no links on this file system")
    data = load(root)
    assert data.files == ("a/x.wav", "a/y.wav")
    assert data.report[0].reason == "folder inside a class folder: expected files only"
    assert "b/y.wav: duplicate: same samples as a/y.wav" in map(str, data.report)


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


def test_broken_link_is_reported(write, tone):
    root = write("a/x.wav", tone(300))
    try:
        (root / "a" / "gone.wav").symlink_to(root / "nowhere.wav")
    except OSError:
        pytest.skip("no links on this file system")
    assert "unreadable" in load(root).report[0].reason


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
