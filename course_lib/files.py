"""Files that are whole or not there at all, and text as other programs save it."""

import codecs
import itertools
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

_TEMPORARY = re.compile(r"\.(.+)\.(\d+)(?:-\d+)?\.tmp", re.DOTALL)  # the file's name, the writer's process
_in_work: set[Path] = set()  # what this process, by any of its threads, is writing now
_number = itertools.count()


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """A name beside `path` for a file or a folder in the making; what still bears it at the block's end is removed.

    What killed processes of this machine left behind for `path` is removed first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent, path.name)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{next(_number)}.tmp")
    _in_work.add(temporary)
    try:
        yield temporary
    finally:
        _remove(temporary)
        _in_work.discard(temporary)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; at the block's end it is flushed to disk and takes `path`'s place.

    A reader sees the old file or the new one, also where the process dies in between. After an error the old one stays
    and the temporary file is removed; what a killed process left behind is removed by the next call, what a running one
    is writing is left alone.
    """
    with temporary_beside(path) as temporary:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    if os.name == "posix":  # the new name, too, must reach the disk
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def remove_leftovers(folder: Path, name: str | None = None) -> None:
    """Remove what killed processes were writing in `folder`: for the file `name`, for any where None."""
    for stale in folder.glob(".*.tmp"):
        found = _TEMPORARY.fullmatch(stale.name)
        if found is None or (name is not None and found[1] != name) or stale in _in_work:
            continue
        if int(found[2]) == os.getpid() or not psutil.pid_exists(int(found[2])):
            _remove(stale)


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 or UTF-32 where a byte-order mark says so.  UnicodeDecodeError else."""
    content = path.read_bytes()
    for mark, encoding in (  # UTF-32 first: its mark begins as that of UTF-16
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if content.startswith(mark):
            return content.decode(encoding)
    return content.decode("utf-8-sig")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
