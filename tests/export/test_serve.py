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
def served(tmp_path_factory):
    """(address without scheme, process, the layer): a convolution over one channel at 8 kHz, two outputs."""
    torch.manual_seed(0)
    layer = sl.Conv1D(1, 2, 5, padding="same").eval()
    path = tmp_path_factory.mktemp("serve") / "layer.onnx"
    export(layer, path, streaming=True, block=16, sample_rate=8000.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "course_lib", "serve", str(path), "--port", str(port), "--streams", "100"]
    process = subprocess.Popen(command, cwd=PROJECT_ROOT)
    address = f"127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                about(address)
                break
            except urllib.error.URLError:
                assert process.poll() is None
                time.sleep(0.1)
        yield address, process, layer
    finally:
        process.terminate()
        process.wait(10)


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


def test_a_file_that_cannot_be_served_is_said(tmp_path):
    (tmp_path / "no.onnx").write_bytes(b"no")
    command = [sys.executable, "-m", "course_lib", "serve", str(tmp_path / "no.onnx")]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "cannot be served" in done.stderr and "Traceback" not in done.stderr
