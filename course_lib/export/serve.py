"""A small service around one exported file: a recording in, an answer out; or a stream over a WebSocket.

    GET  /         what the file is, and the limits
    POST /predict  a recording as the body: audio that soundfile reads, or a .npy array (T,) or (T, C); JSON comes back
    WS   /stream   binary messages of float32, little-endian, (T, C) in rows; JSON comes back as soon as it is decided;
                   the text message "flush" ends the stream and brings the rest

Bad input gets a 4xx with the reason, a stream is closed with it. For this machine alone: who calls is not asked.
Needs the extra `serve`: pip install "course-lib[serve]".
"""

from __future__ import annotations

import asyncio
import io
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from course_lib.export.runtime import Metadata, Model, Stream

_PART = 20_000  # steps of a recording between two looks at the clock


@dataclass(frozen=True)
class Limits:
    """What a caller may ask for.

    body: bytes of a recording, or of one message of a stream.  steps: of a recording.  seconds: that an answer to one
    request may take.  streams: open at once.  rate: steps a second of one stream, on average, above a burst of as many.
    stream_seconds: how long a stream may stay open.  idle_seconds: how long it may say nothing.
    """

    body: int = 10_000_000
    steps: int = 5_000_000
    seconds: float = 30.0
    streams: int = 200
    rate: float = 200_000.0
    stream_seconds: float = 3600.0
    idle_seconds: float = 60.0


class Refused(ValueError):
    """What a caller did wrong, with the HTTP status that says so."""

    def __init__(self, status: int, reason: str):
        super().__init__(reason)
        self.status = status


def make_app(path: str | os.PathLike, limits: Limits | None = None) -> Any:
    """The Starlette application that serves the file at `path`.  The graph runs in threads, weights are shared."""
    from starlette.applications import Starlette
    from starlette.routing import Route, WebSocketRoute

    service = _Service(path, limits or Limits())
    app = Starlette(
        routes=[
            Route("/", service.about),
            Route("/predict", service.predict, methods=["POST"]),
            WebSocketRoute("/stream", service.stream),
        ]
    )
    app.state.kind = service.metadata.kind
    return app


class _Service:
    def __init__(self, path: str | os.PathLike, limits: Limits):
        self.limits, self.open_streams = limits, 0
        self.file = _open(path)
        self.metadata: Metadata = self.file.metadata

    async def about(self, request: Any) -> Any:
        from starlette.responses import JSONResponse

        words = {name: word for name, word in asdict(self.metadata).items() if name not in ("state", "lengths")}
        return JSONResponse(words | {"limits": asdict(self.limits), "open_streams": self.open_streams})

    async def predict(self, request: Any) -> Any:
        from starlette.responses import JSONResponse

        try:
            body = await self._body(request)
            task = asyncio.to_thread(self._answer, body, time.monotonic() + self.limits.seconds)
            return JSONResponse(await asyncio.wait_for(task, self.limits.seconds))
        except TimeoutError:
            return JSONResponse({"error": f"expected an answer within {self.limits.seconds} s"}, 408)
        except Refused as refused:
            return JSONResponse({"error": str(refused)}, refused.status)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)

    async def stream(self, socket: Any) -> None:
        from starlette.websockets import WebSocketDisconnect

        if self.metadata.kind not in ("stream", "frames"):
            await socket.close(1008, f"a file of kind {self.metadata.kind} has no stream: POST /predict")
            return
        if self.open_streams >= self.limits.streams:
            await socket.close(1013, f"expected at most {self.limits.streams} streams at once: try again later")
            return
        self.open_streams += 1
        try:
            await socket.accept()
            await self._run_stream(socket)
        except WebSocketDisconnect:  # a client that dies leaves nothing: all that its stream had was in this call
            pass
        finally:
            self.open_streams -= 1

    async def _run_stream(self, socket: Any) -> None:
        began, taken, push = time.monotonic(), 0, _pusher(self.file)
        try:
            async with asyncio.timeout(self.limits.stream_seconds):
                while True:
                    message = await asyncio.wait_for(socket.receive(), self.limits.idle_seconds)
                    if message["type"] == "websocket.disconnect":
                        return
                    if message.get("text") == "flush":
                        await socket.send_json(await asyncio.to_thread(push, None) | {"end": True})
                        return await socket.close()
                    block = self._block(message.get("bytes"))
                    taken += len(block)
                    allowed = self.limits.rate * (1 + time.monotonic() - began)
                    if taken > allowed:
                        raise Refused(429, f"rate: expected at most {self.limits.rate:g} steps a second")
                    answer = await asyncio.to_thread(push, block)
                    if answer:
                        await socket.send_json(answer)
        except TimeoutError:
            await socket.close(1008, "the stream was idle, or open, for longer than the limits at / allow")
        except ValueError as error:
            await socket.close(1008, str(error)[:120])  # a reason has 123 bytes at most

    def _block(self, data: bytes | None) -> np.ndarray:
        """The samples (T, *channels) of one message."""
        width = 4 * int(np.prod(self.metadata.channels))
        if data is None:
            raise Refused(400, 'expected binary messages, or the text "flush"')
        if len(data) > self.limits.body or not data or len(data) % width:
            raise Refused(400, f"expected rows of {width} bytes, at most {self.limits.body} bytes, got {len(data)}")
        return np.frombuffer(data, "<f4").reshape(-1, *self.metadata.channels)

    async def _body(self, request: Any) -> bytes:
        """The request's body; refused as soon as it is too long, whatever its header said."""
        chunks, size = [], 0
        async with asyncio.timeout(self.limits.seconds):
            async for chunk in request.stream():
                chunks.append(chunk)
                size += len(chunk)
                if size > self.limits.body:
                    raise Refused(413, f"body: expected at most {self.limits.body} bytes")
        return b"".join(chunks)

    def _answer(self, body: bytes, deadline: float) -> dict[str, Any]:
        """What is asked, as JSON.  TimeoutError: a thread cannot be ended from outside, so it looks at the clock."""
        x = _recording(body, self.limits.steps, self.metadata)
        if self.metadata.kind == "classifier":
            (probabilities,) = self.file.predict_proba([x])
            labels = [str(label) for label in self.file.classes]
            found: Any = np.flatnonzero(probabilities >= 0.5) if self.metadata.several else [probabilities.argmax()]
            chosen = [labels[i] for i in found]
            return {
                "class": chosen if self.metadata.several else chosen[0],
                "probabilities": dict(zip(labels, probabilities.tolist(), strict=True)),
            }
        if self.metadata.kind == "sequence":
            return {"outputs": self.file(x[None])[0].tolist()}
        push, found = _pusher(self.file), dict[str, list]()
        for part in (*(x[start : start + _PART] for start in range(0, len(x), _PART)), None):
            if time.monotonic() > deadline:
                raise TimeoutError
            for name, values in push(part).items():
                found.setdefault(name, []).extend(values)
        return found


def _open(path: str | os.PathLike) -> Any:
    """A `Stream` or a `Model`, as the file's kind is."""
    try:
        return Model(path)
    except ValueError as error:
        if "kind" not in str(error):
            raise
    return Stream(path)


def _pusher(file: Any) -> Callable[[np.ndarray | None], dict[str, Any]]:
    """One stream's way from samples (T, *channels), None at its end, to what to send: {} while nothing is decided."""
    if file.metadata.kind == "frames":
        from course_lib.events import LiveDetector

        live = LiveDetector(file, file.metadata.threshold, **file.metadata.live)

        def decide(samples: np.ndarray | None) -> dict[str, Any]:
            found = live.flush() if samples is None else live.push(samples)
            names = ("type", "time", "score")
            events = [dict(zip(names, (int(e[0]), float(e[1]), float(e[2])), strict=True)) for e in found]
            return {"events": events} if events else {}

        return decide
    stream = file.fresh()

    def outputs(samples: np.ndarray | None) -> dict[str, Any]:
        y = stream.flush() if samples is None else stream.push(samples[None])
        return {} if y is None else {"outputs": y[0].tolist()}

    return outputs


def _recording(body: bytes, most: int, about: Metadata) -> np.ndarray:
    """The samples (T, *channels) of a .npy array or an audio file.  Refused: what is neither, empty, too long."""
    if body.startswith(b"\x93NUMPY"):
        try:
            x = np.load(io.BytesIO(body), allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise Refused(400, f"body: expected a .npy array of numbers: {error}") from None
    else:
        import soundfile

        try:
            with soundfile.SoundFile(io.BytesIO(body)) as sound:
                if about.sample_rate and sound.samplerate != about.sample_rate:
                    raise Refused(422, f"body: expected {about.sample_rate:g} samples a second, got {sound.samplerate}")
                x = sound.read(most + 1, dtype="float32")
        except soundfile.LibsndfileError:
            raise Refused(415, "body: expected a .npy array or an audio file such as WAV or FLAC") from None
    x = x[:, None] if x.ndim == 1 and len(about.channels) == 1 else x
    if x.dtype.kind not in "fiu" or not x.size or len(x) > most:
        raise Refused(422, f"body: expected 1 to {most} steps of real numbers, got {x.shape} {x.dtype}")
    return x
