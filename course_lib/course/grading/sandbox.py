"""A process for a stranger's code: no network, no file outside a folder that vanishes, and an end in any case.

On Linux, where the kernel lets users make namespaces, the process sees every file read-only, an empty folder in memory
for its own, no network and no other process, and has no privilege to change that; when its first process ends, all do.
Where it does not, descendants are found and killed one by one, sockets are refused within Python, and files outside are
in reach: `confined` says which it is, and so does the report.
"""

import ctypes
import functools
import os
import resource
import select
import shutil
import signal
import struct
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil

_LIBC = ctypes.CDLL(None, use_errno=True)
_NEW = 0x10000000 | 0x00020000 | 0x20000000 | 0x40000000 | 0x08000000  # user, mounts, processes, network, IPC
_PRIVATE, _NOSUID_NODEV = 16384 | 1 << 18, 2 | 4
_MOUNT_SETATTR, _RECURSIVE, _READ_ONLY = 442, 0x8000, struct.pack("QQQQ", 1, 0, 0, 0)
_SUBREAPER, _NO_NEW_PRIVILEGES = 36, 38
POLL = 0.05  # seconds


@dataclass(frozen=True)
class Limits:
    """seconds of wall time; MiB of memory beyond what the process starts with, and of files; processes at a time."""

    seconds: float = 10.0
    memory: int = 1024
    files: int = 64
    processes: int = 24
    said: int = 64  # MiB that it may report


@dataclass(frozen=True)
class Ended:
    """What came out of a sandbox: the bytes that were sent, the seconds that it took, and why it was cut short."""

    sent: bytes
    seconds: float
    cut: str


def run(work: Callable[[Callable[[str], None]], None], limits: Limits) -> Ended:
    """Call `work(send)` in a process of its own; `send` takes lines of text. Returns when no process of it is left.

    The calling process must have no other children: all that it has are ended.
    """
    _LIBC.prctl(_SUBREAPER, 1, 0, 0, 0)  # orphans of the sandbox become this process's children
    folder = tempfile.mkdtemp(prefix="grade-")
    first = functools.partial(_confined_worker if confined() else _worker, folder=folder, limits=limits)
    try:
        return _watched(work, first, folder, limits)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def confined() -> bool:
    """Whether this machine lets a user make the namespaces that confine a process."""
    folder = tempfile.mkdtemp(prefix="grade-")
    child = os.fork()
    if child == 0:
        try:
            _enter_namespaces(folder, 1)
            os._exit(0)
        except BaseException:  # noqa: BLE001  whatever it is: not here
            os._exit(1)
    _, status = os.waitpid(child, 0)
    os.rmdir(folder)
    return status == 0


def _watched(work: Any, worker: Callable[..., None], folder: str, limits: Limits) -> Ended:
    reader, writer = os.pipe()
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            worker(work, writer)
        finally:
            os._exit(70)
    os.close(writer)
    sent, cut = bytearray(), ""
    try:
        base = psutil.Process().memory_info().rss
        while not cut:
            if select.select([reader], [], [], POLL)[0]:
                piece = os.read(reader, 1 << 20)
                if not piece:
                    break
                sent += piece
            cut = _beyond(child, time.monotonic() - started, len(sent), base, folder, limits)
    finally:
        _end(child)
        os.close(reader)
    return Ended(bytes(sent), time.monotonic() - started, cut)


def _beyond(child: int, seconds: float, said: int, base: int, folder: str, limits: Limits) -> str:
    """Which limit is passed."""
    if seconds > limits.seconds:
        return f"it had not come to an end after {limits.seconds:g} s: is there an endless loop?"
    if said > limits.said * 2**20:
        return f"it returned more than {limits.said} MiB"
    family, more = _descendants(psutil.Process(child)), 0
    if len(family) > limits.processes:
        return f"it started more than {limits.processes} processes"
    for process in family:
        try:
            more += max(process.memory_info().rss - base, 0)
        except psutil.Error:
            continue
    if more > 1.2 * limits.memory * 2**20:
        return f"it used more than {limits.memory} MiB of memory"
    if not confined():
        size = sum(os.lstat(os.path.join(at, name)).st_size for at, _, names in os.walk(folder) for name in names)
        if size > limits.files * 2**20:
            return f"it wrote more than {limits.files} MiB"
    return ""


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _end(child: int) -> None:
    """Kill the sandbox's processes, and wait for them. The first to go takes a namespace's others with it."""
    me = psutil.Process()
    while family := _descendants(me):
        for process in family:
            try:
                process.kill()
            except psutil.Error:
                continue
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                continue
        except ChildProcessError:
            return
        time.sleep(0.002)


def _confined_worker(work: Any, writer: int, folder: str, limits: Limits) -> None:
    """Enter the namespaces; the next fork is the first process in there."""
    _enter_namespaces(folder, limits.files)
    child = os.fork()
    if child:
        os.close(writer)
        os.waitpid(child, 0)
        os._exit(0)
    resource.setrlimit(resource.RLIMIT_NPROC, (limits.processes, limits.processes))
    _worker(work, writer, folder, limits)


def _worker(work: Any, writer: int, folder: str, limits: Limits) -> None:
    """Settle in the folder, give up what is not needed, and work."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    channel = os.dup2(writer, 3) if writer != 3 else writer
    os.closerange(4, 4096)
    os.chdir(folder)
    own = {name: folder for name in ("HOME", "COURSE_WORK", "COURSE_CACHE", "COURSE_DATA", "TMPDIR", "TEMP", "TMP")}
    keep = {name: os.environ[name] for name in ("PATH", "LANG", "OMP_NUM_THREADS") if name in os.environ}
    os.environ.clear()
    os.environ.update(keep | own | {"COURSE_DEVICE": "cpu", "COURSE_CHECK": ""})
    tempfile.tempdir = folder
    for what, most in (
        (resource.RLIMIT_AS, _virtual() + limits.memory * 2**20),
        (resource.RLIMIT_FSIZE, limits.files * 2**20),
        (resource.RLIMIT_CPU, int(limits.seconds) + 1),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 256),
    ):
        resource.setrlimit(what, (most, most))
    if not confined():
        _refuse_sockets()
    try:
        work(lambda line: _write(channel, line.encode() + b"\n"))
    finally:
        os._exit(0)


def _virtual() -> int:
    """Bytes of address space. In a namespace /proc is the outer one, in which this process has another number."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def _write(channel: int, content: bytes) -> None:
    while content:
        content = content[os.write(channel, content) :]


def _enter_namespaces(folder: str, files: int) -> None:
    """Raises OSError where the kernel refuses."""
    uid, gid = os.getuid(), os.getgid()
    _call("unshare", _NEW)
    for name, content in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(content)
    _call("mount", b"none", b"/", None, ctypes.c_ulong(_PRIVATE), None)
    _call("syscall", _MOUNT_SETATTR, -100, b"/", _RECURSIVE, _READ_ONLY, len(_READ_ONLY))
    _call(
        "mount", b"tmpfs", folder.encode(), b"tmpfs", ctypes.c_ulong(_NOSUID_NODEV), f"size={files}m,mode=700".encode()
    )
    _call("prctl", _NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    _call("capset", struct.pack("Ii", 0x20080522, 0), bytes(24))


def _call(function: str, *arguments: Any) -> None:
    if getattr(_LIBC, function)(*arguments) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")


def _refuse_sockets() -> None:
    import socket

    def refused(*arguments: Any, **options: Any) -> None:
        raise PermissionError("a graded copy has no network")

    socket.socket = socket.create_connection = refused  # type: ignore[misc,assignment]
