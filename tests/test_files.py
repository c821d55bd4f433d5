"""Files that are whole or not there at all, whoever is interrupted; text as other programs save it."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from course_lib.files import read_text, remove_leftovers, replacing, temporary_beside

NAMES = ["a.json", "no_dots", "many.dots.in.it", "[brackets]*?.csv", "ünï ✓", ".hidden", "1.2.tmp"]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_replaced_and_nothing_else_is_there(tmp_path, name):
    path = tmp_path / "new folder" / name
    for text in ("first", "second"):
        with replacing(path) as temporary:
            temporary.write_text(text)
            assert temporary.parent == path.parent and (text == "first" or path.read_text() == "first")
        assert path.read_text() == text and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_after_an_error_the_old_file_stays(tmp_path, error):
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_after_a_failing_disk_the_old_file_stays(tmp_path, monkeypatch, function):
    path = tmp_path / "a.json"
    path.write_text("old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, function, fail)
    with pytest.raises(OSError, match="No space"), replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a.json"):
        pass
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, pathlib, signal, sys
from course_lib.files import replacing
with replacing(pathlib.Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill")
@pytest.mark.parametrize("name", ["a.json", "[brackets]*?.csv", "1.2.tmp"])
def test_what_a_killed_process_left_goes_with_the_next_write_of_that_file(tmp_path, name):
    path = tmp_path / name
    path.write_text("old")
    (tmp_path / ".notes.12.tmp").write_text("somebody else's, of another name")
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 3
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([".notes.12.tmp", name])


def test_what_a_running_process_or_thread_writes_is_left_alone(tmp_path):
    path = tmp_path / "a.json"
    other = tmp_path / f".a.json.{os.getppid()}-0.tmp"
    other.write_text("of a process that runs")
    barrier = threading.Barrier(4)

    def write(text):
        with replacing(path) as temporary:
            temporary.write_text(text)
            barrier.wait(30)  # four temporary files at once
            remove_leftovers(tmp_path)
            barrier.wait(30)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, "abcd"))
    assert path.read_text() in "abcd" and sorted(tmp_path.iterdir()) == sorted([path, other])


def test_a_folder_in_the_making_is_moved_or_removed(tmp_path):
    target = tmp_path / "set"
    with temporary_beside(target) as temporary:
        (temporary / "deep").mkdir(parents=True)
        (temporary / "deep" / "file").write_text("x")
    assert list(tmp_path.iterdir()) == []
    with temporary_beside(target) as temporary:
        temporary.mkdir()
        temporary.rename(target)
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_text_with_or_without_a_byte_order_mark(tmp_path, encoding):
    text = "naïve;✓;\U0001f600\n"
    (tmp_path / "a.csv").write_text(text, encoding=encoding)
    assert read_text(tmp_path / "a.csv") == text


@pytest.mark.parametrize(("mark", "encoding"), [(b"\xfe\xff", "utf-16-be"), (b"\0\0\xfe\xff", "utf-32-be")])
def test_text_whose_bytes_are_the_other_way_round(tmp_path, mark, encoding):
    (tmp_path / "a.csv").write_bytes(mark + "naïve".encode(encoding))
    assert read_text(tmp_path / "a.csv") == "naïve"


@pytest.mark.parametrize("content", [b"caf\xe9", b"\xff\xfea", b"\xff\xfe\0\0abc", b"\xff"])
def test_what_is_no_text_is_a_unicode_error(tmp_path, content):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(UnicodeDecodeError):
        read_text(tmp_path / "a.csv")
