"""A folder of sounds with files that are empty, damaged, cut short, oddly named or no sounds at all."""

import os
import struct

import numpy as np
import pytest
import soundfile

from course_lib.data import DataError, load_audio_folder


def load(root, **options):
    return load_audio_folder(root, **{"sample_rate": 8000, "duration": 1.0, "progress": False, **options})


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


def test_broken_link_is_reported(write, tone):
    root = write("a/x.wav", tone(300))
    try:
        (root / "a" / "gone.wav").symlink_to(root / "nowhere.wav")
    except OSError:
        pytest.skip("no links on this file system")
    assert "unreadable" in load(root).report[0].reason
