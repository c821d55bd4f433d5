"""Arrays that are slow to make, kept on disk: one `.npy`, opened with mmap, and one JSON with what belongs to it.

The JSON is a pointer. It names the `.npy` file and says from what it was made, and it is replaced in one step after the
array is complete and on disk. So a reader finds the old array or the new one, never half of one, and two processes that
build the same array at once do no harm: the later one wins with equal content.

It holds a checksum, too, over the values, their shape and the metadata, which is compared whenever an entry is opened:
whatever was damaged or changed on disk is built again. That reads the array once: 0.1 s for 350 MB in memory, the time
of the disk for what has to come from there.
"""

import contextlib
import errno
import hashlib
import json
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np

from course_lib import paths
from course_lib.files import remove_leftovers, replacing

FORMAT = 2  # part of every fingerprint: raise it where what is stored changes its meaning

Append = Callable[[np.ndarray], None]


def cached_array(
    name: str, identity: dict, fingerprint: object, build: Callable[[Append], dict], cache: bool = True
) -> tuple[np.ndarray, dict]:
    """Return an array of float32 rows and its metadata, from the cache where that is still good.

    name: first part of the file name, for people.  identity: what is asked for (a path, parameters), JSON-able; one
    entry is kept for each.  fingerprint: what it is made from (files' sizes and times), JSON-able; where it changes,
    the entry is rebuilt and the old array removed.
    build(append): makes the array by calling `append(row)` for each row in order, all rows of one shape, and returns
    the metadata, JSON-able.
    Returns (N, *row shape) float32, a read-only memmap (a plain array with `cache=False`), and the metadata.
    Raises OSError where the cache folder cannot be written or is full, and what `build` raises; nothing is left then.
    """
    if not cache:
        rows: list[np.ndarray] = []
        metadata = build(lambda row: rows.append(np.array(row, dtype=np.float32)))
        return np.stack(rows), metadata
    folder = paths.cache_dir()
    made_from = _digest([FORMAT, fingerprint])
    stem = f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}-{_digest(identity)}"
    pointer = folder / f"{stem}.json"
    found = _read(pointer, made_from)
    if found is not None:
        return found
    array_path = folder / f"{stem}-{made_from}.npy"
    with _writable(folder):
        remove_leftovers(folder)  # of any entry: a killed build may leave hundreds of megabytes
        try:
            with replacing(array_path) as temporary, open(temporary, "wb") as file:
                writer = _RowWriter(file)
                metadata = json.loads(_json(build(writer.append)))
                writer.finish()
        except PermissionError:  # Windows: another process has the equal file open
            if not array_path.exists():
                raise
        array = np.load(array_path, mmap_mode="r")
        record = {
            "array": array_path.name,
            "made_from": made_from,
            "identity": identity,
            "metadata": metadata,
            "checksum": _checksum(writer.sum, array.shape, metadata),
        }
        with replacing(pointer) as temporary:
            temporary.write_text(_json(record), encoding="utf-8")
    for stale in folder.glob(f"{stem}-*.npy"):
        if stale != array_path:
            with contextlib.suppress(OSError):  # another process may have it open (Windows) or have removed it
                stale.unlink()
    return array, metadata


def content_key(array: np.ndarray) -> str:
    """A short digest of an array's values and shape, to cache what is computed from it.  About 0.3 s for 350 MB."""
    digest = hashlib.sha256(repr((array.shape, str(array.dtype))).encode())
    for row in array:
        digest.update(np.ascontiguousarray(row).data)
    return digest.hexdigest()[:16]


class _RowWriter:
    """Writes an .npy row by row: header first with room for any count, corrected at the end.  sum: the rows' CRC-32."""

    def __init__(self, file: BinaryIO):
        self.file, self.count, self.sum = file, 0, 0
        self.shape: tuple[int, ...] | None = None

    def append(self, row: np.ndarray) -> None:
        row = np.ascontiguousarray(row, dtype=np.float32)
        if self.shape is None:
            self.shape = row.shape
            self._header(self.shape)
        if row.shape != self.shape:
            raise ValueError(f"row: expected shape {self.shape} as the rows before it, got {row.shape}")
        self.file.write(row.data)
        self.sum = zlib.crc32(row.data, self.sum)
        self.count += 1

    def finish(self) -> None:
        if self.shape is None:
            raise ValueError("build: expected at least one row, got none")
        self.file.seek(0)
        self._header(self.shape)  # numpy pads headers so that the first axis can grow: the length stays the same

    def _header(self, row_shape: tuple[int, ...]) -> None:
        header = {"descr": "<f4", "fortran_order": False, "shape": (self.count, *row_shape)}
        np.lib.format.write_array_header_1_0(self.file, header)


def _json(value: object) -> str:
    """One text for equal values; NumPy's numbers count as Python's."""
    return json.dumps(value, sort_keys=True, default=lambda number: number.item())


def _digest(value: object) -> str:
    return hashlib.sha256(_json(value).encode()).hexdigest()[:16]


def _checksum(values: int, shape: tuple[int, ...], metadata: dict) -> int:
    """CRC-32 of an entry, from that of its values."""
    return zlib.crc32(_json([shape, metadata]).encode(), values)


def _read(pointer: Path, made_from: str) -> tuple[np.ndarray, dict] | None:
    try:
        record = json.loads(pointer.read_text(encoding="utf-8"))
        if record["made_from"] != made_from:
            return None
        array, metadata = np.load(pointer.parent / Path(record["array"]).name, mmap_mode="r"), record["metadata"]
        values = 0
        for row in array:
            values = zlib.crc32(row.data, values)
        whole = array.dtype == np.float32 and _checksum(values, array.shape, metadata) == record["checksum"]
        return (array, metadata) if whole else None
    except Exception:  # missing, or damaged in whatever way: build it again
        return None


@contextlib.contextmanager
def _writable(folder: Path) -> Iterator[None]:
    """`folder`, made where it is missing; OSError that says what helps where it cannot be written."""
    advice = "set COURSE_CACHE to a folder of yours, or pass cache=False"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, FileNotFoundError) as error:
        raise type(error)(error.errno, f"cannot make the cache's folder {folder}: {advice}") from error
    except OSError as error:
        _raise_with_advice(error, folder, advice)
    try:
        yield
    except OSError as error:
        _raise_with_advice(error, folder, advice)


def _raise_with_advice(error: OSError, folder: Path, advice: str) -> NoReturn:
    if error.errno == errno.ENOSPC:
        message = f"no space left for the cache in {folder}: make room, or set COURSE_CACHE"
        raise OSError(errno.ENOSPC, message) from error
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        raise PermissionError(error.errno, f"cannot write the cache in {folder}: {advice}") from error
    raise error
