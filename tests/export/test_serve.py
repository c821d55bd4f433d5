"""The service, as a process of its own: answers, refusals, many streams, clients that die."""

import asyncio
import io
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import numpy as np
import psutil
import pytest
import soundfile
import torch
import websockets

import course_lib.layers as sl
from course_lib.export import export
from course_lib.paths import PROJECT_ROOT


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """(file, the layer): a convolution over one channel at 8 kHz, two outputs."""
    torch.manual_seed(0)
    layer = sl.Conv1D(1, 2, 5, padding="same").eval()
    path = tmp_path_factory.mktemp("serve") / "layer.onnx"
    export(layer, path, streaming=True, block=4, sample_rate=8000.0)
    return path, layer


@contextmanager
def running(*command):
    """(address without scheme, process) of a server; "{port}" in its command is a free one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, *(word.replace("{port}", str(port)) for word in command)], cwd=PROJECT_ROOT
    )
    address = f"127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                about(address)
                break
            except urllib.error.URLError:
                assert process.poll() is None
                time.sleep(0.1)
        yield address, process
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def served(exported):
    """(address, process, the layer)"""
    path, layer = exported
    with running("-m", "course_lib", "serve", str(path), "--port", "{port}", "--streams", "100") as (address, process):
        yield address, process, layer


STRICT = """
import sys, uvicorn
from course_lib.export.serve import Limits, make_app
limits = Limits(body=8_000_000, steps=1_999_000, seconds=1.0, stream_seconds=3.0, idle_seconds=1.0)
uvicorn.run(make_app(sys.argv[1], limits), port=int(sys.argv[2]), log_level="warning", ws_max_size=limits.body)
"""


@pytest.fixture(scope="module")
def strict(exported):
    """(address, process) of a server that soon loses patience"""
    with running("-c", STRICT, str(exported[0]), "{port}") as both:
        yield both


def about(address):
    with urllib.request.urlopen(f"http://{address}/", timeout=10) as answer:
        return json.load(answer)


def post(address, body):
    """(status, JSON)"""
    request = urllib.request.Request(f"http://{address}/predict", data=body, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def wav(samples, rate):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="FLOAT")
    return file.getvalue()


def cpu(process):
    times = psutil.Process(process.pid).cpu_times()
    return times.user + times.system


def expected(layer, x):
    with torch.no_grad():
        return layer(torch.from_numpy(x).reshape(1, -1, 1))[0].numpy()


def test_a_recording_in_an_answer_out(served):
    address, _, layer = served
    assert about(address)["kind"] == "stream" and about(address)["channels"] == [1]
    x = np.random.default_rng(0).standard_normal(1000).astype("f")
    for body in (npy(x), npy(x[:, None]), wav(x, 8000)):
        status, answer = post(address, body)
        assert status == 200
        np.testing.assert_allclose(answer["outputs"], expected(layer, x), atol=1e-5)


def test_bad_input_is_refused_with_the_reason(served):
    address = served[0]
    for body, status, word in (
        (b"hello", 415, "WAV"),
        (b"\x93NUMPY hello", 400, "npy"),
        (npy(np.array([{}], dtype=object)), 400, "npy"),
        (npy(np.zeros((4, 3), "f")), 400, "time axis"),
        (npy(np.full(4, np.nan, "f")), 400, "finite"),
        (npy(np.zeros(0, "f")), 422, "steps"),
        (wav(np.zeros(10), 16000), 422, "8000"),
        (bytes(11_000_000), 413, "body"),
    ):
        got, answer = post(address, body)
        assert (got, word in answer["error"]) == (status, True), (got, answer)


async def one_stream(address, x, chunk):
    outputs = []
    async with websockets.connect(f"ws://{address}/stream") as stream:
        for start in range(0, len(x), chunk):
            await stream.send(x[start : start + chunk].tobytes())
        await stream.send("flush")
        async for message in stream:
            outputs += json.loads(message).get("outputs", [])
    return outputs


def test_a_hundred_streams_at_once_in_constant_memory(served):
    address, process, layer = served
    x = np.random.default_rng(0).standard_normal((100, 1600)).astype("f")

    async def all_streams():
        return await asyncio.gather(*[one_stream(address, row, 160) for row in x])

    memory = []
    for _ in range(2):
        for row, got in zip(x, asyncio.run(all_streams()), strict=True):
            np.testing.assert_allclose(got, expected(layer, row), atol=1e-5)
        memory.append(psutil.Process(process.pid).memory_info().rss)
    assert memory[1] < memory[0] + 10e6
    assert about(address)["open_streams"] == 0


def test_a_client_that_dies_leaves_nothing_behind(served):
    address = served[0]

    async def open_and_die():
        streams = [await websockets.connect(f"ws://{address}/stream") for _ in range(100)]
        for stream in streams:
            await stream.send(np.zeros(160, "f").tobytes())
        with pytest.raises(websockets.exceptions.InvalidStatus):  # one too many is refused
            await websockets.connect(f"ws://{address}/stream")
        for stream in streams:
            stream.transport.abort()

    asyncio.run(open_and_die())
    for _ in range(100):
        if about(address)["open_streams"] == 0:
            break
        time.sleep(0.1)
    assert about(address)["open_streams"] == 0


def test_a_stream_that_misbehaves_is_closed_with_the_reason(served):
    address = served[0]

    async def reason(message):
        async with websockets.connect(f"ws://{address}/stream") as stream:
            await stream.send(message)
            with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
                while True:
                    await stream.recv()
        return closed.value.rcvd.reason

    assert "finite" in asyncio.run(reason(np.full(16, np.nan, "f").tobytes()))
    assert "rows of 4 bytes" in asyncio.run(reason(b"abc"))
    assert "flush" in asyncio.run(reason("hello"))
    assert "rate" in asyncio.run(reason(np.zeros(2_000_000, "f").tobytes()))


def test_a_body_that_does_not_arrive_in_time_gets_408(strict):
    host, port = strict[0].split(":")
    with socket.create_connection((host, int(port)), timeout=30) as slow:
        slow.sendall(b"POST /predict HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\nhello")
        assert b" 408 " in slow.recv(100)
    assert about(strict[0])["open_streams"] == 0


def test_an_answer_that_takes_too_long_gets_408_and_is_given_up(strict):
    address, process = strict

    def seconds_of(steps):
        """The answer, and the CPU seconds that the server takes, until it rests, for a recording of so many steps."""
        began = spent = cpu(process)
        answer = post(address, npy(np.zeros(steps, "f")))
        while (now := cpu(process)) - spent > 0.05:
            spent = now
            time.sleep(0.5)
        return answer, now - began

    (status, _), short = seconds_of(20_000)
    assert status == 200
    (status, answer), long = seconds_of(1_980_000)
    assert status == 408 and "1.0 s" in answer["error"]
    assert long < 99 * short / 2
    assert seconds_of(1000)[0][0] == 200


def test_too_many_steps_or_bytes_are_refused_whatever_the_header_says(strict):
    address = strict[0]
    status, answer = post(address, npy(np.zeros(1_999_500, np.int8)))
    assert status == 422 and "1 to 1999000 steps" in answer["error"]
    status, answer = post(address, iter([bytes(1_000_000)] * 9))  # in chunks, without a length
    assert status == 413 and "8000000 bytes" in answer["error"]


def test_a_stream_has_a_time_to_speak_and_a_time_to_end(strict):
    address = strict[0]

    async def closed(speaks):
        """How, after how many seconds the server ends a stream that says nothing, or speaks again and again."""
        began = time.monotonic()
        async with websockets.connect(f"ws://{address}/stream") as stream:
            try:
                while True:
                    if speaks:
                        await stream.send(np.zeros(16, "f").tobytes())
                        await asyncio.sleep(0.2)
                    else:
                        await stream.recv()
            except websockets.exceptions.ConnectionClosed as end:
                return end.rcvd, time.monotonic() - began

    for speaks, least in ((False, 1.0), (True, 3.0)):
        end, seconds = asyncio.run(closed(speaks))
        assert end.code == 1008 and "idle, or open, for longer" in end.reason
        assert least - 0.1 < seconds < least + 20
    assert about(address)["open_streams"] == 0


def test_a_message_that_is_too_large_ends_its_stream_alone(strict):
    address = strict[0]

    async def both():
        async with websockets.connect(f"ws://{address}/stream") as other:
            async with websockets.connect(f"ws://{address}/stream") as large:
                with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
                    await large.send(bytes(9_000_000))
                    await large.recv()
            await other.send(np.zeros(160, "f").tobytes())
            return closed.value.rcvd.code, json.loads(await other.recv())

    code, answer = asyncio.run(both())
    assert code == 1009 and len(answer["outputs"]) > 100


def test_a_file_that_cannot_be_served_is_said(tmp_path):
    (tmp_path / "no.onnx").write_bytes(b"no")
    command = [sys.executable, "-m", "course_lib", "serve", str(tmp_path / "no.onnx")]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "cannot be served" in done.stderr and "Traceback" not in done.stderr
