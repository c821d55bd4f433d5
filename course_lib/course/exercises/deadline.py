"""An end for code that may never come to one."""

import contextlib
import ctypes
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

IMPORTS = 30  # seconds more for an import


class OutOfTime(BaseException):
    """The deadline has passed. No `Exception`, so that a learner's `except Exception` does not swallow it."""


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise `OutOfTime` in the block once `seconds` have passed, and once a second from then on.

    In the main thread on Unix a signal ends sleeping and waiting, too; elsewhere only Python code can be interrupted,
    and a call into a library is waited for. So is an import that has begun in the block, for half a minute: cut off, it
    would leave half a library behind for all that comes later in the process.
    """
    main = threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer")
    with _by_signal(seconds) if main else _by_thread(seconds):
        yield


def _outside() -> FrameType | None:
    """The frame that has the block."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_filename in (__file__, contextlib.__file__):
        frame = frame.f_back
    return frame


def _importing(frame: FrameType | None, outside: FrameType | None) -> bool:
    """Whether an import is under way in the block."""
    while frame is not None and frame is not outside:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


@contextmanager
def _by_signal(seconds: float) -> Iterator[None]:
    outside, rings = _outside(), iter(range(IMPORTS))

    def ring(number: int, frame: FrameType | None) -> Any:
        if not _importing(frame, outside) or next(rings, None) is None:
            raise OutOfTime

    handler = signal.signal(signal.SIGALRM, ring)
    timer = signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3), 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, handler)


@contextmanager
def _by_thread(seconds: float) -> Iterator[None]:
    target, over, lock = threading.get_ident(), threading.Event(), threading.Lock()
    outside, rings = _outside(), iter(range(IMPORTS))

    def wait() -> None:
        pause = seconds
        while not over.wait(pause):
            with lock:
                importing = _importing(sys._current_frames().get(target), outside) and next(rings, None) is not None
                if not over.is_set() and not importing:
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(target), ctypes.py_object(OutOfTime))
            pause = 1.0

    threading.Thread(target=wait, daemon=True).start()
    try:
        yield
    finally:
        with lock:
            over.set()
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(target), None)  # none that is still on its way
