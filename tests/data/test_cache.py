import errno
import json
import multiprocessing
import os

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


@pytest.mark.parametrize("suffix", [".json", ".npy"])
@pytest.mark.parametrize("damage", ["cut", "removed"])
def test_damaged_entry_is_built_again(own_cache, suffix, damage):
    cached_array("set", {}, 1, build_rows)
    (path,) = own_cache.glob(f"*{suffix}")
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-5])
    else:
        path.unlink()
    array, _ = cached_array("set", {}, 1, build_rows)
    np.testing.assert_array_equal(array, ROWS)


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
