import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from course_lib.data.cache import cached_array

ROWS = np.arange(12, dtype=np.float32).reshape(3, 4)


def build_rows(append):
    for row in ROWS:
        append(row)
    return {"names": ["a", "b", "c"]}


def must_not_build(append):
    raise AssertionError("built although the cache is good")


def test_second_call_reads_what_the_first_one_wrote(own_cache):
    first, metadata = cached_array("set", {"of": "rows"}, 1, build_rows)
    second, again = cached_array("set", {"of": "rows"}, 1, must_not_build)
    np.testing.assert_array_equal(second, ROWS)
    assert isinstance(second, np.memmap) and not second.flags.writeable
    assert metadata == again == {"names": ["a", "b", "c"]}
    assert first.dtype == np.float32


@pytest.mark.parametrize("count", [1, 9, 10, 123])
def test_header_is_right_for_any_number_of_rows(count):
    rows = np.random.default_rng(0).standard_normal((count, 2, 3)).astype(np.float32)
    array, _ = cached_array("set", {"count": count}, 0, lambda append: [append(row) for row in rows] and {})
    np.testing.assert_array_equal(array, rows)


def test_changed_fingerprint_rebuilds_and_removes_the_old_array(own_cache):
    old, _ = cached_array("set", {}, 1, build_rows)
    new, _ = cached_array("set", {}, 2, lambda append: append(ROWS[0] + 1) or {})
    assert new.shape == (1, 4)
    np.testing.assert_array_equal(old, ROWS)  # who has it open keeps it
    assert len(list(own_cache.glob("*.npy"))) == 1


def test_other_identity_is_kept_beside_it(own_cache):
    cached_array("set", {"rate": 1}, 1, build_rows)
    cached_array("set", {"rate": 2}, 1, build_rows)
    cached_array("set", {"rate": 1}, 1, must_not_build)
    assert len(list(own_cache.glob("*.npy"))) == 2


def test_failed_build_leaves_nothing_and_the_old_entry_stays(own_cache):
    cached_array("set", {}, 1, build_rows)

    def fail(append):
        append(ROWS[0])
        raise KeyError("half way")

    with pytest.raises(KeyError):
        cached_array("set", {}, 2, fail)
    assert sorted(path.suffix for path in own_cache.iterdir()) == [".json", ".npy"]
    cached_array("set", {}, 1, must_not_build)


def other_array(path, array):
    """Another good .npy in its place."""
    with open(path, "wb") as file:
        np.save(file, array)


DAMAGE = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-5]),
    "empty": lambda path: path.write_bytes(b""),
    "removed": lambda path: path.unlink(),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "longer": lambda path: path.write_bytes(path.read_bytes() + bytes(16)),
    "folder": lambda path: path.unlink() or path.mkdir(),
}
OF_ARRAYS = {
    "other shape": lambda path: other_array(path, ROWS.reshape(4, 3)),
    "fewer rows": lambda path: other_array(path, ROWS[:2]),
    "other type": lambda path: other_array(path, ROWS.astype(np.float64)),
    "same bytes, other type": lambda path: other_array(path, ROWS.view(np.int32)),
    "other values": lambda path: other_array(path, ROWS + 1),
    "Fortran order": lambda path: other_array(path, np.asfortranarray(ROWS)),
    "no numbers": lambda path: path.write_bytes(b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'shape': (3, 4)}" + bytes(90)),
}
OF_POINTERS = {
    "no object": lambda path: path.write_text("[]"),
    "nothing in it": lambda path: path.write_text("{}"),
    "metadata": lambda path: path.write_text(path.read_text().replace('"b"', '"x"')),
    "metadata cut": lambda path: path.write_text(path.read_text().replace(', "c"', "")),
    "other array": lambda path: path.write_text(path.read_text().replace(".npy", ".npz")),
    "numbers": lambda path: path.write_text(json.dumps({"array": 3, "made_from": 1, "checksum": "a"})),
}


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [(".npy", name) for name in DAMAGE | OF_ARRAYS if name != "longer"]
    + [(".json", name) for name in DAMAGE | OF_POINTERS if name != "folder"],
)
def test_damaged_entry_is_built_again(own_cache, suffix, damage):
    cached_array("set", {}, 1, build_rows)
    (path,) = own_cache.glob(f"*{suffix}")
    (DAMAGE | OF_ARRAYS | OF_POINTERS)[damage](path)
    if damage == "folder":
        path.rmdir()  # what stands where the array has to go cannot be replaced; it is no damage that disks do
    for _ in range(2):
        array, metadata = cached_array("set", {}, 1, build_rows)
        np.testing.assert_array_equal(array, ROWS)
        assert array.dtype == np.float32 and metadata == {"names": ["a", "b", "c"]}
    cached_array("set", {}, 1, must_not_build)


def test_every_flipped_bit_is_found(own_cache):
    cached_array("set", {}, 1, build_rows)
    (path,) = own_cache.glob("*.npy")
    good = path.read_bytes()
    for place in range(len(good)):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1 << place % 8]) + good[place + 1 :])
        array, metadata = cached_array("set", {}, 1, build_rows)
        np.testing.assert_array_equal(array, ROWS)
        assert metadata == {"names": ["a", "b", "c"]}


def test_numbers_of_numpy_are_numbers(own_cache):
    cached_array("set", {"rate": np.int64(8000), "fmin": np.float64(0.5)}, np.int32(3), build_rows)
    cached_array("set", {"rate": 8000, "fmin": 0.5}, 3, must_not_build)


def test_metadata_of_any_json_comes_back_equal(own_cache):
    metadata = {"b": [1.1, None, True], "a": {"ä": -1e-300}, "empty": [], "name": "tw\udce9"}
    for build in (lambda append: append(ROWS[0]) or metadata, must_not_build):
        assert cached_array("set", {}, 1, build)[1] == metadata


KILLED = """
import os, signal, sys
import numpy as np
from course_lib.data.cache import cached_array

def build(append):
    for _ in range(1000):
        append(np.zeros(1000))
    os.kill(os.getpid(), signal.SIGKILL)

cached_array("set", {"of": sys.argv[1]}, 1, build)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill")
def test_what_killed_builds_left_is_removed_by_the_next(own_cache):
    cached_array("set", {"of": "kept"}, 1, build_rows)
    for name in ("first", "second"):
        subprocess.run([sys.executable, "-c", KILLED, name], check=False)
        assert len(list(own_cache.glob(".*.tmp"))) == 1  # that of the entry before is gone
    cached_array("set", {"of": "third"}, 1, build_rows)
    assert sorted(path.suffix for path in own_cache.iterdir()) == [".json", ".json", ".npy", ".npy"]
    cached_array("set", {"of": "kept"}, 1, must_not_build)


def test_an_array_without_a_pointer_goes_with_the_next_build(own_cache, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("killed after the array, before the pointer")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", fail)
        with pytest.raises(RuntimeError):
            cached_array("set", {}, 1, build_rows)
    assert [path.suffix for path in own_cache.iterdir()] == [".npy"]
    cached_array("set", {}, 2, build_rows)
    assert sorted(path.suffix for path in own_cache.iterdir()) == [".json", ".npy"]


def test_the_array_is_on_disk_before_it_has_its_name(own_cache, monkeypatch):
    events = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda number: events.append("flushed") or fsync(number))
    monkeypatch.setattr(os, "replace", lambda a, b: events.append(Path(b).suffix) or replace(a, b))
    cached_array("set", {}, 1, build_rows)
    assert events.index("flushed") < events.index(".npy") < events.index(".json")
    assert "flushed" in events[events.index(".npy") : events.index(".json")]


def test_two_threads_at_once(own_cache):
    barrier = threading.Barrier(2)

    def build(append):
        barrier.wait(30)
        return build_rows(append)

    with ThreadPoolExecutor(2) as pool:
        for array, _ in pool.map(lambda _: cached_array("set", {}, 1, build), range(2)):
            np.testing.assert_array_equal(array, ROWS)
    assert sorted(path.suffix for path in own_cache.iterdir()) == [".json", ".npy"]


def test_rows_of_different_shapes_are_refused(own_cache):
    with pytest.raises(ValueError, match=r"expected shape \(4,\)"):
        cached_array("set", {}, 1, lambda append: append(ROWS[0]) or append(ROWS))
    assert list(own_cache.iterdir()) == []


def test_full_disk_is_said_and_leaves_nothing(own_cache):
    def fail(append):
        append(ROWS[0])
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="COURSE_CACHE") as caught:
        cached_array("set", {}, 1, fail)
    assert caught.value.errno == errno.ENOSPC
    assert list(own_cache.iterdir()) == []


def test_without_cache_nothing_is_written(own_cache):
    array, metadata = cached_array("set", {}, 1, build_rows, cache=False)
    np.testing.assert_array_equal(array, ROWS)
    assert metadata["names"] == ["a", "b", "c"] and not own_cache.exists()


def _build_in_process(barrier, results):
    barrier.wait()

    def build(append):
        barrier.wait()  # both are inside build now
        return build_rows(append)

    array, _ = cached_array("set", {"two": "at once"}, 1, build)
    results.put(array.sum().item())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="starts its processes by fork")
def test_two_processes_at_once(own_cache):
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(2), context.Queue()
    processes = [context.Process(target=_build_in_process, args=(barrier, results)) for _ in range(2)]
    for process in processes:
        process.start()
    sums = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(60)
    assert sums == [66.0, 66.0]
    assert sorted(path.suffix for path in own_cache.iterdir()) == [".json", ".npy"]
    (pointer,) = own_cache.glob("*.json")
    assert (own_cache / json.loads(pointer.read_text())["array"]).exists()


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_cache_folder_that_cannot_be_is_named(tmp_path, monkeypatch, place):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / place))
    with pytest.raises(OSError, match="cannot make the cache's folder .*: set COURSE_CACHE"):
        cached_array("set", {"a": 1}, 1, lambda append: append(np.zeros(3)) or {})
