"""Download ESC-10 from its public repository at one commit, check every file, and put it in place in one step."""

import errno
import hashlib
import os
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

import pooch
import requests

from course_lib import paths
from course_lib.data.audio_data import DataError, Problem, listing
from course_lib.files import temporary_beside

MANIFEST = resources.files("course_lib.data") / "manifests" / "esc10.sha256"
COMMIT = "553c8f1743b9dba6b282e1323c3ca8fa76923448"
BASE_URL = "https://github.com/karolpiczak/ESC-10/archive"
LARGEST_MEMBER = 32 * 2**20  # bytes; the largest real one has under 1 MB


def fetch_esc10(
    target: str | os.PathLike | None = None,
    base_url: str = BASE_URL,
    manifest: Traversable = MANIFEST,
    retries: int = 2,
    progress: bool = True,
) -> Path:
    """Fetch ESC-10 (40 MB, CC BY 3.0) into `target`, by default `esc10/` in the first data folder; return that folder.

    The archive comes from `base_url/COMMIT.zip`.  An archive's bytes vary from day to day, so its members are checked,
    one by one, against the manifest's SHA-256.  All happens in a temporary folder beside `target`, which is renamed at
    the end; whatever goes wrong, `target` is complete or untouched.  The set's README, which names each clip's author
    and licence, is kept beside the clips.  Nothing is downloaded where `target` already holds the checked set.

    Raises ConnectionError where the archive cannot be had, DataError where it is damaged or holds other files than the
    manifest says, FileExistsError where `target` holds something else, OSError where the disk is full or read-only.
    """
    target = Path(target).expanduser() if target is not None else paths.data_roots()[0] / "esc10"
    members = read_manifest(manifest)
    if is_complete(target, members):
        return target
    url = f"{base_url.rstrip('/')}/{COMMIT}.zip"
    try:
        with temporary_beside(target) as temporary:
            archive = _download(url, temporary, target, retries, progress)
            unpacked = temporary / "unpacked"
            _unpack(archive, unpacked, members)
            _put_in_place(unpacked, target, members)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            message = f"no space left in {target.parent}: ESC-10 needs 80 MB while it unpacks"
            raise OSError(errno.ENOSPC, message) from error
        raise
    return target


def is_complete(target: Path, members: dict[str, str]) -> bool:
    """Whether `target` holds the checked set; FileExistsError where it holds something else."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return False
    problems = check_members(target, members) if target.is_dir() else []
    if problems or not target.is_dir():
        advice = "move it away, or choose another target"
        raise FileExistsError(f"{target} is there but is not the complete set: {advice}\n{listing(problems)}".rstrip())
    return True


def _download(url: str, folder: Path, target: Path, retries: int, progress: bool) -> Path:
    cache = pooch.create(path=folder, base_url="", registry={"esc10.zip": None}, urls={"esc10.zip": url})
    cache.retry_if_failed = retries
    try:
        return Path(cache.fetch("esc10.zip", downloader=pooch.HTTPDownloader(progressbar=progress, timeout=60)))
    except requests.RequestException as error:
        advice = f"get https://github.com/karolpiczak/ESC-10 at commit {COMMIT[:7]} elsewhere"
        advice = f"Without a network, {advice} and put its ten class folders into {target}"
        raise ConnectionError(f"could not download {url}: {error}\n{advice}") from error


def _unpack(archive: Path, folder: Path, members: dict[str, str]) -> None:
    """Write the manifest's members, and README and licence beside them; refuse an archive whose paths lead outside."""
    with _damage_named():
        content = zipfile.ZipFile(archive)
    with content:
        for info in content.infolist():
            name = _inner_name(info)
            wanted = name in members or (name.count("/") == 0 and name.upper().startswith(("README", "LICENSE")))
            if info.is_dir() or not wanted:
                continue
            if info.file_size > LARGEST_MEMBER:
                raise DataError(f"archive: {name} would take {info.file_size:,} bytes, refused")
            with _damage_named():
                data = content.read(info)
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())


@contextmanager
def _damage_named() -> Iterator[None]:
    """DataError where an archive cannot be read: zipfile and each of its decompressors have errors of their own."""
    try:
        yield
    except Exception as error:
        raise DataError(f"archive: the download is truncated or damaged ({error}): run the command again") from error


def _inner_name(info: zipfile.ZipInfo) -> str:
    """A member's path without the archive's top folder; DataError where it is absolute, climbs out or is a link."""
    parts = PurePosixPath(info.filename).parts
    outside = info.filename.startswith("/") or ".." in parts or "\\" in info.filename or ":" in info.filename
    if outside or stat.S_ISLNK(info.external_attr >> 16):
        raise DataError(f"archive: member {info.filename!r} points outside its folder; nothing was unpacked")
    return "/".join(parts[1:])


def _put_in_place(unpacked: Path, target: Path, members: dict[str, str]) -> None:
    problems = check_members(unpacked, members)
    if problems:
        message = f"archive: {len(problems)} files are missing or differ from the manifest; nothing was kept"
        raise DataError(f"{message}\n{listing(problems)}")
    try:
        if target.is_dir():
            target.rmdir()  # empty, as is_complete found it
        os.replace(unpacked, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EACCES, errno.ENOENT, errno.EPERM):
            raise
        if not is_complete(target, members):  # else another process was faster, with the same files
            raise


def read_manifest(manifest: Traversable = MANIFEST) -> dict[str, str]:
    """A file of `sha256sum`'s lines as {relative path: SHA-256}."""
    lines = manifest.read_text(encoding="utf-8").splitlines()
    entries = (line.split("  ", 1) for line in lines if line.strip())
    return {name.removeprefix("*"): digest for digest, name in entries}


def check_members(folder: Path, manifest: dict[str, str]) -> list[Problem]:
    """The files of a manifest that are missing below `folder` or have other content."""
    problems = []
    for name, expected in manifest.items():
        try:
            with open(folder / name, "rb") as file:
                actual = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            problems.append(
                Problem(name, "missing" if isinstance(error, FileNotFoundError) else f"unreadable: {error}")
            )
            continue
        if actual != expected:
            problems.append(Problem(name, f"changed: SHA-256 is {actual[:12]}…, expected {expected[:12]}…"))
    return problems
