import hashlib
import os
import shutil
import time

import numpy as np
import pytest
import soundfile

from course_lib.data import DataError, esc10, load_esc10, verify

FOLDERS = [f"{i:03d} - {name.capitalize()}" for i, name in enumerate(esc10.CLASSES, start=1)]


@pytest.fixture
def small_set(tmp_path, monkeypatch):
    """Two clips of each class in the repository's layout at 8 kHz, with a manifest of their own."""
    root = tmp_path / "data" / "ESC-10-master"
    rng = np.random.default_rng(0)
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True)
        for name in ("1-100-A.ogg", "2-200-B.ogg"):
            soundfile.write(root / folder / name, 0.1 * rng.standard_normal(8000), 8000)
    files = sorted(path for path in root.rglob("*.ogg"))
    digests = {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    monkeypatch.setattr(esc10, "read_manifest", lambda: digests)
    return tmp_path / "data"


def digests() -> dict[str, str]:
    """The manifest of the small set, as the loader reads it."""
    return esc10.read_manifest()


def load(root, **options):
    return load_esc10(root, **{"sample_rate": 8000, "duration": 1.0, "progress": False, **options})


def test_committed_manifest_lists_the_whole_set():
    manifest = esc10.read_manifest()
    assert len(manifest) == 400 and {len(digest) for digest in manifest.values()} == {64}
    assert sorted({name.partition("/")[0] for name in manifest}) == FOLDERS
    stems = [name.partition("/")[2].split("-") for name in manifest]
    assert sorted(fold for fold, *_ in stems) == sorted("12345" * 80)


def test_labels_folds_and_groups_come_from_the_names(small_set):
    data = load(small_set)
    assert data.signals.shape == (20, 1, 8000)
    assert data.labels.tolist() == sorted(list(range(10)) * 2)
    assert data.classes[0] == "dog bark" and data.classes[9] == "fire crackling"
    assert data.folds.tolist() == [1, 2] * 10 and data.groups.tolist() == ["100", "200"] * 10
    assert data.name == "ESC-10" and data.files[0] == "001 - Dog bark/1-100-A.ogg"


@pytest.mark.parametrize("name", ["", "esc10", "ESC-10", "ESC-10-553c8f1", "ESC-50"])
def test_found_under_several_names(small_set, tmp_path, name):
    folder = tmp_path / "elsewhere" / name
    folder.parent.mkdir(exist_ok=True)
    (small_set / "ESC-10-master").rename(folder)
    assert len(load(tmp_path / "elsewhere")) == 20


def test_found_under_course_data_and_checkout(small_set, monkeypatch, nothing_on_disk, tmp_path):
    with pytest.raises(FileNotFoundError):
        load(None)
    monkeypatch.setenv("COURSE_DATA", str(small_set))
    assert len(load(None)) == 20
    monkeypatch.delenv("COURSE_DATA")
    shutil.copytree(small_set, tmp_path / "checkout" / "data")
    assert len(load(None)) == 20


def test_absent_says_how_to_get_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="data fetch esc10"):
        load(tmp_path)


@pytest.mark.parametrize("duration", [0.1, 0.5, 1.0])
def test_a_clip_that_begins_with_silence_is_no_damage(small_set, duration):
    first = min((small_set / "ESC-10-master").rglob("*.ogg"))
    soundfile.write(first, np.pad(0.1 * np.random.default_rng(1).standard_normal(8000), (12_000, 0)), 8000)
    files = {file: hashlib.sha256((small_set / "ESC-10-master" / file).read_bytes()).hexdigest() for file in digests()}
    digests().update(files)
    data = load(small_set, duration=duration)
    assert len(data) == 20 and data.durations[0] == 2.5 and np.ptp(data.signals[0]) < 1e-3


@pytest.mark.parametrize("cache", [True, False])
def test_changed_and_missing_files_are_named(small_set, cache, own_cache):
    load(small_set, cache=cache)
    first, second = sorted((small_set / "ESC-10-master").rglob("*.ogg"))[:2]
    soundfile.write(first, np.ones(8000) * 0.1, 8000)
    second.unlink()
    with pytest.raises(DataError) as caught:
        load(small_set, cache=cache)
    assert f"{first.name}: changed" in str(caught.value) and f"{second.name}: missing" in str(caught.value)
    assert "2 files" in str(caught.value)


def test_good_files_are_hashed_only_once(small_set, monkeypatch):
    load(small_set)
    monkeypatch.setattr(esc10, "check_members", None)
    assert len(load(small_set)) == 20
    os.utime(next((small_set / "ESC-10-master").rglob("*.ogg")))
    with pytest.raises(TypeError):  # a file's time changed: looks again
        load(small_set)


@pytest.fixture
def esc50_table(tmp_path):
    """ESC-50's layout and table, without the 400 clips that the table names."""
    root = tmp_path / "data" / "ESC-50-master"
    (root / "meta").mkdir(parents=True)
    (root / "audio").mkdir()
    rows = ["filename,fold,target,category,esc10,src_file,take"]
    for target, category in enumerate(esc10.ESC50_NAMES):
        for i in range(40):
            name = f"{i % 5 + 1}-{1000 + i}-A-{target}.wav"
            rows.append(f"{name},{i % 5 + 1},{target},{category},True,{1000 + i},A")
    rows.append("1-7-A-30.wav,1,30,door_wood_knock,False,7,A")
    (root / "meta" / "esc50.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture
def esc50(esc50_table):
    """ESC-50's layout: 400 clips of 5 s at 1 kHz in the ten classes."""
    tone = 0.1 * np.sin(np.arange(5000))
    for target in range(10):
        for i in range(40):
            name = f"{i % 5 + 1}-{1000 + i}-A-{target}.wav"
            soundfile.write(esc50_table / "audio" / name, tone * (1 + i / 40), 1000)
    return esc50_table


def test_esc50_layout(esc50):
    data = load_esc10(esc50.parent, sample_rate=1000, progress=False)
    assert data.signals.shape == (400, 1, 5000)
    assert np.bincount(data.labels).tolist() == [40] * 10 and np.bincount(data.folds).tolist() == [0] + [80] * 5
    assert data.classes == esc10.CLASSES
    dogs = {file.rpartition("-")[2] for file, label in zip(data.files, data.labels, strict=True) if label == 0}
    assert dogs == {"0.wav"}
    assert set(data.groups) == {str(1000 + i) for i in range(40)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("True", "False", 1), "got 399 clips"),
        (lambda text: text.replace(",dog,", ",wolf,", 1), "unknown class"),
        (lambda text: text.replace("A-0.wav,1,", "A-0.wav,2,", 1), "fold and file name disagree"),
        (lambda text: text.replace("category", "kind"), "unknown class or missing column"),
    ],
)
def test_esc50_table_is_checked(esc50_table, change, message):
    table = esc50_table / "meta" / "esc50.csv"
    table.write_text(change(table.read_text()))
    with pytest.raises(DataError, match=message):
        load_esc10(esc50_table.parent, sample_rate=1000, progress=False)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_esc50_table_with_a_byte_order_mark(esc50_table, encoding):
    table = esc50_table / "meta" / "esc50.csv"
    table.write_text(table.read_text(), encoding=encoding)
    with pytest.raises(DataError, match="400 files are missing"):  # as the table names them
        load_esc10(esc50_table.parent, progress=False)


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: b"",
        lambda raw: raw.decode().encode("utf-16-le"),  # no mark
        lambda raw: raw.replace(b"True", b"Tr\xe9e"),
        lambda raw: raw.replace(b",", b";"),
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw.replace(b",True,", b"\n,", 3),
        lambda raw: raw.replace(b"filename", b"name"),
        lambda raw: raw.replace(b"\n", b'\n"', 1),
    ],
)
def test_what_is_no_esc50_table_is_a_data_error(esc50_table, change):
    table = esc50_table / "meta" / "esc50.csv"
    table.write_bytes(change(table.read_bytes()))
    with pytest.raises(DataError, match="esc50.csv"):
        load_esc10(esc50_table.parent, progress=False)


@pytest.mark.skipif(os.name != "posix", reason="file names of bytes")
def test_a_folder_above_whose_name_is_no_utf8(esc50, tmp_path):
    root = tmp_path / os.fsdecode(b"d\xe9")
    try:
        esc50.parent.rename(root)
    except OSError:
        pytest.skip("no such names on this file system")
    assert len(load_esc10(root, sample_rate=1000, progress=False)) == 400


def test_esc50_files_are_checked(esc50):
    files = sorted((esc50 / "audio").iterdir())
    soundfile.write(files[0], np.ones(4000) * 0.1, 1000)
    files[1].unlink()
    files[2].write_bytes(b"")
    with pytest.raises(DataError) as caught:
        load_esc10(esc50.parent, sample_rate=1000, progress=False)
    for file, reason in zip(files, ("lasts 4.00 s", "missing", "unreadable"), strict=False):
        assert f"{file.name}: {reason}" in str(caught.value)


def test_real_set(esc10_root, real_cache):
    data = load_esc10(esc10_root, progress=False)
    assert data.signals.shape == (400, 1, 220_500) and data.signals.dtype == np.float32
    assert np.bincount(data.labels).tolist() == [40] * 10
    assert np.bincount(data.folds).tolist() == [0] + [80] * 5
    assert len(set(data.groups)) == 304
    for group in set(data.groups):
        assert len(set(data.folds[data.groups == group])) == 1  # one recording, one fold
    assert np.isfinite(data.signals[::40]).all() and np.abs(data.signals[::40]).max() > 0.1
    start = time.perf_counter()
    again = load_esc10(esc10_root, progress=False)
    assert time.perf_counter() - start < 1.0  # 0.01 s on an idle machine
    np.testing.assert_array_equal(again.signals[::100], data.signals[::100])


def test_real_set_verifies(esc10_root, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(esc10_root))
    assert verify("esc10") == []
