"""Live sources: a microphone, or a recording played as a device would hand it over, block by block, late and lossy.

Both are iterated, give a `Block` at a time, and feed `course_lib.sequence.stream`. Between device and program stands a
queue. A program that is slower than the sound finds it full in the end; what arrives then is dropped and counted, and
the number of the next block's first sample says how much is missing.
"""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np


class Block(NamedTuple):
    """Samples that came together.

    first: number of the first of them, counted from 0 at the start of the source, dropped ones included.
    values: (n,) or (n, C), float32.  arrived: seconds on the source's clock at which the last of them was in.
    """

    first: int
    values: np.ndarray
    arrived: float


class Clock(Protocol):
    """What time it is, in seconds, and a way to let time pass."""

    def now(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class RealClock:
    """The computer's own."""

    def now(self) -> float:
        return time.perf_counter()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(seconds, 0.0))


class FakeClock:
    """A clock that moves only when told to: five minutes of sound pass in no time, and each run is like the last."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += max(seconds, 0.0)


class Replay:
    """Plays a recording as a sound card hands it over: a block is there when its last sample would have sounded.

    source: (samples,) or (samples, C), an audio file, or an iterable of such arrays of any length, as a generator.
    sample_rate: in Hz; a file must have it.  block_size: samples a block, the last one may be shorter.
    waiting: blocks that the queue holds; what arrives at a full queue is dropped, and counted in `dropped`.
    jitter: each block comes up to so many seconds late, drawn evenly from `generator`, and never before an earlier one.
    clock: `RealClock()` by default. With a `FakeClock` the program says by `clock.sleep(seconds)` how long it was busy.

    Iterate once: time runs from the first block asked for. What `source` raises comes after the blocks that it gave.
    Raises ValueError for settings or arrays that do not fit, naming them.
    """

    def __init__(
        self,
        source: Any,
        sample_rate: int,
        block_size: int = 256,
        *,
        waiting: int = 8,
        jitter: float = 0.0,
        clock: Clock | None = None,
        generator: np.random.Generator | None = None,
    ):
        for name, value, least in (("sample_rate", sample_rate, 1), ("block_size", block_size, 1)):
            if value < least:
                raise ValueError(f"{name}: expected at least {least}, got {value}")
        if waiting < 1 or jitter < 0:
            raise ValueError(f"waiting, jitter: expected at least 1 and 0, got {waiting} and {jitter}")
        if jitter and generator is None:
            raise ValueError("generator: jitter is drawn from one; give np.random.default_rng(seed)")
        self.sample_rate, self.block_size, self.waiting = sample_rate, block_size, waiting
        self.dropped = 0  # blocks
        self._jitter, self._generator, self._clock = jitter, generator, clock or RealClock()
        self._arrays = _arrays(source, sample_rate)

    def __iter__(self) -> Iterator[Block]:
        arriving, full = self._arriving(), self.waiting
        kept: deque[Block] = deque()
        failure: Exception | None = None
        coming: Block | None = None
        over = False
        while True:
            while not over and (coming is None or coming.arrived <= self._clock.now()):
                if coming is not None and len(kept) < full:
                    kept.append(coming)
                elif coming is not None:
                    self.dropped += 1
                try:
                    coming = next(arriving)
                except StopIteration:
                    over = True
                except Exception as error:  # the source died: what it had given comes first
                    over, failure = True, error
            if kept:
                yield kept.popleft()
            elif over and failure is not None:
                raise failure
            elif over:
                return
            elif coming is not None:
                self._clock.sleep(coming.arrived - self._clock.now())

    def _arriving(self) -> Iterator[Block]:
        """Every block with its time of arrival, whether or not there is room for it."""
        start, first, before = self._clock.now(), 0, 0.0
        for values in _cut(self._arrays, self.block_size):
            late = 0.0 if self._generator is None else self._generator.uniform(0.0, self._jitter)
            before = max(before, start + (first + len(values)) / self.sample_rate + late)
            yield Block(first, values, before)
            first += len(values)


class Microphone:
    """Blocks from a microphone, through the package sounddevice: `pip install "course-lib[live]"`.

    sample_rate, block_size, channels: as asked of the device; one channel gives (n,), several (n, C).
    seconds: stop after so long; None goes on until the loop is left.
    waiting: blocks that the queue holds; the device does not wait, and drops (`dropped`) what finds it full.
    timeout: seconds without a block after which the device counts as gone.  device: number or name, None: the default.
    `overflows` counts the times that the device says it lost samples before they came here; how many, it does not say.

    The device is open while it is iterated. Raises ImportError where the package or PortAudio is missing, ValueError
    where the device refuses the settings, ConnectionError where blocks stop coming.
    """

    def __init__(
        self,
        sample_rate: int,
        block_size: int = 256,
        *,
        channels: int = 1,
        seconds: float | None = None,
        waiting: int = 8,
        timeout: float = 2.0,
        device: int | str | None = None,
    ):
        self.sample_rate, self.block_size, self.channels = sample_rate, block_size, channels
        self.seconds, self.timeout, self.device = seconds, timeout, device
        self.dropped = self.overflows = 0
        self._taken = 0  # samples that the device gave, dropped ones too
        self._queue: queue.Queue[Block] = queue.Queue(waiting)

    def __iter__(self) -> Iterator[Block]:
        sound = _sounddevice()
        settings = {"samplerate": self.sample_rate, "blocksize": self.block_size, "channels": self.channels}
        try:
            opened = sound.InputStream(**settings, device=self.device, dtype="float32", callback=self._hear)
        except (sound.PortAudioError, ValueError) as error:
            raise ValueError(f"sample_rate, channels, device: the microphone refuses {settings}: {error}") from error
        end = float("inf") if self.seconds is None else self.seconds * self.sample_rate
        heard = 0
        with opened:
            while heard < end:
                try:
                    block = self._queue.get(timeout=self.timeout)
                except queue.Empty:
                    message = f"microphone: no block for {self.timeout:g} s after sample {heard}: was it unplugged?"
                    raise ConnectionError(message) from None
                heard = block.first + len(block.values)
                yield block

    def _hear(self, samples: np.ndarray, count: int, times: Any, status: Any) -> None:
        """Called by the device in a thread of its own, which must never wait."""
        self.overflows += bool(status.input_overflow)
        values = samples[:, 0].copy() if self.channels == 1 else samples.copy()
        try:
            self._queue.put_nowait(Block(self._taken, values, time.perf_counter()))
        except queue.Full:
            self.dropped += 1
        self._taken += count


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ModuleNotFoundError as error:
        raise ImportError('Microphone needs the package sounddevice: pip install "course-lib[live]"') from error
    except OSError as error:  # the package is there, the library that it calls is not
        raise ImportError("Microphone needs PortAudio; on Debian or Ubuntu: apt install libportaudio2") from error
    return sounddevice


def _arrays(source: Any, sample_rate: int) -> Iterator[np.ndarray]:
    """The arrays of a source one after another; a file is opened at once, so that a wrong one is known at once."""
    if isinstance(source, str | Path):
        import soundfile

        rate = soundfile.info(str(source)).samplerate
        if rate != sample_rate:
            raise ValueError(
                f"sample_rate: expected {sample_rate} Hz, {Path(source).name} has {rate}: resample it first"
            )
        return soundfile.blocks(str(source), blocksize=1 << 14, dtype="float32")
    if hasattr(source, "ndim") or not isinstance(source, Iterable):
        return iter([np.asarray(source, np.float32)])
    return (np.asarray(part, np.float32) for part in source)


def _cut(arrays: Iterable[np.ndarray], block_size: int) -> Iterator[np.ndarray]:
    """The same samples in blocks of `block_size`, the last one shorter; an array is asked for when it is needed."""
    held: np.ndarray | None = None
    for array in arrays:
        if array.ndim not in (1, 2) or (held is not None and array.shape[1:] != held.shape[1:]):
            alike = "" if held is None else f" like those before, {('n', *held.shape[1:])}"
            raise ValueError(f"source: expected (samples,) or (samples, C){alike}, got {array.shape}")
        held = array if held is None else np.concatenate([held, array])
        while len(held) >= block_size:
            yield held[:block_size]
            held = held[block_size:]
    if held is not None and len(held):
        yield held
